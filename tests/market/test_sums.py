"""What the database adds up is exact: to the last digit what Python's Decimal says, on every engine."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal, localcontext

import pytest

from dal.database import DatabaseManager
from dal.errors import DatabaseError
from dal.models.market import NewDailyData
from dal.repositories.market import DailyDataRepository, PortfolioPositionRepository
from dal.settings import Settings
from tests.market.calls import FIRST, daily
from tests.systems.fixtures import EmptyDatabase

MILLIONTH = Decimal("0.000001")
BILLION = Decimal(10**9)
BEGIN, END = date(1700, 1, 1), date(2100, 1, 1)


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Python's own sums have all their digits, not 28."""
    with localcontext() as context:
        context.prec = 100
        yield


def amount(chance: random.Random, digits: int) -> Decimal:
    """A number of millionths, with up to that many digits."""
    return Decimal(chance.randrange(10 ** chance.randint(1, digits))).scaleb(-6)


def bars(count: int, chance: random.Random, digits: int = 9) -> list[NewDailyData]:
    """One bar for each day, with every digit in use."""
    found = []
    for number in range(count):
        close = amount(chance, digits)
        bar = daily(
            of=BEGIN + timedelta(days=number),
            open=close,
            high=close,
            low=close,
            close=close,
            volume=chance.randrange(10 ** chance.randint(1, digits)),
            dividends=amount(chance, digits) if number % 3 else None,
        )
        found.append(bar)
    return found


@pytest.mark.timeout(600)
async def test_a_hundred_thousand_rows(db: DatabaseManager) -> None:
    """Bars that were loaded in bulk have the sums that Python makes of them."""
    loaded = bars(100_000, random.Random(1))
    repository = DailyDataRepository(db)
    await repository.load(loaded)
    summary = await repository.summary("AAPL", BEGIN, END)
    assert summary is not None
    assert summary.bars == 100_000
    assert summary.volume == sum(bar.volume for bar in loaded)
    assert summary.turnover == sum(bar.close * bar.volume for bar in loaded)
    assert summary.dividends == sum(bar.dividends for bar in loaded if bar.dividends is not None)
    assert (summary.high, summary.low) == (max(bar.high for bar in loaded), min(bar.low for bar in loaded))


async def test_sums_beyond_64_bits(db: DatabaseManager) -> None:
    """The largest rows that there may be are added up, to more than 64 bits hold, and nothing is rounded."""
    largest = [
        daily(
            of=FIRST + timedelta(days=number),
            open=BILLION,
            high=BILLION,
            low=BILLION - 1,
            close=BILLION - number * MILLIONTH,
            volume=10**15 - number,
            dividends=BILLION - MILLIONTH,
        )
        for number in range(9_500)
    ]
    repository = DailyDataRepository(db)
    await repository.load(largest)
    summary = await repository.summary("AAPL", FIRST, END)
    assert summary is not None
    assert summary.volume == sum(bar.volume for bar in largest) > 2**63
    assert summary.turnover == sum(bar.close * bar.volume for bar in largest)
    assert summary.dividends == 9_500 * (BILLION - MILLIONTH) > Decimal(2**63).scaleb(-6)


@pytest.mark.parametrize("digits", [2, 9, 12, 15])
async def test_worth(db: DatabaseManager, digits: int) -> None:
    """Shares times prices add up to the value of the portfolio, however large they are."""
    chance = random.Random(digits)
    prices = {f"T{number}": amount(chance, digits) for number in range(300)}
    shares = {ticker: amount(chance, digits) for ticker in prices}
    await DailyDataRepository(db).load(
        daily(ticker, open=price, high=price, low=price, close=price) for ticker, price in prices.items()
    )
    repository = PortfolioPositionRepository(db)
    async with db.transaction() as tx:
        for ticker, held in shares.items():
            await PortfolioPositionRepository(tx).put(ticker, held)
    worth = await repository.worth(FIRST)
    assert (worth.positions, worth.priced) == (300, 300)
    assert worth.value == sum(shares[ticker] * prices[ticker] for ticker in prices)


async def test_worth_of_the_largest(db: DatabaseManager) -> None:
    """A product of more digits than 64 bits hold is not rounded."""
    await DailyDataRepository(db).load(
        daily(ticker, open=BILLION, high=BILLION, low=BILLION, close=BILLION) for ticker in ("A", "B")
    )
    repository = PortfolioPositionRepository(db)
    await repository.put("A", BILLION)
    await repository.put("B", BILLION - MILLIONTH)
    assert (await repository.worth(FIRST)).value == 2 * 10**18 - 1000
    await repository.put("A", MILLIONTH)
    await repository.delete("B")
    assert (await repository.worth(FIRST)).value == 1000


async def test_sum_that_does_not_fit_is_an_error(empty_database: EmptyDatabase, settings: Settings) -> None:
    """On SQLite a sum beyond 64 bits, which only rows beyond the bounds can reach, is no rounded number."""
    url = empty_database("sqlite", "market")
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as plain:
        plain.execute("PRAGMA ignore_check_constraints = ON")
        plain.executemany(
            "INSERT INTO daily_data (ticker, date, open, high, low, close, volume)"
            " VALUES ('A', ?, 0, 0, 0, ?, ?)",
            [(f"2026-01-0{number}", 28 * 10**17, 28 * 10**17) for number in (1, 2)],
        )
        plain.commit()
    async with DatabaseManager(url, settings=settings) as db:
        with pytest.raises(DatabaseError, match="integer overflow"):
            await DailyDataRepository(db).summary("A", BEGIN, END)
