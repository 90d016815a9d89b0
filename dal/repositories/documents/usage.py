"""What users do: the table usage_signals.

It is a log: signals are added many at once, never changed, and outlive the content that they are about.
``occurred_at`` is the client's clock; the order of the log is that in which signals were stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dal.executor import Executor
from dal.models.documents import NewSignal, SignalCount, UsageSignal
from dal.repositories.documents.queries import QUERIES
from dal.repositories.pages import checked_page_size


class UsageSignalRepository:
    """What users do: a log that only grows."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, signals: Iterable[NewSignal]) -> None:
        """Record signals: all of them, or none."""
        await self._executor.execute_many(QUERIES.add_signal, (signal.model_dump() for signal in signals))

    async def after(self, after_id: int = 0, *, page_size: int = 100) -> list[UsageSignal]:
        """Return the next signals of the log, in the order in which they were stored."""
        return await self._executor.fetch_all(
            QUERIES.signals_after, {"after_id": after_id, "page_size": checked_page_size(page_size)}
        )

    async def on_content(
        self, content_id: str, *, after_id: int = 0, page_size: int = 100
    ) -> list[UsageSignal]:
        """Return one page of the signals about a content, in the order in which they were stored."""
        return await self._executor.fetch_all(
            QUERIES.signals_on_content,
            {"content_id": content_id, "after_id": after_id, "page_size": checked_page_size(page_size)},
        )

    async def summary(self, content_id: str, *, since: datetime) -> list[SignalCount]:
        """Return how often each type of signal was seen about a content since a moment."""
        return await self._executor.fetch_all(
            QUERIES.signal_summary, {"content_id": content_id, "since": since}
        )
