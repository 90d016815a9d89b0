"""What the database refuses: the same error on every engine, the constraint by its name, nothing stored."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    CheckViolation,
    DataError,
    ForeignKeyViolation,
    IntegrityError,
    NotNullViolation,
    UniqueViolation,
)
from dal.models.chat import NewMessage, Session
from dal.repositories.chat import (
    QUERIES,
    MessageRepository,
    SessionRepository,
    TokenUsageRepository,
    VersionRepository,
)
from tests.chat.samples import NOW, NOWHERE, SESSION

GOOD: dict[str, dict[str, Any]] = {
    "add_session": {"session_id": str(uuid4()), "title": "Title"},
    "add_message": {"session_id": str(SESSION), "role": "user", "content": "Hello", "timestamp": NOW},
    "add_version": {"session_id": str(SESSION), "html": "<p></p>", "description": None},
    "add_usage": {
        "session_id": str(SESSION),
        "timestamp": NOW,
        "agent_type": "generation",
        "model": "a-model",
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
        "cost_usd": Decimal("0.5"),
    },
}

CHECKS: list[tuple[str, dict[str, Any], str]] = [
    ("add_session", {"session_id": "no UUID"}, "sessions_id_shape"),
    ("add_session", {"session_id": str(NOWHERE).upper()}, "sessions_id_shape"),
    ("add_session", {"session_id": NOWHERE.hex}, "sessions_id_shape"),
    ("add_session", {"title": ""}, "sessions_title_length"),
    ("add_session", {"title": "ü" * 501}, "sessions_title_length"),
    ("add_message", {"role": "robot"}, "messages_role_known"),
    ("add_message", {"role": "USER"}, "messages_role_known"),
    ("add_message", {"role": "user "}, "messages_role_known"),
    ("add_message", {"content": "x" * 4_000_001}, "messages_content_length"),
    ("add_version", {"html": "x" * 4_000_001}, "versions_html_length"),
    ("add_version", {"description": ""}, "versions_description_length"),
    ("add_usage", {"agent_type": "planning"}, "token_usage_agent_type_known"),
    ("add_usage", {"model": ""}, "token_usage_model_length"),
    ("add_usage", {"input_tokens": -1, "total_tokens": 1}, "token_usage_input_tokens_range"),
    ("add_usage", {"output_tokens": 2**63 - 1}, "token_usage_output_tokens_range"),
    ("add_usage", {"total_tokens": 4}, "token_usage_total_tokens_sum"),
    ("add_usage", {"cost_usd": Decimal("-0.01")}, "token_usage_cost_usd_range"),
    ("add_usage", {"cost_usd": Decimal("1000000.01")}, "token_usage_cost_usd_range"),
]

FOREIGN_KEYS = {
    "add_message": "messages_session_id_fk",
    "add_version": "versions_session_id_fk",
    "add_usage": "token_usage_session_id_fk",
}

REQUIRED = [
    (query, parameter)
    for query, row in GOOD.items()
    for parameter in row
    if (query, parameter) != ("add_version", "description")
]


async def rows(db: DatabaseManager) -> list[int]:
    """How many rows each table has."""
    tables = ("sessions", "messages", "versions", "token_usage")
    return [await db.fetch_value(f"SELECT count(*) FROM {table}") for table in tables]


async def refused(
    db: DatabaseManager, name: str, changes: dict[str, Any], expected: type[IntegrityError]
) -> IntegrityError:
    """Run a query that has to fail, and leave nothing behind."""
    before = await rows(db)
    with pytest.raises(IntegrityError) as caught:
        await db.fetch_one(QUERIES[name], {**GOOD[name], **changes})
    assert type(caught.value) is expected
    assert caught.value.query == name
    assert await rows(db) == before
    return caught.value


@pytest.mark.parametrize("name", GOOD)
async def test_what_the_tests_spoil_is_fine(db: DatabaseManager, session: Session, name: str) -> None:
    """The rows that the tests below spoil are accepted before that."""
    before = await rows(db)
    await db.fetch_one(QUERIES[name], GOOD[name])
    assert sum(await rows(db)) == sum(before) + 1


@pytest.mark.parametrize(("name", "changes", "constraint"), CHECKS, ids=lambda value: str(value)[:60])
async def test_value_out_of_bounds(
    db: DatabaseManager, session: Session, name: str, changes: dict[str, Any], constraint: str
) -> None:
    """A value out of bounds is refused by the check that is named for it."""
    error = await refused(db, name, changes, CheckViolation)
    assert (error.kind, error.constraint) == ("check", constraint)


@pytest.mark.parametrize("name", FOREIGN_KEYS)
async def test_unknown_session(db: DatabaseManager, session: Session, name: str) -> None:
    """What belongs to no session is refused, by the foreign key's name where the engine tells it."""
    error = await refused(db, name, {"session_id": str(NOWHERE)}, ForeignKeyViolation)
    assert error.kind == "foreign key"
    told = None if db.database.url.dialect == "sqlite" else FOREIGN_KEYS[name]
    assert error.constraint == told


