"""The portfolio: what it holds, what that is worth, and how it did."""

from __future__ import annotations

from decimal import Decimal

from dal.database import DatabaseManager
from dal.repositories.market import (
    DailyDataRepository,
    PortfolioPerformanceRepository,
    PortfolioPositionRepository,
)
from tests.market.calls import daily, day, measured


class TestWorth:
    """Shares times prices."""

    async def test_of_a_day(self, db: DatabaseManager) -> None:
        """The last close of the day or before counts; what has none yet, counts nothing and is told."""
        await DailyDataRepository(db).load(
            [daily(of=day(1), close="10"), daily(of=day(3), close="30.000001"), daily("MSFT", day(2), "100")]
        )
        positions = PortfolioPositionRepository(db)
        await positions.put("AAPL", Decimal("1.5"))
        await positions.put("MSFT", Decimal("2"))
        found = [await positions.worth(day(number)) for number in (1, 2, 3)]
        assert [(one.positions, one.priced, one.value) for one in found] == [
            (2, 1, Decimal(15)),
            (2, 2, Decimal(215)),
            (2, 2, Decimal("245.0000015")),
        ]

    async def test_of_nothing(self, db: DatabaseManager) -> None:
        """An empty portfolio is worth nothing."""
        worth = await PortfolioPositionRepository(db).worth(day(1))
        assert (worth.positions, worth.priced, worth.value) == (0, 0, Decimal(0))


async def test_fractions_of_a_share(db: DatabaseManager) -> None:
    """A position has six digits after the point, and keeps them when it is written again."""
    positions = PortfolioPositionRepository(db)
    await positions.put("AAPL", Decimal("0.333333"))
    before = await positions.get("AAPL")
    await positions.put("AAPL", Decimal("0.666667"))
    after = await positions.get("AAPL")
    assert before is not None
    assert after is not None
    assert (before.shares, after.shares) == (Decimal("0.333333"), Decimal("0.666667"))
    assert (before.id, before.created_at) == (after.id, after.created_at)


async def test_shares_in_their_order(db: DatabaseManager) -> None:
    """Most shares come first; as many of two stocks, by ticker."""
    positions = PortfolioPositionRepository(db)
    for ticker, shares in (("B", "9.5"), ("C", "10.2"), ("A", "9.5"), ("D", "0")):
        await positions.put(ticker, Decimal(shares))
    assert [one.ticker for one in await positions.shares_by_ticker()] == ["C", "A", "B", "D"]


class TestPerformance:
    """How the portfolio did."""

    async def test_window(self, db: DatabaseManager) -> None:
        """The summary tells the first and the last value of the days, the lowest and the highest."""
        performance = PortfolioPerformanceRepository(db)
        for number, value in ((1, "1"), (2, "100.5"), (3, "-20"), (4, "300.000001"), (5, "90"), (6, "999")):
            await performance.put(measured(day(number), value))
        found = await performance.summary(day(2), day(5))
        assert found is not None
        assert (found.days, found.first_day, found.last_day) == (4, day(2), day(5))
        assert (found.first_value, found.last_value) == (Decimal("100.5"), Decimal(90))
        assert (found.lowest_value, found.highest_value) == (Decimal(-20), Decimal("300.000001"))
        assert [one.date for one in await performance.between(day(2), day(5), page_size=3)] == [
            day(2),
            day(3),
            day(4),
        ]

    async def test_measured_again(self, db: DatabaseManager) -> None:
        """A day that is measured again has the new values, and one row."""
        performance = PortfolioPerformanceRepository(db)
        await performance.put(measured(value="1", sharpe_ratio=Decimal("1.5")))
        await performance.put(measured(value="2"))
        (stored,) = await performance.between(day(1), day(31))
        assert (stored.portfolio_value, stored.sharpe_ratio) == (Decimal(2), None)
        assert await performance.latest() == stored
