"""What code says that was written against sqlite3 itself, the repositories say in its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal

import pytest

from dal.database import DatabaseManager
from dal.models.market import NewDailyData
from dal.repositories.market import DailyDataRepository, PortfolioPositionRepository

BARS = [
    ("AAPL", "2025-01-02", 153.0, 154.5, 150.25, 151.0, 900_000),
    ("MSFT", "2025-01-03", 400.0, 410.0, 399.5, 405.0, 500_000),
    ("AAPL", "2025-01-01", 150.0, 155.0, 149.0, 153.0, 1_000_000),
]
POSITIONS = [("AAPL", 10.0), ("MSFT", 9.5), ("TSLA", 100.25), ("F", 8.75)]
COLUMNS = ("ticker", "date", "open", "high", "low", "close", "volume")


@pytest.fixture
def before() -> Iterator[sqlite3.Connection]:
    """The tables as code without a data-access layer has them: no types, no constraints, no decimals."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE daily_data (ticker, date, open, high, low, close, volume)")
        connection.execute("CREATE TABLE portfolio_positions (ticker, shares)")
        yield connection


def bar(values: tuple[object, ...]) -> NewDailyData:
    """A bar of values as they come from elsewhere: a day as text, prices as floats."""
    return NewDailyData.model_validate(dict(zip(COLUMNS, values, strict=True)))


async def test_last_bar(db: DatabaseManager, before: sqlite3.Connection) -> None:
    """The last bar of a ticker."""
    before.executemany("INSERT INTO daily_data VALUES (?, ?, ?, ?, ?, ?, ?)", BARS)
    expected = before.execute(
        "SELECT * FROM daily_data WHERE ticker = ? ORDER BY date DESC LIMIT 1", ("AAPL",)
    ).fetchone()

    bars = DailyDataRepository(db)
    await bars.load(map(bar, before.execute("SELECT * FROM daily_data")))
    last = await bars.latest("AAPL")
    assert last is not None
    assert last.model_dump(include=set(COLUMNS)) == bar(expected).model_dump(include=set(COLUMNS))
    assert last.date == date(2025, 1, 2)


async def test_shares_by_ticker(db: DatabaseManager, before: sqlite3.Connection) -> None:
    """The shares of each ticker, most first."""
    before.executemany("INSERT INTO portfolio_positions VALUES (?, ?)", POSITIONS)
    expected = before.execute(
        "SELECT ticker, SUM(shares) as total_shares FROM portfolio_positions"
        " GROUP BY ticker ORDER BY total_shares DESC"
    ).fetchall()

    positions = PortfolioPositionRepository(db)
    for ticker, shares in before.execute("SELECT * FROM portfolio_positions"):
        await positions.put(ticker, Decimal(str(shares)))
    found = [(one.ticker, one.total_shares) for one in await positions.shares_by_ticker()]
    assert found == [(ticker, Decimal(str(shares))) for ticker, shares in expected]
    assert found[0] == ("TSLA", Decimal("100.25"))


async def test_insert(db: DatabaseManager, before: sqlite3.Connection) -> None:
    """A bar that is stored is there."""
    values = ("AAPL", "2025-01-01", 150.0, 155.0, 149.0, 153.0, 1000000)
    before.execute(
        "INSERT INTO daily_data (ticker, date, open, high, low, close, volume) VALUES (?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    expected = before.execute("SELECT * FROM daily_data").fetchone()

    bars = DailyDataRepository(db)
    stored = await bars.add(bar(values))
    assert stored.model_dump(include=set(COLUMNS)) == bar(expected).model_dump(include=set(COLUMNS))
    assert await bars.get("AAPL", date(2025, 1, 1)) == stored
    assert stored.close == Decimal("153.0")
