"""Bars: one for each ticker and day or moment, stored as a whole batch or not at all."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from decimal import Decimal

import pytest

from dal.database import DatabaseManager
from dal.errors import CheckViolation, UniqueViolation
from dal.models.market import DailyData, NewDailyData
from dal.repositories.market import DailyDataRepository, IntradayDataRepository
from tests.market.calls import FIRST, MINUTE, daily, day, intraday
from tests.market.samples import NOW

ALL = (FIRST, day(31))
TASKS = 50


def prices(bars: list[DailyData]) -> list[tuple[int, Decimal]]:
    """The days of January and their closes."""
    return [(bar.date.day, bar.close) for bar in bars]


class TestOneForADay:
    """A second bar for the same ticker and day."""

    async def test_is_refused(self, db: DatabaseManager) -> None:
        """It is an error to add one, and the first one stays as it was."""
        bars = DailyDataRepository(db)
        first = await bars.add(daily())
        with pytest.raises(UniqueViolation):
            await bars.add(daily(close="160"))
        assert await bars.between("AAPL", *ALL) == [first]

    async def test_is_refused_at_the_same_time(self, db: DatabaseManager) -> None:
        """Of several that are added at once, one is stored."""
        bars = DailyDataRepository(db)
        done = await asyncio.gather(*(bars.add(daily()) for _ in range(8)), return_exceptions=True)
        assert sorted(type(one).__name__ for one in done) == ["DailyData"] + ["UniqueViolation"] * 7
        assert len(await bars.between("AAPL", *ALL)) == 1

    async def test_takes_the_place_of_the_first(self, db: DatabaseManager) -> None:
        """Put, it replaces all values of the first, also those that it has not; id and created_at stay."""
        bars = DailyDataRepository(db)
        first = await bars.add(daily(dividends=Decimal("0.25")))
        await bars.put([daily(close="160", volume=7)])
        (stored,) = await bars.between("AAPL", *ALL)
        assert (stored.id, stored.created_at) == (first.id, first.created_at)
        assert (stored.close, stored.volume, stored.dividends) == (Decimal(160), 7, None)

    async def test_last_of_a_batch_counts(self, db: DatabaseManager) -> None:
        """If a batch has two, the second replaces the first."""
        bars = DailyDataRepository(db)
        await bars.put([daily(close="1"), daily("MSFT"), daily(close="2")])
        assert prices(await bars.between("AAPL", *ALL)) == [(1, Decimal(2))]

    async def test_same_day_of_another_ticker(self, db: DatabaseManager) -> None:
        """Tickers that differ in case alone are two."""
        bars = DailyDataRepository(db)
        await bars.load([daily("aapl", close="1"), daily("AAPL", close="2")])
        assert prices(await bars.between("aapl", *ALL)) == [(1, Decimal(1))]


async def test_put_twice(db: DatabaseManager) -> None:
    """The same batch put again leaves the same bars."""
    bars = DailyDataRepository(db)
    batch = [daily(of=day(number), close=f"{number}.000001") for number in range(1, 21)]
    await bars.put(batch)
    before = await bars.between("AAPL", *ALL)
    await bars.put(batch)
    after = await bars.between("AAPL", *ALL)
    assert [bar.model_dump(exclude={"updated_at"}) for bar in after] == [
        bar.model_dump(exclude={"updated_at"}) for bar in before
    ]
    assert len(after) == 20


@pytest.mark.parametrize("size", [200, 60])
async def test_many_batches_at_once(db: DatabaseManager, size: int) -> None:
    """Tasks that put the same bars at once, whole or in part, each in an order of its own, all succeed."""
    days = [FIRST + timedelta(days=number) for number in range(200)]

    def batch(task: int) -> list[NewDailyData]:
        return [daily(of=of, volume=task) for of in random.Random(task).sample(days, size)]

    bars = DailyDataRepository(db)
    await asyncio.gather(*(bars.put(batch(task)) for task in range(TASKS)))
    stored = await bars.between("AAPL", days[0], days[-1])
    assert [bar.date for bar in stored] == sorted({bar.date for task in range(TASKS) for bar in batch(task)})


async def test_many_batches_inside_of_days_at_once(db: DatabaseManager) -> None:
    """Bars of moments may be put by many tasks as well."""
    moments = [NOW + MINUTE * number for number in range(200)]

    async def put(task: int) -> None:
        batch = [intraday(moment=moment) for moment in random.Random(task).sample(moments, 120)]
        await IntradayDataRepository(db).put(batch)

    await asyncio.gather(*map(put, range(TASKS)))
    stored = await IntradayDataRepository(db).between("AAPL", moments[0], moments[-1] + MINUTE)
    assert [bar.datetime for bar in stored] == moments


@pytest.mark.parametrize("place", [0, 10, 20])
async def test_bad_bar_keeps_out_its_batch(db: DatabaseManager, place: int) -> None:
    """One bar that the table refuses, wherever it stands, and none of its batch is stored or replaced."""
    bars = DailyDataRepository(db)
    await bars.put([daily(of=day(1), close="1"), daily(of=day(25), close="25")])
    batch = [daily(of=day(number)) for number in range(1, 21)]
    batch.insert(place, daily(of=day(30)).model_copy(update={"volume": -1}))
    with pytest.raises(CheckViolation):
        await bars.put(batch)
    assert prices(await bars.between("AAPL", *ALL)) == [(1, Decimal(1)), (25, Decimal(25))]


async def test_prices_are_compared_as_numbers(db: DatabaseManager) -> None:
    """A high of 9.50 is below a low of 10.20, and a high of 10.20 above a low of 9.50."""
    bars = DailyDataRepository(db)
    good = daily(open=Decimal("10"), high=Decimal("10.20"), low=Decimal("9.50"), close=Decimal("9.50"))
    bad = good.model_copy(update={"date": day(2), "high": Decimal("9.50"), "low": Decimal("10.20")})
    with pytest.raises(CheckViolation) as caught:
        await bars.add(bad)
    assert caught.value.constraint == "daily_data_prices_order"
    await bars.add(good)
    assert len(await bars.between("AAPL", *ALL)) == 1


async def test_refusal_names_its_constraint(db: DatabaseManager) -> None:
    """The error says which rule was broken, by the same name on every engine."""
    bar = daily().model_copy(update={"volume": -1})
    with pytest.raises(CheckViolation) as caught:
        await DailyDataRepository(db).add(bar)
    assert (caught.value.kind, caught.value.constraint) == ("check", "daily_data_volume_range")
    assert await DailyDataRepository(db).latest("AAPL") is None


async def test_digits_come_back(db: DatabaseManager) -> None:
    """A price has all six digits that it came with, the largest and the smallest as well."""
    bar = daily(
        open=Decimal("0.1"), high=Decimal("1000000000"), low=Decimal("0"), close=Decimal("999999999.999999")
    )
    stored = await DailyDataRepository(db).add(bar)
    assert NewDailyData.model_validate(stored.model_dump(include=set(NewDailyData.model_fields))) == bar


async def test_pages_make_up_the_whole(db: DatabaseManager) -> None:
    """A reader that goes on one day after the last bar sees each bar once."""
    bars = DailyDataRepository(db)
    await bars.load(daily(of=day(number)) for number in (1, 2, 4, 5, 9, 20, 21))
    seen: list[DailyData] = []
    begin = FIRST
    while page := await bars.between("AAPL", begin, day(20), page_size=2):
        seen += page
        begin = page[-1].date + timedelta(days=1)
    assert [bar.date.day for bar in seen] == [1, 2, 4, 5, 9, 20]


async def test_pages_inside_of_a_day(db: DatabaseManager) -> None:
    """A reader that goes on one microsecond after the last bar sees each bar once, :until not included."""
    bars = IntradayDataRepository(db)
    moments = [NOW, NOW + timedelta(microseconds=1), NOW + MINUTE, NOW + 2 * MINUTE]
    await bars.put(intraday(moment=moment) for moment in moments)
    first = await bars.between("AAPL", NOW, NOW + 2 * MINUTE, page_size=1)
    rest = await bars.between("AAPL", first[-1].datetime + timedelta(microseconds=1), NOW + 2 * MINUTE)
    assert [bar.datetime for bar in first + rest] == moments[:3]


async def test_latest_by_ticker(db: DatabaseManager) -> None:
    """Each ticker comes once, by name, with its last bar, page after page."""
    bars = DailyDataRepository(db)
    await bars.load(daily(name, day(number)) for name in ("C", "A", "B") for number in (3, 9, 5))
    first = await bars.latest_by_ticker(page_size=2)
    rest = await bars.latest_by_ticker(after_ticker="B", page_size=2)
    assert [(bar.ticker, bar.date.day) for bar in first + rest] == [("A", 9), ("B", 9), ("C", 9)]


async def test_summary_of_nothing(db: DatabaseManager) -> None:
    """Days without bars have no summary."""
    bars = DailyDataRepository(db)
    await bars.add(daily())
    assert await bars.summary("AAPL", day(2), day(31)) is None


async def test_no_bars(db: DatabaseManager) -> None:
    """An empty batch is no work."""
    bars = DailyDataRepository(db)
    await bars.put([])
    await bars.load([])
    assert await bars.latest_by_ticker() == []
