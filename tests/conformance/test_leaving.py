"""A caller may leave, fail or be late at any step: it is free at once, and all is whole."""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import DalError, QueryError, QueryTimeout, TransactionError, UniqueViolation
from dal.settings import Settings
from tests.clock import Clock
from tests.conformance.conftest import LetPass
from tests.conformance.pairs import (
    ADD,
    BOTH,
    COUNT,
    TABLE,
    VERBS,
    assert_whole,
    both_halves,
    by_block,
    by_read_only_block,
)
from tests.conformance.steps import Steps, cancelling, failure_of, is_of_the_driver
from tests.engine_cases import EngineCase, Place


@pytest.fixture
async def db(case: EngineCase, url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A table whose rows come in pairs."""
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(TABLE)
        yield manager


async def left(task: asyncio.Task[Any]) -> bool:
    """Wait for a task that was cancelled, perhaps too late; return False if it was."""
    await asyncio.wait([task], timeout=60)
    assert task.cancelled() or (task.done() and task.exception() is None), task
    return task.cancelled()


@pytest.mark.parametrize("verb", VERBS)
async def test_cancelled_at_any_step_of_the_loop(db: DatabaseManager, place: Place, verb: str) -> None:
    """After k turns of the event loop, for every k until the call is faster: `CancelledError`, nothing else."""
    for k in range(300):
        task = asyncio.ensure_future(VERBS[verb](db, k))
        for _ in range(k):
            if task.done():
                break
            await asyncio.sleep(0)
        task.cancel()
        if not await left(task) and k > 30:
            break
    await assert_whole(db, place)


@pytest.mark.parametrize("verb", ["execute_many", "execute_transaction", "nested transaction", "stream"])
async def test_cancelled_at_any_moment(db: DatabaseManager, place: Place, verb: str) -> None:
    """So many times that every answer of the database is waited for once."""
    rng = random.Random(3)
    for k in range(100):
        task = asyncio.ensure_future(VERBS[verb](db, k))
        await asyncio.sleep(rng.uniform(0, 0.004))
        task.cancel()
        await left(task)
    await assert_whole(db, place)


@pytest.mark.parametrize("after", [False, True], ids=["begins", "has ended"])
@pytest.mark.parametrize("verb", VERBS)
async def test_cancelled_as_any_statement_begins_or_ends(
    db: DatabaseManager, place: Place, steps: Steps, verb: str, after: bool
) -> None:
    """BEGIN, each statement, COMMIT and what cleans up: the caller leaves, and the next one finds all whole."""
    await assert_whole(db, place)
    for k in range(1, 40):
        task = asyncio.ensure_future(VERBS[verb](db, k))
        steps.at(k, cancelling(task), after=after)
        await left(task)
        reached = steps.count
        steps.disarm()
        if reached < k:
            break
        await assert_whole(db, place)
    assert k > 1, "no statement was seen"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("verb", VERBS)
async def test_the_driver_fails_at_any_statement(
    db: DatabaseManager, place: Place, steps: Steps, verb: str, after: bool
) -> None:
    """Its error comes out as one of ours, once; a pair is there or not, and the next call works."""
    await assert_whole(db, place)
    failures = 0
    for k in range(1, 40):
        steps.at(k, steps.fail, after=after)
        error = await failure_of(VERBS[verb](db, k))
        reached = steps.count
        steps.disarm()
        assert error is None or is_of_the_driver(error), error
        failures += error is not None
        if reached < k:
            break
        await assert_whole(db, place)
    assert failures


@pytest.mark.parametrize("verb", ["execute_many", "execute_transaction", "nested transaction", "stream"])
async def test_the_driver_fails_from_any_statement_on(
    db: DatabaseManager, place: Place, steps: Steps, verb: str
) -> None:
    """In the clean-up as well, which replaces no error and costs no connection."""
    for k in range(1, 20):
        steps.at(k, steps.fail, onwards=True)
        error = await failure_of(VERBS[verb](db, k))
        reached = steps.count
        steps.disarm()
        assert error is None or is_of_the_driver(error), error
        if reached < k:
            break
        await assert_whole(db, place)


async def test_a_commit_that_fails_every_time_costs_no_connection(
    db: DatabaseManager, place: Place, steps: Steps
) -> None:
    """More often than there are connections; then the next write is kept."""
    for n in range(7):
        steps.at_text("COMMIT", steps.fail)
        with pytest.raises(DalError):
            await by_block(db, n)
        with pytest.raises(DalError):
            await db.execute_transaction([(ADD, (1, n)), (ADD, (2, n))])
        steps.disarm()
    await by_block(db, 100)
    assert await db.fetch_value("SELECT count(*) FROM pair WHERE ident = 100") == 2
    await assert_whole(db, place)


async def test_a_begin_that_fails_every_time_costs_no_connection(
    db: DatabaseManager, case: EngineCase, place: Place, steps: Steps
) -> None:
    """Nothing of the block is run."""
    ran = False
    for readonly in [False] * 10 + [True] * 10:
        steps.at_text("START" if case.dialect == "mysql" else "BEGIN", steps.fail)
        with pytest.raises(DalError):
            async with db.transaction(readonly=readonly):
                ran = True
        steps.disarm()
    assert not ran
    await assert_whole(db, place)


async def test_a_rollback_that_fails_hides_no_error(db: DatabaseManager, place: Place, steps: Steps) -> None:
    """The block's own comes out, and what it wrote is gone."""
    for n in range(7):
        with pytest.raises(LookupError):
            async with db.transaction() as tx:
                await both_halves(tx, n)
                steps.at_text("ROLLBACK", steps.fail)
                raise LookupError
        steps.disarm()
    assert await db.fetch_value(COUNT) == 0
    await assert_whole(db, place)


async def test_cancelled_while_it_is_rolled_back(db: DatabaseManager, place: Place, steps: Steps) -> None:
    """The roll-back goes on without the caller."""

    async def undone(n: int) -> None:
        async with db.transaction() as tx:
            await both_halves(tx, n)
            raise LookupError

    for n in range(7):
        task = asyncio.ensure_future(undone(n))
        steps.at_text("ROLLBACK", cancelling(task))
        error = await failure_of(task)
        assert isinstance(error, (LookupError, asyncio.CancelledError))
        steps.disarm()
    assert await db.fetch_value(COUNT) == 0
    await assert_whole(db, place)


async def test_an_undone_savepoint_that_fails_costs_the_whole_block(
    db: DatabaseManager, place: Place, steps: Steps
) -> None:
    """The nested block's own error comes out first, then nothing of the outer one is kept."""
    with pytest.raises(TransactionError):
        async with db.transaction() as tx:
            await both_halves(tx, 1)
            steps.at_text("ROLLBACK TO", steps.fail)
            with pytest.raises(LookupError):
                async with tx.transaction() as inner:
                    await inner.execute(ADD, (1, 2))
                    raise LookupError
            steps.disarm()
    assert await db.fetch_value(COUNT) == 0
    await assert_whole(db, place)


async def test_a_cancelled_write_in_line_is_not_written(
    db: DatabaseManager, case: EngineCase, place: Place
) -> None:
    """While blocks hold whatever a write needs; those that stay are written."""
    async with AsyncExitStack() as blocks:
        for _ in range(case.blocks_at_once(db.settings.database)):
            await blocks.enter_async_context(db.outside().transaction())
        clean = contextvars.Context()
        tasks = [clean.run(asyncio.ensure_future, db.execute(BOTH, (n, n))) for n in range(10)]
        async with asyncio.timeout(60):
            while db._engine.connections.waiting < len(tasks):
                await asyncio.sleep(0.001)
        for task in tasks[::2]:
            task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, int] * 5
    stored = await db.fetch_all("SELECT DISTINCT ident FROM pair ORDER BY ident")
    assert [row[0] for row in stored] == [1, 3, 5, 7, 9]
    await assert_whole(db, place)


