"""Another program holds the write lock of the file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines.sqlite.writer import Writer
from dal.errors import LockTimeout, PoolTimeout
from dal.settings import DatabaseSettings, Settings
from tests.clock import Clock
from tests.reliability.processes import Program, started
from tests.sqlite.phases import install

INSERT = "INSERT INTO t (v) VALUES (?)"
COUNT = "SELECT count(*) FROM t"

HOLD = """
import sqlite3, sys

connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
connection.close()
"""
"""Holds the write lock, as any other SQLite program may, from the line printed to the line read."""


async def in_a_block(db: DatabaseManager, timeout: float | None) -> None:
    async with db.transaction(timeout=timeout) as tx:
        await tx.execute(INSERT, ("a",))


WRITES: dict[str, Callable[[DatabaseManager, float | None], Awaitable[object]]] = {
    "execute": lambda db, timeout: db.execute(INSERT, ("a",), timeout=timeout),
    "execute_many": lambda db, timeout: db.execute_many(INSERT, [("a",)], timeout=timeout),
    "execute_script": lambda db, timeout: db.execute_script(
        "INSERT INTO t (v) VALUES ('a')", timeout=timeout
    ),
    "execute_transaction": lambda db, timeout: db.execute_transaction([(INSERT, ("a",))], timeout=timeout),
    "fetch_value": lambda db, timeout: db.fetch_value(f"{INSERT} RETURNING v", ("a",), timeout=timeout),
    "transaction": in_a_block,
}

each_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
async def db(path: Path) -> AsyncIterator[DatabaseManager]:
    """A database with an empty table; a call has no timeout but its own."""
    settings = Settings(database=DatabaseSettings(timeout=None))
    async with DatabaseManager(f"sqlite:///{path}", settings=settings) as manager:
        await manager.execute("CREATE TABLE t (v TEXT) STRICT")
        yield manager


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once a write was refused for the lock, and waits to try again."""
    happened = asyncio.Event()
    try_again = Writer._try_again

    def told(writer: Writer, jobs: Any) -> None:
        try_again(writer, jobs)
        happened.set()

    monkeypatch.setattr(Writer, "_try_again", told)
    return happened


@contextmanager
def lock_held(path: Path) -> Iterator[Program]:
    """Give another process that holds the write lock until it is told to go on."""
    with started("-c", HOLD, str(path)) as holder:
        assert holder.line() == "held"
        yield holder


async def waiting(work: Awaitable[object]) -> asyncio.Task[object]:
    """Start *work*, which waits for the lock."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.05)
    assert isinstance(task, asyncio.Task)
    assert not task.done()
    return task


@each_write
async def test_write_waits_for_the_lock(
    db: DatabaseManager, path: Path, write: Callable[[DatabaseManager, float | None], Awaitable[object]]
) -> None:
    """A write waits while another process holds the lock, and is done once that lets go."""
    with lock_held(path) as holder:
        task = await waiting(write(db, None))
        holder.go_on()
        await task

    assert await db.fetch_value(COUNT) == 1


async def test_writes_get_their_turns_in_order(db: DatabaseManager, path: Path) -> None:
    """Those who waited for another process's lock are served in the order in which they came."""
    with lock_held(path) as holder:
        tasks = [await waiting(in_a_block(db, None))]
        tasks += [asyncio.ensure_future(db.execute(INSERT, (f"{number}",))) for number in range(5)]
        tasks += [asyncio.ensure_future(in_a_block(db, None))]
        holder.go_on()
        await asyncio.gather(*tasks)

    rows = await db.fetch_all("SELECT v FROM t ORDER BY rowid")
    assert [row[0] for row in rows] == ["a", "0", "1", "2", "3", "4", "a"]


async def test_loop_and_reads_go_on_while_a_write_waits(db: DatabaseManager, path: Path) -> None:
    """While a write waits for the lock the event loop turns, and reads are served."""
    with lock_held(path) as holder:
        task = await waiting(db.execute(INSERT, ("a",)))
        for _ in range(
            100
        ):  # a loop, or a reader, that waited too would never get to the end: it frees the lock
            assert await db.fetch_value(COUNT) == 0
            await asyncio.sleep(0.005)
        assert not task.done()
        holder.go_on()
        await task


