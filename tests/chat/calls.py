"""What an application does with the `chat` system, from an empty database on."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from dal.errors import CheckViolation, DataError, ForeignKeyViolation, ParameterError, UniqueViolation
from dal.models.chat import NewMessage
from dal.repositories.chat import (
    MessageRepository,
    SessionRepository,
    TokenUsageRepository,
    VersionRepository,
)
from tests.chat.samples import NOW, NOWHERE, OTHER, SESSION
from tests.systems.calls import Step, call, refused, then

LATER = NOW + timedelta(days=1)
END = NOW + timedelta(days=7)


def usage(session_id: UUID, cost: str, *, days: int = 0, model: str = "a-model") -> Step:
    """Record a call of a model."""
    return call(
        TokenUsageRepository.record,
        session_id,
        agent_type="generation",
        model=model,
        input_tokens=120,
        output_tokens=30,
        cost_usd=Decimal(cost),
        timestamp=NOW + timedelta(days=days),
    )


CALLS: tuple[Step, ...] = (
    call(SessionRepository.get, SESSION),
    call(SessionRepository.whole, SESSION),
    call(SessionRepository.recent),
    call(SessionRepository.create, "A shop for coffee", session_id=SESSION),
    call(SessionRepository.create, "A shop for tea \U0001f375", session_id=OTHER),
    call(SessionRepository.get, SESSION),
    call(SessionRepository.recent, page_size=1),
    then(lambda page: call(SessionRepository.recent, after=page[-1], page_size=1)),
    then(lambda page: call(SessionRepository.recent, after=page[-1], page_size=1)),
    call(SessionRepository.rename, SESSION, "A café"),
    call(SessionRepository.rename, NOWHERE, "A bar"),
    call(SessionRepository.get, SESSION),
    call(MessageRepository.add, SESSION, "user", "Make it red", timestamp=NOW),
    then(lambda message: call(MessageRepository.get, message.id)),
    then(lambda message: call(SessionRepository.of_message, message.id)),
    call(MessageRepository.get, 99),
    call(SessionRepository.of_message, 99),
    call(
        MessageRepository.add_many,
        SESSION,
        [
            NewMessage(role="assistant", content="", timestamp=LATER),
            NewMessage(role="user", content="naïve\r\n\t<b> ", timestamp=NOW),
        ],
    ),
    call(MessageRepository.add, OTHER, "assistant", "What tea?", timestamp=NOW),
    call(MessageRepository.of_session, SESSION),
    call(MessageRepository.page, SESSION, page_size=2),
    then(lambda page: call(MessageRepository.page, SESSION, after_id=page[-1].id, page_size=2)),
    call(MessageRepository.since, NOW, page_size=3),
    then(lambda page: call(MessageRepository.since, page[-1].timestamp, after_id=page[-1].id)),
    call(MessageRepository.since, END),
    call(VersionRepository.current, SESSION),
    call(VersionRepository.add, SESSION, "<p>Coffee</p>"),
    call(VersionRepository.add, SESSION, "<p>Red</p>", description="Red"),
    call(VersionRepository.add, OTHER, "<p>Tea</p>"),
    call(VersionRepository.current, SESSION),
    call(VersionRepository.get, SESSION, 0),
    call(VersionRepository.get, SESSION, 2),
    call(VersionRepository.page, SESSION, page_size=1),
    then(lambda page: call(VersionRepository.page, SESSION, after_version=page[-1].version)),
    call(TokenUsageRepository.of_session, SESSION),
    call(TokenUsageRepository.by_session),
    call(TokenUsageRepository.by_day, since=NOW, until=END),
    usage(SESSION, "0.1"),
    usage(SESSION, "0.2", model="B-model"),
    usage(SESSION, "1000000", days=1),
    usage(OTHER, "0.0000000001"),
    call(TokenUsageRepository.page, SESSION, page_size=2),
    then(lambda page: call(TokenUsageRepository.page, SESSION, after_id=page[-1].id)),
    call(TokenUsageRepository.of_session, SESSION),
    call(TokenUsageRepository.by_session, page_size=1),
    then(lambda page: call(TokenUsageRepository.by_session, after_id=page[-1].session_id)),
    call(TokenUsageRepository.by_model, since=NOW, until=END),
    call(TokenUsageRepository.by_day, since=NOW, until=END),
    call(TokenUsageRepository.by_day, since=NOW, until=LATER),
    call(SessionRepository.whole, SESSION),
    call(SessionRepository.delete, OTHER),
    call(SessionRepository.delete, OTHER),
    call(MessageRepository.of_session, OTHER),
    call(VersionRepository.page, OTHER),
    call(TokenUsageRepository.of_session, OTHER),
    refused(UniqueViolation, SessionRepository.create, "Again", session_id=SESSION),
    refused(CheckViolation, SessionRepository.create, "", session_id=NOWHERE),
    refused(CheckViolation, SessionRepository.rename, SESSION, "t" * 501),
    refused(CheckViolation, MessageRepository.add, SESSION, "robot", "Beep"),  # type: ignore[arg-type]  # that is why
    refused(ForeignKeyViolation, MessageRepository.add, NOWHERE, "user", "Hello?"),
    refused(
        ForeignKeyViolation,
        MessageRepository.add_many,
        NOWHERE,
        [NewMessage(role="user", content="Hello?", timestamp=NOW)],
    ),
    refused(ForeignKeyViolation, VersionRepository.add, NOWHERE, "<p>Lost</p>"),
    refused(CheckViolation, VersionRepository.add, SESSION, "<p>Dull</p>", description=""),
    refused(
        DataError,
        TokenUsageRepository.record,
        SESSION,
        agent_type="generation",
        model="a-model",
        input_tokens=1,
        output_tokens=1,
        cost_usd=Decimal("0.00000000001"),
    ),
    refused(ParameterError, MessageRepository.page, SESSION, page_size=0),
    refused(ParameterError, SessionRepository.recent, page_size=1001),
    call(SessionRepository.whole, SESSION),
)
