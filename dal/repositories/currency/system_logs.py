"""What the application says of its requests: the table system_logs. Entries are added, never changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dal.executor import Executor
from dal.models.currency import NewSystemLog, SystemLog
from dal.repositories.currency.queries import QUERIES
from dal.repositories.pages import checked_page_size
from dal.settings import LogLevel


class SystemLogRepository:
    """What happened in each request: a log that only grows."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, entries: Iterable[NewSystemLog]) -> None:
        """Record entries: all of them, or none."""
        await self._executor.execute_many(QUERIES.add_system_log, (entry.model_dump() for entry in entries))

    async def of_request(
        self, request_id: str, *, after_id: int = 0, page_size: int = 100
    ) -> list[SystemLog]:
        """Return one page of what a request led to, in the order in which it was stored."""
        return await self._executor.fetch_all(
            QUERIES.logs_of_request,
            {"request_id": request_id, "after_id": after_id, "page_size": checked_page_size(page_size)},
        )

    async def of_level(
        self,
        log_level: LogLevel,
        since: datetime,
        until: datetime,
        *,
        after: SystemLog | None = None,
        page_size: int = 100,
    ) -> list[SystemLog]:
        """Return one page of the entries of a level in a span of time, oldest first."""
        return await self._executor.fetch_all(
            QUERIES.logs_of_level, {"log_level": log_level, **_page(since, until, after, page_size)}
        )

    async def between(
        self, since: datetime, until: datetime, *, after: SystemLog | None = None, page_size: int = 100
    ) -> list[SystemLog]:
        """Return one page of all entries in a span of time, oldest first."""
        return await self._executor.fetch_all(QUERIES.logs_between, _page(since, until, after, page_size))


def _page(since: datetime, until: datetime, after: SystemLog | None, page_size: int) -> dict[str, object]:
    return {
        "since": since if after is None else after.timestamp,
        "until": until,
        "after_id": 0 if after is None else after.id,
        "page_size": checked_page_size(page_size),
    }
