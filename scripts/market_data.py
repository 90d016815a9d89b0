"""Daily bars of two stock indexes, 1999 to 2018, as the `arch` distribution carries them (licence: NCSA).

Numbers are text until they are Decimals; nothing passes through a float. What `bar_of` and `crossings`
make is stored; `summary_of`, `crossing_days` and `worth_by_day` answer from the text, without a database.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Context, Decimal, Inexact, localcontext
from pathlib import Path
from statistics import pstdev

from dal.models.market import DailySummary, NewDailyData, NewPortfolioPerformance, NewSignal
from downloads import Wheel, read_member

WHEEL = Wheel(
    "arch==8.0.0",
    "arch-8.0.0-cp313-cp313-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl",
    "8c1f1d8abefab2f69f7fdbef08cc18c8377667d3b8d197a1f301d97f0e686cd2",
    (
        *("--platform", "manylinux2014_x86_64", "--python-version", "313"),
        *("--implementation", "cp", "--abi", "cp313"),
    ),
)

NAMES = {"^GSPC": "S&P 500", "^IXIC": "NASDAQ Composite"}
FILES = {"^GSPC": "arch/data/sp500/sp500.csv.gz", "^IXIC": "arch/data/nasdaq/nasdaq.csv.gz"}

FAST, SLOW = 50, 200
"""Days of the two moving averages."""

MILLIONTH = Decimal("0.000001")

Row = Mapping[str, str]


def read_indexes(wheel: Path) -> dict[str, list[Row]]:
    """Return the rows of each index by its ticker."""
    return {
        ticker: rows_of(gzip.decompress(read_member(wheel, name)).decode()) for ticker, name in FILES.items()
    }


def rows_of(text: str) -> list[Row]:
    """Return the rows of a file, oldest first, each a text for a column."""
    return sorted(csv.DictReader(text.splitlines()), key=day_of)


def day_of(row: Row) -> date:
    """Return the day of a row, which is written 12/31/2018."""
    month, day, year = map(int, row["Date"].split("/"))
    return date(year, month, day)


def bar_of(ticker: str, row: Row) -> NewDailyData:
    """Return the bar that a row says. An adjusted close is left out: an index pays no dividends."""
    return NewDailyData(
        ticker=ticker,
        date=day_of(row),
        open=Decimal(row["Open"]),
        high=Decimal(row["High"]),
        low=Decimal(row["Low"]),
        close=Decimal(row["Close"]),
        volume=int(row["Volume"]),
    )


def crossings(ticker: str, closes: Sequence[tuple[date, Decimal]]) -> Iterator[NewSignal]:
    """Yield a signal for each day on which the fast moving average came to the other side of the slow one.

    BUY if it is above now, SELL if not. The value is the distance of the two, as a share of the slow one. The
    confidence is the share of the last `FAST` closes on the same side of the slow average of this day.
    """
    prices = [close for _, close in closes]
    fast, slow = sum(prices[SLOW - FAST : SLOW]), sum(prices[:SLOW])
    was_above = fast * SLOW > slow * FAST
    for at in range(SLOW, len(prices)):
        fast += prices[at] - prices[at - FAST]
        slow += prices[at] - prices[at - SLOW]
        is_above = fast * SLOW > slow * FAST
        if is_above != was_above:
            near = prices[at - FAST + 1 : at + 1]
            agree = sum((price * SLOW > slow) == is_above for price in near)
            distance = fast * SLOW / (Decimal(slow) * FAST) - 1
            yield _signal(ticker, *closes[at], is_above, distance, Decimal(agree) / FAST)
        was_above = is_above


def _signal(
    ticker: str, day: date, close: Decimal, is_above: bool, distance: Decimal, confidence: Decimal
) -> NewSignal:
    side = 1 if is_above else -1
    return NewSignal(
        ticker=ticker,
        date=day,
        signal_type="BUY" if is_above else "SELL",
        signal_value=distance.quantize(MILLIONTH),
        confidence=confidence.quantize(MILLIONTH),
        entry_price=close,
        target_price=(close * (1 + side * Decimal("0.10"))).quantize(MILLIONTH),
        stop_loss=(close * (1 - side * Decimal("0.05"))).quantize(MILLIONTH),
        regime="up" if is_above else "down",
        reasons=f"the mean of {FAST} closes went {'above' if is_above else 'below'} that of {SLOW}",
    )


def performance(
    worth_before: Decimal, worth: Iterable[tuple[date, Decimal]]
) -> Iterator[NewPortfolioPerformance]:
    """Yield how a portfolio did on each day, given what it was worth then and on the day before all.

    The volatility is the standard deviation of the returns of the last 20 days, or of as many as there are.
    """
    returns: list[Decimal] = []
    peak, drawdown = worth_before, Decimal(0)
    for day, value in worth:
        returns.append(value / worth_before - 1)
        peak = max(peak, value)
        drawdown = min(drawdown, value / peak - 1)
        yield NewPortfolioPerformance(
            date=day,
            portfolio_value=value.quantize(MILLIONTH),
            daily_return=returns[-1].quantize(MILLIONTH),
            volatility=pstdev(returns[-20:]).quantize(MILLIONTH),
            max_drawdown=drawdown.quantize(MILLIONTH),
        )
        worth_before = value


def summary_of(rows: Iterable[Row], first_day: date, last_day: date) -> DailySummary:
    """Add up the rows from one day to another, from their text."""
    chosen = [row for row in rows if first_day <= day_of(row) <= last_day]
    with localcontext(Context(prec=60, traps=[Inexact])):  # a digit that is lost is an error
        turnover = sum((Decimal(row["Close"]) * Decimal(row["Volume"]) for row in chosen), Decimal(0))
    return DailySummary(
        bars=len(chosen),
        first_day=day_of(chosen[0]),
        last_day=day_of(chosen[-1]),
        high=max(Decimal(row["High"]) for row in chosen),
        low=min(Decimal(row["Low"]) for row in chosen),
        volume=sum(int(row["Volume"]) for row in chosen),
        turnover=turnover,
        dividends=Decimal(0),
    )


def crossing_days(rows: Sequence[Row]) -> list[tuple[date, str, Decimal]]:
    """Return days, types and prices of `crossings`, with all averages computed anew from the text."""
    closes = [Decimal(row["Close"]) for row in rows]
    found = []
    was_above: bool | None = None
    for end in range(SLOW, len(closes) + 1):
        is_above = sum(closes[end - FAST : end]) / FAST > sum(closes[end - SLOW : end]) / SLOW
        if was_above is not None and is_above != was_above:
            found.append((day_of(rows[end - 1]), "BUY" if is_above else "SELL", closes[end - 1]))
        was_above = is_above
    return found


def worth_by_day(
    shares: Mapping[str, Decimal], indexes: Mapping[str, Sequence[Row]], first_day: date, last_day: date
) -> dict[date, Decimal]:
    """Return what *shares* are worth on each day, at the last closes of the day or before, from the text."""
    closes = {ticker: {day_of(row): Decimal(row["Close"]) for row in indexes[ticker]} for ticker in shares}
    worth = {}
    last: dict[str, Decimal] = {}
    day = min(first_day, *(min(by_day) for by_day in closes.values()))
    while day <= last_day:
        last |= {ticker: by_day[day] for ticker, by_day in closes.items() if day in by_day}
        if day >= first_day:
            worth[day] = sum((shares[ticker] * close for ticker, close in last.items()), Decimal(0))
        day += timedelta(days=1)
    return worth
