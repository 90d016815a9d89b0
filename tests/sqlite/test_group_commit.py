"""Writes that wait at the same time share a commit; what one does wrong reaches its own caller alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines.sqlite.connection import Connection
from dal.errors import (
    CheckViolation,
    DatabaseError,
    ForeignKeyViolation,
    IntegrityError,
    TooManyRows,
    TooManyWaiters,
    UniqueViolation,
)
from dal.settings import DatabaseSettings, Settings
from tests.sqlite.phases import Gate, install

SCHEMA = """
CREATE TABLE item (n INTEGER PRIMARY KEY, note TEXT CONSTRAINT item_note_short CHECK (length(note) < 9));
CREATE TABLE child (n INTEGER REFERENCES item (n) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE fragile (n INTEGER);
CREATE TRIGGER fragile_rolls_back BEFORE INSERT ON fragile WHEN new.n = -1 BEGIN
    SELECT raise(ROLLBACK, 'all of it');
END;
CREATE TRIGGER fragile_fails BEFORE INSERT ON fragile WHEN new.n = -2 BEGIN
    SELECT raise(FAIL, 'from here on');
END;
"""
ADD = "INSERT INTO item (n, note) VALUES (?, ?)"
ENDLESS = """
INSERT INTO fragile WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c
"""


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[DatabaseManager]:
    async with DatabaseManager(f"sqlite:///{tmp_path}/test.db", settings=Settings()) as manager:
        await manager.execute_script(SCHEMA)
        yield manager


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every COMMIT that is sent."""
    sent: list[str] = []
    run = Connection.own

    def counted(self: Connection, sql: str) -> None:
        if sql.startswith("COMMIT"):
            sent.append(sql)
        run(self, sql)

    monkeypatch.setattr(Connection, "own", counted)
    return sent


async def with_neighbours(db: DatabaseManager, culprit: Any, before: int = 5, after: int = 5) -> Any:
    """Run *culprit* in a shared commit, between writes that have no fault, and return its result."""
    start = await db.fetch_value("SELECT coalesce(max(n), 0) + 1 FROM item")
    first = db.execute(ADD, (start, "first"))  # alone: the others wait behind it, and go together
    ids = range(start + 1, start + 1 + before + after)
    neighbours = [db.execute(ADD, (n, "near")) for n in ids]
    results = await asyncio.gather(
        first, *neighbours[:before], culprit, *neighbours[before:], return_exceptions=True
    )
    result = results.pop(before + 1)
    assert results == [1] * (before + after + 1), "a neighbour was harmed"
    stored = [row[0] for row in await db.fetch_all("SELECT n FROM item WHERE n >= ? ORDER BY n", (start,))]
    assert [n for n in stored if n in ids] == list(ids), "a neighbour's row is missing, or there twice"
    return result


async def test_writes_that_wait_share_one_commit(
    db: DatabaseManager, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 at once: the first goes alone, the others together, unless they take too long for one commit."""
    monkeypatch.setattr("dal.engines.sqlite.writer._SHARED_SECONDS", 3600)
    await asyncio.gather(*(db.execute(ADD, (n, "x")) for n in range(64)))
    assert len(commits) == 2
    assert await db.fetch_value("SELECT count(*) FROM item") == 64


async def test_a_write_is_acknowledged_only_after_the_commit(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the COMMIT stands still, no caller goes on."""
    gate: Gate = install(monkeypatch)
    gate.arm("before commit")
    tasks = [asyncio.ensure_future(db.execute(ADD, (n, "x"))) for n in range(10)]
    await gate.stopped()
    await asyncio.sleep(0.02)
    assert not any(task.done() for task in tasks)
    gate.open.set()
    assert await asyncio.gather(*tasks) == [1] * 10


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("INSERT INTO item (n) VALUES (1)", UniqueViolation),
        ("INSERT INTO item (n, note) VALUES (9000, 'far too long')", CheckViolation),
        ("INSERT OR ROLLBACK INTO item (n) VALUES (1)", UniqueViolation),
        ("INSERT INTO fragile VALUES (7), (-1)", IntegrityError),
        ("INSERT INTO fragile VALUES (7), (-2)", IntegrityError),
        ("INSERT OR FAIL INTO item (n) VALUES (9001), (1)", UniqueViolation),
        ("INSERT INTO child VALUES (9999)", ForeignKeyViolation),
        ("INSERT INTO nowhere VALUES (1)", DatabaseError),
    ],
)
async def test_an_error_reaches_its_owner_alone(
    db: DatabaseManager, sql: Any, error: type[Exception]
) -> None:
    """Whether it ends a statement, the transaction, or only its commit; twice, since texts are learnt."""
    await db.execute(ADD, (1, "taken"))
    for _ in range(2):
        result = await with_neighbours(db, db.execute(sql))
        assert isinstance(result, error), repr(result)
    assert await db.fetch_value("SELECT count(*) FROM item WHERE n > 8999") == 0
    assert await db.fetch_value("SELECT count(*) FROM fragile") == 0
    assert await db.fetch_value("SELECT count(*) FROM child") == 0


