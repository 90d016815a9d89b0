"""Stores the documents of `distributions`, what they come from, and who speaks for which technology.

Several tasks read and save at the same time. What is stored already is left as it is, so that a second
run changes nothing but the counters and clocks of sources.
"""

from __future__ import annotations

import asyncio
import statistics
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from dal.cache import CacheManager
from dal.errors import DalError
from dal.executor import Executor
from dal.models.documents import ProcessedDocument, SourceType
from dal.repositories.documents import (
    ProcessedDocumentRepository,
    SourceMetadataRepository,
    TechnologyMappingRepository,
)
from distributions import NoDescription, read_document

TASKS = 8

ENVIRONMENT = "installed-distributions"
"""The source of all documents: the metadata in this Python environment."""


@dataclass
class Ingested:
    """What became of the distributions.

    Attributes:
        documents: Those that have a description, by id.
        outcomes: How many of them were ``created``, ``updated`` or ``unchanged``.
        copies: The distributions whose text is stored already as that of another one, and which.
        skipped: The distributions without a usable description, and why.
        failed: Those that could not be stored, and why.
        seconds: How long it took.
    """

    documents: dict[str, ProcessedDocument] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    copies: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Ingest:
    """Reads and stores distributions.

    Args:
        executor: Where to store them.
        cache: The cache that holds copies of documents.
    """

    def __init__(self, executor: Executor, cache: CacheManager | None = None) -> None:
        self._documents = ProcessedDocumentRepository(executor, cache)
        self._sources = SourceMetadataRepository(executor)
        self._mappings = TechnologyMappingRepository(executor)

    async def run(
        self, distributions: Mapping[str, Distribution], *, done: Callable[[], None] = lambda: None
    ) -> Ingested:
        """Store all of *distributions*; calls *done* after each."""
        begun = time.perf_counter()
        await self._sources.put(
            ENVIRONMENT,
            source_type="package_index",
            name="Distributions of this environment",
            base_url=Path(sysconfig.get_path("purelib")).as_uri(),
            reliability_score=1.0,
        )
        result = Ingested()
        pending = iter(distributions.items())
        await asyncio.gather(*(self._take(pending, result, done) for _ in range(TASKS)))
        await self._map_technologies(result.documents.values())
        result.seconds = time.perf_counter() - begun
        return result

    async def _take(
        self, pending: Iterator[tuple[str, Distribution]], result: Ingested, done: Callable[[], None]
    ) -> None:
        """Store what *pending* has left. The tasks share it, so that each takes the next one."""
        for name, distribution in pending:
            try:
                await self._store(name, distribution, result)
            except DalError as error:
                result.failed[name] = str(error)
            except ValidationError as error:
                result.failed[name] = f"{error.title}: {error.errors()[0]['msg']}"
            done()

    async def _store(self, name: str, distribution: Distribution, result: Ingested) -> None:
        begun = time.perf_counter()
        document: ProcessedDocument | None = None
        try:
            document = await asyncio.to_thread(read_document, name, distribution)
        except NoDescription as reason:
            result.skipped[name] = str(reason)
        response_ms = round((time.perf_counter() - begun) * 1000)
        await self._sources.count_request(
            ENVIRONMENT, succeeded=document is not None, response_ms=response_ms
        )
        if document is None:
            return
        saved = await self._documents.save(document, source_id=ENVIRONMENT)
        if saved.document_id == name:
            result.documents[name] = document
            result.outcomes[saved.outcome] += 1
        else:
            result.copies[name] = saved.document_id

    async def _map_technologies(self, documents: Iterable[ProcessedDocument]) -> None:
        """Note which hosts speak for a technology: those where its projects live, most projects first."""
        scores: dict[str, list[float]] = {}
        projects: Counter[tuple[str, str]] = Counter()
        for document in documents:
            host = urlsplit(document.source_url).hostname or ""
            scores.setdefault(host, []).append(document.quality_score)
            projects[document.technology, host] += 1
        # One statement each, all at once: they share commits.
        await asyncio.gather(*(self._put_host(host, statistics.fmean(s)) for host, s in scores.items()))
        await asyncio.gather(
            *(
                self._mappings.put(
                    technology, host, priority=max(0, 100 - count), is_official=_kind_of(host) == "website"
                )
                for (technology, host), count in projects.items()
            )
        )

    async def _put_host(self, host: str, mean_quality: float) -> None:
        await self._sources.put(
            host,
            source_type=_kind_of(host),
            name=host,
            base_url=f"https://{host}/",
            reliability_score=mean_quality,
        )


# Hosts that many projects share; any other one is taken for a project's own.
_SHARED_HOSTS: Mapping[str, SourceType] = {
    "pypi.org": "package_index",
    "bitbucket.org": "repository",
    "codeberg.org": "repository",
    "git.sr.ht": "repository",
    "github.com": "repository",
    "gitlab.com": "repository",
}


def _kind_of(host: str) -> SourceType:
    return _SHARED_HOSTS.get(host, "website")
