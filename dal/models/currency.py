"""The models of the `currency` system: what its tables hold, what is put into them, what is summed up.

The types at the top say what is valid, for the models and for whoever validates input by
``pydantic.TypeAdapter``. Their bounds are those of the tables, so that what is accepted can be stored.
Models are frozen: ``model_copy(update=...)`` makes a changed one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from dal.settings import LogLevel
from dal.values import INTEGER_MAX, JsonColumn, Scale, UtcDatetime

RATE_SCALE = 8

CurrencyPair = Annotated[
    str,
    Field(pattern="^[A-Z]{3}/[A-Z]{3}$", description="USD/EUR: what one of the first costs in the second"),
]
Horizon = Annotated[int, Field(ge=1, le=365, description="Days from a prediction to what it predicts")]
Rate = Annotated[Decimal, Field(gt=0, lt=10**10, decimal_places=RATE_SCALE), Scale(RATE_SCALE)]
Confidence = Annotated[float, Field(ge=0.0, le=1.0)]
SessionId = Annotated[str, Field(min_length=1, max_length=100)]
RequestId = Annotated[str, Field(min_length=1, max_length=100)]
AgentName = Annotated[str, Field(min_length=1, max_length=50)]
AgentStatus = Literal["success", "error", "timeout"]
Milliseconds = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Words = Annotated[str, Field(min_length=1, max_length=1_000_000)]
Text = Annotated[str, Field(max_length=1_000_000)]
JsonObject = dict[str, JsonValue]

Difference = Annotated[Decimal, Scale(RATE_SCALE)]


def _now() -> datetime:
    return datetime.now(UTC)


class _Record(BaseModel):
    """A row, or what is to become one: a field that the model does not name is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NewConversation(_Record):
    """A question and its answer that are to be stored."""

    session_id: SessionId
    user_query: Words
    response: Text
    user_params: JsonObject | None = None
    timestamp: UtcDatetime = Field(default_factory=_now)


class Conversation(_Record):
    """A row of conversations: what a user asked, and what was answered."""

    id: int
    session_id: SessionId
    user_query: Words
    response: Text
    user_params: Annotated[JsonObject | None, JsonColumn]
    timestamp: UtcDatetime
    created_at: UtcDatetime


class NewPrediction(_Record):
    """A prediction that is to be stored."""

    currency_pair: CurrencyPair
    prediction_horizon: Horizon
    predicted_rate: Rate
    confidence: Confidence
    prediction_time: UtcDatetime = Field(default_factory=_now)

    @property
    def due_time(self) -> datetime:
        """When the actual rate is known."""
        return self.prediction_time + timedelta(days=self.prediction_horizon)


class PredictionHistory(_Record):
    """A row of prediction_history: a prediction and, once it is evaluated, what became of it.

    Attributes:
        due_time: From when on it can be evaluated; None once it is.
    """

    id: int
    currency_pair: CurrencyPair
    prediction_horizon: Horizon
    predicted_rate: Rate
    confidence: Confidence
    actual_rate: Rate | None
    prediction_time: UtcDatetime
    due_time: UtcDatetime | None
    evaluation_time: UtcDatetime | None
    created_at: UtcDatetime
    updated_at: UtcDatetime | None


class PredictionErrors(_Record):
    """How far off the predictions for a pair and horizon were; an error is predicted less actual."""

    currency_pair: str
    prediction_horizon: int
    predictions: int
    total_error: Difference
    total_absolute_error: Difference
    largest_absolute_error: Difference

    @property
    def mean_error(self) -> Decimal:
        """Above zero if the predictions were too high on average."""
        return self.total_error / self.predictions

    @property
    def mean_absolute_error(self) -> Decimal:
        """How far off a prediction was on average, in whatever direction."""
        return self.total_absolute_error / self.predictions


class NewAgentMetrics(_Record):
    """A run of an agent that is to be stored."""

    agent_name: AgentName
    execution_time_ms: Milliseconds
    status: AgentStatus
    error_message: Words | None = None
    timestamp: UtcDatetime = Field(default_factory=_now)


class AgentMetrics(_Record):
    """A row of agent_metrics: how long a run of an agent took, and how it ended."""

    id: int
    agent_name: AgentName
    execution_time_ms: Milliseconds
    status: AgentStatus
    error_message: Words | None
    timestamp: UtcDatetime
    created_at: UtcDatetime


class AgentPerformance(_Record):
    """How long the runs of an agent took, and how many did not succeed.

    Attributes:
        p50_ms: The duration that half of the runs, or more, did not exceed; `p95_ms` and `p99_ms` likewise.
    """

    agent_name: str
    runs: int
    failures: int
    p50_ms: int
    p95_ms: int
    p99_ms: int
    longest_ms: int

    @property
    def failure_rate(self) -> float:
        """From 0, none failed, to 1, all did."""
        return self.failures / self.runs


class NewSystemLog(_Record):
    """An entry of the log that is to be stored; a level in small letters is taken as well."""

    request_id: RequestId
    log_level: LogLevel
    message: Text
    agent: AgentName | None = None
    extra_data: JsonObject | None = None
    timestamp: UtcDatetime = Field(default_factory=_now)


class SystemLog(_Record):
    """A row of system_logs: what the application said of a request."""

    id: int
    request_id: RequestId
    log_level: LogLevel
    message: Text
    agent: AgentName | None
    extra_data: Annotated[JsonObject | None, JsonColumn]
    timestamp: UtcDatetime
    created_at: UtcDatetime


MODELS: tuple[type[BaseModel], ...] = (
    AgentMetrics,
    AgentPerformance,
    Conversation,
    PredictionErrors,
    PredictionHistory,
    SystemLog,
)
"""What the queries return."""
