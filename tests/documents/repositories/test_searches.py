"""The search for documents, and its stored answers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.errors import ParameterError
from dal.repositories.documents import (
    QUERIES,
    ContentMetadataRepository,
    ProcessedDocumentRepository,
    SearchCacheRepository,
    search_hash,
)
from dal.settings import Settings
from tests.documents.samples import NOW, digest, document, undone


class TestSearch:
    """Answers are kept by a manager that caches queries, or in the table."""

    async def test_with_a_cache(self, caching: DatabaseManager, cache: CacheManager) -> None:
        """A cached query: the second search asks no database, and the table stays empty."""
        documents = ProcessedDocumentRepository(caching, cache)
        await documents.save(document(text="word"))
        first, second = await documents.search("word"), await documents.search(" word ")
        assert (first.origin, second.origin) == ("query", "query")
        assert first.results == second.results
        assert len(first.results) == 1
        counts = cache.stats()["search_results"]
        assert (counts.loads, counts.hits) == (1, 1)
        assert await caching.fetch_value("SELECT count(*) FROM search_cache") == 0

    async def test_many_at_once_ask_the_index_once(
        self, caching: DatabaseManager, cache: CacheManager
    ) -> None:
        """However many want the same answer."""
        documents = ProcessedDocumentRepository(caching)
        await documents.save(document(text="word"))
        answers = await asyncio.gather(*(documents.search("word") for _ in range(20)))
        assert {len(answer.results) for answer in answers} == {1}
        assert cache.stats()["search_results"].loads == 1

    async def test_each_change_is_found_at_once(
        self, caching: DatabaseManager, cache: CacheManager, settings: Settings
    ) -> None:
        """A document that was saved, changed or removed, by this manager or another one."""
        documents = ProcessedDocumentRepository(caching)
        async with DatabaseManager(str(caching._url), settings=settings, cache=cache) as other:
            for writing in (documents, ProcessedDocumentRepository(other)):
                assert (await documents.search("word")).results == []
                await writing.save(document(text="word"))
                assert [found.title for found in (await documents.search("word")).results] == ["About doc"]
                await writing.save(document(text="word", title="Other"))
                assert [found.title for found in (await documents.search("word")).results] == ["Other"]
                await ContentMetadataRepository(writing._executor).put(
                    "doc", source_url="u", technology="rust", content_hash=digest("word"), status="processed"
                )
                assert [found.technology for found in (await documents.search("word")).results] == ["rust"]
                await writing.delete("doc")

    async def test_without_a_cache(self, db: DatabaseManager) -> None:
        """The table does its work."""
        documents = ProcessedDocumentRepository(db)
        assert [(await documents.search("word")).origin for _ in range(2)] == ["index", "table"]

    async def test_result(self, documents: ProcessedDocumentRepository) -> None:
        """A result says what a list of results shows."""
        await documents.save(document(text="a word in its place"))
        (result,) = (await documents.search("WORD place")).results
        assert result.model_dump() == {
            "document_id": "doc",
            "title": "About doc",
            "source_url": "https://docs.example/doc",
            "technology": "python",
            "quality_score": 0.75,
            "snippet": "a word in its place",
        }

    @pytest.mark.parametrize("words", ["", "   ", "*", '"', "c++ \x0b", "AND OR NOT", "don't", "\u00a0"])
    async def test_any_text_may_be_searched(self, documents: ProcessedDocumentRepository, words: str) -> None:
        """No word is an error, and nothing is found where nothing is."""
        assert (await documents.search(words)).results == []

    async def test_too_long(self, documents: ProcessedDocumentRepository) -> None:
        """More than a person types is refused before anything is asked."""
        with pytest.raises(ParameterError, match="at most 1000 characters"):
            await documents.search("x" * 1001)

    async def test_white_space_is_no_difference(self, documents: ProcessedDocumentRepository) -> None:
        """The same words with other blanks between are the same search."""
        await documents.search("two words")
        assert (await documents.search("  two\n\u00a0words ")).origin == "table"

    async def test_page_size_is_a_difference(self, documents: ProcessedDocumentRepository) -> None:
        """An answer for a smaller page is not given for a larger one."""
        for number in range(3):
            await documents.save(document(f"doc{number}", f"word {number}"))
        assert len((await documents.search("word", page_size=2)).results) == 2
        assert len((await documents.search("word", page_size=3)).results) == 3

    async def test_expires(self, db: DatabaseManager) -> None:
        """After an hour the index is asked again, and the row is renewed."""
        documents = ProcessedDocumentRepository(db)
        origins = [
            (await documents.search("word", now=NOW + timedelta(seconds=seconds))).origin
            for seconds in (0, 3599, 3600, 7199)
        ]
        assert origins == ["index", "table", "index", "table"]

    async def test_empty_answer_is_kept(self, documents: ProcessedDocumentRepository) -> None:
        """That nothing matches is an answer too."""
        assert [(await documents.search("word")).origin for _ in range(2)] == ["index", "table"]

    async def test_in_a_block(self, db: DatabaseManager, cache: CacheManager) -> None:
        """Within a transaction its own documents are found, and nothing is stored for others.

        MariaDB's index knows only what is committed.
        """
        async with undone(db) as tx:
            inside = ProcessedDocumentRepository(tx, cache)
            await inside.save(document(text="word"))
            answers = [await inside.search("word"), await inside.search("word")]
        found = 0 if "mysql://" in repr(db) else 1
        assert [(one.origin, len(one.results)) for one in answers] == [("index", found)] * 2
        assert await db.fetch_value("SELECT count(*) FROM search_cache") == 0

    async def test_nothing_can_be_stored(
        self, file: Path, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        """While another process writes without end, a search still answers."""

        class Hasty(DatabaseManager):
            async def execute(self, query: Any, params: Any = (), *, timeout: float | None = None) -> int:
                if query is QUERIES.put_search:
                    timeout = 0.3
                return await super().execute(query, params, timeout=timeout)

        async with Hasty(f"sqlite:///{file}", settings=settings) as db:
            await ProcessedDocumentRepository(db).save(document(text="word"))
            with closing(sqlite3.connect(file, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                answer = await ProcessedDocumentRepository(db).search("word")
        assert len(answer.results) == 1
        assert "could not be stored" in caplog.text

    async def test_document_changes_before_the_answer_is_stored(
        self, file: Path, settings: Settings, cache: CacheManager
    ) -> None:
        """An answer that a change made stale on its way is given, and stored nowhere."""

        class Busy(DatabaseManager):
            async def execute(self, query: Any, params: Any = (), *, timeout: float | None = None) -> int:
                if query is QUERIES.put_search:
                    await ProcessedDocumentRepository(self, cache).save(document(text="word"))
                return await super().execute(query, params, timeout=timeout)

        async with Busy(f"sqlite:///{file}", settings=settings) as busy:
            answer = await ProcessedDocumentRepository(busy, cache).search("word")
            assert (answer.results, answer.origin) == ([], "index")
            assert await busy.fetch_value("SELECT count(*) FROM search_cache") == 0


class TestSearchCache:
    """Answers of the present generation are stored, expired ones cleaned up."""

    async def fill(self, db: DatabaseManager, count: int) -> SearchCacheRepository:
        """Rows that expire one second after the other."""
        rows = SearchCacheRepository(db)
        generation = await rows.generation()
        for number in range(count):
            expires_at = NOW + timedelta(seconds=number)
            assert await rows.put(f"word {number}", 10, [], generation=generation, expires_at=expires_at)
        return rows

    async def put(self, db: DatabaseManager, generation: int | None) -> bool:
        return await SearchCacheRepository(db).put("word", 10, [], generation=generation, expires_at=NOW)

    async def test_put_again(self, db: DatabaseManager) -> None:
        """A newer answer takes the place of the older one."""
        rows = await self.fill(db, 1)
        later = NOW + timedelta(hours=1)
        assert await rows.put("word 0", 10, [], generation=await rows.generation(), expires_at=later)
        entry = await rows.get(search_hash("word 0", 10), now=NOW)
        assert entry is not None
        assert entry.expires_at == later

    @pytest.mark.parametrize("change", ["created", "updated", "described", "deleted"])
    async def test_change_begins_a_generation(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository, change: str
    ) -> None:
        """An answer that was read before a change of a document is not stored after it."""
        changes: dict[str, Callable[[], Awaitable[object]]] = {
            "created": lambda: documents.save(document("two", "text")),
            "updated": lambda: documents.save(document(title="Other")),
            "described": lambda: ContentMetadataRepository(db).put(
                "doc", source_url="u", technology="t", content_hash=digest("other")
            ),
            "deleted": lambda: documents.delete("doc"),
        }
        await documents.save(document())
        before = await SearchCacheRepository(db).generation()
        assert await self.put(db, before) is True
        await changes[change]()
        assert await self.put(db, before) is False
        assert await db.fetch_value("SELECT count(*) FROM search_cache") == 0
        assert await self.put(db, await SearchCacheRepository(db).generation()) is True

    async def test_no_change_keeps_the_generation(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository
    ) -> None:
        """A change that is undone, or none at all, keeps no answer out."""
        await documents.save(document())
        before = await SearchCacheRepository(db).generation()
        await documents.save(document())
        async with undone(db) as tx:
            await ProcessedDocumentRepository(tx).save(document(title="Other"))
        assert await self.put(db, before) is True

    async def test_generation_is_lost(self, db: DatabaseManager) -> None:
        """Without the row of search_generation nothing is stored, and searches are answered."""
        await db.execute("DELETE FROM search_generation")
        answers = [await ProcessedDocumentRepository(db).search("word") for _ in range(2)]
        assert [one.origin for one in answers] == ["index", "index"]

    @pytest.mark.parametrize("batch_size", [1, 3, 4, 7, 1000])
    async def test_expired_rows_go(self, db: DatabaseManager, batch_size: int) -> None:
        """All that expired are removed and counted, whatever the batch; the others stay."""
        rows = await self.fill(db, 10)
        assert await rows.delete_expired(now=NOW + timedelta(seconds=6), batch_size=batch_size) == 7
        assert await db.fetch_value("SELECT count(*) FROM search_cache") == 3

    async def test_row_that_expires_now(self, db: DatabaseManager) -> None:
        """At its very end a row is neither read nor kept."""
        rows = await self.fill(db, 1)
        assert await rows.get(search_hash("word 0", 10), now=NOW) is None
        assert await rows.delete_expired(now=NOW) == 1

    async def test_nothing_expired(self, db: DatabaseManager) -> None:
        """Nothing to do is zero."""
        assert await SearchCacheRepository(db).delete_expired() == 0
