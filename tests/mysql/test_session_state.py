"""What a session starts with, and the ways to leave it in a bad state that only this server has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines.mysql.engine import MysqlEngine
from dal.errors import StatementRefused
from dal.settings import DatabaseSettings, Settings

SETTINGS = """
SELECT @@sql_mode, @@time_zone, @@autocommit, @@collation_connection, @@character_set_client,
    @@character_set_results, @@tx_isolation, @@innodb_lock_wait_timeout, @@foreign_key_checks
"""


@pytest.fixture
async def db(url: str) -> AsyncIterator[DatabaseManager]:
    """A pool of one connection, so that the next call has the same one."""
    settings = Settings(database=DatabaseSettings(pool_size=1, max_overflow=0))
    async with DatabaseManager(url, settings=settings) as manager:
        yield manager


async def test_settings_do_not_depend_on_the_servers(db: DatabaseManager) -> None:
    """The test server has Latin-1, no strict mode, another time zone and autocommit off."""
    row = await db.fetch_one(SETTINGS)
    assert row is not None
    assert {"STRICT_ALL_TABLES", "NO_AUTO_VALUE_ON_ZERO", "PIPES_AS_CONCAT"} <= set(row[0].split(","))
    assert list(row)[1:] == [
        "+00:00", 1, "utf8mb4_nopad_bin", "utf8mb4", "utf8mb4", "SERIALIZABLE", 10, 1,
    ]  # fmt: skip


async def test_locked_tables_are_unlocked(db: DatabaseManager) -> None:
    """Others may use them at once."""
    await db.execute("CREATE TABLE t (a INTEGER)")
    await db.execute("LOCK TABLES t WRITE")
    await db.execute("CREATE TABLE u (a INTEGER)")
    assert await db.execute("INSERT INTO u VALUES (1)", timeout=60) == 1


async def test_a_routine_that_leaves_autocommit_off_harms_nobody(db: DatabaseManager) -> None:
    """The next write is committed."""
    await db.execute("CREATE TABLE t (a INTEGER)")
    await db.execute("CREATE PROCEDURE off() SET autocommit = 0")
    await db.execute("CALL off()")
    await db.execute("INSERT INTO t VALUES (1)")
    assert await db.fetch_value("SELECT @@autocommit") == 1
    assert await db.fetch_value("SELECT count(*) FROM t") == 1


async def test_a_routine_that_leaves_a_transaction_open_has_it_undone(db: DatabaseManager) -> None:
    """The connection is not handed on."""
    await db.execute("CREATE TABLE t (a INTEGER)")
    await db.execute_script(
        "CREATE PROCEDURE leave_open() BEGIN START TRANSACTION; INSERT INTO t VALUES (1); END"
    )
    await db.execute("CALL leave_open()")
    assert await db.fetch_value("SELECT count(*) FROM t") == 0


async def test_multi_statements_stay_off_after_a_reset(db: DatabaseManager) -> None:
    """The server itself refuses a second statement, should one get past the scanner."""
    await db.fetch_value("SELECT 1")
    with pytest.raises(StatementRefused, match="execute_script"):
        await db.execute("SELECT 1; SELECT 2")
    engine: Any = db._engine
    assert isinstance(engine, MysqlEngine)
    connection = await engine._pool.acquire(None)
    try:
        with pytest.raises(Exception, match="cannot parse"):
            await connection.run("SELECT 1; SELECT 2")
    finally:
        engine._pool.release(connection, clean=True)


@pytest.mark.parametrize(
    "sql",
    [
        "SET NAMES latin1", "set character set latin1", "SET @a = 1, NAMES gbk",
        "SET character_set_client = gbk",
        "SET @@session.character_set_connection = gbk", "/*! SET NAMES gbk */",
    ],
)  # fmt: skip
async def test_the_character_set_cannot_be_changed(db: DatabaseManager, sql: Any) -> None:
    """Escaping relies on it."""
    with pytest.raises(StatementRefused):
        await db.execute(sql)


async def test_values_are_refused_while_backslashes_do_not_escape(db: DatabaseManager) -> None:
    """Under NO_BACKSLASH_ESCAPES a value could end its literal."""
    with pytest.raises(StatementRefused, match="NO_BACKSLASH_ESCAPES"):
        async with db.transaction() as tx:
            await tx.execute("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
            await tx.fetch_value("SELECT ?", ("\\' OR 1 = 1 -- ",))
    assert await db.fetch_value("SELECT ?", ("\\'",)) == "\\'"
