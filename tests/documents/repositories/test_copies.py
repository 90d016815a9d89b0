"""Cached copies, where the cache is away or refuses."""

from __future__ import annotations

import logging

import pytest

from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.repositories.documents import ProcessedDocumentRepository, SystemConfigRepository
from tests.documents.samples import digest, document
from tests.servers import RedisServer

NO_SERVER = "redis://127.0.0.1:1/0"


class TestCacheIsAway:
    """Without its server the cache costs time, and nothing else."""

    async def test_everything_works(self, db: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
        """Writes, reads and searches do what they do without a cache, and say so in the log."""
        pytest.importorskip("redis")
        caplog.set_level(logging.WARNING)
        async with CacheManager(NO_SERVER) as away:
            documents, config = ProcessedDocumentRepository(db, away), SystemConfigRepository(db, away)
            await documents.save(document(text="word"))
            assert await documents.by_hash(digest("word")) is not None
            assert len((await documents.search("word")).results) == 1
            assert (await documents.search("word")).origin == "table"
            await config.put("limit", 3)
            assert await config.settings() == {"limit": 3}
            assert await documents.delete("doc") is True
        assert "the database answers" in caplog.text
        assert "could not be removed" in caplog.text


class TestCacheRefuses:
    """A cache that answers, but will not do what is asked, costs time and nothing else either."""

    async def test_everything_works(self, db: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
        """A server without the database that the URL names fails no caller."""
        pytest.importorskip("redis")
        with RedisServer() as server:
            async with CacheManager(f"{server.url}/99") as cache:
                documents = ProcessedDocumentRepository(db, cache)
                await documents.save(document(text="word"))
                assert await documents.by_hash(digest("word")) is not None
                assert len((await documents.search("word")).results) == 1
                assert await documents.delete("doc") is True
        assert "the database answers" in caplog.text
        assert "could not be removed" in caplog.text
        assert "after_commit" not in caplog.text

    async def test_copy_larger_than_the_whole_cache(self, db: DatabaseManager) -> None:
        """It is not kept."""
        async with CacheManager("memory://?max_bytes=600") as cache:
            documents = ProcessedDocumentRepository(db, cache)
            await documents.save(document(text="word"))
            assert await documents.by_hash(digest("word")) is not None
            assert len((await documents.search("word")).results) == 1
