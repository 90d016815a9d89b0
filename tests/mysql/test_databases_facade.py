"""`DatabaseManager.database` works as a `databases.Database`, beside the verbs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import databases
import pytest

from dal.database import DatabaseManager
from dal.settings import Settings

ADD = "INSERT INTO t (a) VALUES (:a)"
COUNT = "SELECT count(*) FROM t"


@pytest.fixture
async def db(url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    async with DatabaseManager(url, settings=settings) as manager:
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


async def test_a_query_that_is_cancelled_costs_no_connection(db: DatabaseManager) -> None:
    """More of them than there are connections."""
    for _ in range(6):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await db.database.fetch_val("SELECT sleep(60)")
    assert await db.database.fetch_val(COUNT) == 0


async def test_what_it_leaks_starves_no_verb(db: DatabaseManager) -> None:
    """It has two connections of its own, whose session state is reset too."""
    left_open = [await db.database.transaction()]
    assert await db.fetch_value(COUNT, timeout=60) == 0
    await left_open.pop().rollback()
    await db.database.execute("SET @secret = 1")
    await asyncio.sleep(0.1)
    assert await db.database.fetch_val("SELECT @secret") is None
