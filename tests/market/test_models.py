"""The models refuse what the tables refuse, before anything is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from dal.models.market import (
    NewDailyData,
    NewIntradayData,
    NewMetadata,
    NewPortfolioPerformance,
    NewSignal,
    NewSystemEvent,
    PortfolioPosition,
)
from tests.market.samples import BAD, ROWS, TIME

NEW: dict[str, type[BaseModel]] = {
    "daily_data": NewDailyData,
    "intraday_data": NewIntradayData,
    "metadata": NewMetadata,
    "signal_history": NewSignal,
    "portfolio_performance": NewPortfolioPerformance,
    "portfolio_positions": PortfolioPosition,
    "system_events": NewSystemEvent,
}


def fields(table: str, **changes: object) -> dict[str, Any]:
    """The sample row of a table, as its model takes it."""
    row = {**ROWS[table], "created_at": TIME, "updated_at": TIME, **changes}
    return {name: row[name] for name in NEW[table].model_fields}


@pytest.mark.parametrize("table", NEW)
def test_sample_is_valid(table: str) -> None:
    """The rows that the test below spoils are fine before that."""
    assert set(NEW[table].model_validate(fields(table)).model_dump()) == set(NEW[table].model_fields)


@pytest.mark.parametrize(
    ("table", "changes"),
    [(table, changes) for table, changes, constraint in BAD if not constraint.endswith("_shape")],
    ids=lambda value: str(value)[:60],
)
def test_bad_value_is_refused(table: str, changes: dict[str, object]) -> None:
    """What is out of the bounds of a table is out of those of its model."""
    with pytest.raises(ValidationError):
        NEW[table].model_validate(fields(table, **changes))


def test_float_becomes_the_decimal_that_it_prints() -> None:
    """Prices that come as floats are taken as they are written, not in binary."""
    bar = NewDailyData.model_validate(fields("daily_data", open=150.1))
    assert bar.open == Decimal("150.1")
