"""Real prices of two indexes: how they are read, and what the demo finds in them on each engine.

The prices are excerpts; tests/excerpts/README.md says where they come from.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

import market_data
import market_tour
from dal.database import DatabaseManager
from dal.repositories.market import DailyDataRepository, SignalHistoryRepository
from dal.settings import Settings
from market_data import Row
from market_tour import MarketTour
from screen import Screen
from tests.systems.fixtures import EmptyDatabase
from tests.systems.registry import ENGINES
from tests.wheels import make_wheel

EXCERPTS = Path(__file__).parent / "excerpts"
TEXTS = {"^GSPC": EXCERPTS / "sp500.csv", "^IXIC": EXCERPTS / "nasdaq.csv"}

SEPTEMBER = (date(2001, 9, 1), date(2001, 9, 30))


@pytest.fixture
def indexes() -> Mapping[str, Sequence[Row]]:
    """The rows of the excerpts."""
    return {ticker: market_data.rows_of(path.read_text()) for ticker, path in TEXTS.items()}


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a wheel that holds the excerpts, and spans of time that fit so few rows."""
    files = {market_data.FILES[ticker]: gzip.compress(path.read_bytes()) for ticker, path in TEXTS.items()}
    monkeypatch.setattr(market_data, "WHEEL", make_wheel(tmp_path, "excerpts", files))
    monkeypatch.setattr(market_data, "FAST", 3)
    monkeypatch.setattr(market_data, "SLOW", 10)
    monkeypatch.setattr(market_tour, "YEAR", SEPTEMBER)
    monkeypatch.setattr(market_tour, "WINDOWS", {"September": SEPTEMBER})
    return tmp_path


def test_rows_become_bars(indexes: Mapping[str, Sequence[Row]]) -> None:
    """A bar has the digits of the text, and none of its own."""
    bar = market_data.bar_of("^GSPC", indexes["^GSPC"][0])

    assert (bar.ticker, bar.date, bar.volume) == ("^GSPC", date(2001, 8, 27), 842600000)
    assert str(bar.close) == "1179.209961"
    for ticker, rows in indexes.items():
        for row in rows:
            bar = market_data.bar_of(ticker, row)
            prices = (bar.open, bar.high, bar.low, bar.close)
            assert [*map(str, prices)] == [row[name] for name in ("Open", "High", "Low", "Close")]
            assert bar.volume == int(row["Volume"])


def test_closed_exchanges(indexes: Mapping[str, Sequence[Row]]) -> None:
    """Days without trading are not there, and the rows are in the order of their days."""
    days = [market_data.day_of(row) for row in indexes["^GSPC"]]

    assert days == sorted(set(days))
    assert days.index(date(2001, 9, 17)) == days.index(date(2001, 9, 10)) + 1


def test_order_of_a_file_does_not_matter() -> None:
    """9/10 comes before 9/7 as text, and after it as a day."""
    header, *lines = TEXTS["^GSPC"].read_text().splitlines()
    turned = market_data.rows_of("\n".join([header, *reversed(lines)]))

    assert turned == market_data.rows_of(TEXTS["^GSPC"].read_text())


def test_crossings(monkeypatch: pytest.MonkeyPatch, indexes: Mapping[str, Sequence[Row]]) -> None:
    """Running sums find the same days as means computed anew: the first on the day found by hand."""
    monkeypatch.setattr(market_data, "FAST", 3)
    monkeypatch.setattr(market_data, "SLOW", 10)
    for ticker, rows in indexes.items():
        closes = [(market_data.day_of(row), Decimal(row["Close"])) for row in rows]
        signals = list(market_data.crossings(ticker, closes))

        assert [
            (signal.date, signal.signal_type, signal.entry_price) for signal in signals
        ] == market_data.crossing_days(rows)
        assert {signal.signal_type for signal in signals} == {"BUY", "SELL"}
    # Means of 3 and of 10 closes: 1012.64 and 1017.19 on 27 September, 1022.20 and 1012.03 one day later.
    first = market_data.crossing_days(indexes["^GSPC"])[0]
    assert first == (date(2001, 9, 28), "BUY", Decimal("1040.939941"))


