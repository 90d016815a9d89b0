"""The removal of expired rows, on each engine: in batches, beside others, whatever happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from dal.database import DatabaseManager
from dal.errors import ParameterError, UndefinedTable, UsageError
from dal.operations.cleanup import Cleanup, remove_expired
from dal.repositories.documents import SearchCacheRepository
from dal.settings import Settings
from tests.systems.fixtures import EmptyDatabase
from tests.systems.registry import ENGINES

COUNT = "SELECT count(*) FROM search_cache"


@pytest.fixture(params=ENGINES)
def address(request: pytest.FixtureRequest, empty_database: EmptyDatabase) -> str:
    """The URL of a database of documents without rows, on each engine in turn."""
    return empty_database(request.param, "documents")


@pytest.fixture
async def db(address: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    async with DatabaseManager(address, settings=settings) as manager:
        yield manager


async def fill(db: DatabaseManager, expired: int, good: int = 0) -> None:
    """Store answers to searches, the expired ones long ago."""
    rows = SearchCacheRepository(db)
    async with db.transaction() as tx:
        generation = await SearchCacheRepository(tx).generation()
    for number in range(expired + good):
        end = datetime.now(UTC) + timedelta(hours=-1 if number < expired else 1)
        assert await rows.put(f"words {number}", 10, [], generation=generation, expires_at=end)


async def gone(db: DatabaseManager, left: int) -> None:
    """Wait until that many answers are left."""
    async with asyncio.timeout(60):
        while await db.fetch_value(COUNT) > left:
            await asyncio.sleep(0.01)


async def counted(number: int, *cleanups: Cleanup) -> None:
    """Wait until they have counted that many rows; what is removed is counted a moment later."""
    async with asyncio.timeout(60):
        while sum(cleanup.removed for cleanup in cleanups) < number:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("batch_size", [1, 4, 12, 500])
async def test_expired_rows_go(db: DatabaseManager, batch_size: int) -> None:
    """All that expired, and only those, whatever the batch; a second time there is nothing to do."""
    await fill(db, 12, 3)
    assert await remove_expired(db, batch_size=batch_size, pause=0) == 12
    assert await db.fetch_value(COUNT) == 3
    assert await remove_expired(db, batch_size=batch_size, pause=0) == 0


async def test_batches_are_transactions(db: DatabaseManager) -> None:
    """Between two batches others see what is removed so far."""
    await fill(db, 10)
    task = asyncio.create_task(remove_expired(db, batch_size=4, pause=3600))
    await gone(db, 6)
    assert await db.fetch_value(COUNT) == 6
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await db.fetch_value(COUNT) == 6


@pytest.mark.parametrize("batch_size", [0, -1, 1_000_000])
async def test_odd_batches(db: DatabaseManager, batch_size: int) -> None:
    """Are refused, by the task before it begins."""
    with pytest.raises(ParameterError):
        await remove_expired(db, batch_size=batch_size)
    with pytest.raises(ParameterError):
        Cleanup(db, batch_size=batch_size)


async def test_beside_an_application(db: DatabaseManager) -> None:
    """A round begins at once, and again after the interval, until it is stopped; rows are counted."""
    await fill(db, 3, 1)
    async with Cleanup(db, interval=0.01, pause=0) as cleanup:
        await gone(db, 1)
        await db.execute("DELETE FROM search_cache")
        await fill(db, 2)
        await gone(db, 0)
        await counted(5, cleanup)
    assert cleanup.removed == 5
    await fill(db, 1)
    await asyncio.sleep(0.05)
    assert await db.fetch_value(COUNT) == 1


async def test_several_at_once(db: DatabaseManager, address: str, settings: Settings) -> None:
    """They share the work, beside writers of the same table: each row is counted once, and nobody fails."""
    await fill(db, 60)
    async with DatabaseManager(address, settings=settings) as other:
        cleanups = [Cleanup(one, interval=0.01, batch_size=7, pause=0) for one in (db, db, other)]
        async with cleanups[0], cleanups[1], cleanups[2]:
            await fill(other, 0, 10)
            await gone(db, 10)
            await counted(60, *cleanups)
    assert sum(cleanup.removed for cleanup in cleanups) == 60
    assert await db.fetch_value(COUNT) == 10


async def test_errors_do_not_end_it(db: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    """Each is logged, and the next round comes later and later; when it works again, it works."""
    await fill(db, 2)
    await db.execute("ALTER TABLE search_cache RENAME TO hidden")
    with pytest.raises(UndefinedTable):
        await remove_expired(db)
    async with Cleanup(db, interval=0.01) as cleanup:
        async with asyncio.timeout(60):
            while sum(record.levelno == logging.WARNING for record in caplog.records) < 4:
                await asyncio.sleep(0.01)
        await db.execute("ALTER TABLE hidden RENAME TO search_cache")
        await gone(db, 0)
        await counted(2, cleanup)
    assert cleanup.removed == 2
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    delays = [float(str(record.args[0])) for record in warnings if isinstance(record.args, tuple)]
    assert all("UndefinedTable" in record.getMessage() for record in warnings)
    assert all(later > 1.5 * delay for delay, later in pairwise(delays[:6]))


async def test_stopping_at_once(db: DatabaseManager) -> None:
    """It waits neither for the interval nor for a pause, twice is once, and it can be started again."""
    await fill(db, 5)
    cleanup = Cleanup(db, interval=3600, batch_size=2, pause=3600)
    cleanup.start()
    with pytest.raises(UsageError, match="runs already"):
        cleanup.start()
    await gone(db, 3)
    async with asyncio.timeout(60):
        await cleanup.stop()
        await cleanup.stop()
    async with cleanup:
        await gone(db, 1)


async def test_the_block_that_is_cancelled(db: DatabaseManager) -> None:
    """An application that is cancelled takes it along."""
    begun = asyncio.Event()

    async def application() -> None:
        async with Cleanup(db, interval=3600):
            begun.set()
            await asyncio.sleep(3600)

    task = asyncio.create_task(application())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
