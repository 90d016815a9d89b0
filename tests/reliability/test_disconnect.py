"""Connecting and disconnecting at awkward moments."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines.sqlite import engine
from dal.errors import UsageError
from dal.settings import DatabaseSettings, Settings

SLOW = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
INSERT = "INSERT INTO t (v) VALUES (1)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with an empty table."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t (v INTEGER) STRICT")
    return tmp_path / "a.db"


@pytest.fixture
def db(path: Path) -> DatabaseManager:
    """A manager, not yet connected."""
    return DatabaseManager(f"sqlite:///{path}")


async def block_left_open(db: DatabaseManager) -> None:
    async with db.transaction() as tx:
        await tx.execute(INSERT)
        await asyncio.Event().wait()


async def test_disconnect_ends_what_still_runs(path: Path) -> None:
    """Reads, a block, what waits behind it and a stream end in an error after some seconds, not for ever."""
    db = DatabaseManager(f"sqlite:///{path}", settings=Settings(database=DatabaseSettings(timeout=None)))
    await db.connect()
    stream = db.stream(SLOW.replace("count(*)", "i"), batch_size=1)
    await anext(stream)
    block = asyncio.create_task(block_left_open(db))
    await asyncio.sleep(0.05)
    calls: list[asyncio.Task[Any]] = [asyncio.create_task(db.fetch_value(SLOW)) for _ in range(5)]
    calls += [asyncio.create_task(db.execute(INSERT)) for _ in range(5)]
    await asyncio.sleep(0.05)

    async with asyncio.timeout(60):
        await db.disconnect()
        errors = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(error) for error in errors] == [UsageError] * 10
    block.cancel()
    await asyncio.wait([block])
    await stream.aclose()
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


async def test_calls_under_way_are_let_to_their_ends(
    db: DatabaseManager, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes that have begun when disconnect is called are acknowledged, and there."""
    monkeypatch.setattr(engine, "_DISCONNECT_SECONDS", 60)
    await db.connect()
    call = asyncio.create_task(db.execute(INSERT))
    await asyncio.sleep(0)
    await db.disconnect()

    assert await call == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


async def test_second_disconnect_does_nothing(db: DatabaseManager) -> None:
    """Disconnecting twice, one after the other or at once, is no error."""
    await db.connect()
    await asyncio.gather(db.disconnect(), db.disconnect())
    await db.disconnect()
    with pytest.raises(UsageError):
        await db.fetch_value("SELECT 1")


async def test_disconnect_during_connect_leaves_it_disconnected(db: DatabaseManager) -> None:
    """Disconnect waits for the connect that runs and undoes it."""
    await asyncio.gather(db.connect(), db.disconnect())
    with pytest.raises(UsageError):
        await db.fetch_value("SELECT 1")


async def test_second_connect_waits_for_the_first(db: DatabaseManager) -> None:
    """A task that finds another one connecting goes on when the database is connected."""

    async def use() -> object:
        await db.connect()
        return await db.fetch_value("SELECT 1")

    values = await asyncio.gather(use(), use(), use())
    assert set(values) == {1}
    await db.disconnect()


async def test_cancelled_connect_leaves_nothing(path: Path) -> None:
    """A connect cancelled at any moment leaves no thread, no error in the loop, and can be begun again."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    for steps in range(30):
        db = DatabaseManager(f"sqlite:///{path}")
        connecting = asyncio.create_task(db.connect())
        for _ in range(steps):
            await asyncio.sleep(0.0002)
        connecting.cancel()
        await asyncio.wait([connecting])
        async with db:
            assert await db.fetch_value("SELECT 1") == 1
    assert complaints == []