def test_summary(indexes: Mapping[str, Sequence[Row]]) -> None:
    """The sums of a window leave out what is beyond its ends; a turnover keeps all digits."""
    rows = indexes["^GSPC"]
    summary = market_data.summary_of(rows, date(2001, 9, 10), date(2001, 9, 17))

    assert (summary.bars, summary.first_day, summary.last_day) == (2, date(2001, 9, 10), date(2001, 9, 17))
    chosen = [row for row in rows if row["Date"] in ("9/10/2001", "9/17/2001")]
    # Prices in millionths are integers, and these have no end in Python.
    turnover = sum(int(Decimal(row["Close"]).scaleb(6)) * int(row["Volume"]) for row in chosen)
    assert int(summary.turnover.scaleb(6)) == turnover
    assert turnover > 2**53


def test_worth_on_days_without_trading(indexes: Mapping[str, Sequence[Row]]) -> None:
    """It is that of the last close before; before the first one nothing is worth anything."""
    worth = market_data.worth_by_day({"^GSPC": Decimal(2)}, indexes, date(2001, 8, 26), date(2001, 9, 16))

    assert len(worth) == 22
    assert worth[date(2001, 8, 26)] == 0
    assert worth[date(2001, 9, 10)] == worth[date(2001, 9, 16)] == Decimal("2185.080078")


def test_performance() -> None:
    """Returns are those of the day before; the drawdown is the deepest fall from a peak so far."""
    days = [date(2001, 9, day) for day in (17, 18, 19)]
    worth = zip(days, map(Decimal, ("110", "99", "104.5")), strict=True)
    rows = list(market_data.performance(Decimal(100), worth))

    assert [row.daily_return for row in rows] == [Decimal("0.1"), Decimal("-0.1"), Decimal("0.055556")]
    assert [row.max_drawdown for row in rows] == [Decimal(0), Decimal("-0.1"), Decimal("-0.1")]
    assert [row.volatility for row in rows[:2]] == [Decimal(0), Decimal("0.1")]


@pytest.mark.parametrize("engine", ENGINES)
async def test_tour(
    engine: str,
    empty_database: EmptyDatabase,
    settings: Settings,
    downloads: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every answer of the database is that of plain Python; a second time adds nothing."""
    async with DatabaseManager(empty_database(engine, "market"), settings=settings) as db:
        counts = []
        for _ in range(2):
            screen = Screen()
            calls = await MarketTour(db, screen, downloads).run()
            assert [claim for claim, held in screen.checks if not held] == []
            assert len(screen.checks) == 8
            bars = await DailyDataRepository(db).between("^IXIC", date.min, date.max)
            signals = await SignalHistoryRepository(db).between("^IXIC", date.min, date.max)
            counts.append((len(bars), len(signals)))
            assert [await call(0) for call in calls.values()]
        assert counts == [(43, counts[0][1])] * 2
        assert counts[0][1] >= 2
    assert not re.search(r"\bNO\b", capsys.readouterr().out)


async def test_answer_that_is_wrong(
    empty_database: EmptyDatabase, settings: Settings, downloads: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One price that is off by a millionth in the database fails the checks that see it, and no other."""
    async with DatabaseManager(empty_database("sqlite", "market"), settings=settings) as db:
        part = MarketTour(db, Screen(), downloads)
        await part.run()
        rows = market_data.read_indexes(downloads / market_data.WHEEL.file)
        bar = market_data.bar_of("^GSPC", rows["^GSPC"][-1])
        await part.bars.put([bar.model_copy(update={"close": bar.close + market_data.MILLIONTH})])
        screen = part.screen = Screen()
        await part.look_up(rows)
    assert screen.checks == [
        ("the latest bars and a range are those of the files", False),
        ("sums over windows are those of the files, to the last digit", True),  # they end before that day
    ]
    assert screen.verdict(seconds=1) is False
    assert re.search(r"\^GSPC: last close.*NO", capsys.readouterr().out)


async def test_prices_that_cannot_be_fetched(
    empty_database: EmptyDatabase, settings: Settings, downloads: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The part says so, does nothing, and is not counted as having worked."""
    (downloads / market_data.WHEEL.file).write_bytes(b"something else")
    screen = Screen()
    async with DatabaseManager(empty_database("sqlite", "market"), settings=settings) as db:
        assert await MarketTour(db, screen, downloads).run() == {}
        assert await DailyDataRepository(db).latest_by_ticker() == []
    assert screen.verdict(seconds=1) is True
    output = capsys.readouterr().out
    assert "NOT RUN: excerpts==1.0: " in output
    assert re.search(r"^market: real prices +not run", output, re.MULTILINE)
    assert "What ran has worked" in output
    assert "All of it worked" not in output
