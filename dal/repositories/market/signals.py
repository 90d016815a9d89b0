"""What to do with a stock: the table signal_history.

There may be several signals for a ticker on one day: the one that was recorded last counts.
"""

from __future__ import annotations

from datetime import date

from dal.executor import Executor
from dal.models.market import NewSignal, SignalHistory
from dal.repositories.market.queries import QUERIES
from dal.repositories.pages import checked_page_size


class SignalHistoryRepository:
    """What was said of each stock, day by day."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, signal: NewSignal) -> SignalHistory:
        """Record a signal and return it as it was stored."""
        stored: SignalHistory | None = await self._executor.fetch_one(QUERIES.add_signal, signal.model_dump())
        assert stored is not None, "INSERT ... RETURNING gives a row or raises"
        return stored

    async def get(self, signal_id: int) -> SignalHistory | None:
        """Return one signal."""
        return await self._executor.fetch_one(QUERIES.signal_by_id, {"id": signal_id})

    async def latest(self, ticker: str) -> SignalHistory | None:
        """Return the last signal of a ticker."""
        return await self._executor.fetch_one(QUERIES.latest_signal, {"ticker": ticker})

    async def latest_by_ticker(self, *, after_ticker: str = "", page_size: int = 100) -> list[SignalHistory]:
        """Return one page of tickers, each with its last signal."""
        return await self._executor.fetch_all(
            QUERIES.latest_signal_by_ticker,
            {"after_ticker": after_ticker, "page_size": checked_page_size(page_size)},
        )

    async def between(
        self, ticker: str, first_day: date, last_day: date, *, after_id: int = 0, page_size: int = 100
    ) -> list[SignalHistory]:
        """Return one page of the signals from one day to another, both included, oldest first.

        Args:
            first_day: For the next page, the day of the last signal of this one.
            after_id: For the next page, its id.
        """
        return await self._executor.fetch_all(
            QUERIES.signals_between,
            {
                "ticker": ticker,
                "first_day": first_day,
                "last_day": last_day,
                "after_id": after_id,
                "page_size": checked_page_size(page_size),
            },
        )

    async def change(self, signal_id: int, signal: NewSignal) -> bool:
        """Write a signal anew; False if there is none with this id."""
        return (
            await self._executor.execute(QUERIES.change_signal, {"id": signal_id, **signal.model_dump()}) > 0
        )

    async def delete(self, signal_id: int) -> bool:
        """Remove a signal; False if there was none."""
        return await self._executor.execute(QUERIES.delete_signal, {"id": signal_id}) > 0