async def test_cancelled_statements_are_stopped_in_the_database(
    db: DatabaseManager, case: EngineCase, place: Place
) -> None:
    """Far more of them than there are connections, by their timeout and by their callers."""
    for number in range(8):
        with pytest.raises(TimeoutError):
            if number % 2:
                await db.fetch_value(case.endless, timeout=0.1)
            else:
                async with asyncio.timeout(0.1):
                    await db.fetch_value(case.endless)
    await assert_whole(db, place)


async def test_a_block_is_over_once_a_statement_was_cancelled(
    db: DatabaseManager, case: EngineCase, place: Place
) -> None:
    """Whoever swallows the cancellation cannot go on writing, nor commit."""
    with pytest.raises(TransactionError):
        async with db.transaction() as tx:
            await tx.execute(ADD, (1, 1))
            task = asyncio.ensure_future(tx.fetch_value(case.endless))
            await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            with pytest.raises(TransactionError):
                await tx.execute(ADD, (2, 1))
    await assert_whole(db, place)


async def test_a_large_execute_many_is_left_at_once(
    db: DatabaseManager, case: EngineCase, place: Place, clock: Clock
) -> None:
    """In the middle of it, also while the driver waits to send more; no row is there."""
    await db.execute_script(case["slow inserts"])
    rows = [(n % 2 + 1, n // 2) for n in range(100_000)]
    task = asyncio.ensure_future(db.execute_many(ADD, rows))
    async with asyncio.timeout(60):
        while not place.busy():
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)  # so that it is in the middle, which it need not be
    clock.stop()  # nothing that it waits for is given up after a time
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    clock.go_on()
    assert await db.fetch_value(COUNT) == 0
    await assert_whole(db, place)


async def test_cancelled_twice(db: DatabaseManager, place: Place) -> None:
    """A second cancellation during the clean-up loses nothing either."""
    for k in range(30):
        task = asyncio.ensure_future(by_block(db, k))
        await asyncio.sleep(0.0001 * k)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await left(task)
    await assert_whole(db, place)


@pytest.mark.parametrize("step", range(4))
async def test_what_the_caller_raises_after_any_statement_comes_out(
    db: DatabaseManager, place: Place, step: int
) -> None:
    """The block's own error itself, never one of its clean-up, and no row."""
    mine = LookupError()
    with pytest.raises(LookupError) as raised:
        async with db.transaction() as tx:
            for done in range(step):
                await tx.execute(ADD, (done % 2 + 1, 1))
            raise mine
    assert raised.value is mine
    assert await db.fetch_value(COUNT) == 0
    await assert_whole(db, place)


@pytest.mark.parametrize("verb", ["execute_many", "execute_script", "execute_transaction", "transaction"])
@pytest.mark.parametrize("step", [0, 1, 4])
async def test_a_failure_at_any_step_keeps_nothing(db: DatabaseManager, verb: str, step: int) -> None:
    """The first statement, one in the middle, the last."""
    await db.execute("CREATE UNIQUE INDEX pair_key ON pair (ident)")
    await db.execute(ADD, (0, -1))
    rows = [(0, -1 if n == step else n) for n in range(5)]
    with pytest.raises(UniqueViolation):
        if verb == "execute_many":
            await db.execute_many(ADD, rows)
        elif verb == "execute_script":
            await db.execute_script(" ".join(f"INSERT INTO pair VALUES (0, {n});" for _, n in rows))
        elif verb == "execute_transaction":
            await db.execute_transaction([(ADD, row) for row in rows])
        else:
            async with db.transaction() as tx:
                for row in rows:
                    await tx.execute(ADD, row)
    assert await db.fetch_value("SELECT count(*) FROM pair") == 1


@pytest.mark.usefixtures("time_flies")
async def test_a_timeout_frees_the_caller(db: DatabaseManager, case: EngineCase, place: Place) -> None:
    """Of the library and of asyncio, alone and in a block."""
    with pytest.raises(QueryTimeout):
        await db.fetch_value(case.endless, timeout=1000)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1000):
            await db.fetch_value(case.endless)
    with pytest.raises(QueryTimeout):
        async with db.transaction(timeout=1000) as tx:
            await tx.execute(ADD, (1, 1))
            await tx.fetch_value(case.endless)
    await assert_whole(db, place)