@each_write
async def test_lock_never_freed_ends_in_lock_timeout(
    db: DatabaseManager,
    path: Path,
    clock: Clock,
    refused: asyncio.Event,
    write: Callable[[DatabaseManager, float | None], Awaitable[object]],
) -> None:
    """At its timeout, not before, the caller is freed with an error that says that trying again is safe."""
    with lock_held(path):
        task = await waiting(write(db, 3600))
        await refused.wait()
        clock.forward(3500)
        await asyncio.sleep(0.05)
        assert not task.done()
        clock.forward(100)
        with pytest.raises(LockTimeout) as caught:
            await task
    assert (caught.value.sent, caught.value.retryable, caught.value.code) == (False, True, "SQLITE_BUSY")


async def test_timeout_during_a_try_for_the_lock(
    db: DatabaseManager,
    path: Path,
    clock: Clock,
    refused: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block whose timeout passes just as BEGIN is tried again is told the same: nothing was written."""
    gate = install(monkeypatch)
    with lock_held(path):
        task = await waiting(in_a_block(db, 3600))
        await refused.wait()
        gate.arm("before begin")
        await gate.stopped()
        clock.forward(3600)
        with pytest.raises(LockTimeout) as caught:
            await task
        gate.disarm()
    assert (caught.value.sent, caught.value.retryable) == (False, True)


async def test_timeout_in_line_is_counted_from_the_call(
    db: DatabaseManager, path: Path, clock: Clock
) -> None:
    """One clock runs from the call on: a place further back in the line makes no timeout longer."""
    with lock_held(path):
        calls = asyncio.gather(*(write(db, 3600) for write in WRITES.values()), return_exceptions=True)
        async with asyncio.timeout(60):
            while db.connections.waiting < len(WRITES):  # the first one too, between two tries
                await asyncio.sleep(0)
        clock.forward(3600)
        results = await calls  # one that was counted from its turn on would wait for another hour
    assert [result.sent for result in results if isinstance(result, LockTimeout | PoolTimeout)] == [False] * 6


@each_write
async def test_cancelled_wait_ends_while_the_lock_is_held(
    db: DatabaseManager, path: Path, write: Callable[[DatabaseManager, float | None], Awaitable[object]]
) -> None:
    """A cancelled call does not wait for the lock to end."""
    with lock_held(path):
        task = await waiting(write(db, None))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@each_write
async def test_cancelled_wait_leaves_nobody_with_the_lock(
    db: DatabaseManager, path: Path, write: Callable[[DatabaseManager, float | None], Awaitable[object]]
) -> None:
    """Once freed, the lock does not fall to a call that was cancelled while it waited: others get it."""
    with lock_held(path) as holder:
        task = await waiting(write(db, None))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        holder.go_on()
        holder.succeed()

    with lock_held(path):
        assert await db.fetch_value(COUNT) == 0


async def test_cancelled_wait_lets_the_next_in_line_go_on(db: DatabaseManager, path: Path) -> None:
    """The call behind a cancelled one gets the lock as soon as it is free."""
    with lock_held(path) as holder:
        cancelled = await waiting(in_a_block(db, None))
        following = await waiting(db.execute(INSERT, ("b",)))
        cancelled.cancel()
        holder.go_on()
        await following

    assert [row[0] for row in await db.fetch_all("SELECT v FROM t")] == ["b"]


async def test_commit_waits_for_no_reader(db: DatabaseManager, path: Path) -> None:
    """A block that reads an old snapshot stops no commit, and still sees its snapshot afterwards."""
    async with db.transaction(readonly=True) as tx:
        assert await tx.fetch_value(COUNT) == 0
        await db.outside().execute(INSERT, ("a",))
        assert await tx.fetch_value(COUNT) == 0
    assert await db.fetch_value(COUNT) == 1
