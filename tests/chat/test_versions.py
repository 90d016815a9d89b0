"""The versions of a session: numbered from 0 without a gap, however they are added."""

from __future__ import annotations

import asyncio

import pytest

from dal.database import DatabaseManager
from dal.errors import CheckViolation, ConflictError, ForeignKeyViolation, UniqueViolation
from dal.models.chat import Session, Version
from dal.repositories.chat import MessageRepository, SessionRepository, VersionRepository
from dal.transaction import Transaction
from tests.chat.samples import OTHER

TASKS = 50

BY_HAND = "INSERT INTO versions (session_id, version, html) VALUES (:session_id, :version, '<p></p>')"


async def stored(versions: VersionRepository, session: Session) -> list[Version]:
    """All versions of a session."""
    return await versions.page(session.id, page_size=1000)


async def test_first_is_0(sessions: SessionRepository, versions: VersionRepository, session: Session) -> None:
    """The first version has the number 0, the next ones one more each; the session says which is current."""
    for number in range(3):
        added = await versions.add(session.id, f"<p>{number}</p>", description=f"Step {number}")
        assert (added.version, added.html, added.description) == (
            number,
            f"<p>{number}</p>",
            f"Step {number}",
        )
        assert await versions.get(session.id, number) == added
        assert await versions.current(session.id) == added
        now = await sessions.get(session.id)
        assert now is not None
        assert (now.current_version, now.version_count) == (number, number + 1)


async def test_sessions_count_apart(
    sessions: SessionRepository, versions: VersionRepository, session: Session
) -> None:
    """Each session has its own numbers."""
    other = await sessions.create("Another", session_id=OTHER)
    numbers = [
        (await versions.add(owner.id, "<p></p>")).version for owner in (session, session, other, session)
    ]
    assert numbers == [0, 1, 0, 2]


async def test_of_many_at_once(
    sessions: SessionRepository, versions: VersionRepository, session: Session
) -> None:
    """Versions that 50 tasks add at once have the numbers 0 to 49, each once, and no task fails."""
    added = await asyncio.gather(*(versions.add(session.id, f"<p>{n}</p>") for n in range(TASKS)))
    assert sorted(version.version for version in added) == list(range(TASKS))
    assert await stored(versions, session) == sorted(added, key=lambda version: version.version)
    assert {version.html for version in added} == {f"<p>{n}</p>" for n in range(TASKS)}
    now = await sessions.get(session.id)
    assert now is not None
    assert (now.current_version, now.version_count) == (TASKS - 1, TASKS)


async def test_of_many_sessions_at_once(sessions: SessionRepository, versions: VersionRepository) -> None:
    """Sessions that get versions at once do not mix up their numbers."""
    owners = [await sessions.create(f"Session {n}") for n in range(5)]
    await asyncio.gather(*(versions.add(owner.id, "<p></p>") for _ in range(10) for owner in owners))
    for owner in owners:
        assert [version.version for version in await stored(versions, owner)] == list(range(10))


async def test_with_messages_at_once(
    db: DatabaseManager, messages: MessageRepository, versions: VersionRepository, session: Session
) -> None:
    """Messages and versions that are added at once do not get in each other's way."""
    await asyncio.gather(
        *(versions.add(session.id, "<p></p>") for _ in range(20)),
        *(messages.add(session.id, "user", "Go on") for _ in range(20)),
    )
    assert [version.version for version in await stored(versions, session)] == list(range(20))
    assert len(await messages.of_session(session.id)) == 20


async def test_in_transactions_at_once(
    db: DatabaseManager, versions: VersionRepository, session: Session
) -> None:
    """Transactions that each read the session and add to it leave no gap, since conflicts begin anew."""

    async def modify(tx: Transaction) -> int:
        current = await VersionRepository(tx).current(session.id)
        added = await VersionRepository(tx).add(session.id, "<p></p>")
        assert added.version == (0 if current is None else current.version + 1)
        return added.version

    numbers = await asyncio.gather(*(db.run_transaction(modify) for _ in range(10)))
    assert sorted(numbers) == list(range(10))
    assert [version.version for version in await stored(versions, session)] == list(range(10))


async def test_undone_version_leaves_no_gap(
    db: DatabaseManager, versions: VersionRepository, session: Session
) -> None:
    """The number of a version that was rolled back is given to the next one."""
    await versions.add(session.id, "<p>0</p>")
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            assert (await VersionRepository(tx).add(session.id, "<p>lost</p>")).version == 1
            raise ZeroDivisionError
    assert (await versions.add(session.id, "<p>1</p>")).version == 1
    assert [version.html for version in await stored(versions, session)] == ["<p>0</p>", "<p>1</p>"]


async def test_number_of_hand_is_taken_once(
    db: DatabaseManager, sessions: SessionRepository, versions: VersionRepository, session: Session
) -> None:
    """A number that the session has already is refused, and nothing counts it."""
    await versions.add(session.id, "<p></p>")
    before = await sessions.whole(session.id)
    with pytest.raises(UniqueViolation) as caught:
        await db.execute(BY_HAND, {"session_id": str(session.id), "version": 0})
    assert caught.value.kind == "unique"
    assert await sessions.whole(session.id) == before


@pytest.mark.parametrize("version", [1, 7])
async def test_number_of_hand_leaves_no_gap(
    db: DatabaseManager, sessions: SessionRepository, session: Session, version: int
) -> None:
    """A number that is not the next one is refused by the session's own check, and nothing is stored."""
    with pytest.raises(CheckViolation) as caught:
        await db.execute(BY_HAND, {"session_id": str(session.id), "version": version})
    assert caught.value.constraint == "sessions_current_version_newest"
    whole = await sessions.whole(session.id)
    assert whole is not None
    assert (whole.versions, whole.version_count) == ([], 0)


async def test_next_number_of_hand_is_counted(
    db: DatabaseManager, sessions: SessionRepository, session: Session
) -> None:
    """The next number is taken from anyone, and the session follows."""
    for version in range(2):
        await db.execute(BY_HAND, {"session_id": str(session.id), "version": version})
    now = await sessions.get(session.id)
    assert now is not None
    assert (now.current_version, now.version_count) == (1, 2)


async def test_current_version_of_hand_is_refused(
    db: DatabaseManager, sessions: SessionRepository, session: Session
) -> None:
    """A session cannot be made to name a version that it has not."""
    with pytest.raises(CheckViolation) as caught:
        await db.execute("UPDATE sessions SET current_version = 3 WHERE id = ?", [str(session.id)])
    assert caught.value.constraint == "sessions_current_version_newest"
    assert await sessions.get(session.id) == session


async def test_delete_at_the_same_time(
    db: DatabaseManager, sessions: SessionRepository, versions: VersionRepository, session: Session
) -> None:
    """Versions that are added while their session is deleted go with it, or are refused."""
    outcomes = await asyncio.gather(
        *(versions.add(session.id, "<p></p>") for _ in range(10)),
        sessions.delete(session.id),
        *(versions.add(session.id, "<p></p>") for _ in range(10)),
        return_exceptions=True,
    )
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {type(failure) for failure in failures} <= {ForeignKeyViolation, ConflictError}
    await sessions.delete(session.id)  # where the delete was the one that met a conflict
    assert await db.fetch_value("SELECT count(*) FROM versions") == 0
