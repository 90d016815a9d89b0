"""What happened to the application itself: the table system_events.

``created_at`` is the database's clock. An event of a transaction that is not committed yet may come to
light behind a reader: read windows that have ended.
"""

from __future__ import annotations

from datetime import datetime

from dal.executor import Executor
from dal.models.market import NewSystemEvent, Severity, SystemEvent
from dal.repositories.market.queries import QUERIES
from dal.repositories.pages import checked_page_size


class SystemEventRepository:
    """What happened to the application itself."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, event: NewSystemEvent) -> SystemEvent:
        """Record an event and return it as it was stored."""
        stored: SystemEvent | None = await self._executor.fetch_one(QUERIES.add_event, event.model_dump())
        assert stored is not None, "INSERT ... RETURNING gives a row or raises"
        return stored

    async def get(self, event_id: int) -> SystemEvent | None:
        """Return one event."""
        return await self._executor.fetch_one(QUERIES.event_by_id, {"id": event_id})

    async def after(self, after_id: int = 0, *, page_size: int = 100) -> list[SystemEvent]:
        """Return the next events of the log, in the order in which they were numbered."""
        return await self._executor.fetch_all(
            QUERIES.events_after, {"after_id": after_id, "page_size": checked_page_size(page_size)}
        )

    async def between(
        self,
        severity: Severity,
        since: datetime,
        until: datetime,
        *,
        after_id: int = 0,
        page_size: int = 100,
    ) -> list[SystemEvent]:
        """Return one page of the events recorded at *since* or later and before *until*, oldest first.

        Args:
            since: For the next page, ``created_at`` of the last event of this one.
            after_id: For the next page, its id.
        """
        return await self._executor.fetch_all(
            QUERIES.events_between,
            {
                "severity": severity,
                "since": since,
                "until": until,
                "after_id": after_id,
                "page_size": checked_page_size(page_size),
            },
        )

    async def change(self, event_id: int, event: NewSystemEvent) -> bool:
        """Write an event anew; False if there is none with this id."""
        params = {"id": event_id, **event.model_dump()}
        return await self._executor.execute(QUERIES.change_event, params) > 0

    async def delete(self, event_id: int) -> bool:
        """Remove an event; False if there was none."""
        return await self._executor.execute(QUERIES.delete_event, {"id": event_id}) > 0
