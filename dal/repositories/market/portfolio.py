"""What the portfolio holds, and how it does: the tables portfolio_positions and portfolio_performance."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from dal.executor import Executor
from dal.models.market import (
    NewPortfolioPerformance,
    PerformanceSummary,
    PortfolioPerformance,
    PortfolioPosition,
    PortfolioWorth,
    TickerShares,
)
from dal.repositories.market.queries import QUERIES
from dal.repositories.pages import checked_page_size


class PortfolioPositionRepository:
    """What the portfolio holds: one row for each ticker."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def put(self, ticker: str, shares: Decimal) -> None:
        """Say how many shares of a stock the portfolio holds, new or not."""
        await self._executor.execute(QUERIES.put_position, {"ticker": ticker, "shares": shares})

    async def get(self, ticker: str) -> PortfolioPosition | None:
        """Return the position in one stock."""
        return await self._executor.fetch_one(QUERIES.position_of_ticker, {"ticker": ticker})

    async def page(self, *, after_ticker: str = "", page_size: int = 100) -> list[PortfolioPosition]:
        """Return one page of the positions, by ticker."""
        return await self._executor.fetch_all(
            QUERIES.positions_after,
            {"after_ticker": after_ticker, "page_size": checked_page_size(page_size)},
        )

    async def shares_by_ticker(self) -> list[TickerShares]:
        """Return how many shares of each stock there are, most first."""
        return await self._executor.fetch_all(QUERIES.shares_by_ticker)

    async def worth(self, day: date) -> PortfolioWorth:
        """Return what the positions are worth at their last close of a day or before."""
        worth: PortfolioWorth | None = await self._executor.fetch_one(QUERIES.portfolio_worth, {"day": day})
        assert worth is not None, "what is added up is one row"
        return worth

    async def delete(self, ticker: str) -> bool:
        """Take a stock out of the portfolio; False if it was not in it."""
        return await self._executor.execute(QUERIES.delete_position, {"ticker": ticker}) > 0


class PortfolioPerformanceRepository:
    """How the portfolio did: one row for each day that was measured."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def put(self, performance: NewPortfolioPerformance) -> None:
        """Write how the portfolio did on a day, measured for the first time or again."""
        await self._executor.execute(QUERIES.put_performance, performance.model_dump())

    async def get(self, day: date) -> PortfolioPerformance | None:
        """Return how the portfolio did on one day."""
        return await self._executor.fetch_one(QUERIES.performance_of_day, {"date": day})

    async def latest(self) -> PortfolioPerformance | None:
        """Return how the portfolio did on the last day that was measured."""
        return await self._executor.fetch_one(QUERIES.latest_performance)

    async def between(
        self, first_day: date, last_day: date, *, page_size: int = 500
    ) -> list[PortfolioPerformance]:
        """Return one page of the days from one to another, both included, in their order.

        The next page begins one day after the last one of this one.
        """
        return await self._executor.fetch_all(
            QUERIES.performance_between,
            {"first_day": first_day, "last_day": last_day, "page_size": checked_page_size(page_size)},
        )

    async def summary(self, first_day: date, last_day: date) -> PerformanceSummary | None:
        """Return how the portfolio did from one day to another; None if no day of these was measured."""
        params = {"first_day": first_day, "last_day": last_day}
        return await self._executor.fetch_one(QUERIES.performance_summary, params)

    async def delete(self, day: date) -> bool:
        """Remove what was measured on a day; False if nothing was."""
        return await self._executor.execute(QUERIES.delete_performance, {"date": day}) > 0
