"""Predictions of exchange rates, and how far off they were."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dal.errors import CheckViolation, DataError, ParameterError
from dal.models.currency import NewPrediction, PredictionHistory
from dal.repositories.currency import PredictionHistoryRepository
from tests.currency.samples import DAY, NOW, prediction
from tests.systems.moments import is_now

LATER = NOW + 400 * DAY


async def test_row_comes_back_as_it_was_given(predictions: PredictionHistoryRepository) -> None:
    """A new prediction is stored as it is, and not evaluated."""
    given = prediction()
    stored = await predictions.add(given)
    assert stored.model_dump(include=set(NewPrediction.model_fields)) == given.model_dump()
    assert stored.due_time == NOW + 7 * DAY
    assert (stored.actual_rate, stored.evaluation_time, stored.updated_at) == (None, None, None)
    assert await predictions.get(stored.id) == stored


@pytest.mark.parametrize(
    "rate", ["0.85", "0.00000001", "9999999999.99999999", "25431.12345678", "1E+9", "0.1", "1.10"]
)
async def test_rates_are_exact(predictions: PredictionHistoryRepository, rate: str) -> None:
    """A rate comes back with the digits that it had, never through a float."""
    stored = await predictions.add(prediction(predicted_rate=Decimal(rate), prediction_horizon=1))
    await predictions.evaluate(stored.id, Decimal(rate), now=LATER)
    found = await predictions.get(stored.id)
    assert found is not None
    assert str(found.predicted_rate) == str(found.actual_rate) == str(Decimal(rate).quantize(Decimal("1e-8")))


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"confidence": 1.2}, "prediction_history_confidence_range"),
        ({"confidence": -0.1}, "prediction_history_confidence_range"),
        ({"currency_pair": "USD/EUR" * 43}, "prediction_history_currency_pair_shape"),
        ({"currency_pair": "usd/eur"}, "prediction_history_currency_pair_shape"),
        ({"prediction_horizon": 366}, "prediction_history_prediction_horizon_range"),
    ],
)
async def test_bad_prediction(
    predictions: PredictionHistoryRepository, changes: dict[str, object], constraint: str
) -> None:
    """What got past the model is refused by the check that is named for it, and not stored."""
    bad = NewPrediction.model_construct(**{**prediction().model_dump(), **changes})
    with pytest.raises(CheckViolation) as caught:
        await predictions.add(bad)
    assert (caught.value.kind, caught.value.constraint) == ("check", constraint)
    assert await predictions.due(now=LATER) == []


class TestEvaluation:
    """A prediction is evaluated once, when it is due."""

    async def test_it_is_written(self, predictions: PredictionHistoryRepository) -> None:
        """Rate and moment are there, and the database's clock has moved."""
        stored = await predictions.add(prediction())
        assert await predictions.evaluate(stored.id, Decimal("0.86"), now=LATER)
        found = await predictions.get(stored.id)
        assert found is not None
        assert (found.actual_rate, found.evaluation_time, found.due_time) == (Decimal("0.86"), LATER, None)
        assert found.updated_at is not None
        assert is_now(found.updated_at)
        assert found.created_at == stored.created_at

    async def test_not_before_it_is_due(self, predictions: PredictionHistoryRepository) -> None:
        """At its moment it can be evaluated, a microsecond before it can't."""
        stored = await predictions.add(prediction())
        due_time = prediction().due_time
        early = due_time - timedelta(microseconds=1)
        assert await predictions.due(now=early) == []
        assert not await predictions.evaluate(stored.id, Decimal("0.86"), now=early)
        assert await predictions.due(now=due_time) == [stored]
        assert await predictions.evaluate(stored.id, Decimal("0.86"), now=due_time)

    async def test_one_of_many_does_it(self, predictions: PredictionHistoryRepository) -> None:
        """Of several that evaluate a prediction at once, one is told that it did, and its rate stays."""
        stored = await predictions.add(prediction())
        rates = [Decimal(number) for number in range(1, 9)]
        done = await asyncio.gather(*(predictions.evaluate(stored.id, rate, now=LATER) for rate in rates))
        assert sum(done) == 1
        found = await predictions.get(stored.id)
        assert found is not None
        assert found.actual_rate == rates[done.index(True)]

    async def test_unknown(self, predictions: PredictionHistoryRepository) -> None:
        """What is not there is not evaluated."""
        assert not await predictions.evaluate(1, Decimal("0.86"), now=LATER)

    @pytest.mark.parametrize(
        ("rate", "error"),
        [
            ("0", CheckViolation),
            ("-1", CheckViolation),
            ("10000000000", CheckViolation),
            ("0.123456789", DataError),
        ],
    )
    async def test_bad_rate(
        self, predictions: PredictionHistoryRepository, rate: str, error: type[Exception]
    ) -> None:
        """A rate out of bounds, or of too many digits, is refused with the same error on every engine."""
        stored = await predictions.add(prediction())
        with pytest.raises(error) as caught:
            await predictions.evaluate(stored.id, Decimal(rate), now=LATER)
        if isinstance(caught.value, CheckViolation):
            assert caught.value.constraint == "prediction_history_actual_rate_range"
        assert await predictions.get(stored.id) == stored


