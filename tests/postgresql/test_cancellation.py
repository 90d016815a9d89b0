"""A caller may leave, fail or lose its connection at any step: it is free at once, and all is whole.

What had not begun does not run, a statement that runs is stopped on the server; a COMMIT that runs may be
committed, or not, and is never half there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import DatabaseError, OutcomeUnknown, QueryTimeout, TransactionError
from dal.settings import Settings
from dal.transaction import Transaction
from tests.postgresql.proxy import Proxy
from tests.servers import PostgresServer

ADD = "INSERT INTO pair (half, ident) VALUES (?, ?)"
TABLE = "CREATE TABLE pair (half integer, ident bigint)"
ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000000000) AS g"


@pytest.fixture
async def db(url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(TABLE)
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


async def by_stream(db: DatabaseManager, ident: int) -> None:
    async with aclosing(db.stream("SELECT half FROM pair", batch_size=1)) as rows:
        async for _ in rows:
            break
    await db.execute_many(ADD, [(1, ident), (2, ident)])


async def by_read_only_block(db: DatabaseManager, ident: int) -> None:
    async with db.transaction(readonly=True) as tx:
        await tx.fetch_all("SELECT half FROM pair")
        await tx.fetch_value("SELECT count(*) FROM pair")


VERBS: dict[str, Callable[[DatabaseManager, int], Awaitable[Any]]] = {
    "execute": lambda db, n: db.execute("INSERT INTO pair (half, ident) VALUES (1, ?), (2, ?)", (n, n)),
    "fetch_one": lambda db, n: db.fetch_one("SELECT half FROM pair WHERE ident = ? AND half = 1", (n,)),
    "fetch_one of a write": lambda db, n: db.fetch_one(
        "WITH x AS (INSERT INTO pair (half, ident) VALUES (1, ?), (2, ?) RETURNING half) "
        "SELECT sum(half) FROM x",
        (n, n),
    ),
    "fetch_all of a write": lambda db, n: db.fetch_all(
        "INSERT INTO pair (half, ident) VALUES (1, ?), (2, ?) RETURNING half", (n, n)
    ),
    "fetch_value": lambda db, n: db.fetch_value("SELECT count(*) FROM pair"),
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
}  # fmt: skip


async def assert_whole(db: DatabaseManager) -> None:
    """No connection is lost, no transaction open on the server, no pair half there; the next calls work."""
    pool: Any = db._engine._pool  # type: ignore[attr-defined]  # the engine's own
    assert (pool.lent, pool.waiting) == (0, 0)
    async with asyncio.timeout(5):
        while await db.fetch_value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
            "pid <> pg_backend_pid() AND state NOT IN ('idle', 'disabled') AND query NOT LIKE 'CLOSE ALL%'"
        ):
            await asyncio.sleep(0.01)
        halves = await db.fetch_all(
            "SELECT ident, count(*) FROM pair GROUP BY ident HAVING count(*) <> 2 OR sum(half) <> 3"
        )
        assert [tuple(row) for row in halves] == []
        await asyncio.gather(*(by_read_only_block(db, 0) for _ in range(10)))


@pytest.mark.parametrize("verb", VERBS)
async def test_cancel_at_every_step_of_the_loop(db: DatabaseManager, verb: str) -> None:
    """Cancelled after k turns of the event loop, for every k until the call is faster."""
    for k in range(300):
        task = asyncio.ensure_future(VERBS[verb](db, k))
        for _ in range(k):
            if task.done():
                break
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            continue
        if k > 30:
            break
    await assert_whole(db)


@pytest.mark.parametrize("verb", ["execute_transaction", "nested transaction", "stream"])
async def test_cancel_in_every_moment(db: DatabaseManager, verb: str) -> None:
    """Cancelled after k tens of microseconds, so that every answer of the server is waited for once."""
    rng = random.Random(3)
    for k in range(150):
        task = asyncio.ensure_future(VERBS[verb](db, k))
        await asyncio.sleep(rng.uniform(0, 0.004))
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None
    await assert_whole(db)


async def test_cancelled_twice(db: DatabaseManager) -> None:
    """A second cancellation during the clean-up loses no connection either."""
    for k in range(40):
        task = asyncio.ensure_future(by_block(db, k))
        await asyncio.sleep(0.0001 * k)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None
    await assert_whole(db)


async def test_a_statement_that_runs_is_stopped_on_the_server(db: DatabaseManager) -> None:
    """Far more of them than there are connections, cancelled and at their timeout."""
    for number in range(8):
        if number % 2:
            with pytest.raises(QueryTimeout):
                await db.fetch_value(ENDLESS, timeout=0.3)
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await db.fetch_value(ENDLESS)
    await assert_whole(db)


async def test_a_transaction_is_over_once_a_statement_was_cancelled(db: DatabaseManager) -> None:
    """Whoever swallows the cancellation cannot go on writing, nor commit."""
    with pytest.raises(TransactionError):
        async with db.transaction() as tx:
            await tx.execute(ADD, (1, 1))
            task = asyncio.ensure_future(tx.fetch_value(ENDLESS))
            await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.wait([task])
            with pytest.raises(TransactionError):
                await tx.execute(ADD, (2, 1))
    await assert_whole(db)


async def test_a_large_execute_many_is_left_at_once(db: DatabaseManager) -> None:
    """While the driver waits to send more: it swallows the cancellation, the caller is free all the same."""
    rows = [(n % 2 + 1, n // 2) for n in range(200_000)]
    await db.execute("CREATE FUNCTION slow() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; "
                     "END' LANGUAGE plpgsql")  # fmt: skip
    await db.execute("CREATE TRIGGER slow BEFORE INSERT ON pair FOR EACH ROW EXECUTE FUNCTION slow()")
    task = asyncio.ensure_future(db.execute_many(ADD, rows))
    await asyncio.sleep(0.7)
    begun = asyncio.get_running_loop().time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.get_running_loop().time() - begun < 0.5
    await assert_whole(db)


@pytest.mark.parametrize("verb", VERBS)
async def test_the_connection_is_lost_at_every_step(
    server: PostgresServer, url: str, settings: Settings, db: DatabaseManager, verb: str
) -> None:
    """At the k-th answer of the server, for every k: an error of ours, all or nothing, and recovery."""
    async with Proxy(server.port) as proxy:
        through = url.replace(f":{server.port}/", f":{proxy.port}/")
        async with DatabaseManager(through, settings=settings) as lossy:
            for k in range(1, 40):
                await lossy.fetch_value("SELECT 1")
                proxy.arm(k)
                try:
                    await VERBS[verb](lossy, k)
                except DatabaseError:
                    proxy.disarm()
                else:
                    reached = proxy.chunks
                    proxy.disarm()
                    if reached < k:
                        break
            await assert_whole(lossy)
    await assert_whole(db)


@pytest.mark.parametrize("verb", ["transaction", "execute_transaction"])
async def test_the_answer_to_commit_is_lost(
    server: PostgresServer, url: str, settings: Settings, db: DatabaseManager, verb: str
) -> None:
    """`OutcomeUnknown`; the rows are both there, and nothing was run again."""
    async with Proxy(server.port) as proxy:
        through = url.replace(f":{server.port}/", f":{proxy.port}/")
        async with DatabaseManager(through, settings=settings) as lossy:
            proxy.lose_answer_to(b"COMMIT")
            with pytest.raises(OutcomeUnknown):
                await VERBS[verb](lossy, 7)
            proxy.disarm()
            assert await lossy.fetch_value("SELECT count(*) FROM pair WHERE ident = 7") == 2
    await assert_whole(db)


async def test_an_error_that_the_caller_raises_at_any_step_is_the_one_that_comes_out(
    db: DatabaseManager,
) -> None:
    """The block's own error, never one of its clean-up."""
    for step in range(4):
        with pytest.raises(LookupError):
            async with db.transaction() as tx:
                for done in range(step):
                    await tx.execute(ADD, (done % 2 + 1, 1))
                raise LookupError
    await assert_whole(db)
    assert await db.fetch_value("SELECT count(*) FROM pair") == 0
