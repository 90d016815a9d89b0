"""Where content comes from: the tables source_metadata and technology_mappings.

Requests to a source are counted in the database, so that none of many at once is lost. A mapping says
that a source speaks with authority for a technology; it goes with its source.
"""

from __future__ import annotations

from datetime import UTC, datetime

from dal.executor import Executor
from dal.models.documents import SourceMetadata, SourceType, TechnologyMapping
from dal.repositories.documents.queries import QUERIES
from dal.repositories.pages import checked_page_size


class SourceMetadataRepository:
    """Where content comes from, and how well the sources answer."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def get(self, source_id: str) -> SourceMetadata | None:
        """Return one source."""
        return await self._executor.fetch_one(QUERIES.source_by_id, {"source_id": source_id})

    async def page(
        self, *, is_active: bool = True, after_id: str = "", page_size: int = 50
    ) -> list[SourceMetadata]:
        """Return one page of the sources that are in use, or of those that are not, by id."""
        return await self._executor.fetch_all(
            QUERIES.sources,
            {"is_active": is_active, "after_id": after_id, "page_size": checked_page_size(page_size)},
        )

    async def put(
        self,
        source_id: str,
        *,
        source_type: SourceType,
        name: str,
        base_url: str,
        reliability_score: float = 0.5,
        is_active: bool = True,
    ) -> None:
        """Describe a source, new or not. Its counters stay."""
        await self._executor.execute(
            QUERIES.put_source,
            {
                "source_id": source_id,
                "source_type": source_type,
                "name": name,
                "base_url": base_url,
                "reliability_score": reliability_score,
                "is_active": is_active,
            },
        )

    async def count_request(
        self, source_id: str, *, succeeded: bool, response_ms: int, now: datetime | None = None
    ) -> bool:
        """Count a request to a source; False if there is no such source."""
        query = QUERIES.add_source_success if succeeded else QUERIES.add_source_failure
        params = {"source_id": source_id, "response_ms": response_ms, "now": now or datetime.now(UTC)}
        return await self._executor.execute(query, params) > 0

    async def delete(self, source_id: str) -> bool:
        """Remove a source with its mappings; what was ingested from it stays. False if there was none."""
        return await self._executor.execute(QUERIES.delete_source, {"source_id": source_id}) > 0


class TechnologyMappingRepository:
    """Which sources speak with authority about which technology."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def sources_of(self, technology: str, *, page_size: int = 50) -> list[TechnologyMapping]:
        """Return the best sources of a technology, in the order in which to ask them."""
        return await self._executor.fetch_all(
            QUERIES.sources_of_technology,
            {"technology": technology, "page_size": checked_page_size(page_size)},
        )

    async def put(
        self, technology: str, source_id: str, *, priority: int = 100, is_official: bool = False
    ) -> int:
        """Say that a source speaks for a technology, and return the mapping's id, new or not.

        Args:
            priority: 0 to 1000; lower is asked first.

        Raises:
            ForeignKeyViolation: There is no such source.
        """
        mapping_id: int = await self._executor.fetch_value(
            QUERIES.put_technology_mapping,
            {
                "technology": technology,
                "source_id": source_id,
                "priority": priority,
                "is_official": is_official,
            },
        )
        return mapping_id

    async def delete(self, technology: str, source_id: str) -> bool:
        """Say that a source no longer speaks for a technology; False if it did not."""
        params = {"technology": technology, "source_id": source_id}
        return await self._executor.execute(QUERIES.delete_technology_mapping, params) > 0
