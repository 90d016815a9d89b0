"""`DatabaseManager.database` works as a `databases.Database`, beside the verbs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import databases
import pytest

from dal.database import DatabaseManager
from dal.engines.sqlite import backend
from dal.settings import Settings
from tests.clock import Clock

ADD = "INSERT INTO t (a) VALUES (:a)"
COUNT = "SELECT count(*) FROM t"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[DatabaseManager]:
    async with DatabaseManager(f"sqlite:///{tmp_path}/test.db", settings=Settings()) as manager:
        await manager.execute("CREATE TABLE t (a INTEGER)")
        yield manager


async def test_its_own_interface_works(db: DatabaseManager) -> None:
    """The verbs of that package, on the same rows."""
    database = db.database
    assert isinstance(database, databases.Database)
    assert database.is_connected
    await database.execute(ADD, {"a": 1})
    await database.execute_many(ADD, [{"a": 2}, {"a": 3}])
    row = await database.fetch_one("SELECT a FROM t WHERE a = :a", {"a": 2})
    assert row is not None
    assert row["a"] == 2
    assert [row["a"] async for row in database.iterate("SELECT a FROM t ORDER BY a")] == [1, 2, 3]
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
        async with database.transaction():
            await database.execute(ADD, {"a": 3})
            raise LookupError
    assert [row[0] for row in await db.fetch_all("SELECT a FROM t")] == [1]


async def test_both_sides_write_at_once(db: DatabaseManager) -> None:
    """Read-modify-write by `databases`, single writes by the verbs: nothing is lost or locked out."""
    database = db.database

    async def increment() -> None:
        async with database.transaction():
            count = await database.fetch_val("SELECT max(a) FROM t")
            await database.execute("UPDATE t SET a = :a", {"a": count + 1})

    await db.execute("INSERT INTO t VALUES (0)")
    await db.execute("CREATE TABLE u (a INTEGER)")
    await asyncio.gather(
        *(increment() for _ in range(20)), *(db.execute("INSERT INTO u VALUES (?)", (n,)) for n in range(100))
    )
    assert await db.fetch_value("SELECT a FROM t") == 20
    assert await db.fetch_value("SELECT count(*) FROM u") == 100


async def test_a_query_that_is_cancelled_costs_no_connection(db: DatabaseManager) -> None:
    """More of them than there are connections; the thread is free again each time."""
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT count(*) FROM c"
    for _ in range(6):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await db.database.fetch_val(endless)
    assert await db.database.fetch_val(COUNT) == 0


async def test_a_forgotten_transaction_does_not_lock_the_file_for_ever(
    db: DatabaseManager, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is rolled back after its longest time, and said so in the log."""
    transaction = await db.database.transaction()
    await db.database.execute(ADD, {"a": 1})
    clock.forward(backend._LONGEST_TRANSACTION)
    await db.execute(ADD, {"a": 2}, timeout=60)
    assert [row[0] for row in await db.fetch_all("SELECT a FROM t")] == [2]
    assert "open for too long" in caplog.text
    del transaction
