"""What the demo does with the daily prices of two stock indexes: one method for each part.

Each answer of the database is shown beside one that plain Python finds in the files, and has to equal it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from operator import eq
from pathlib import Path

import market_data
from dal.database import DatabaseManager
from dal.models.market import DailyData, NewDailyData, NewMetadata, NewSignal, SignalHistory
from dal.repositories.market import (
    DailyDataRepository,
    MetadataRepository,
    PortfolioPerformanceRepository,
    PortfolioPositionRepository,
    SignalHistoryRepository,
)
from downloads import NotFetched, fetch
from market_data import NAMES, Row, day_of
from screen import Screen
from timings import Call

BATCH = 1000
"""Bars that are stored at once."""

SHARES = {"^GSPC": Decimal("12.5"), "^IXIC": Decimal("4.25")}
"""The portfolio, as if an index were a share."""

YEAR = (date(2008, 1, 1), date(2008, 12, 31))
"""The year for which the portfolio is followed."""

WINDOWS = {"1999-2018": (date(1999, 1, 1), date(2018, 12, 31)), "2008": YEAR}

Indexes = Mapping[str, Sequence[Row]]
Answer = tuple[str, object, object]


class MarketTour:
    """The parts, in the order in which `run` calls them."""

    def __init__(self, db: DatabaseManager, screen: Screen, downloads: Path) -> None:
        self.db = db
        self.screen = screen
        self.downloads = downloads
        self.companies = MetadataRepository(db)
        self.bars = DailyDataRepository(db)
        self.signals = SignalHistoryRepository(db)
        self.positions = PortfolioPositionRepository(db)
        self.performance = PortfolioPerformanceRepository(db)

    async def run(self) -> dict[str, Call]:
        """Run all parts; return calls to be timed, none if the prices could not be fetched."""
        self.screen.heading("Market: daily prices of the S&P 500 and the NASDAQ Composite")
        try:
            with self.screen.progress(f"fetching {market_data.WHEEL.requirement}", 1):
                wheel = await asyncio.to_thread(fetch, market_data.WHEEL, self.downloads)
        except NotFetched as reason:
            self.screen.not_run("market: real prices", str(reason))
            return {}
        indexes = await asyncio.to_thread(market_data.read_indexes, wheel)
        self.screen.say(f"Source: {market_data.WHEEL.requirement}, licence NCSA.")
        await self.load(indexes)
        await self.look_up(indexes)
        await self.signal(indexes)
        await self.hold(indexes)
        return self.calls(indexes)

    async def load(self, indexes: Indexes) -> None:
        """Store all bars in batches, twice, and compare what is stored with the files."""
        for ticker, name in NAMES.items():
            await self.companies.put(NewMetadata(ticker=ticker, company_name=name))
        bars = [market_data.bar_of(ticker, row) for ticker, rows in indexes.items() for row in rows]
        first_seconds = await self.put(bars)
        first = {ticker: await self.all_bars(ticker) for ticker in indexes}
        again_seconds = await self.put(bars)
        again = {ticker: await self.all_bars(ticker) for ticker in indexes}
        self.screen.table(
            ["stored, 1,000 bars at once", ">bars", ">seconds", ">per second"],
            [
                (name, len(bars), f"{seconds:.2f}", round(len(bars) / seconds))
                for name, seconds in (("first", first_seconds), ("again", again_seconds))
            ],
        )
        self.screen.compare(
            "every price and volume is stored as the file says it",
            [
                (f"{ticker}: bars as in the file", _as_in_file(first[ticker], rows), len(rows))
                for ticker, rows in indexes.items()
            ],
        )
        clocks = {"updated_at"}  # a second write may set it, as the engine sees fit
        is_same = [
            [bar.model_dump(exclude=clocks) for bar in first[ticker]]
            == [bar.model_dump(exclude=clocks) for bar in again[ticker]]
            for ticker in indexes
        ]
        self.screen.check("the same bars again change no bar and add none", all(is_same))

    async def put(self, bars: Sequence[NewDailyData]) -> float:
        """Store *bars* in batches and return the seconds that it took."""
        starts = range(0, len(bars), BATCH)
        begun = time.perf_counter()
        with self.screen.progress("storing bars", len(starts)) as done:
            for start in starts:
                await self.bars.put(bars[start : start + BATCH])
                done()
        return time.perf_counter() - begun

    async def all_bars(self, ticker: str) -> list[DailyData]:
        """Return all bars of a ticker, page by page."""
        bars: list[DailyData] = []
        day = date.min
        while page := await self.bars.between(ticker, day, date.max, page_size=BATCH):
            bars += page
            day = page[-1].date + timedelta(days=1)
        return bars

    async def look_up(self, indexes: Indexes) -> None:
        """Ask for the latest bars, for a range, and for sums over windows."""
        latest = {bar.ticker: bar for bar in await self.bars.latest_by_ticker()}
        companies = {company.ticker: company.company_name for company in await self.companies.page()}
        answers: list[Answer] = []
        for ticker, rows in indexes.items():
            year = await self.bars.between(ticker, *YEAR, page_size=BATCH)
            closes = [Decimal(row["Close"]) for row in rows if YEAR[0] <= day_of(row) <= YEAR[1]]
            last = latest[ticker]
            answers += [
                (f"{ticker}: name", companies[ticker], NAMES[ticker]),
                (
                    f"{ticker}: last close",
                    (last.date, last.close),
                    (day_of(rows[-1]), Decimal(rows[-1]["Close"])),
                ),
                (f"{ticker}: closes of {YEAR[0].year}", len(year), len(closes)),
                (f"{ticker}: their sum", sum(bar.close for bar in year), sum(closes)),
            ]
        self.screen.compare("the latest bars and a range are those of the files", answers)
        self.screen.compare(
            "sums over windows are those of the files, to the last digit",
            [
                answer
                for ticker, rows in indexes.items()
                for name, window in WINDOWS.items()
                for answer in await self.summed(ticker, rows, name, *window)
            ],
        )

    async def summed(
        self, ticker: str, rows: Sequence[Row], name: str, first_day: date, last_day: date
    ) -> list[Answer]:
        """Return the sums over a window, from the database and from the file."""
        stored = await self.bars.summary(ticker, first_day, last_day)
        computed = market_data.summary_of(rows, first_day, last_day)
        assert stored is not None, "the window has bars"
        return [
            (
                f"{ticker} {name}: days",
                (stored.first_day, stored.last_day),
                (computed.first_day, computed.last_day),
            ),
            *(
                (f"{ticker} {name}: {field}", getattr(stored, field), getattr(computed, field))
                for field in ("bars", "high", "low", "volume", "turnover")
            ),
        ]

    async def signal(self, indexes: Indexes) -> None:
        """Find where moving averages cross in the stored closes, store these signals, and read them back.

        Signals have no key but their number: only those that are not there yet are added.
        """
        made: dict[str, list[NewSignal]] = {}
        for ticker in indexes:
            closes = [(bar.date, bar.close) for bar in await self.all_bars(ticker)]
            made[ticker] = list(market_data.crossings(ticker, closes))
            there = {signal.date for signal in await self.all_signals(ticker)}
            async with self.db.transaction() as tx:
                for signal in made[ticker]:
                    if signal.date not in there:
                        await SignalHistoryRepository(tx).add(signal)
        latest = {signal.ticker: signal for signal in await self.signals.latest_by_ticker()}
        answers: list[Answer] = []
        is_same = True
        for ticker, rows in indexes.items():
            stored = await self.all_signals(ticker)
            computed = await asyncio.to_thread(market_data.crossing_days, rows)
            is_same &= stored[-1] == latest[ticker] and [
                signal.model_dump(include=set(NewSignal.model_fields)) for signal in stored
            ] == [signal.model_dump() for signal in made[ticker]]
            found = [(signal.date, signal.signal_type, signal.entry_price) for signal in stored]
            answers += [
                (f"{ticker}: signals", len(found), len(computed)),
                (f"{ticker}: first", found[0], computed[0]),
                (f"{ticker}: last", found[-1], computed[-1]),
                (
                    f"{ticker}: with the same day, type, price",
                    sum(map(eq, found, computed)),
                    len(computed),
                ),
            ]
        self.screen.heading(
            f"Signals: where the mean of {market_data.FAST} closes crosses that of {market_data.SLOW}"
        )
        self.screen.compare("the signals are those that the files lead to", answers)
        self.screen.check("each signal is read back as it was made, the latest one too", is_same)

    async def all_signals(self, ticker: str) -> list[SignalHistory]:
        """Return all signals of a ticker, page by page."""
        signals: list[SignalHistory] = []
        day, last_id = date.min, 0
        while page := await self.signals.between(ticker, day, date.max, after_id=last_id):
            signals += page
            day, last_id = page[-1].date, page[-1].id
        return signals

    async def hold(self, indexes: Indexes) -> None:
        """Ask what a portfolio was worth on each day of a year, and store how it did."""
        for ticker, shares in SHARES.items():
            await self.positions.put(ticker, shares)
        days = [YEAR[0] + timedelta(days=passed) for passed in range((YEAR[1] - YEAR[0]).days + 1)]
        stored = {}
        with self.screen.progress("asking for the worth of each day", len(days)) as done:
            for day in days:
                stored[day] = (await self.positions.worth(day)).value
                done()
        computed = await asyncio.to_thread(market_data.worth_by_day, SHARES, indexes, *YEAR)
        trading = [day_of(row) for row in indexes["^GSPC"] if YEAR[0] <= day_of(row) <= YEAR[1]]
        await self.follow([(day, stored[day]) for day in trading])
        summary = await self.performance.summary(*YEAR)
        values = [computed[day].quantize(market_data.MILLIONTH) for day in trading]
        self.screen.heading(
            "Portfolio: " + " and ".join(f"{count} x {NAMES[ticker]}" for ticker, count in SHARES.items())
        )
        self.screen.compare(
            "the worth of the portfolio is that of the files, on each day of a year",
            [(f"worth on {day}", stored[day], computed[day]) for day in days[::61]]
            + [("days that are equal", sum(stored[day] == computed[day] for day in days), len(days))],
        )
        self.screen.compare(
            "the performance over the year is that of the files",
            [
                ("trading days", summary and summary.days, len(trading)),
                ("first worth", summary and summary.first_value, values[0]),
                ("last worth", summary and summary.last_value, values[-1]),
                ("lowest worth", summary and summary.lowest_value, min(values)),
                ("highest worth", summary and summary.highest_value, max(values)),
            ],
        )

    async def follow(self, worth: Sequence[tuple[date, Decimal]]) -> None:
        """Store how the portfolio did on each of these days, in one transaction."""
        before = (await self.positions.worth(worth[0][0] - timedelta(days=1))).value
        async with self.db.transaction() as tx:
            for performance in market_data.performance(before, worth):
                await PortfolioPerformanceRepository(tx).put(performance)

    def calls(self, indexes: Indexes) -> dict[str, Call]:
        """Return calls to be timed, by their names; what is written is what was there."""
        tickers = list(indexes)
        bars = {
            ticker: [market_data.bar_of(ticker, row) for row in rows[-BATCH:]]
            for ticker, rows in indexes.items()
        }

        def ticker_of(number: int) -> str:
            return tickers[number % len(tickers)]

        def day(number: int) -> date:
            return date(2000, 1, 1) + timedelta(days=number * 6)

        def month(number: int) -> tuple[date, date]:
            return day(number), day(number) + timedelta(days=30)

        def year(number: int) -> tuple[date, date]:
            return day(number), day(number) + timedelta(days=365)

        return {
            "market: a bar": lambda number: self.bars.get(ticker_of(number), day(number)),
            "market: last bar": lambda number: self.bars.latest(ticker_of(number)),
            "market: bars of a month": lambda n: self.bars.between(ticker_of(n), *month(n)),
            "market: sums of a year": lambda n: self.bars.summary(ticker_of(n), *year(n)),
            "market: signals of a year": lambda n: self.signals.between(ticker_of(n), *year(n)),
            "market: worth": lambda number: self.positions.worth(day(number)),
            "market: put a bar": lambda n: self.bars.put([bars[ticker_of(n)][n % BATCH]]),
        }


def _as_in_file(bars: Sequence[DailyData], rows: Sequence[Row]) -> int:
    """Return how many bars say exactly what the row in their place says."""
    return sum(
        (bar.date, bar.open, bar.high, bar.low, bar.close, bar.volume)
        == (day_of(row), *(Decimal(row[name]) for name in ("Open", "High", "Low", "Close", "Volume")))
        for bar, row in zip(bars, rows, strict=False)
    )