async def test_a_timeout_does_not_come_early(db: DatabaseManager, case: EngineCase) -> None:
    """It is in seconds."""
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        await db.fetch_value(case.endless, timeout=0.2)
    assert 0.19 < time.monotonic() - begun < 60


async def test_a_block_that_idles_past_its_timeout_keeps_nothing(
    db: DatabaseManager, let_pass: LetPass
) -> None:
    """Also if no statement runs at that moment."""
    with pytest.raises(QueryTimeout):
        async with db.transaction(timeout=1000) as tx:
            await both_halves(tx, 1)
            await let_pass(2000)
    assert await db.fetch_value("SELECT count(*) FROM pair") == 0


async def test_a_task_group_ends_its_blocks(
    db: DatabaseManager, case: EngineCase, place: Place, steps: Steps
) -> None:
    """The failure of one task cancels the others' statements, and the group ends."""
    loop, running = asyncio.get_running_loop(), asyncio.Event()
    steps.at_text(case.endless, lambda _: loop.call_soon_threadsafe(running.set))

    async def fail() -> None:
        await running.wait()
        await asyncio.sleep(0.05)  # so that the server has begun, which it need not
        raise LookupError

    async def endless() -> None:
        async with db.transaction(readonly=True) as tx:
            await tx.fetch_value(case.endless)

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(endless())
            group.create_task(fail())
    assert [type(error) for error in raised.value.exceptions] == [LookupError]
    await assert_whole(db, place)


