"""Sessions and what belongs to them: what is stored, what comes with it, and what goes with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from dal.database import DatabaseManager
from dal.errors import UniqueViolation
from dal.models.chat import Message, NewMessage, Session, Version, WholeSession
from dal.repositories.chat import (
    MessageRepository,
    SessionRepository,
    TokenUsageRepository,
    VersionRepository,
)
from dal.transaction import Transaction
from tests.chat.samples import NOW, NOWHERE, OTHER, SESSION
from tests.systems.moments import is_now

OLD = datetime(2020, 2, 29, 12, tzinfo=UTC)
COUNTS = {
    "messages": "SELECT count(*) FROM messages",
    "versions": "SELECT count(*) FROM versions",
    "token_usage": "SELECT count(*) FROM token_usage",
}


async def fill(db: DatabaseManager, session_id: UUID, rows: int) -> None:
    """Give a session so many messages, versions and calls of a model."""
    for number in range(rows):
        await MessageRepository(db).add(session_id, "user", f"message {number}", timestamp=NOW)
        await VersionRepository(db).add(session_id, f"<p>{number}</p>")
        await TokenUsageRepository(db).record(
            session_id,
            agent_type="generation",
            model="a-model",
            input_tokens=number,
            output_tokens=1,
            cost_usd=Decimal("0.01"),
            timestamp=NOW,
        )


async def insert_old(db: DatabaseManager) -> None:
    """Put a session there that was never changed since long ago."""
    await db.execute(
        "INSERT INTO sessions (id, title, created_at, updated_at) VALUES (:id, :title, :then, :then)",
        {"id": str(SESSION), "title": "Old", "then": OLD},
    )


async def test_new_session(sessions: SessionRepository) -> None:
    """A session begins with the present as its times, without a version, and is found by its id."""
    made = await sessions.create("Title")
    assert (made.title, made.current_version, made.version_count) == ("Title", 0, 0)
    assert is_now(made.created_at)
    assert made.updated_at == made.created_at
    assert await sessions.get(made.id) == made


async def test_ids_are_random(sessions: SessionRepository) -> None:
    """Without an id of the caller's each session gets one of its own: a UUID4."""
    made = [await sessions.create("Title") for _ in range(10)]
    assert len({session.id for session in made}) == 10
    assert {session.id.version for session in made} == {4}


async def test_id_is_taken_once(sessions: SessionRepository, session: Session) -> None:
    """A second session with the same id is refused, and the first stays as it is."""
    with pytest.raises(UniqueViolation):
        await sessions.create("Another", session_id=session.id)
    assert await sessions.get(session.id) == session


async def test_rows_of_hand_get_their_defaults(db: DatabaseManager, session: Session) -> None:
    """What is inserted without its times and counters gets them from the database, in UTC."""
    await db.execute(
        "INSERT INTO messages (session_id, role, content) VALUES (?, 'user', 'hello')", [str(session.id)]
    )
    await db.execute(
        "INSERT INTO token_usage (session_id, agent_type, model, input_tokens, output_tokens, total_tokens,"
        " cost_usd) VALUES (?, 'interview', 'm', 1, 2, 3, 0)",
        [str(session.id)],
    )
    await VersionRepository(db).add(session.id, "<p></p>")
    whole = await SessionRepository(db).whole(session.id)
    assert whole is not None
    assert is_now(whole.messages[0].timestamp)
    assert is_now(whole.token_usage[0].timestamp)
    assert is_now(whole.versions[0].created_at)
    assert whole.versions[0].description is None


async def test_rename_moves_updated_at(db: DatabaseManager, sessions: SessionRepository) -> None:
    """A change of a session is dated by the database; when it was created stays."""
    await insert_old(db)
    assert await sessions.rename(SESSION, "New")
    renamed = await sessions.get(SESSION)
    assert renamed is not None
    assert (renamed.title, renamed.created_at) == ("New", OLD)
    assert is_now(renamed.updated_at)


async def test_version_moves_updated_at(
    db: DatabaseManager, sessions: SessionRepository, versions: VersionRepository
) -> None:
    """A new version is a change of its session."""
    await insert_old(db)
    await versions.add(SESSION, "<p></p>")
    changed = await sessions.get(SESSION)
    assert changed is not None
    assert is_now(changed.updated_at)


