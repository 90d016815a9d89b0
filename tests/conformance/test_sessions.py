"""What a call leaves in its session is gone before the next one, and nobody waits for that.

Where an engine could not take it back the statement is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import DalError, StatementRefused
from dal.queries import Query
from dal.settings import DatabaseSettings, Settings
from tests.conformance.pairs import quiet
from tests.engine_cases import CASES, Capability, EngineCase, Place, needs

ONE_CONNECTION = Settings(database=DatabaseSettings(pool_size=1, max_overflow=0))

# What is left, and a query that says 1, or true, of a clean session.
STATES: dict[str, dict[str, tuple[str, str]]] = {
    "sqlite": {
        "temporary table": ("CREATE TEMPORARY TABLE left_behind (a INTEGER)",
                            "SELECT count(*) = 0 FROM sqlite_temp_master"),
        "setting": ("PRAGMA foreign_keys = OFF", "SELECT foreign_keys FROM pragma_foreign_keys"),
        "another database": ("ATTACH ':memory:' AS other", "SELECT count(*) = 1 FROM pragma_database_list WHERE name <> 'temp'"),
        "read-only": ("PRAGMA query_only = ON", "SELECT 1"),
    },
    "postgresql": {
        "role": ("SET ROLE pg_monitor", "SELECT current_user = 'postgres'"),
        "user": ("SET SESSION AUTHORIZATION pg_monitor", "SELECT session_user = 'postgres'"),
        "setting": ("SET work_mem = '123kB'", "SELECT current_setting('work_mem') <> '123kB'"),
        "variable": ("SELECT set_config('app.user', 'alice', false)",
                     "SELECT coalesce(current_setting('app.user', true), '') = ''"),
        "time zone": ("SET TIME ZONE 'Asia/Tokyo'", "SELECT current_setting('TimeZone') = 'UTC'"),
        "search path": ("SET search_path = pg_catalog", "SELECT current_setting('search_path') ~ 'public'"),
        "read-only": ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                      "SELECT current_setting('default_transaction_read_only') = 'off'"),
        "temporary table": ("CREATE TEMPORARY TABLE left_behind (a integer)",
                            "SELECT to_regclass('pg_temp.left_behind') IS NULL"),
        "lock": ("SELECT pg_advisory_lock(7)", "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"),
        "channel": ("LISTEN news", "SELECT count(*) = 0 FROM pg_listening_channels()"),
        "cursor": ("DECLARE c CURSOR WITH HOLD FOR SELECT 1",
                   "SELECT count(*) = 0 FROM pg_cursors WHERE name = 'c'"),
        "escapes": ("SET standard_conforming_strings = off", r"SELECT '\' = chr(92)"),
        "prepared": ("PREPARE mine AS SELECT 1", "SELECT count(*) = 0 FROM pg_prepared_statements WHERE name = 'mine'"),
    },
    "mysql": {
        "variable": ("SET @secret = 1", "SELECT @secret IS NULL"),
        "setting": ("SET foreign_key_checks = 0", "SELECT @@foreign_key_checks"),
        "SQL mode": ("SET sql_mode = 'ANSI_QUOTES'", "SELECT @@sql_mode NOT LIKE '%ANSI%'"),
        "time zone": ("SET time_zone = '+03:00'", "SELECT @@time_zone = '+00:00'"),
        "lock": ("SELECT get_lock(concat('dal', database()), 0)",
                 "SELECT coalesce(is_used_lock(concat('dal', database())) <> connection_id(), TRUE)"),
        "lock wait": ("SET innodb_lock_wait_timeout = 1", "SELECT @@innodb_lock_wait_timeout = 10"),
        "statement time": ("SET max_statement_time = 7", "SELECT @@max_statement_time = 0"),
        "database": ("USE information_schema", "SELECT database() LIKE 'test%'"),
        "temporary table": ("CREATE TEMPORARY TABLE left_behind (a INTEGER)",
                            "SELECT 1 - count(*) FROM information_schema.tables WHERE table_name = 'left_behind'"),
        "read-only": ("SET SESSION TRANSACTION READ ONLY", "SELECT @@tx_read_only = 0"),
        "autocommit": ("SET autocommit = 0", "SELECT @@autocommit"),
        "character set": ("SET NAMES latin1", "SELECT @@character_set_client = 'utf8mb4'"),
        "prepared": ("PREPARE mine FROM 'SELECT 1'", "SELECT 1"),
    },
}  # fmt: skip


@pytest.fixture
async def db(url: str) -> AsyncIterator[DatabaseManager]:
    """A pool of one connection, so that the next call has the same one."""
    async with DatabaseManager(url, settings=ONE_CONNECTION) as manager:
        yield manager


async def leave(db: DatabaseManager, how: str, text: Any) -> None:
    if how == "call" and text.startswith("SELECT"):
        await db.fetch_all(text)
    elif how == "call":
        await db.execute(text)
    elif how == "script":
        await db.execute_script(text)
    else:
        async with db.transaction() as tx:
            await (tx.fetch_all(text) if text.startswith("SELECT") else tx.execute(text))
            if how == "failed block":
                raise LookupError


@pytest.mark.parametrize("how", ["call", "script", "block", "failed block"])
async def test_the_next_call_finds_a_clean_session(db: DatabaseManager, case: EngineCase, how: str) -> None:
    """Roles, settings, variables, temporary tables, locks, cursors and more: gone, or refused."""
    for state, (text, question) in STATES[case.dialect].items():
        with suppress(LookupError, StatementRefused):
            await leave(db, how, text)
        look: Any = question
        assert await db.fetch_value(look), state


@pytest.mark.parametrize("how", ["call", "script", "block"])
async def test_the_next_block_finds_a_clean_session(db: DatabaseManager, case: EngineCase, how: str) -> None:
    """Writing and reading ones: they keep nothing of what was left either."""
    for state, (text, question) in STATES[case.dialect].items():
        with suppress(StatementRefused):
            await leave(db, how, text)
        look: Any = question
        for readonly in (False, True):
            async with db.transaction(readonly=readonly) as tx:
                assert await tx.fetch_value(look), (state, readonly)


@needs(Capability.SERVER)
async def test_the_session_is_kept(db: DatabaseManager, case: EngineCase) -> None:
    """To open a new one would cost far more than to clean it."""
    ask: Any = case["session"]
    session = await db.fetch_value(ask)
    for text, _ in STATES[case.dialect].values():
        with suppress(StatementRefused):
            await leave(db, "call", text)
        assert await db.fetch_value(ask) == session, text


@needs(Capability.SERVER)
async def test_a_lock_of_the_session_is_free_for_others(
    db: DatabaseManager, url: str, case: EngineCase, place: Place
) -> None:
    """At once, though the session that took it lives on."""
    take: Any = STATES[case.dialect]["lock"][0]
    async with DatabaseManager(url, settings=ONE_CONNECTION) as other:
        for _ in range(3):
            taken = await db.fetch_value(take)
            await quiet(db, place)
            assert await other.fetch_value(take, timeout=60) == taken
            await quiet(other, place)


@needs(Capability.SERVER)
async def test_a_temporary_table_of_a_committed_block_is_gone(db: DatabaseManager) -> None:
    """With its rows; the next user may make one of the same name."""
    for _ in range(3):
        async with db.transaction() as tx:
            await tx.execute("CREATE TEMPORARY TABLE secret (a INTEGER)")
            await tx.execute("INSERT INTO secret VALUES (1)")
            assert await tx.fetch_value("SELECT count(*) FROM secret") == 1
        with pytest.raises(DalError):
            await db.fetch_all("SELECT a FROM secret")


async def test_what_a_cancelled_call_leaves_is_gone(db: DatabaseManager, case: EngineCase) -> None:
    """The call after it has a clean session as well."""
    for state, (text, question) in STATES[case.dialect].items():
        task = asyncio.ensure_future(leave(db, "block", text))
        await asyncio.sleep(0.001)
        task.cancel()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        assert error is None or isinstance(error, (asyncio.CancelledError, StatementRefused))
        look: Any = question
        assert await db.fetch_value(look), state


@needs(Capability.SERVER)
async def test_a_call_does_not_wait_for_a_session_to_be_cleaned(
    url: str, case: EngineCase, place: Place
) -> None:
    """While that of the last call is, it takes another one."""
    ask: Any = case["session"]
    settings = Settings(database=DatabaseSettings(pool_size=2, max_overflow=0))
    async with DatabaseManager(url, settings=settings) as db:
        await asyncio.gather(db.fetch_value(ask), db.fetch_value(ask))
        await quiet(db, place)
        assert await db.fetch_value(ask) != await db.fetch_value(ask)


async def test_writes_after_a_session_was_left_in_a_bad_state_are_kept(
    db: DatabaseManager, url: str, case: EngineCase
) -> None:
    """Autocommit off, read-only, another database: whatever was asked for, they are committed."""
    await db.execute("CREATE TABLE kept (a INTEGER)")
    for text, _ in STATES[case.dialect].values():
        with suppress(StatementRefused):
            await leave(db, "call", text)
        await db.execute("INSERT INTO kept VALUES (1)")
    async with DatabaseManager(url, settings=ONE_CONNECTION) as other:
        assert await other.fetch_value("SELECT count(*) FROM kept") == len(STATES[case.dialect])


@needs(Capability.SERVER)
async def test_a_query_declared_clean_is_not_followed_by_a_reset(
    db: DatabaseManager, case: EngineCase
) -> None:
    """The header says that it leaves nothing; one that lies shows that nothing was reset."""
    lies, questions = {
        "postgresql": ("SET work_mem = '123kB'", "SELECT current_setting('work_mem') = '123kB'"),
        "mysql": ("SET @mark = 7", "SELECT @mark = 7"),
    }[case.dialect]
    clean = {"headers": {"session": "clean"}}
    lie: Query[Any] = Query(name="lie", shared=lies, **clean)  # type: ignore[arg-type]  # headers only
    look: Query[Any] = Query(name="look", shared=questions, **clean)  # type: ignore[arg-type]  # headers only
    await db.execute(lie)
    assert await db.fetch_value(look)
    async with db.transaction(readonly=True) as tx:
        assert await tx.fetch_value(look)
    assert await db.fetch_value(look)
    async with db.transaction(readonly=True) as tx:
        await tx.fetch_value("SELECT 1")  # not declared: the block as a whole is not clean
    assert not await db.fetch_value(look)


def test_every_engine_has_states() -> None:
    """None is left out by mistake."""
    assert set(STATES) == {case.dialect for case in CASES}
