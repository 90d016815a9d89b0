"""A caller may leave at any moment: it is free at once, and the pool stays whole.

The fates of the work itself: what had not begun does not run, a statement that runs is stopped, a
COMMIT that runs goes on, so a cancelled write may have been committed; it is never half there.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.settings import Settings
from tests.conformance.pairs import ADD, TABLE, VERBS, both_halves, by_block, by_read_only_block, by_stream
from tests.sqlite.phases import PHASES, Gate, install

ENDLESS = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[DatabaseManager]:
    async with DatabaseManager(f"sqlite:///{tmp_path}/test.db", settings=Settings()) as manager:
        await manager.execute(TABLE)
        yield manager


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return install(monkeypatch)


async def assert_whole(db: DatabaseManager, calls: int = 20) -> None:
    """Rows are all or nothing, nobody holds the writer, and the next calls are right."""
    await db.execute(ADD, (0, -2))  # behind whatever a cancelled call still does
    halves = await db.fetch_all(
        "SELECT ident, count(*) AS n FROM pair WHERE ident >= 0 GROUP BY ident HAVING n <> 2"
    )
    assert [tuple(row) for row in halves] == []
    before = await db.fetch_value("SELECT count(*) FROM pair")
    for n in range(calls):
        await db.execute(ADD, (0, -2))
        assert await db.fetch_value("SELECT count(*) FROM pair") == before + n + 1
    async with db.transaction() as tx:
        await tx.execute("DELETE FROM pair WHERE ident = -2")
    async with asyncio.timeout(60):
        await asyncio.gather(*(by_read_only_block(db, 0) for _ in range(20)))


POINTS = [f"{where} {phase}" for phase in ("begin", "statement", "commit") for where in ("before", "after")]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("verb", VERBS)
async def test_cancel_in_every_phase(db: DatabaseManager, gate: Gate, verb: str, point: str) -> None:
    """The thread stands still at the point; the caller is free all the same, and then all is whole."""
    gate.arm(point)
    task = asyncio.ensure_future(VERBS[verb](db, 1))
    reached = asyncio.ensure_future(gate.stopped())
    await asyncio.wait([task, reached], return_when=asyncio.FIRST_COMPLETED)
    if task.done():  # the verb has no such phase
        gate.reached.set()
        await reached
        gate.disarm()
        await assert_whole(db)
        return
    await reached
    task.cancel()
    in_block = "transaction" in verb and verb != "execute_transaction"
    if not (in_block and "commit" not in point):
        async with asyncio.timeout(60):  # the gate is still closed: nobody waits for the thread
            with pytest.raises(asyncio.CancelledError):
                await task
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.disarm()
    await assert_whole(db)


async def test_cancelled_twice(db: DatabaseManager, gate: Gate) -> None:
    """A second cancellation during the clean-up loses no connection either."""
    for point in POINTS[:4]:
        gate.arm(point)
        task = asyncio.ensure_future(by_block(db, 1))
        await gate.stopped()
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.disarm()
    await assert_whole(db)


async def test_what_had_not_begun_does_not_run(db: DatabaseManager, gate: Gate) -> None:
    """A write cancelled in line is not written."""
    gate.arm("before statement")
    first = asyncio.ensure_future(db.execute(ADD, (0, -1)))
    await gate.stopped()
    waiting = [asyncio.ensure_future(db.execute(ADD, (0, n))) for n in range(10)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    gate.open.set()
    results = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert [type(result) for result in results[1:]] == [asyncio.CancelledError, int] * 5
    stored = await db.fetch_all("SELECT ident FROM pair WHERE ident >= 0 ORDER BY ident")
    assert [row[0] for row in stored] == [1, 3, 5, 7, 9]


async def test_a_statement_that_runs_is_stopped(db: DatabaseManager) -> None:
    """Reads and writes; the threads are free again, which ten times as many calls prove."""
    for sql in (ENDLESS, f"INSERT INTO pair (ident) {ENDLESS}"):
        for _ in range(20):
            task = asyncio.ensure_future(db.execute(sql) if sql != ENDLESS else db.fetch_value(sql))
            await asyncio.sleep(0.003)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    await assert_whole(db)


async def test_a_cancelled_commit_may_be_committed_but_never_half(db: DatabaseManager, gate: Gate) -> None:
    """The caller who leaves during COMMIT does not know; the rows are both there."""
    gate.arm("before commit")
    task = asyncio.ensure_future(by_block(db, 1))
    await gate.stopped()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open.set()
    await assert_whole(db)
    assert await db.fetch_value("SELECT count(*) FROM pair WHERE ident = 1") == 2


async def test_after_commit_runs_although_the_caller_left_during_commit(
    db: DatabaseManager, gate: Gate
) -> None:
    """Whoever relies on it, a cache for instance, hears of a commit that may have happened."""
    ran = asyncio.Event()

    async def block() -> None:
        async with db.transaction() as tx:
            await both_halves(tx, 1)
            tx.after_commit(ran.set)

    gate.arm("before commit")
    task = asyncio.ensure_future(block())
    await gate.stopped()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert not ran.is_set(), "ran although the commit has not happened yet"
    gate.open.set()
    async with asyncio.timeout(60):
        await ran.wait()


async def test_a_thousand_cancellations_at_random(tmp_path: Path, gate: Gate) -> None:
    """Each phase is hit at least 50 times; no connection, thread or file is lost, no transaction left."""
    gate.dwell = 0.0003
    async with DatabaseManager(f"sqlite:///{tmp_path}/test.db", settings=Settings()) as db:
        await db.execute(TABLE)
        busy = asyncio.ensure_future(_keep_busy(db))
        acknowledged = await _cancel_at_random(db, gate)
        busy.cancel()
        with pytest.raises(asyncio.CancelledError):
            await busy
        await assert_whole(db, calls=1000)
        stored = {row[0] for row in await db.fetch_all("SELECT DISTINCT ident FROM pair")}
        assert acknowledged <= stored
        assert open_files(tmp_path)
    assert open_files(tmp_path) == []


def open_files(folder: Path) -> list[str]:
    """Which files below *folder* this process has open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own, and what others close meanwhile
            found.append(os.readlink(descriptor))
    return [path for path in found if path.startswith(f"{folder}/")]


