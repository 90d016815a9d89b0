"""Errors of predictions add up exactly: to the last digit what Python's Decimal says, on every engine."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.models.currency import PredictionErrors
from dal.queries import Query, load_queries
from dal.repositories.currency import PredictionHistoryRepository
from tests.currency.samples import DAY, NOW

LOAD = """
-- name: load_evaluated(
--     currency_pair: text, prediction_horizon: int, predicted_rate: decimal(8), actual_rate: decimal(8),
--     prediction_time: timestamp, evaluation_time: timestamp
-- ) :batch
-- Store predictions that are evaluated already.
INSERT INTO prediction_history (
    currency_pair, prediction_horizon, predicted_rate, confidence, actual_rate, prediction_time,
    evaluation_time
)
VALUES (
    :currency_pair, :prediction_horizon, :predicted_rate, 0.5, :actual_rate, :prediction_time,
    :evaluation_time
);
"""


@pytest.fixture
def load(tmp_path: Path) -> Query[None]:
    """What stores evaluated predictions in bulk."""
    (tmp_path / "load.sql").write_text(LOAD)
    return load_queries(tmp_path).load_evaluated


def rate(chance: random.Random) -> Decimal:
    """A rate below a million, of any size, with every digit in use."""
    return Decimal(chance.randrange(1, 10 ** chance.randint(1, 14))).scaleb(-8)


@pytest.mark.timeout(600)
async def test_a_hundred_thousand_rows(
    db: DatabaseManager, predictions: PredictionHistoryRepository, load: Query[None]
) -> None:
    """Errors of each pair and horizon have the sums and the maximum that Python makes of them."""
    chance = random.Random(1)
    rates: dict[tuple[str, int], list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for _ in range(100_000):
        key = (chance.choice(["USD/EUR", "EUR/JPY"]), chance.choice([1, 7]))
        rates[key].append((rate(chance), rate(chance)))
    await db.execute_many(
        load,
        (
            {
                "currency_pair": pair,
                "prediction_horizon": horizon,
                "predicted_rate": predicted,
                "actual_rate": actual,
                "prediction_time": NOW,
                "evaluation_time": NOW + horizon * DAY,
            }
            for (pair, horizon), both in rates.items()
            for predicted, actual in both
        ),
        timeout=120,
    )
    expected = []
    for (pair, horizon), both in sorted(rates.items()):
        errors = [predicted - actual for predicted, actual in both]
        sizes = [abs(error) for error in errors]
        expected.append(
            PredictionErrors(
                currency_pair=pair,
                prediction_horizon=horizon,
                predictions=len(errors),
                total_error=sum(errors, Decimal(0)),
                total_absolute_error=sum(sizes, Decimal(0)),
                largest_absolute_error=max(sizes),
            )
        )
    # More digits than a float holds.
    assert all(row.total_absolute_error > Decimal(2**53).scaleb(-8) for row in expected)
    assert await predictions.errors(NOW, NOW + DAY) == expected
