"""Every connection has the settings, and a guard that no text can fool."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines.sqlite.connection import Connection
from dal.errors import ConfigurationError, StatementRefused
from dal.executor import Executor
from dal.settings import Settings

SETTINGS = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[DatabaseManager]:
    async with DatabaseManager(f"sqlite:///{tmp_path}/test.db", settings=Settings()) as manager:
        await manager.execute("CREATE TABLE t (a INTEGER)")
        yield manager


async def settings_of(executor: Executor) -> list[Any]:
    return [
        await executor.fetch_value("SELECT journal_mode FROM pragma_journal_mode"),
        await executor.fetch_value("SELECT synchronous FROM pragma_synchronous"),
        await executor.fetch_value("SELECT foreign_keys FROM pragma_foreign_keys"),
        await executor.fetch_value("SELECT timeout FROM pragma_busy_timeout"),
        await executor.fetch_value("SELECT query_only FROM pragma_query_only"),
    ]


async def test_every_connection_has_the_settings(db: DatabaseManager) -> None:
    """WAL, FULL, foreign keys, no busy time-out; the readers refuse writes, the writer does not."""
    for _ in range(4):
        assert await settings_of(db) == ["wal", 2, 1, 0, 1]
    async with db.transaction(readonly=True) as tx:
        assert await settings_of(tx) == ["wal", 2, 1, 0, 1]
    async with db.transaction() as tx:
        assert await settings_of(tx) == ["wal", 2, 1, 0, 0]
    database = db.database
    found = [await database.fetch_val(f"PRAGMA {name}") for name in SETTINGS]
    assert found == ["wal", 2, 1, 5000, 0]


def test_a_setting_that_does_not_hold_is_an_error() -> None:
    """Each is read back."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Connection)
    with pytest.raises(ConfigurationError, match="journal_mode"):
        connection.prepare(":memory:", {"journal_mode": "wal"})
    connection.close()


async def test_foreign_keys_are_enforced(db: DatabaseManager) -> None:
    """SQLite leaves them unchecked by default."""
    assert await db.fetch_value("PRAGMA foreign_keys") == 1


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '/tmp/never.db' AS other",
        "/* a comment */ ATTACH DATABASE ':memory:' AS other",
        "DETACH main",
        "CREATE TEMP TABLE x (a)",
        "CREATE TEMPORARY VIEW x AS SELECT 1",
        "CREATE TABLE temp.x (a)",
        "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "PRAGMA synchronous = OFF",
        "PRAGMA foreign_keys(0)",
        "PRAGMA main.journal_mode=delete",
        "PRAGMA writable_schema = ON",
        "SAVEPOINT dal_write",
        "RELEASE dal_1",
        "BEGIN IMMEDIATE",
        "\ufeffBEGIN",
    ],
)
async def test_what_would_break_a_connection_is_refused(db: DatabaseManager, sql: Any) -> None:
    """By every verb, alone and inside a transaction, the second time too."""
    for _ in range(2):
        for verb in (db.execute, db.fetch_all, db.execute_script):
            with pytest.raises(Exception, match=r"not allowed|syntax error|unrecognized") as raised:
                await verb(sql)
            assert type(raised.value).__module__ == "dal.errors"
    with pytest.raises(StatementRefused if "\ufeff" not in sql else Exception):
        async with db.transaction() as tx:
            await tx.execute(sql)
    assert await settings_of(db) == ["wal", 2, 1, 0, 1]
    async with db.transaction() as tx:
        assert await settings_of(tx) == ["wal", 2, 1, 0, 0]


@pytest.mark.parametrize("sql", ["PRAGMA table_info(t)", "PRAGMA integrity_check", "PRAGMA user_version"])
async def test_pragmas_that_only_read_are_allowed(db: DatabaseManager, sql: Any) -> None:
    """Tools need them."""
    assert len(await db.fetch_all(sql)) == 1


async def test_a_pragma_for_maintenance_is_allowed(db: DatabaseManager) -> None:
    """Outside of a transaction, on the writing connection."""
    await db.execute("PRAGMA optimize")
    await db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with pytest.raises(StatementRefused, match="inside a transaction"):
        await db.execute_transaction([("VACUUM", ())])


async def test_an_error_shows_no_value_of_a_neighbour(db: DatabaseManager) -> None:
    """The traceback of a shared commit would hold the arguments of every statement in it."""
    import asyncio
    import traceback

    await db.execute("CREATE UNIQUE INDEX once ON t (a)")
    await db.execute("INSERT INTO t VALUES (1)")
    results = await asyncio.gather(
        db.execute("INSERT INTO t VALUES (2)"),
        db.execute("INSERT INTO t VALUES (:a)", {"a": 31337}),
        db.execute("INSERT INTO t VALUES (1)"),
        return_exceptions=True,
    )
    error = results[2]
    assert isinstance(error, Exception)
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "31337" not in "".join(shown.format())