async def _cancel_at_random(db: DatabaseManager, gate: Gate) -> set[int]:
    """Cancel calls until every phase was hit often enough; return those that were acknowledged."""
    rng = random.Random(7)
    hits: Counter[str] = Counter()
    acknowledged: set[int] = set()
    ident = 0
    while sum(hits.values()) < 1000 or min(hits[phase] for phase in ("queue", *PHASES)) < 50:
        ident += 1
        assert ident < 30_000, f"phases are hit too rarely: {hits}"
        verb = rng.choice(["execute", "execute_transaction", "transaction", "nested transaction"])
        task = asyncio.ensure_future(VERBS[verb](db, ident))
        await asyncio.sleep(rng.choice([0, 0, rng.uniform(0, 0.003)]))
        phase = gate.phase or "queue"
        if task.cancel():
            hits[phase] += 1
        try:
            await task
            acknowledged.add(ident)
        except asyncio.CancelledError:
            pass
    return acknowledged


async def _keep_busy(db: DatabaseManager) -> None:
    """Failing blocks and small writes of others, so that there is a queue, and rollbacks."""
    while True:
        async with asyncio.TaskGroup() as group:
            group.create_task(db.execute(ADD, (0, -3)))
            group.create_task(_undone(db))


async def _undone(db: DatabaseManager) -> None:
    try:
        async with db.transaction() as tx:
            await tx.execute(ADD, (1, 0))
            raise LookupError
    except LookupError:
        pass


def connection_threads() -> int:
    return sum("_connection_worker" in thread.name for thread in threading.enumerate())


async def test_borrowed_connections_do_not_pile_up(db: DatabaseManager) -> None:
    """A storm of streams opens connections; afterwards those that are not kept are gone."""
    threads = connection_threads()
    for _ in range(5):
        await asyncio.gather(*(by_stream(db, -1) for _ in range(16)))
    async with asyncio.timeout(60):
        while connection_threads() > threads + 2:
            await asyncio.sleep(0.01)
    assert await db.fetch_value("SELECT count(*) FROM pair WHERE ident = -1") == 160
