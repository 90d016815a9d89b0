"""Rows and values to test with, all valid until a test changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

from pydantic import BaseModel

from dal.models import currency as models
from dal.models.currency import NewAgentMetrics, NewConversation, NewPrediction, NewSystemLog
from dal.settings import LogLevel

TIME = "2026-01-02T03:04:05.678901Z"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
DAY = timedelta(days=1)

ROWS: dict[str, dict[str, object]] = {
    "conversations": {
        "id": 1,
        "session_id": "test-123",
        "user_query": "Test query",
        "response": "Test response",
        "user_params": '{"risk": "moderate"}',
        "timestamp": TIME,
    },
    "prediction_history": {
        "id": 1,
        "currency_pair": "USD/EUR",
        "prediction_horizon": 7,
        "predicted_rate": Decimal("0.85000000"),
        "confidence": 0.75,
        "actual_rate": None,
        "prediction_time": TIME,
        "due_time": "2026-01-09T03:04:05.678901Z",
        "evaluation_time": None,
    },
    "agent_metrics": {
        "id": 1,
        "agent_name": "forecast",
        "execution_time_ms": 120,
        "status": "success",
        "timestamp": TIME,
    },
    "system_logs": {
        "id": 1,
        "request_id": "request-1",
        "log_level": "INFO",
        "message": "Begun",
        "agent": "forecast",
        "extra_data": '{"step": 1}',
        "timestamp": TIME,
    },
}
"""One row for each table."""

NO_TIME = "2026-01-02 03:04:05"
NO_RATES = [Decimal("0.00000000"), Decimal("-0.85000000"), Decimal("10000000000.00000000")]
EVALUATED: dict[str, object] = {
    "due_time": None,
    "actual_rate": Decimal("0.86000000"),
    "evaluation_time": "2026-01-09T03:04:06.000000Z",
}
LONGEST = 1_000_000

Bad = tuple[str, dict[str, object], str]


def _refused(
    table: str, column: str, values: Sequence[object], constraint: str, others: Mapping[str, object] = {}
) -> list[Bad]:
    return [(table, {**others, column: value}, constraint) for value in values]


# table, columns that differ from the sample row, and the constraint that refuses them
BAD: list[Bad] = [
    ("conversations", {"session_id": ""}, "conversations_session_id_length"),
    ("conversations", {"session_id": "s" * 101}, "conversations_session_id_length"),
    ("conversations", {"session_id": "s" * 300}, "conversations_session_id_length"),
    ("conversations", {"user_query": ""}, "conversations_user_query_length"),
    ("conversations", {"user_query": "q" * (LONGEST + 1)}, "conversations_user_query_length"),
    ("conversations", {"response": "r" * (LONGEST + 1)}, "conversations_response_length"),
    ("conversations", {"user_params": "{broken"}, "conversations_user_params_json"),
    ("conversations", {"user_params": "[1]"}, "conversations_user_params_json"),
    ("conversations", {"user_params": "null"}, "conversations_user_params_json"),
    ("conversations", {"timestamp": NO_TIME}, "conversations_timestamp_shape"),
    *_refused(
        "prediction_history",
        "currency_pair",
        [
            "",
            "USDEUR",
            "usd/eur",
            "USD/EU",
            "USD/EURO",
            "US1/EUR",
            "USD-EUR",
            " USD/EUR",
            "USD/EUR\n",
            "ÜSD/EUR",
        ],
        "prediction_history_currency_pair_shape",
    ),
    ("prediction_history", {"currency_pair": "USD/EUR" * 43}, "prediction_history_currency_pair_shape"),
    ("prediction_history", {"prediction_horizon": 0}, "prediction_history_prediction_horizon_range"),
    ("prediction_history", {"prediction_horizon": -7}, "prediction_history_prediction_horizon_range"),
    ("prediction_history", {"prediction_horizon": 366}, "prediction_history_prediction_horizon_range"),
    *_refused("prediction_history", "predicted_rate", NO_RATES, "prediction_history_predicted_rate_range"),
    ("prediction_history", {"confidence": 1.2}, "prediction_history_confidence_range"),
    ("prediction_history", {"confidence": -0.01}, "prediction_history_confidence_range"),
    *_refused(
        "prediction_history", "actual_rate", NO_RATES, "prediction_history_actual_rate_range", EVALUATED
    ),
    (
        "prediction_history",
        {**EVALUATED, "actual_rate": None},
        "prediction_history_actual_rate_only_if_evaluated",
    ),
    (
        "prediction_history",
        {"actual_rate": Decimal("0.86000000")},
        "prediction_history_actual_rate_only_if_evaluated",
    ),
    ("prediction_history", {"due_time": None}, "prediction_history_due_time_until_evaluated"),
    (
        "prediction_history",
        {**EVALUATED, "due_time": "2026-01-09T03:04:05.678901Z"},
        "prediction_history_due_time_until_evaluated",
    ),
    ("prediction_history", {"due_time": TIME}, "prediction_history_due_time_range"),
    ("prediction_history", {"prediction_time": NO_TIME}, "prediction_history_prediction_time_shape"),
    ("prediction_history", {"due_time": "2026-01-09 03:04:05"}, "prediction_history_due_time_shape"),
    (
        "prediction_history",
        {**EVALUATED, "evaluation_time": NO_TIME},
        "prediction_history_evaluation_time_shape",
    ),
    ("agent_metrics", {"agent_name": ""}, "agent_metrics_agent_name_length"),
    ("agent_metrics", {"agent_name": "a" * 51}, "agent_metrics_agent_name_length"),
    ("agent_metrics", {"agent_name": "a" * 300}, "agent_metrics_agent_name_length"),
    ("agent_metrics", {"execution_time_ms": -1}, "agent_metrics_execution_time_ms_range"),
    ("agent_metrics", {"status": "robot"}, "agent_metrics_status_known"),
    ("agent_metrics", {"status": "Success"}, "agent_metrics_status_known"),
    ("agent_metrics", {"status": "s" * 300}, "agent_metrics_status_known"),
    ("agent_metrics", {"error_message": ""}, "agent_metrics_error_message_length"),
    ("agent_metrics", {"error_message": "e" * (LONGEST + 1)}, "agent_metrics_error_message_length"),
    ("agent_metrics", {"timestamp": NO_TIME}, "agent_metrics_timestamp_shape"),
    ("system_logs", {"request_id": ""}, "system_logs_request_id_length"),
    ("system_logs", {"request_id": "r" * 300}, "system_logs_request_id_length"),
    ("system_logs", {"log_level": "info"}, "system_logs_log_level_known"),
    ("system_logs", {"log_level": "TRACE"}, "system_logs_log_level_known"),
    ("system_logs", {"message": "m" * (LONGEST + 1)}, "system_logs_message_length"),
    ("system_logs", {"agent": ""}, "system_logs_agent_length"),
    ("system_logs", {"agent": "a" * 300}, "system_logs_agent_length"),
    ("system_logs", {"extra_data": "1"}, "system_logs_extra_data_json"),
    ("system_logs", {"extra_data": "null"}, "system_logs_extra_data_json"),
    ("system_logs", {"timestamp": NO_TIME}, "system_logs_timestamp_shape"),
]

TABLES: dict[str, type[BaseModel]] = {
    "conversations": models.Conversation,
    "prediction_history": models.PredictionHistory,
    "agent_metrics": models.AgentMetrics,
    "system_logs": models.SystemLog,
}

ENUMERATIONS: dict[str, object] = {
    "agent_metrics_status_known": models.AgentStatus,
    "system_logs_log_level_known": get_args(LogLevel)[0],
}

PARAMETERS: dict[str, object] = {
    "currency_pair": "USD/EUR",
    "prediction_time": NOW,
    "due_time": NOW + DAY,
    "predicted_rate": Decimal("0.85"),
    "actual_rate": Decimal("0.86"),
    "status": "success",
    "log_level": "INFO",
    "since": NOW - DAY,
    "until": NOW + DAY,
}

_TIMES = "a time has a type, and needs no check of its shape"
_SHAPES = {
    "conversations_timestamp_shape": _TIMES,
    "prediction_history_prediction_time_shape": _TIMES,
    "prediction_history_due_time_shape": _TIMES,
    "prediction_history_evaluation_time_shape": _TIMES,
    "agent_metrics_timestamp_shape": _TIMES,
    "system_logs_timestamp_shape": _TIMES,
}

SCANS: dict[str, dict[str, str]] = {
    "sqlite": {"agent_performance": "what it scans are the runs of its span of time, found by an index"},
}

ALLOWED: dict[str, dict[str, dict[str, str]]] = {
    "postgresql": {"checks": _SHAPES},
    "mysql": {"checks": _SHAPES},
}


def conversation(**changes: Any) -> NewConversation:
    """A question with its answer."""
    return NewConversation(
        **{
            "session_id": "test-123",
            "user_query": "Test query",
            "response": "Test response",
            "timestamp": NOW,
            **changes,
        }
    )


def prediction(**changes: Any) -> NewPrediction:
    """A prediction that is due a week later."""
    return NewPrediction(
        **{
            "currency_pair": "USD/EUR",
            "prediction_horizon": 7,
            "predicted_rate": Decimal("0.85"),
            "confidence": 0.75,
            "prediction_time": NOW,
            **changes,
        }
    )


def run(**changes: Any) -> NewAgentMetrics:
    """A run of an agent."""
    return NewAgentMetrics(
        **{
            "agent_name": "forecast",
            "execution_time_ms": 120,
            "status": "success",
            "timestamp": NOW,
            **changes,
        }
    )


def entry(**changes: Any) -> NewSystemLog:
    """An entry of the log."""
    return NewSystemLog(
        **{
            "request_id": "request-1",
            "log_level": "INFO",
            "message": "Begun",
            "timestamp": NOW,
            **changes,
        }
    )