async def test_last_change_first(db: DatabaseManager, sessions: SessionRepository) -> None:
    """Sessions come page by page, each once, the one that changed last first."""
    ids = [UUID(int=number << 64 | 0x8 << 60) for number in range(7)]
    for number, session_id in enumerate(ids):
        moment = OLD + timedelta(microseconds=number // 2)  # two have the same
        await db.execute(
            "INSERT INTO sessions (id, title, updated_at) VALUES (:id, 'Title', :moment)",
            {"id": str(session_id), "moment": moment},
        )
    seen: list[Session] = []
    while page := await sessions.recent(after=seen[-1] if seen else None, page_size=3):
        seen += page
    assert [session.id for session in seen] == ids[::-1]


async def test_whole_session(db: DatabaseManager, sessions: SessionRepository, session: Session) -> None:
    """A session comes with its messages, versions and use, each once and in order, and with no others."""
    await sessions.create("Another", session_id=OTHER)
    await fill(db, OTHER, 2)
    await fill(db, session.id, 3)
    whole = await sessions.whole(session.id)
    assert isinstance(whole, WholeSession)
    assert whole.id == session.id
    assert [message.content for message in whole.messages] == [f"message {n}" for n in range(3)]
    assert [version.version for version in whole.versions] == [0, 1, 2]
    assert [usage.input_tokens for usage in whole.token_usage] == [0, 1, 2]
    assert {type(message) for message in whole.messages} == {Message}
    assert {type(version) for version in whole.versions} == {Version}
    owners = [
        {message.session_id for message in whole.messages},
        {version.session_id for version in whole.versions},
        {used.session_id for used in whole.token_usage},
    ]
    assert owners == [{session.id}] * 3


async def test_whole_session_is_of_one_moment(
    db: DatabaseManager, sessions: SessionRepository, session: Session
) -> None:
    """What is added together while a session is read is in what comes together, or not at all."""

    async def write() -> None:
        for number in range(30):

            async def both(tx: Transaction, number: int = number) -> None:
                await MessageRepository(tx).add(session.id, "user", f"message {number}")
                await VersionRepository(tx).add(session.id, f"<p>{number}</p>")

            await db.run_transaction(both)

    async def read() -> None:
        while not writer.done():
            whole = await sessions.whole(session.id)
            assert whole is not None
            assert len(whole.messages) == len(whole.versions) == whole.version_count

    writer = asyncio.create_task(write())
    await asyncio.gather(writer, read(), read(), read())
    whole = await sessions.whole(session.id)
    assert whole is not None
    assert len(whole.messages) == 30


async def test_session_of_a_message(
    sessions: SessionRepository, messages: MessageRepository, session: Session
) -> None:
    """A message leads to its session, and to no other."""
    other = await sessions.create("Another")
    for owner in (session, other):
        message = await messages.add(owner.id, "assistant", "Hello")
        assert await sessions.of_message(message.id) == owner
    assert await sessions.of_message(message.id + 1) is None


async def test_delete_takes_all_along(
    db: DatabaseManager, sessions: SessionRepository, session: Session
) -> None:
    """With a session go its messages, versions and use; those of others stay."""
    await sessions.create("Another", session_id=OTHER)
    await fill(db, session.id, 2)
    await fill(db, OTHER, 1)
    assert await sessions.delete(session.id)
    assert await sessions.get(session.id) is None
    assert {table: await db.fetch_value(count) for table, count in COUNTS.items()} == dict.fromkeys(COUNTS, 1)
    whole = await sessions.whole(OTHER)
    assert whole is not None
    assert (len(whole.messages), len(whole.versions), len(whole.token_usage)) == (1, 1, 1)


async def test_what_is_not_there(
    sessions: SessionRepository, messages: MessageRepository, versions: VersionRepository
) -> None:
    """Of a session that does not exist there is nothing, and nothing to change."""
    assert await sessions.whole(NOWHERE) is None
    assert await messages.of_session(NOWHERE) == []
    assert await versions.current(NOWHERE) is None
    assert not await sessions.rename(NOWHERE, "Title")
    assert not await sessions.delete(NOWHERE)


async def test_many_messages_at_once(
    messages: MessageRepository, sessions: SessionRepository, session: Session
) -> None:
    """Messages that tasks add at the same time are all there; those of one task keep their order."""

    async def speak(task: int) -> None:
        for number in range(5):
            await messages.add(session.id, "user", f"{task}/{number}")

    await asyncio.gather(*map(speak, range(20)))
    contents = [message.content for message in await messages.of_session(session.id)]
    assert len(contents) == 100
    for task in range(20):
        assert [c for c in contents if c.startswith(f"{task}/")] == [f"{task}/{n}" for n in range(5)]


async def test_messages_by_time(messages: MessageRepository, session: Session) -> None:
    """Messages of all sessions come by their time, page by page, each once, also where times are equal."""
    moments = [NOW + timedelta(microseconds=number // 3) for number in range(10)]
    await messages.add_many(
        session.id,
        [NewMessage(role="user", content=str(n), timestamp=moment) for n, moment in enumerate(moments)][::-1],
    )
    seen: list[Message] = []
    while page := await messages.since(
        seen[-1].timestamp if seen else NOW, after_id=seen[-1].id if seen else 0, page_size=2
    ):
        seen += page
    assert [message.timestamp for message in seen] == moments
    assert len({message.id for message in seen}) == 10


async def test_use_of_a_session_page_by_page(
    db: DatabaseManager, usage: TokenUsageRepository, session: Session
) -> None:
    """The calls of a session come in order, each once."""
    await fill(db, session.id, 3)
    first = await usage.page(session.id, page_size=2)
    rest = await usage.page(session.id, after_id=first[-1].id, page_size=2)
    assert [row.input_tokens for row in (*first, *rest)] == [0, 1, 2]


async def test_shows_itself(session: Session) -> None:
    """A session's repr names its class, its id and its title."""
    assert repr(session).startswith("Session(")
    assert repr(session.id) in repr(session)
    assert "A shop for coffee" in repr(session)