async def test_two_culprits_in_one_commit(db: DatabaseManager) -> None:
    """Each gets its own error, as an object of its own."""
    both = asyncio.gather(
        db.execute("INSERT INTO child VALUES (9998)"),
        db.execute("INSERT INTO child VALUES (9999)"),
        return_exceptions=True,
    )
    first, second = await with_neighbours(db, both)
    assert isinstance(first, ForeignKeyViolation)
    assert isinstance(second, ForeignKeyViolation)
    assert first is not second


async def test_a_list_of_statements_is_undone_by_itself(db: DatabaseManager) -> None:
    """execute_transaction and execute_many are savepoints within the shared commit."""
    result = await with_neighbours(db, db.execute_transaction([(ADD, (9000, "x")), (ADD, (9000, "x"))]))
    assert isinstance(result, UniqueViolation)
    result = await with_neighbours(db, db.execute_many(ADD, [(9000, "x"), (9000, "x")]))
    assert isinstance(result, UniqueViolation)
    result = await with_neighbours(db, db.fetch_one("INSERT INTO item (n) VALUES (9000), (9001) RETURNING n"))
    assert isinstance(result, TooManyRows)
    assert await db.fetch_value("SELECT count(*) FROM item WHERE n >= 9000") == 0


async def test_a_member_that_is_cancelled_harms_no_other(db: DatabaseManager) -> None:
    """Its statement is interrupted, which ends the shared transaction; the others are run again."""
    for _ in range(5):

        async def cancelled() -> str:
            try:
                async with asyncio.timeout(0.02):
                    await db.execute(ENDLESS)
            except TimeoutError:
                return "cancelled"
            return "finished"

        assert await with_neighbours(db, cancelled()) == "cancelled"
    assert await db.fetch_value("SELECT count(*) FROM fragile") == 0


async def test_a_member_that_times_out_harms_no_other(db: DatabaseManager) -> None:
    """The same, by the verb's own timeout."""
    result = await with_neighbours(db, db.execute(ENDLESS, timeout=0.02))
    assert isinstance(result, TimeoutError)


async def test_what_cannot_share_a_commit_runs_alone(db: DatabaseManager) -> None:
    """DDL, and what SQLite allows outside of a transaction only; between ordinary writes."""
    assert await with_neighbours(db, db.execute("CREATE TABLE made (a INTEGER)")) == 0
    assert await with_neighbours(db, db.execute("VACUUM")) == 0
    assert await with_neighbours(db, db.execute("ANALYZE")) == 0
    assert await with_neighbours(db, db.execute_script("CREATE INDEX i ON made (a); DROP TABLE made")) is None


async def test_the_line_is_first_come_first_served(db: DatabaseManager) -> None:
    """A transaction block behind 64 tasks that write without pause has its turn after those before it."""
    running = True
    written = 0

    async def writer(n: int) -> None:
        nonlocal written
        while running:
            await db.execute("INSERT INTO fragile VALUES (?)", (n,))
            written += 1

    writers = [asyncio.ensure_future(writer(n)) for n in range(64)]
    await asyncio.sleep(0.05)
    for _ in range(20):
        before = written
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO fragile VALUES (-9)")
            assert written - before <= 2 * 64
    running = False
    await asyncio.gather(*writers)


async def test_the_order_of_one_task_is_kept(db: DatabaseManager) -> None:
    """What a task awaits in turn happens in turn, and ids grow with it."""
    await asyncio.gather(*(_insert_in_order(db, task) for task in range(20)))
    rows = await db.fetch_all("SELECT n / 1000 AS task, n % 1000 AS step FROM fragile ORDER BY rowid")
    for task in range(20):
        assert [row["step"] for row in rows if row["task"] == task] == list(range(10))


async def _insert_in_order(db: DatabaseManager, task: int) -> None:
    for step in range(10):
        await db.execute("INSERT INTO fragile VALUES (?)", (task * 1000 + step,))


async def test_a_full_line_refuses_at_once(tmp_path: Path) -> None:
    """Waiting is bounded; what was refused was not sent."""
    settings = Settings(database=DatabaseSettings(max_waiting=10))
    async with DatabaseManager(f"sqlite:///{tmp_path}/full.db", settings=settings) as db:
        await db.execute("CREATE TABLE item (n INTEGER, note TEXT)")
        results = await asyncio.gather(
            *(db.execute(ADD, (n, "x")) for n in range(50)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, TooManyWaiters)]
        assert len(refused) == 39
        assert not any(error.sent for error in refused)
        assert await db.fetch_value("SELECT count(*) FROM item") == 11
