"""The prices of stocks: the tables daily_data and intraday_data.

A ticker has one bar for a day, and one for a moment: `add` and `load` refuse a second one, `put` replaces
what was there. A batch is stored as a whole or not at all. Batches for the same bars may be put at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel

from dal.errors import ConflictError
from dal.executor import Executor
from dal.models.market import DailyData, DailySummary, IntradayData, NewDailyData, NewIntradayData
from dal.queries import Query
from dal.repositories.market.queries import QUERIES
from dal.repositories.pages import checked_page_size
from dal.transaction import Transaction


class DailyDataRepository:
    """The prices of stocks, day by day."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, bar: NewDailyData) -> DailyData:
        """Store a new bar and return it as it was stored.

        Raises:
            UniqueViolation: There is a bar for this ticker and day.
        """
        stored: DailyData | None = await self._executor.fetch_one(QUERIES.add_daily_data, bar.model_dump())
        assert stored is not None, "INSERT ... RETURNING gives a row or raises"
        return stored

    async def load(self, bars: Iterable[NewDailyData]) -> None:
        """Store many new bars in bulk.

        Raises:
            UniqueViolation: There is a bar for one of these tickers and days; nothing was stored.
        """
        await self._executor.execute_many(QUERIES.load_daily_data, (bar.model_dump() for bar in bars))

    async def put(self, bars: Iterable[NewDailyData]) -> None:
        """Write bars, new or not; the last one counts if two are for the same ticker and day."""
        in_order = sorted(bars, key=lambda bar: (bar.ticker, bar.date))
        await _put(self._executor, QUERIES.put_daily_data, in_order)

    async def get(self, ticker: str, day: date) -> DailyData | None:
        """Return the bar of one day."""
        return await self._executor.fetch_one(QUERIES.daily_data_of_day, {"ticker": ticker, "date": day})

    async def latest(self, ticker: str) -> DailyData | None:
        """Return the last bar of a ticker."""
        return await self._executor.fetch_one(QUERIES.latest_daily_data, {"ticker": ticker})

    async def latest_by_ticker(self, *, after_ticker: str = "", page_size: int = 100) -> list[DailyData]:
        """Return one page of tickers, each with its last bar."""
        return await self._executor.fetch_all(
            QUERIES.latest_daily_data_by_ticker,
            {"after_ticker": after_ticker, "page_size": checked_page_size(page_size)},
        )

    async def between(
        self, ticker: str, first_day: date, last_day: date, *, page_size: int = 500
    ) -> list[DailyData]:
        """Return one page of the bars from one day to another, both included, in their order.

        The next page begins one day after the last bar of this one.
        """
        return await self._executor.fetch_all(
            QUERIES.daily_data_between,
            {
                "ticker": ticker,
                "first_day": first_day,
                "last_day": last_day,
                "page_size": checked_page_size(page_size),
            },
        )

    async def summary(self, ticker: str, first_day: date, last_day: date) -> DailySummary | None:
        """Return all bars from one day to another, both included, as one; None if there is none."""
        params = {"ticker": ticker, "first_day": first_day, "last_day": last_day}
        return await self._executor.fetch_one(QUERIES.daily_data_summary, params)

    async def delete(self, ticker: str, day: date) -> bool:
        """Remove the bar of one day; False if there was none."""
        return await self._executor.execute(QUERIES.delete_daily_data, {"ticker": ticker, "date": day}) > 0


class IntradayDataRepository:
    """The prices of stocks inside of a day."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, bar: NewIntradayData) -> IntradayData:
        """Store a new bar and return it as it was stored.

        Raises:
            UniqueViolation: There is a bar for this ticker and moment.
        """
        stored: IntradayData | None = await self._executor.fetch_one(
            QUERIES.add_intraday_data, bar.model_dump()
        )
        assert stored is not None, "INSERT ... RETURNING gives a row or raises"
        return stored

    async def put(self, bars: Iterable[NewIntradayData]) -> None:
        """Write bars, new or not; the last one counts if two are for the same ticker and moment."""
        in_order = sorted(bars, key=lambda bar: (bar.ticker, bar.datetime))
        await _put(self._executor, QUERIES.put_intraday_data, in_order)

    async def get(self, ticker: str, moment: datetime) -> IntradayData | None:
        """Return the bar that begins at a moment."""
        params = {"ticker": ticker, "datetime": moment}
        return await self._executor.fetch_one(QUERIES.intraday_data_at, params)

    async def latest(self, ticker: str) -> IntradayData | None:
        """Return the last bar of a ticker."""
        return await self._executor.fetch_one(QUERIES.latest_intraday_data, {"ticker": ticker})

    async def between(
        self, ticker: str, since: datetime, until: datetime, *, page_size: int = 500
    ) -> list[IntradayData]:
        """Return one page of the bars that begin at *since* or later and before *until*, in their order.

        The next page begins one microsecond after the last bar of this one.
        """
        return await self._executor.fetch_all(
            QUERIES.intraday_data_between,
            {"ticker": ticker, "since": since, "until": until, "page_size": checked_page_size(page_size)},
        )

    async def delete(self, ticker: str, moment: datetime) -> bool:
        """Remove the bar that begins at a moment; False if there was none."""
        params = {"ticker": ticker, "datetime": moment}
        return await self._executor.execute(QUERIES.delete_intraday_data, params) > 0


async def _put(executor: Executor, query: Query[Any], bars: Sequence[BaseModel]) -> None:
    """Write *bars*, which are in the order of their keys: of two batches, one then waits for the other.

    In any order each would come to hold what the other needs next. MariaDB also locks the gaps between keys,
    so that two may get in each other's way all the same: the one that was taken back is put again.
    """
    try:
        await executor.execute_many(query, (bar.model_dump() for bar in bars))
    except ConflictError:
        if isinstance(executor, Transaction):
            raise  # all of it was taken back, not these bars alone
        await executor.run_transaction(lambda tx: tx.execute_many(query, (bar.model_dump() for bar in bars)))
