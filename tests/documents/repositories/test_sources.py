"""Where content comes from, and who speaks for which technology."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import ForeignKeyViolation, NotNullViolation
from dal.repositories.documents import (
    ContentMetadataRepository,
    ProcessedDocumentRepository,
    SourceMetadataRepository,
    TechnologyMappingRepository,
)
from tests.documents.samples import NOW, document


class TestSources:
    """Where content comes from."""

    async def put(self, db: DatabaseManager, source_id: str = "src", **changes: Any) -> None:
        await SourceMetadataRepository(db).put(
            source_id,
            **{"source_type": "website", "name": "Docs", "base_url": "https://docs.example", **changes},
        )

    async def test_requests_are_counted(self, db: DatabaseManager) -> None:
        """Successes and failures add up, each with its time."""
        await self.put(db)
        sources = SourceMetadataRepository(db)
        later = NOW + timedelta(seconds=1)
        assert await sources.count_request("src", succeeded=True, response_ms=100, now=NOW)
        assert await sources.count_request("src", succeeded=False, response_ms=300, now=later)
        source = await sources.get("src")
        assert source is not None
        assert (source.request_count, source.failure_count, source.mean_response_ms) == (2, 1, 200.0)
        assert (source.last_success_at, source.last_failure_at) == (NOW, later)

    async def test_counts_are_exact(self, db: DatabaseManager) -> None:
        """None of many requests at once is lost."""
        await self.put(db)
        sources = SourceMetadataRepository(db)
        await asyncio.gather(
            *(sources.count_request("src", succeeded=n % 2 == 0, response_ms=n) for n in range(100))
        )
        source = await sources.get("src")
        assert source is not None
        assert (source.request_count, source.failure_count, source.total_response_ms) == (100, 50, 4950)

    async def test_unknown(self, db: DatabaseManager) -> None:
        """A source that is not there counts nothing."""
        assert not await SourceMetadataRepository(db).count_request("nowhere", succeeded=True, response_ms=1)

    async def test_described_again(self, db: DatabaseManager) -> None:
        """A new description keeps the counters."""
        await self.put(db)
        sources = SourceMetadataRepository(db)
        await sources.count_request("src", succeeded=True, response_ms=1)
        await self.put(db, name="New", is_active=False, reliability_score=1.0)
        source = await sources.get("src")
        assert source is not None
        assert (source.name, source.is_active, source.reliability_score) == ("New", False, 1.0)
        assert source.request_count == 1

    async def test_no_request_yet(self, db: DatabaseManager) -> None:
        """Without requests there is no mean."""
        await self.put(db)
        source = await SourceMetadataRepository(db).get("src")
        assert source is not None
        assert source.mean_response_ms is None

    async def test_pages_of_the_active(self, db: DatabaseManager) -> None:
        """Sources in use and out of use are listed apart."""
        await self.put(db, "a")
        await self.put(db, "b", is_active=False)
        await self.put(db, "c")
        sources = SourceMetadataRepository(db)
        assert [one.source_id for one in await sources.page(after_id="a")] == ["c"]
        assert [one.source_id for one in await sources.page(is_active=False)] == ["b"]

    async def test_delete_keeps_content(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository
    ) -> None:
        """What was ingested from a source stays when the source goes."""
        await self.put(db)
        await documents.save(document(), source_id="src")
        sources = SourceMetadataRepository(db)
        assert (await sources.delete("src"), await sources.delete("src")) == (True, False)
        content = await ContentMetadataRepository(db).get("doc")
        assert content is not None
        assert content.source_id is None


class TestTechnologyMappings:
    """Which sources speak for which technology."""

    @pytest.fixture
    async def mappings(self, db: DatabaseManager) -> TechnologyMappingRepository:
        for name in ("one", "two", "three"):
            await SourceMetadataRepository(db).put(
                name, source_type="api", name=name, base_url="https://api.example"
            )
        return TechnologyMappingRepository(db)

    async def test_order(self, mappings: TechnologyMappingRepository) -> None:
        """The best source comes first."""
        await mappings.put("python", "one")
        await mappings.put("python", "two", priority=1, is_official=True)
        await mappings.put("rust", "three", priority=0)
        found = await mappings.sources_of("python")
        assert [(one.source_id, one.is_official) for one in found] == [("two", True), ("one", False)]

    async def test_put_again(self, mappings: TechnologyMappingRepository) -> None:
        """The same mapping again changes it and keeps its id."""
        first = await mappings.put("python", "one")
        assert await mappings.put("python", "one", priority=7) == first
        (found,) = await mappings.sources_of("python")
        assert (found.mapping_id, found.priority) == (first, 7)
        assert found.updated_at is not None

    async def test_unknown_source(self, mappings: TechnologyMappingRepository) -> None:
        """A source that does not exist speaks for nothing."""
        with pytest.raises(ForeignKeyViolation):
            await mappings.put("python", "nowhere")

    async def test_no_technology(self, mappings: TechnologyMappingRepository) -> None:
        """NULL for a required column is refused as such."""
        with pytest.raises(NotNullViolation):
            await mappings.put(None, "one")  # type: ignore[arg-type]

    async def test_delete(self, mappings: TechnologyMappingRepository) -> None:
        """A mapping is removed once."""
        await mappings.put("python", "one")
        assert [await mappings.delete("python", "one") for _ in range(2)] == [True, False]
