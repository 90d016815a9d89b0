"""The models of the `chat` system: one for each table, one for a whole session, one for each sum.

Bounds are those of the tables, so that what a model accepts can be stored. Models are frozen:
``model_copy(update=...)`` makes a changed one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from dal.values import INTEGER_MAX, Scale, UtcDatetime

COST_SCALE = 10
"""Digits after the point of a cost: a token costs less than a millionth of a dollar."""

Key = Annotated[int, Field(ge=1, le=INTEGER_MAX)]
Title = Annotated[str, Field(min_length=1, max_length=500)]
Text = Annotated[str, Field(max_length=4_000_000)]
Description = Annotated[str, Field(min_length=1, max_length=4000)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Tokens = Annotated[int, Field(ge=0, le=1_000_000_000)]
AllTokens = Annotated[int, Field(ge=0, le=2_000_000_000)]
Cost = Annotated[Decimal, Scale(COST_SCALE), Field(ge=0, le=1_000_000, decimal_places=COST_SCALE)]
CostSum = Annotated[Decimal, Scale(COST_SCALE)]

Role = Literal["user", "assistant"]
AgentType = Literal["interview", "generation", "refinement"]


def _now() -> datetime:
    return datetime.now(UTC)


class _Record(BaseModel):
    """A row: a column that the model does not name is a mistake in the query."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Session(_Record):
    """A row of sessions.

    Attributes:
        current_version: The newest version; 0 also if there is none yet.
        version_count: How many versions there are, and so the number of the next.
    """

    id: UUID
    title: Title
    created_at: UtcDatetime
    updated_at: UtcDatetime
    current_version: Number
    version_count: Number


class Message(_Record):
    """A row of messages: what was said in a session."""

    id: Key
    session_id: UUID
    role: Role
    content: Text
    timestamp: UtcDatetime


class NewMessage(_Record):
    """A message that is to be stored."""

    role: Role
    content: Text
    timestamp: UtcDatetime = Field(default_factory=_now)


class Version(_Record):
    """A row of versions: what was generated in a session."""

    id: Key
    session_id: UUID
    version: Number
    html: Text
    description: Description | None
    created_at: UtcDatetime


class TokenUsage(_Record):
    """A row of token_usage: what a call of a language model used and cost."""

    id: Key
    session_id: UUID
    timestamp: UtcDatetime
    agent_type: AgentType
    model: ModelName
    input_tokens: Tokens
    output_tokens: Tokens
    total_tokens: AllTokens
    cost_usd: Cost


class WholeSession(Session):
    """A session with all that belongs to it, each in its order."""

    messages: list[Message]
    versions: list[Version]
    token_usage: list[TokenUsage]


class UsageTotal(_Record):
    """What some calls used and cost in all."""

    calls: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost_usd: CostSum


class SessionTotal(_Record):
    """What a session used in all."""

    session_id: UUID
    calls: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost_usd: CostSum


class ModelTotal(_Record):
    """What was used of a model."""

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost_usd: CostSum


class DayTotal(_Record):
    """What was used on a day in UTC."""

    day: date
    calls: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost_usd: CostSum


MODELS: tuple[type[BaseModel], ...] = (
    DayTotal,
    Message,
    ModelTotal,
    Session,
    SessionTotal,
    TokenUsage,
    UsageTotal,
    Version,
)
"""What the queries return."""
