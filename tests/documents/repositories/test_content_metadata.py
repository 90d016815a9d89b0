"""What was ingested."""

from __future__ import annotations

from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import CheckViolation, UniqueViolation
from dal.repositories.documents import ContentMetadataRepository
from tests.documents.samples import digest


class TestContentMetadata:
    """What was ingested."""

    async def put(self, db: DatabaseManager, content_id: str, **changes: Any) -> None:
        await ContentMetadataRepository(db).put(
            content_id,
            **{
                "source_url": "https://docs.example",
                "technology": "python",
                "content_hash": digest(content_id),
                **changes,
            },
        )

    async def test_by_hash(self, db: DatabaseManager) -> None:
        """A content is found by its hash, and waits for its processing."""
        await self.put(db, "one")
        found = await ContentMetadataRepository(db).by_hash(digest("one"))
        assert found is not None
        assert (found.content_id, found.status, found.updated_at) == ("one", "pending", None)

    async def test_same_hash(self, db: DatabaseManager) -> None:
        """Two contents cannot have one hash."""
        await self.put(db, "one")
        with pytest.raises(UniqueViolation):
            await self.put(db, "two", content_hash=digest("one"))

    async def test_status(self, db: DatabaseManager) -> None:
        """A failure is recorded with its reason, and listed."""
        await self.put(db, "one")
        await self.put(db, "two")
        contents = ContentMetadataRepository(db)
        assert await contents.set_status("one", "failed", failure="no text in it") is True
        assert [(one.content_id, one.failure) for one in await contents.by_status("failed")] == [
            ("one", "no text in it")
        ]
        assert [one.content_id for one in await contents.by_status("pending")] == ["two"]

    async def test_failure_without_reason(self, db: DatabaseManager) -> None:
        """A failure needs its reason."""
        await self.put(db, "one")
        with pytest.raises(CheckViolation) as caught:
            await ContentMetadataRepository(db).set_status("one", "failed")
        assert caught.value.constraint == "content_metadata_failure_only_if_failed"

    async def test_status_of_nothing(self, db: DatabaseManager) -> None:
        """A content that is not there has no status."""
        assert await ContentMetadataRepository(db).set_status("nothing", "processed") is False

    async def test_pages(self, db: DatabaseManager) -> None:
        """A page begins behind the id that it is given."""
        for name in ("a", "b", "c"):
            await self.put(db, name)
        contents = ContentMetadataRepository(db)
        page = await contents.by_technology("python", after_id="a", page_size=1)
        assert [one.content_id for one in page] == ["b"]

    async def test_delete(self, db: DatabaseManager) -> None:
        """A second delete finds nothing."""
        await self.put(db, "one")
        contents = ContentMetadataRepository(db)
        assert (await contents.delete("one"), await contents.delete("one")) == (True, False)
