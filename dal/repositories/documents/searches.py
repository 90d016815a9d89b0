"""The search for documents, and its stored answers: the tables search_cache and search_generation.

One of two keeps the answers. A manager with ``cache=`` keeps them itself: `search_documents` is a cached
query, and what `dal.cache.queries` promises holds. Without, they are rows of search_cache, so that who has
nothing but a database repeats no search.

An answer is stored in the table only if no document has changed since it was read: every change begins a new
generation, in its own transaction, and an answer of another generation is not taken. A change also removes
every stored answer, so that those which are there are good until they expire.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from dal.cache import FAMILIES
from dal.errors import ConflictError, DiskFull, ParameterError, ReadOnlyDatabase, WaitError
from dal.executor import Executor
from dal.models.documents import SearchCacheEntry, SearchGeneration, SearchResult
from dal.repositories.documents.queries import QUERIES
from dal.repositories.pages import checked_page_size
from dal.repositories.snapshots import snapshot
from dal.transaction import Transaction

MAX_WORDS_LENGTH = 1000

_KEPT_SECONDS = FAMILIES["search_results"].ttl

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """The answer to a search.

    Attributes:
        results: Best match first.
        origin: What answered: the cached query (its cache, or the index for it), the search_cache table, or
            the full-text index.
    """

    results: list[SearchResult]
    origin: Literal["query", "table", "index"]


class SearchCacheRepository:
    """Stored answers to searches. `ProcessedDocumentRepository.search` keeps them up to date."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def generation(self) -> int | None:
        """Return which generation of the documents a search sees now; None if its row is lost."""
        row: SearchGeneration | None = await self._executor.fetch_one(QUERIES.search_generation)
        return None if row is None else row.generation

    async def get(self, query_hash: str, *, now: datetime | None = None) -> SearchCacheEntry | None:
        """Return a stored answer, unless it has expired."""
        return await self._executor.fetch_one(
            QUERIES.cached_search, {"query_hash": query_hash, "now": now or datetime.now(UTC)}
        )

    async def put(
        self,
        words: str,
        page_size: int,
        results: Iterable[SearchResult],
        *,
        generation: int | None,
        expires_at: datetime,
    ) -> bool:
        """Store an answer in place of an older one; False if documents have changed since it was read.

        Args:
            generation: What `generation` said in the snapshot in which the answer was read.
        """
        stored = await self._executor.execute(
            QUERIES.put_search,
            {
                "query_hash": search_hash(words, page_size),
                "query_text": _plain(words),
                "page_size": page_size,
                "results": [result.model_dump(mode="json") for result in results],
                "generation": generation,
                "expires_at": expires_at,
            },
        )
        return stored > 0

    async def delete_expired(self, *, now: datetime | None = None, batch_size: int = 500) -> int:
        """Remove every expired row and return how many there were.

        Each batch is a transaction of its own, so that writers wait for one batch at most.
        """
        params = {"now": now or datetime.now(UTC), "batch_size": checked_page_size(batch_size)}
        total = 0
        while True:
            deleted = await self._executor.execute(QUERIES.delete_expired_searches, params)
            total += deleted
            if deleted < batch_size:
                return total


class DocumentSearch:
    """The way of a search to an answer that was kept, or to the index."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._rows = SearchCacheRepository(executor)

    async def answer(self, words: str, page_size: int, now: datetime) -> SearchAnswer:
        """See `ProcessedDocumentRepository.search`."""
        words, page_size = _plain(words), checked_page_size(page_size)
        if isinstance(self._executor, Transaction):
            return SearchAnswer(await _ask(self._executor, words, page_size), "index")
        if self._executor.caches_queries:
            return SearchAnswer(await _ask(self._executor, words, page_size), "query")
        entry = await self._rows.get(search_hash(words, page_size), now=now)
        if entry is not None:
            return SearchAnswer(entry.results, "table")
        async with snapshot(self._executor) as reader:
            generation = await SearchCacheRepository(reader).generation()
            results = await _ask(reader, words, page_size)
        await self._store(words, page_size, results, generation, now + timedelta(seconds=_KEPT_SECONDS))
        return SearchAnswer(results, "index")

    async def _store(
        self,
        words: str,
        page_size: int,
        results: list[SearchResult],
        generation: int | None,
        expires_at: datetime,
    ) -> None:
        """Store an answer of the index, unless that cannot be done, or must not."""
        try:
            await self._rows.put(words, page_size, results, generation=generation, expires_at=expires_at)
        except (TimeoutError, ConflictError, WaitError, ReadOnlyDatabase, DiskFull) as error:
            _log.warning("an answer to a search could not be stored: %s", error)


def search_hash(words: str, page_size: int) -> str:
    """Return what a search is known by in search_cache."""
    return hashlib.sha256(json.dumps([_plain(words), page_size]).encode()).hexdigest()


async def _ask(executor: Executor, words: str, page_size: int) -> list[SearchResult]:
    return await executor.fetch_all(QUERIES.search_documents, {"words": words, "page_size": page_size})


def _plain(words: str) -> str:
    """Return *words* with one space between them, so that equal searches are known as such."""
    plain = " ".join(words.split())
    if len(plain) > MAX_WORDS_LENGTH:
        raise ParameterError(f"a search has at most {MAX_WORDS_LENGTH} characters; this one has {len(plain)}")
    return plain
