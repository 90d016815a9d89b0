"""Cached copies, where the cache is away."""

from __future__ import annotations

import logging

import pytest

from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.repositories.documents import ProcessedDocumentRepository, SystemConfigRepository
from tests.documents.samples import digest, document

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
