"""Rows and values to test with, all valid until a test changes them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel

from dal.models import chat as models

TIME = "2026-01-02T03:04:05.678901Z"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

SESSION = UUID("0b0e7a52-6f0c-4c6e-9d5b-1f2a3b4c5d6e")
OTHER = UUID("5a3d9c1e-2b4f-4a6d-8c7e-9f0a1b2c3d4e")
NOWHERE = UUID("ffffffff-ffff-4fff-bfff-ffffffffffff")

ROWS: dict[str, dict[str, object]] = {
    "sessions": {"id": str(SESSION), "title": "A shop for coffee"},
    "messages": {
        "id": 1,
        "session_id": str(SESSION),
        "role": "user",
        "content": "Make it red",
        "timestamp": TIME,
    },
    "versions": {
        "id": 1,
        "session_id": str(SESSION),
        "version": 0,
        "html": "<p>Coffee</p>",
        "description": "The first",
    },
    "token_usage": {
        "id": 1,
        "session_id": str(SESSION),
        "timestamp": TIME,
        "agent_type": "generation",
        "model": "a-model",
        "input_tokens": 120,
        "output_tokens": 30,
        "total_tokens": 150,
        "cost_usd": Decimal("0.0012345678"),
    },
}
"""One row for each table, parents first."""

NO_TIME = "2026-01-02 03:04:05"

# table, columns that differ from the sample row, and the constraint that refuses them
BAD: list[tuple[str, dict[str, object], str]] = [
    ("sessions", {"id": ""}, "sessions_id_shape"),
    ("sessions", {"id": "first"}, "sessions_id_shape"),
    ("sessions", {"id": str(SESSION).upper()}, "sessions_id_shape"),
    ("sessions", {"id": SESSION.hex}, "sessions_id_shape"),
    ("sessions", {"id": f"{{{SESSION}}}"}, "sessions_id_shape"),
    ("sessions", {"id": f"{SESSION}\n"}, "sessions_id_shape"),
    ("sessions", {"id": f"{SESSION}0"}, "sessions_id_shape"),
    ("sessions", {"id": "0b0e7a52-6f0c-4c6e-9d5b-1f2a3b4c5d6g"}, "sessions_id_shape"),
    ("sessions", {"id": "0b0e7a526-f0c-4c6e-9d5b-1f2a3b4c5d6e"}, "sessions_id_shape"),
    ("sessions", {"id": "0b0e7a52-6f0c-4c6e-9d5b-1f2a3b4c5d-e"}, "sessions_id_shape"),
    ("sessions", {"title": ""}, "sessions_title_length"),
    ("sessions", {"title": "t" * 501}, "sessions_title_length"),
    ("sessions", {"current_version": 1}, "sessions_current_version_newest"),
    ("sessions", {"version_count": 2}, "sessions_current_version_newest"),
    ("sessions", {"version_count": 2, "current_version": 2}, "sessions_current_version_newest"),
    ("sessions", {"version_count": -1, "current_version": -2}, "sessions_version_count_range"),
    ("messages", {"role": "robot"}, "messages_role_known"),
    ("messages", {"role": "User"}, "messages_role_known"),
    ("messages", {"content": "x" * 4_000_001}, "messages_content_length"),
    ("messages", {"timestamp": NO_TIME}, "messages_timestamp_shape"),
    ("versions", {"version": -1}, "versions_version_range"),
    ("versions", {"html": "x" * 4_000_001}, "versions_html_length"),
    ("versions", {"description": ""}, "versions_description_length"),
    ("versions", {"description": "d" * 4001}, "versions_description_length"),
    ("token_usage", {"agent_type": "poetry"}, "token_usage_agent_type_known"),
    ("token_usage", {"model": ""}, "token_usage_model_length"),
    ("token_usage", {"model": "m" * 201}, "token_usage_model_length"),
    ("token_usage", {"input_tokens": -1, "total_tokens": 29}, "token_usage_input_tokens_range"),
    ("token_usage", {"input_tokens": 2**62, "total_tokens": 30}, "token_usage_input_tokens_range"),
    ("token_usage", {"output_tokens": -1, "total_tokens": 119}, "token_usage_output_tokens_range"),
    ("token_usage", {"total_tokens": 149}, "token_usage_total_tokens_sum"),
    ("token_usage", {"cost_usd": Decimal("-0.0000000001")}, "token_usage_cost_usd_range"),
    ("token_usage", {"cost_usd": Decimal("1000000.0000000001")}, "token_usage_cost_usd_range"),
    ("token_usage", {"timestamp": NO_TIME}, "token_usage_timestamp_shape"),
]

TABLES: dict[str, type[BaseModel]] = {
    "sessions": models.Session,
    "messages": models.Message,
    "versions": models.Version,
    "token_usage": models.TokenUsage,
}

ENUMERATIONS: dict[str, object] = {
    "messages_role_known": models.Role,
    "token_usage_agent_type_known": models.AgentType,
}

PARAMETERS: dict[str, object] = {
    "session_id": str(SESSION),
    "role": "user",
    "agent_type": "interview",
    "total_tokens": 2,
    "cost_usd": Decimal("0.5"),
}
PARAMETERS_OF: dict[str, dict[str, object]] = {"add_session": {"session_id": str(OTHER)}}

VARIANTS = {
    "add_version": "each engine has its own way to take a number that no other takes at the same time",
    "totals_by_day": "the day of a moment is written in another way",
}

TIMES = "a time has a type, and needs no check of its shape"
ALLOWED: dict[str, dict[str, dict[str, str]]] = {
    engine: {"checks": {"messages_timestamp_shape": TIMES, "token_usage_timestamp_shape": TIMES}}
    for engine in ("postgresql", "mysql")
}

WITHOUT_CLOCKS = {
    "messages": "timestamp is the time of a message",
    "token_usage": "timestamp is the time of a call",
}
