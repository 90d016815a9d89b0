"""A caller may leave, fail or be late at any step: it is free at once, and all is whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import DalError, QueryError, QueryTimeout, UniqueViolation
from dal.settings import Settings
from dal.transaction import Transaction
from tests.engine_cases import EngineCase

ADD = "INSERT INTO pair (half, ident) VALUES (?, ?)"
BOTH = "INSERT INTO pair (half, ident) VALUES (1, ?), (2, ?)"
TORN = "SELECT ident FROM pair GROUP BY ident HAVING count(*) <> 2 OR sum(half) <> 3"


@pytest.fixture
async def db(case: EngineCase, url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A table whose rows come in pairs."""
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(f"CREATE TABLE pair (half INTEGER, ident INTEGER) {case['strict']}")
        yield manager


async def both_halves(tx: Transaction, ident: int) -> None:
    await tx.execute(ADD, (1, ident))
    await tx.execute(ADD, (2, ident))


async def by_block(db: DatabaseManager, ident: int) -> None:
    async with db.transaction() as tx:
        await both_halves(tx, ident)


async def by_nested_block(db: DatabaseManager, ident: int) -> None:
    async with db.transaction() as tx, tx.transaction() as inner:
        await both_halves(inner, ident)


async def by_read_only_block(db: DatabaseManager, ident: int) -> None:
    async with db.transaction(readonly=True) as tx:
        await tx.fetch_value("SELECT count(*) FROM pair")


async def by_stream(db: DatabaseManager, ident: int) -> None:
    async with aclosing(db.stream("SELECT 1 AS a UNION ALL SELECT 2", batch_size=1)) as rows:
        async for _ in rows:
            break
    await db.execute_many(ADD, [(1, ident), (2, ident)])


VERBS: dict[str, Callable[[DatabaseManager, int], Awaitable[Any]]] = {
    "execute": lambda db, n: db.execute(BOTH, (n, n)),
    "fetch_all": lambda db, n: db.fetch_all("SELECT half FROM pair WHERE ident = ?", (n,)),
    "fetch_all of a write": lambda db, n: db.fetch_all(BOTH + " RETURNING half", (n, n)),
    "execute_many": lambda db, n: db.execute_many(ADD, [(1, n), (2, n)]),
    "execute_script": lambda db, n: db.execute_script(
        f"INSERT INTO pair VALUES (1, {n}); INSERT INTO pair VALUES (2, {n});"
    ),
    "execute_transaction": lambda db, n: db.execute_transaction([(ADD, (1, n)), (ADD, (2, n))]),
    "transaction": by_block,
    "nested transaction": by_nested_block,
    "read-only transaction": by_read_only_block,
    "run_transaction": lambda db, n: db.run_transaction(lambda tx: both_halves(tx, n)),
    "stream": by_stream,
}


async def assert_whole(db: DatabaseManager) -> None:
    """No pair is torn, and every connection works."""
    async with asyncio.timeout(10):
        assert await db.fetch_all(TORN) == []
        await asyncio.gather(*(by_read_only_block(db, 0) for _ in range(10)))
        await by_block(db, -1)


@pytest.mark.parametrize("verb", VERBS)
async def test_cancelled_at_any_step(db: DatabaseManager, verb: str) -> None:
    """After k turns of the event loop, for every second k: `CancelledError` and nothing else."""
    for k in range(0, 60, 2):
        task = asyncio.ensure_future(VERBS[verb](db, k))
        for _ in range(k):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled() or (task.done() and task.exception() is None)
    await assert_whole(db)


@pytest.mark.parametrize("verb", ["execute_many", "execute_transaction", "nested transaction", "stream"])
async def test_cancelled_at_any_moment(db: DatabaseManager, verb: str) -> None:
    """After k tenths of a millisecond, so that every answer of the database is waited for once."""
    for k in range(40):
        task = asyncio.ensure_future(VERBS[verb](db, k))
        await asyncio.sleep(k * 0.0001)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled() or (task.done() and task.exception() is None)
    await assert_whole(db)


async def test_cancelled_twice(db: DatabaseManager) -> None:
    """A second cancellation during the clean-up loses nothing either."""
    for k in range(30):
        task = asyncio.ensure_future(by_block(db, k))
        await asyncio.sleep(0.0001 * k)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled() or (task.done() and task.exception() is None)
    await assert_whole(db)


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


async def test_a_timeout_frees_the_caller_in_time(db: DatabaseManager, case: EngineCase) -> None:
    """Of the library and of asyncio, alone and in a block."""
    begun = time.monotonic()
    with pytest.raises(QueryTimeout):
        await db.fetch_value(case.endless, timeout=0.1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await db.fetch_value(case.endless)
    with pytest.raises(QueryTimeout):
        async with db.transaction(timeout=0.1) as tx:
            await tx.execute(ADD, (1, 1))
            await tx.fetch_value(case.endless)
    assert time.monotonic() - begun < 2
    await assert_whole(db)


async def test_a_block_that_idles_past_its_timeout_keeps_nothing(db: DatabaseManager) -> None:
    """Also if no statement runs at that moment."""
    with pytest.raises(QueryTimeout):
        async with db.transaction(timeout=0.05) as tx:
            await both_halves(tx, 1)
            await asyncio.sleep(0.1)
    assert await db.fetch_value("SELECT count(*) FROM pair") == 0


async def test_a_task_group_ends_its_blocks(db: DatabaseManager, case: EngineCase) -> None:
    """The failure of one task cancels the others' statements, and the group ends at once."""

    async def fail() -> None:
        await asyncio.sleep(0.05)
        raise LookupError

    async def endless() -> None:
        async with db.transaction(readonly=True) as tx:
            await tx.fetch_value(case.endless)

    begun = time.monotonic()
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.TaskGroup() as group:
            group.create_task(endless())
            group.create_task(fail())
    assert [type(error) for error in raised.value.exceptions] == [LookupError]
    assert time.monotonic() - begun < 2
    await assert_whole(db)


async def test_wait_for_inside_a_block_uses_the_block(db: DatabaseManager) -> None:
    """What runs in a task of its own is still in the transaction."""
    with pytest.raises(LookupError):
        async with db.transaction() as tx:
            await asyncio.wait_for(tx.execute(ADD, (1, 1)), 5)
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
    tables = ", ".join(f"({digits}) AS t{n}" for n in range(7))
    begun = time.monotonic()
    async with aclosing(db.stream(f"SELECT t0.d FROM {tables}", batch_size=10)) as rows:
        async for _ in rows:
            break
    assert time.monotonic() - begun < 2