async def test_wait_for_inside_a_block_uses_the_block(db: DatabaseManager) -> None:
    """What runs in a task of its own is still in the transaction."""
    with pytest.raises(LookupError):
        async with db.transaction() as tx:
            await asyncio.wait_for(tx.execute(ADD, (1, 1)), 60)
            await asyncio.shield(tx.execute(ADD, (2, 1)))
            await asyncio.create_task(tx.execute(ADD, (1, 2)))
            raise LookupError
    assert await db.fetch_value("SELECT count(*) FROM pair") == 0


@pytest.mark.parametrize("size", [1, 2, 49, 50, 51, 1000])
async def test_a_stream_is_whole_for_every_size_of_batch(db: DatabaseManager, size: int) -> None:
    """Smaller than, equal to and beyond the number of rows."""
    await db.execute_many(ADD, [(0, n) for n in range(50)])
    sql = "SELECT ident FROM pair ORDER BY ident"
    assert [row[0] async for row in db.stream(sql, batch_size=size)] == list(range(50))
    async with db.transaction() as tx:
        assert [row[0] async for row in tx.stream(sql, batch_size=size)] == list(range(50))


async def test_a_stream_of_no_rows_ends_at_once(db: DatabaseManager) -> None:
    """On the manager and in a block."""
    assert [row async for row in db.stream("SELECT ident FROM pair")] == []
    async with db.transaction() as tx:
        assert [row async for row in tx.stream("SELECT ident FROM pair")] == []
        await both_halves(tx, 1)


@pytest.mark.parametrize("size", [0, -1, 1.5, "1", True, 10**9])
async def test_a_size_of_batch_that_is_none_is_refused(db: DatabaseManager, size: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(QueryError, match="batch_size"):
        await anext(db.stream("SELECT 1", batch_size=size))


@pytest.mark.parametrize("failure", [LookupError, asyncio.CancelledError])
async def test_a_stream_left_by_an_error_gives_its_connection_back(
    db: DatabaseManager, failure: type[BaseException]
) -> None:
    """Far more of them than there are connections; in a block too."""
    await db.execute_many(ADD, [(0, n) for n in range(50)])
    for _ in range(10):
        with pytest.raises(failure):
            async with aclosing(db.stream("SELECT ident FROM pair", batch_size=1)) as rows:
                async for _row in rows:
                    raise failure
        with pytest.raises(failure):
            async with db.transaction() as tx, aclosing(tx.stream("SELECT ident FROM pair")) as rows:
                async for _row in rows:
                    raise failure
    await asyncio.gather(*(by_read_only_block(db, 0) for _ in range(10)))


async def test_a_stream_that_fails_in_a_block_fails_the_block(db: DatabaseManager) -> None:
    """Like every other statement."""
    with pytest.raises(DalError):
        async with db.transaction() as tx:
            await tx.execute(ADD, (1, 1))
            async for _ in tx.stream("SELECT absent FROM pair"):
                pass
    assert await db.fetch_value("SELECT count(*) FROM pair") == 0


async def test_a_stream_holds_one_batch_at_a_time(db: DatabaseManager) -> None:
    """Its first row comes long before the last could."""
    digits = " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10))
    tables = ", ".join(f"({digits}) AS t{n}" for n in range(12))
    async with asyncio.timeout(60), aclosing(db.stream(f"SELECT t0.d FROM {tables}", batch_size=10)) as rows:
        assert (await anext(rows))[0] in range(10)
