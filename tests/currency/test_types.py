"""What is valid input, type by type, and that models and settings share the types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from dal.cache.families import MAX_TTL, Ttl
from dal.models import currency as models
from dal.models.currency import (
    AgentName,
    AgentStatus,
    Confidence,
    CurrencyPair,
    Horizon,
    Milliseconds,
    NewSystemLog,
    Rate,
    RequestId,
    SessionId,
    Text,
    Words,
)
from dal.settings import LoggingSettings, LogLevel
from tests.currency.samples import NOW, conversation, entry, prediction, run
from tests.systems.moments import is_now

ACCEPTED: list[tuple[str, Any, list[object]]] = [
    ("currency pair", CurrencyPair, ["USD/EUR", "JPY/USD", "XAU/CHF"]),
    ("horizon", Horizon, [1, 7, 365]),
    ("rate", Rate, [Decimal("0.00000001"), Decimal("0.85"), Decimal("9999999999.99999999"), Decimal("1E+9")]),
    ("confidence", Confidence, [0.0, 0.75, 1.0]),
    ("session id", SessionId, ["test-123", "s", "s" * 100, "é" * 100]),
    ("request id", RequestId, ["r", "r" * 100]),
    ("agent name", AgentName, ["a", "a" * 50]),
    ("agent status", AgentStatus, ["success", "error", "timeout"]),
    ("milliseconds", Milliseconds, [0, 2**63 - 1]),
    ("log level", LogLevel, ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
    ("time to live", Ttl, [1, 300, MAX_TTL]),
    ("words", Words, ["w", "w" * 1_000_000]),
    ("text", Text, ["", "t" * 1_000_000]),
]

REFUSED: list[tuple[str, Any, list[object]]] = [
    (
        "currency pair",
        CurrencyPair,
        ["", "USD", "USDEUR", "USD-EUR", "usd/eur", "USD/EU", "USD/EURO", "US1/EUR", " USD/EUR", "USD/EUR\n",
         "USD/EUR" * 43, "ÜSD/EUR", None, 1],
    ),
    ("horizon", Horizon, [0, -7, 366, 2**63, 1.5, "week", None]),
    (
        "rate",
        Rate,
        [Decimal(0), Decimal("-0.85"), Decimal(10**10), Decimal("0.000000001"), Decimal("NaN"),
         Decimal("Infinity"), "cheap", None],
    ),
    ("confidence", Confidence, [1.2, 1.0000001, -0.01, float("nan"), float("inf"), "sure", None]),
    ("session id", SessionId, ["", "s" * 101, "s" * 300, None, 1]),
    ("request id", RequestId, ["", "r" * 101, None]),
    ("agent name", AgentName, ["", "a" * 51, None]),
    ("agent status", AgentStatus, ["robot", "Success", "", None]),
    ("milliseconds", Milliseconds, [-1, 2**63, 0.5, None]),
    ("log level", LogLevel, ["TRACE", "robot", "", None, 20]),
    ("time to live", Ttl, [0, -1, MAX_TTL + 1, True, False, 1.0, 1.5, "60", None]),
    ("words", Words, ["", "w" * 1_000_001, None]),
    ("text", Text, ["t" * 1_000_001, None]),
]  # fmt: skip


def each(table: list[tuple[str, Any, list[object]]]) -> list[Any]:
    return [
        pytest.param(kind, value, id=f"{name} {str(value)[:20]!r}")
        for name, kind, values in table
        for value in values
    ]


@pytest.mark.parametrize(("kind", "value"), each(ACCEPTED))
def test_good_value_is_accepted(kind: Any, value: object) -> None:
    """It is accepted as it is."""
    assert TypeAdapter(kind).validate_python(value) == value


@pytest.mark.parametrize(("kind", "value"), each(REFUSED))
def test_bad_value_is_refused(kind: Any, value: object) -> None:
    """It is refused."""
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


def test_rate_given_as_a_float_is_what_was_written() -> None:
    """0.85 becomes the decimal 0.85, and not the float's binary expansion."""
    assert prediction(predicted_rate=0.85).predicted_rate == Decimal("0.85")


@pytest.mark.parametrize("level", ["error", "Error", "ERROR"])
def test_level_is_one_type(level: Any) -> None:
    """The settings and the log take the same levels, in whatever case, and keep them in capitals."""
    assert LoggingSettings(level=level).level == NewSystemLog(
        request_id="r", log_level=level, message="m"
    ).log_level == "ERROR"  # fmt: skip


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (conversation, {"user_params": ["a list"]}),
        (conversation, {"user_params": {"when": NOW}}),
        (conversation, {"user_params": {1: "a key that is no text"}}),
        (conversation, {"timestamp": datetime(2026, 1, 1)}),  # naive
        (conversation, {"more": 1}),
        (prediction, {"confidence": 1.2}),
        (prediction, {"currency_pair": "USD/EUR" * 43}),
        (run, {"status": "robot"}),
        (run, {"error_message": ""}),
        (entry, {"extra_data": "text"}),
        (entry, {"agent": ""}),
    ],
    ids=str,
)
def test_model_refuses_one_bad_field(make: Any, changes: dict[str, Any]) -> None:
    """What is to be stored is checked field by field; the error names the one that is wrong."""
    with pytest.raises(ValidationError) as caught:
        make(**changes)
    assert {str(error["loc"][0]) for error in caught.value.errors()} == set(changes)


@pytest.mark.parametrize("make", [conversation, prediction, run, entry])
def test_clock_is_the_present_unless_given(make: Any) -> None:
    """A row that says no time is of now, in UTC; another time zone's time is the same moment in UTC."""
    column = "prediction_time" if make is prediction else "timestamp"
    given = make().model_dump()
    del given[column]
    present = getattr(type(make())(**given), column)
    assert present.tzinfo is UTC
    assert is_now(present)
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert getattr(make(**{column: there}), column).isoformat() == NOW.isoformat()


def test_prediction_is_due_after_its_horizon() -> None:
    """Days of 24 hours are added, whatever the local time zone does."""
    assert prediction(prediction_horizon=30).due_time == NOW + timedelta(hours=30 * 24)


@pytest.mark.parametrize(
    ("new", "row"),
    [
        (models.NewConversation, models.Conversation),
        (models.NewPrediction, models.PredictionHistory),
        (models.NewAgentMetrics, models.AgentMetrics),
        (models.NewSystemLog, models.SystemLog),
    ],
)
def test_what_is_stored_can_be_read(new: type[BaseModel], row: type[BaseModel]) -> None:
    """Every field of a new row is a field of the stored one, with the same bounds."""

    def bounds(model: type[BaseModel], name: str) -> object:
        schema = model.model_json_schema()["properties"][name]
        return {key: value for key, value in schema.items() if key not in ("default", "title")}

    for name in new.model_fields:
        assert bounds(new, name) == bounds(row, name)
