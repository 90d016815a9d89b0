"""What an application does with the repositories, for the comparison of the engines."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from dal.errors import CheckViolation, DataError, ParameterError
from dal.models.currency import NewAgentMetrics, NewConversation
from dal.repositories.currency import (
    AgentMetricsRepository,
    ConversationRepository,
    PredictionHistoryRepository,
    SystemLogRepository,
)
from tests.currency.samples import DAY, NOW, conversation, entry, prediction, run
from tests.systems.calls import Step, call, refused, then

MOMENT = timedelta(microseconds=1)

_CONVERSATIONS: tuple[Step, ...] = (
    call(ConversationRepository.add, conversation(user_params={"risk": "low", "amounts": [1, 2.5, None]})),
    call(ConversationRepository.add, conversation(session_id="other", response="")),
    call(ConversationRepository.add, conversation(user_query="And then? \U0001f600", user_params={})),
    refused(
        CheckViolation,
        ConversationRepository.add,
        NewConversation.model_construct(**{**conversation().model_dump(), "session_id": "s" * 300}),
    ),
    call(ConversationRepository.of_session, "test-123"),
    call(ConversationRepository.of_session, "test-123", page_size=1),
    then(lambda page: call(ConversationRepository.of_session, "test-123", after_id=page[0].id, page_size=1)),
    refused(ParameterError, ConversationRepository.of_session, "test-123", page_size=0),
    call(ConversationRepository.between, NOW, NOW + MOMENT, page_size=2),
    then(lambda page: call(ConversationRepository.between, NOW, NOW + MOMENT, after=page[-1])),
    call(ConversationRepository.between, NOW - DAY, NOW),
    call(ConversationRepository.get, 2),
    call(ConversationRepository.delete_session, "test-123"),
    call(ConversationRepository.delete_session, "test-123"),
    call(ConversationRepository.get, 1),
)

_PREDICTIONS: tuple[Step, ...] = (
    *(
        call(
            PredictionHistoryRepository.add,
            prediction(
                currency_pair=pair,
                prediction_horizon=horizon,
                predicted_rate=Decimal(rate),
                prediction_time=NOW + number * MOMENT,
            ),
        )
        for number, (pair, horizon, rate) in enumerate(
            [
                ("USD/EUR", 7, "0.85"),
                ("USD/EUR", 7, "0.87654321"),
                ("USD/EUR", 30, "0.9"),
                ("USD/VND", 1, "25431.5"),
                ("IRR/BHD", 1, "0.00000001"),
                ("BHD/IRR", 1, "9999999999.99999999"),
            ]
        )
    ),
    call(PredictionHistoryRepository.get, 6),
    call(PredictionHistoryRepository.due, now=NOW),
    call(PredictionHistoryRepository.due, now=NOW + 7 * DAY),
    call(PredictionHistoryRepository.due, now=NOW + 30 * DAY, page_size=3),
    then(lambda page: call(PredictionHistoryRepository.due, now=NOW + 31 * DAY, after=page[-1])),
    call(PredictionHistoryRepository.evaluate, 1, Decimal("0.86"), now=NOW + 6 * DAY),  # not yet
    call(PredictionHistoryRepository.evaluate, 1, Decimal("0.86"), now=NOW + 7 * DAY),
    call(PredictionHistoryRepository.evaluate, 1, Decimal("0.99"), now=NOW + 8 * DAY),  # not again
    call(PredictionHistoryRepository.get, 1),
    call(PredictionHistoryRepository.evaluate, 2, Decimal("0.86"), now=NOW + 8 * DAY),
    call(PredictionHistoryRepository.evaluate, 4, Decimal("25431.50000001"), now=NOW + 8 * DAY),
    call(PredictionHistoryRepository.evaluate, 5, Decimal("9999999999.99999999"), now=NOW + 8 * DAY),
    call(PredictionHistoryRepository.evaluate, 6, Decimal("0.00000001"), now=NOW + 8 * DAY),
    refused(CheckViolation, PredictionHistoryRepository.evaluate, 3, Decimal(0), now=NOW + 31 * DAY),
    refused(DataError, PredictionHistoryRepository.evaluate, 3, Decimal("0.123456789"), now=NOW + 31 * DAY),
    call(PredictionHistoryRepository.evaluate, 99, Decimal(1), now=NOW + 31 * DAY),
    call(PredictionHistoryRepository.errors, NOW, NOW + DAY),
    call(PredictionHistoryRepository.errors, NOW + DAY, NOW + 2 * DAY),
    call(PredictionHistoryRepository.due, now=NOW + 31 * DAY),
    call(PredictionHistoryRepository.of_pair, "USD/EUR", NOW, NOW + DAY, page_size=2),
    then(lambda page: call(PredictionHistoryRepository.of_pair, "USD/EUR", NOW, NOW + DAY, after=page[-1])),
)

_METRICS: tuple[Step, ...] = (
    call(AgentMetricsRepository.add, []),
    call(
        AgentMetricsRepository.add,
        [
            run(execution_time_ms=(number * 7919) % 1000, timestamp=NOW + number * MOMENT)
            for number in range(200)
        ],
    ),
    call(
        AgentMetricsRepository.add,
        [
            run(agent_name="news", status="error", error_message="no answer: ﬀ"),
            run(agent_name="news", status="timeout", execution_time_ms=2**63 - 1),
            run(agent_name="news", execution_time_ms=0, timestamp=NOW + DAY),
        ],
    ),
    refused(
        CheckViolation,
        AgentMetricsRepository.add,
        [run(), NewAgentMetrics.model_construct(**{**run().model_dump(), "status": "robot"})],
    ),
    call(AgentMetricsRepository.of_agent, "news", NOW, NOW + 2 * DAY, page_size=2),
    then(lambda page: call(AgentMetricsRepository.of_agent, "news", NOW, NOW + 2 * DAY, after=page[-1])),
    call(AgentMetricsRepository.of_agent, "forecast", NOW + 198 * MOMENT, NOW + DAY),
    call(AgentMetricsRepository.performance, NOW, NOW + DAY),
    call(AgentMetricsRepository.performance, NOW, NOW + 7 * MOMENT),
    call(AgentMetricsRepository.performance, NOW - DAY, NOW),
)

_LOGS: tuple[Step, ...] = (
    call(
        SystemLogRepository.add,
        [
            entry(extra_data={"step": 1, "more": {"a": [True, None, "\u2028"]}}),
            entry(log_level="error", message="", agent="news"),
            entry(request_id="request-2", timestamp=NOW - MOMENT),
            entry(log_level="ERROR", timestamp=NOW - MOMENT, message="before"),
        ],
    ),
    call(SystemLogRepository.of_request, "request-1", page_size=2),
    then(lambda page: call(SystemLogRepository.of_request, "request-1", after_id=page[-1].id)),
    call(SystemLogRepository.of_level, "ERROR", NOW - DAY, NOW + DAY, page_size=1),
    then(lambda page: call(SystemLogRepository.of_level, "ERROR", NOW - DAY, NOW + DAY, after=page[-1])),
    call(SystemLogRepository.of_level, "DEBUG", NOW - DAY, NOW + DAY),
    call(SystemLogRepository.between, NOW - DAY, NOW + DAY, page_size=3),
    then(lambda page: call(SystemLogRepository.between, NOW - DAY, NOW + DAY, after=page[-1])),
    call(SystemLogRepository.between, NOW, NOW + MOMENT),
)

CALLS: tuple[Step, ...] = (*_CONVERSATIONS, *_PREDICTIONS, *_METRICS, *_LOGS)
