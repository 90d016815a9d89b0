"""`DatabaseManager.database` works as a `databases.Database`, on connections of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import databases
import pytest

from dal.database import DatabaseManager
from dal.engines.postgresql import backend
from dal.errors import PoolTimeout
from dal.settings import Settings

ADD = "INSERT INTO t (a) VALUES (:a)"
COUNT = "SELECT count(*) FROM t"
OPEN_TRANSACTIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%'
"""


@pytest.fixture
async def db(url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute("CREATE TABLE t (a integer, doc jsonb)")
        yield manager


async def test_its_own_interface_works(db: DatabaseManager) -> None:
    """The verbs of that package, on the same rows, with its own types of values."""
    database = db.database
    assert isinstance(database, databases.Database)
    await database.execute(ADD, {"a": 1})
    await database.execute_many(ADD, [{"a": 2}, {"a": 3}])
    row = await database.fetch_one("SELECT a FROM t WHERE a = :a", {"a": 2})
    assert row is not None
    assert row["a"] == 2
    assert [row["a"] async for row in database.iterate("SELECT a FROM t ORDER BY a")] == [1, 2, 3]
    assert await database.fetch_val("SELECT '{}'::jsonb") == "{}"
    assert await db.fetch_value(COUNT) == 3


async def test_its_transactions_commit_and_roll_back(db: DatabaseManager) -> None:
    """Nested ones as savepoints."""
    database = db.database
    async with database.transaction():
        await database.execute(ADD, {"a": 1})
        with pytest.raises(LookupError):
            async with database.transaction():
                await database.execute(ADD, {"a": 2})
                raise LookupError
    with pytest.raises(LookupError):
        async with database.transaction(isolation="serializable"):
            await database.execute(ADD, {"a": 3})
            raise LookupError
    assert [row[0] for row in await db.fetch_all("SELECT a FROM t")] == [1]


async def test_nothing_is_opened_before_it_is_used(db: DatabaseManager) -> None:
    """Whoever does not use it pays nothing."""
    pool = db.database._backend._pool._pool
    assert pool.size == 0
    await db.database.fetch_val("SELECT 1")
    assert pool.size == 1


async def test_a_query_that_is_cancelled_costs_no_connection(db: DatabaseManager) -> None:
    """More of them than there are connections."""
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await db.database.fetch_val("SELECT pg_sleep(10)")
    assert await db.database.fetch_val(COUNT) == 0


async def test_what_it_leaks_does_not_reach_the_verbs(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its share is two connections; the next query there waits, and says so."""
    held = [databases.core.Connection(db.database, db.database._backend) for _ in range(2)]
    for connection in held:
        await connection.__aenter__()
    with monkeypatch.context() as impatient, pytest.raises(PoolTimeout):
        impatient.setattr(backend, "_WAIT_SECONDS", 0.1)
        await db.database.fetch_val("SELECT 1")
    assert await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(10))) == [1] * 10
    for connection in held:
        await connection.__aexit__()
    assert await db.database.fetch_val("SELECT 1") == 1


async def test_a_forgotten_transaction_is_ended_by_the_server(
    url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its connection is replaced."""
    monkeypatch.setattr(backend, "_LONGEST_PAUSE", "100ms")
    async with DatabaseManager(url, settings=settings) as db:
        await db.execute("CREATE TABLE t (a integer)")
        for _ in range(3):
            connection = databases.core.Connection(db.database, db.database._backend)
            await connection.__aenter__()
            await connection.raw_connection.execute("BEGIN; INSERT INTO t VALUES (1)")
            async with asyncio.timeout(60):
                while await db.fetch_value(OPEN_TRANSACTIONS):
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)  # the loop has seen what the server has said
        assert await db.database.fetch_val(COUNT) == 0
