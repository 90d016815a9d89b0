"""Times calls one by one, and reports the P50 and P99 of each kind of call.

The queries and cache operations are those of the `documents` system. Parameters go round through
what is stored, so that the calls differ. Writes put back what was there.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dal.cache import FAMILIES, CacheManager
from dal.database import DatabaseManager
from dal.models.documents import ProcessedDocument, SourceMetadata
from dal.queries import Query
from dal.repositories.documents import (
    ProcessedDocumentRepository,
    SourceMetadataRepository,
    search_hash,
)
from ingest import ENVIRONMENT

CALLS = 1000
"""Calls of each kind; those of several tasks together are a few more."""

QUERY_TARGET = 0.050
CACHE_TARGET = 0.010
"""Seconds that the P99 of an indexed query, and of a cache operation, shall stay below."""

WRITERS = 32
"""Tasks that write at the same time: those that wait together share a commit."""

Call = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be timed.

    Attributes:
        name: What is called.
        call: Given the number of the call, which chooses its parameters.
        target: Seconds that the P99 shall stay below.
        tasks: How many call at the same time.
    """

    name: str
    call: Call
    target: float
    tasks: int = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """How long calls of one kind took.

    Attributes:
        name: What was called.
        calls: How often.
        elapsed: Seconds from the first call to the end of the last.
        p50: Seconds within which half of the calls ended.
        p99: Seconds within which 99 of 100 did.
        target: Seconds that the P99 shall stay below.
    """

    name: str
    calls: int
    elapsed: float
    p50: float
    p99: float
    target: float

    @property
    def is_met(self) -> bool:
        """True if the P99 is below the target."""
        return self.p99 < self.target


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return the smallest of *seconds* that at least *share* of them do not exceed."""
    return sorted(seconds)[max(0, math.ceil(share * len(seconds)) - 1)]


async def timed(item: Planned, *, done: Callable[[], None] = lambda: None) -> Timing:
    """Make the calls of *item* and time each; calls *done* at the end."""
    seconds: list[float] = []

    async def run(numbers: range) -> None:
        for number in numbers:
            begun = time.perf_counter()
            await item.call(number)
            seconds.append(time.perf_counter() - begun)

    share = math.ceil(CALLS / item.tasks)
    begun = time.perf_counter()
    await asyncio.gather(*(run(range(task * share, (task + 1) * share)) for task in range(item.tasks)))
    elapsed = time.perf_counter() - begun
    done()
    return Timing(
        item.name, len(seconds), elapsed, percentile(seconds, 0.50), percentile(seconds, 0.99), item.target
    )


def plan(db: DatabaseManager, cache: CacheManager, samples: Samples) -> list[Planned]:
    """Return all that is timed. What a cache operation reads, one before it has stored."""
    reads = read_calls(db, samples)
    writes = write_calls(db, samples)
    return [
        *(Planned(name, call, QUERY_TARGET) for name, call in reads.items()),
        *(Planned(name, call, QUERY_TARGET) for name, call in writes.items()),
        Planned(f"put_source, {WRITERS} tasks", writes["put_source"], QUERY_TARGET, tasks=WRITERS),
        *(
            Planned(f"cache: {name}", call, CACHE_TARGET)
            for name, call in cache_calls(db, cache, samples).items()
        ),
    ]


# The named queries that read, each served by an index or a primary key.
READS = (
    "content_by_id",
    "content_by_hash",
    "content_by_technology",
    "content_by_status",
    "document_by_id",
    "document_by_hash",
    "documents_by_technology",
    "chunks_of_document",
    "search_documents",
    "cached_search",
    "config_entry",
    "config_of_version",
    "feedback_on_content",
    "feedback_summary",
    "signals_on_content",
    "signal_summary",
    "source_by_id",
    "sources",
    "sources_of_technology",
)


@dataclass(frozen=True)
class Samples:
    """What the calls ask for.

    Attributes:
        documents: Stored documents.
        sources: Stored sources, at least one.
        searches: Words that were searched for, with pages of `page_size`.
        page_size: Rows of a page.
        setting: The key of a stored setting.
    """

    documents: Sequence[ProcessedDocument]
    sources: Sequence[SourceMetadata]
    searches: Sequence[str]
    page_size: int
    setting: str

    def pools(self) -> Mapping[str, Sequence[Any]]:
        """Return the values to choose from, by the name of the parameter."""
        now = datetime.now(UTC)
        ids = [document.id for document in self.documents]
        return {
            "content_id": ids,
            "document_id": ids,
            "content_hash": [document.metadata.content_hash for document in self.documents],
            "technology": sorted({document.technology for document in self.documents}),
            "source_id": [source.source_id for source in self.sources],
            "is_active": [True],
            "status": ["processed"],
            "words": self.searches,
            "query_hash": [search_hash(words, self.page_size) for words in self.searches],
            "key": [self.setting],
            "schema_version": ["1.0"],
            "page_size": [self.page_size],
            "now": [now],
            "since": [now - timedelta(days=365)],
        }


def read_calls(db: DatabaseManager, samples: Samples) -> dict[str, Call]:
    """Return a call of each of `READS`, by the verb for its kind."""
    verbs: dict[str | None, Callable[..., Awaitable[object]]] = {
        "one": db.fetch_one,
        "many": db.fetch_all,
        "value": db.fetch_value,
    }
    pools = samples.pools()
    return {name: _call(verbs[db.queries[name].kind], db.queries[name], pools) for name in READS}


def _call(
    verb: Callable[..., Awaitable[object]], query: Query[Any], pools: Mapping[str, Sequence[Any]]
) -> Call:
    beginnings = {"text": "", "int": 0}  # of pages that go by key: after_id
    chosen = {
        parameter.name: pools.get(parameter.name) or [beginnings[parameter.type.kind]]
        for parameter in query.parameters
        if parameter.type is not None
    }
    return lambda number: verb(query, {name: values[number % len(values)] for name, values in chosen.items()})


def write_calls(db: DatabaseManager, samples: Samples) -> dict[str, Call]:
    """Return calls that write, and leave the rows as they are.

    The first one waits for the disk at every call. The second is a transaction block that finds its document
    stored already.
    """
    sources = SourceMetadataRepository(db)
    documents = ProcessedDocumentRepository(db)

    def put_source(number: int) -> Awaitable[object]:
        source = samples.sources[number % len(samples.sources)]
        return sources.put(
            source.source_id,
            source_type=source.source_type,
            name=source.name,
            base_url=source.base_url,
            reliability_score=source.reliability_score,
            is_active=source.is_active,
        )

    return {
        "put_source": put_source,
        "save, nothing new": lambda number: documents.save(
            samples.documents[number % len(samples.documents)], source_id=ENVIRONMENT
        ),
    }


def cache_calls(db: DatabaseManager, cache: CacheManager, samples: Samples) -> dict[str, Call]:
    """Return a call of each cache operation; `forget_cache_calls` removes what they leave."""
    documents = ProcessedDocumentRepository(db, cache)
    texts = [document.model_dump(mode="json") for document in samples.documents[:20]]
    session = {"user": "demo", "pages": [1, 2, 3], "language": "en"}
    answer = {"model": "demo", "scores": [0.25, 0.5], "text": "x" * 200}

    return {
        "set gzip": lambda number: cache.set(_GZIP, texts[number % len(texts)]),
        "get gzip": lambda _: cache.get(_GZIP),
        "set json": lambda _: cache.set(_JSON, answer),
        "get json": lambda _: cache.get(_JSON),
        "set hash": lambda _: cache.set(_HASH, session),
        "get hash": lambda _: cache.get(_HASH),
        "increment": lambda _: cache.increment(_COUNTER),
        "get, a miss": lambda _: cache.get(_MISSING),
        "delete": lambda _: cache.delete(_GZIP),
        "by_hash, a hit": lambda number: documents.by_hash(
            samples.documents[number % len(samples.documents)].metadata.content_hash
        ),
        "search, a hit": lambda number: documents.search(
            samples.searches[number % len(samples.searches)], page_size=samples.page_size
        ),
    }


async def forget_cache_calls(cache: CacheManager) -> None:
    """Remove what the calls of `cache_calls` stored under keys of their own."""
    for key in (_GZIP, _JSON, _HASH, _COUNTER):
        await cache.delete(key)


# Keys that nothing real has: their parts are the hashes of no content, an address for documentation.
_GZIP = FAMILIES["content_processed"].key(content_hash="demo")
_JSON = FAMILIES["ai_evaluation"].key(query_hash="demo")
_HASH = FAMILIES["session"].key(session_id="demo")
_COUNTER = FAMILIES["rate_limit"].key(ip_address="192.0.2.1")
_MISSING = FAMILIES["search_results"].key(query_hash="demo-missing")