async def test_due_ones_come_longest_due_first(predictions: PredictionHistoryRepository) -> None:
    """Page by page, those that are due and not evaluated come in the order of their due times, each once."""
    made = [
        await predictions.add(prediction(prediction_horizon=horizon, prediction_time=NOW + day * DAY))
        for horizon, day in [(30, 0), (7, 0), (1, 6), (7, 0), (7, 20), (1, 40), (7, 0), (60, 1)]
    ]
    await predictions.evaluate(made[3].id, Decimal("0.86"), now=LATER)
    found: list[PredictionHistory] = []
    while page := await predictions.due(now=NOW + 30 * DAY, after=found[-1] if found else None, page_size=2):
        found += page
    assert [row.id for row in found] == [made[number].id for number in (1, 2, 6, 4, 0)]


async def test_old_ones_are_due(predictions: PredictionHistoryRepository) -> None:
    """A prediction is found however long ago it was made."""
    stored = await predictions.add(prediction(prediction_time=datetime(1950, 1, 1, tzinfo=UTC)))
    assert await predictions.due() == [stored]


async def test_page_after_one_that_is_not_due(predictions: PredictionHistoryRepository) -> None:
    """A prediction that was evaluated has no place among the due ones."""
    stored = await predictions.add(prediction())
    await predictions.evaluate(stored.id, Decimal("0.86"), now=LATER)
    evaluated = await predictions.get(stored.id)
    with pytest.raises(ParameterError, match=f"prediction {stored.id} is evaluated"):
        await predictions.due(now=LATER, after=evaluated)


async def test_predictions_of_a_pair(predictions: PredictionHistoryRepository) -> None:
    """Page by page, those of the pair in the span of time come oldest first, each once."""
    for pair, day in [("USD/EUR", 1), ("USD/EUR", 0), ("EUR/USD", 0), ("USD/EUR", 0), ("USD/EUR", 2)]:
        await predictions.add(prediction(currency_pair=pair, prediction_time=NOW + day * DAY))
    found: list[PredictionHistory] = []
    while page := await predictions.of_pair(
        "USD/EUR", NOW, NOW + 2 * DAY, after=found[-1] if found else None, page_size=1
    ):
        found += page
    assert [row.id for row in found] == [2, 4, 1]


async def test_errors_by_pair_and_horizon(predictions: PredictionHistoryRepository) -> None:
    """Sums, means and maxima are exact; what is not evaluated, or of another time, does not count."""
    rates: dict[tuple[str, int], list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for number in range(60):
        pair, horizon = ("USD/EUR", "EUR/JPY")[number % 2], (1, 7, 30)[number % 3]
        predicted, actual = (
            Decimal(8_500_000_001 + number**3) / 10**8,
            Decimal(8_500_150_000 + number) / 10**8,
        )
        stored = await predictions.add(
            prediction(currency_pair=pair, prediction_horizon=horizon, predicted_rate=predicted)
        )
        await predictions.evaluate(stored.id, actual, now=LATER)
        rates[pair, horizon].append((predicted, actual))
    await predictions.add(prediction())  # not evaluated
    other = await predictions.add(prediction(prediction_time=NOW + DAY))
    await predictions.evaluate(other.id, Decimal(5), now=LATER)

    found = await predictions.errors(NOW, NOW + DAY)
    assert [(row.currency_pair, row.prediction_horizon) for row in found] == sorted(rates)
    for row in found:
        errors = [one - two for one, two in rates[row.currency_pair, row.prediction_horizon]]
        assert row.predictions == len(errors) == 10
        assert row.total_error == sum(errors)
        assert row.total_absolute_error == sum(map(abs, errors))
        assert row.largest_absolute_error == max(map(abs, errors))
        assert row.mean_error == sum(errors) / 10
        assert row.mean_absolute_error == sum(map(abs, errors)) / 10


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
async def test_sum_that_does_not_fit_is_no_wrong_number(predictions: PredictionHistoryRepository) -> None:
    """Where sums are integers of 64 bits, one that would be larger is refused."""
    for _ in range(10):
        stored = await predictions.add(prediction(predicted_rate=Decimal("9999999999")))
        await predictions.evaluate(stored.id, Decimal(1), now=LATER)
    with pytest.raises(DataError):
        await predictions.errors(NOW, NOW + DAY)


async def test_no_errors_of_an_empty_time(predictions: PredictionHistoryRepository) -> None:
    """Without an evaluated prediction there is no row, and no mean of nothing."""
    await predictions.add(prediction())
    assert await predictions.errors(NOW - DAY, NOW + DAY) == []