async def test_unknown_session_by_its_methods(
    messages: MessageRepository, versions: VersionRepository, usage: TokenUsageRepository
) -> None:
    """Every method that adds to a session raises the same error if there is none."""
    spent = {"model": "m", "input_tokens": 1, "output_tokens": 1, "cost_usd": Decimal(0)}
    for adding in (
        messages.add(NOWHERE, "user", "Hello"),
        messages.add_many(NOWHERE, [NewMessage(role="user", content="Hello")]),
        versions.add(NOWHERE, "<p></p>"),
        usage.record(NOWHERE, agent_type="interview", **spent),  # type: ignore[arg-type]  # one dict for all
    ):
        with pytest.raises(ForeignKeyViolation):
            await adding


@pytest.mark.parametrize(("name", "parameter"), REQUIRED)
async def test_missing_value(db: DatabaseManager, session: Session, name: str, parameter: str) -> None:
    """NULL is refused where a value is required."""
    error = await refused(db, name, {parameter: None}, NotNullViolation)
    assert error.kind == "not null"


async def test_second_session_of_an_id(db: DatabaseManager, session: Session) -> None:
    """An id is refused the second time."""
    error = await refused(db, "add_session", {"session_id": str(session.id)}, UniqueViolation)
    assert error.kind == "unique"


async def test_one_bad_message_of_many(
    db: DatabaseManager, messages: MessageRepository, session: Session
) -> None:
    """If one of many messages is refused, none is stored."""
    good = NewMessage(role="user", content="Hello")
    bad = NewMessage.model_construct(role="robot", content="Beep", timestamp=NOW)
    with pytest.raises(CheckViolation) as caught:
        await messages.add_many(session.id, [good, bad, good])
    assert caught.value.constraint == "messages_role_known"
    assert await messages.of_session(session.id) == []


@pytest.mark.parametrize("cost", ["0.00000000001", "NaN", "Infinity"])
async def test_inexact_cost(
    db: DatabaseManager, usage: TokenUsageRepository, session: Session, cost: str
) -> None:
    """A cost that would be rounded is refused before anything is sent."""
    with pytest.raises(DataError) as caught:
        await usage.record(
            session.id,
            agent_type="generation",
            model="a-model",
            input_tokens=1,
            output_tokens=1,
            cost_usd=Decimal(cost),
        )
    assert not caught.value.sent
    assert await usage.page(session.id) == []


async def test_session_keeps_its_id(
    db: DatabaseManager, sessions: SessionRepository, versions: VersionRepository, session: Session
) -> None:
    """The id of a session that something belongs to cannot be changed."""
    await versions.add(session.id, "<p></p>")
    before = await sessions.whole(session.id)
    with pytest.raises(ForeignKeyViolation):
        await db.execute("UPDATE sessions SET id = ?", [str(NOWHERE)])
    assert await sessions.whole(session.id) == before
