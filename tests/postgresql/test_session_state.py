"""What a call leaves in its session is gone before the next one, and nobody waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import StatementRefused
from dal.queries import load_queries
from dal.settings import DatabaseSettings, Settings


@pytest.fixture
async def db(url: str) -> AsyncIterator[DatabaseManager]:
    """A database with a single connection, which every call gets."""
    settings = Settings(database=DatabaseSettings(pool_size=1, max_overflow=0))
    async with DatabaseManager(url, settings=settings) as manager:
        yield manager


STATES = {
    "role": ("SET ROLE pg_monitor", "SELECT current_user = 'postgres'"),
    "user": ("SET SESSION AUTHORIZATION pg_monitor", "SELECT session_user = 'postgres'"),
    "setting": ("SET work_mem = '123kB'", "SELECT current_setting('work_mem') <> '123kB'"),
    "own setting": ("SELECT set_config('app.user', 'alice', false)",
                    "SELECT coalesce(current_setting('app.user', true), '') = ''"),
    "time zone": ("SET TIME ZONE 'Asia/Tokyo'", "SELECT current_setting('TimeZone') = 'UTC'"),
    "search path": ("SET search_path = pg_catalog", "SELECT current_setting('search_path') ~ 'public'"),
    "isolation": ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                  "SELECT current_setting('transaction_read_only') = 'off'"),
    "temporary table": ("CREATE TEMPORARY TABLE left_behind (a integer)",
                        "SELECT to_regclass('pg_temp.left_behind') IS NULL"),
    "advisory lock": ("SELECT pg_advisory_lock(7)",
                      "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'"),
    "channel": ("LISTEN news", "SELECT count(*) = 0 FROM pg_listening_channels()"),
    "cursor": ("DECLARE c CURSOR WITH HOLD FOR SELECT 1",
               "SELECT count(*) = 0 FROM pg_cursors WHERE name = 'c'"),
    "escapes": ("SET standard_conforming_strings = off", r"SELECT '\' = chr(92)"),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("how", ["execute", "block", "script", "failed block"])
async def test_the_next_call_finds_a_clean_session(db: DatabaseManager, state: str, how: str) -> None:
    """On the very same connection."""
    text: Any
    text, question = STATES[state]
    pid = await db.fetch_value("SELECT pg_backend_pid()")
    if how == "execute":
        await db.execute(text)
    elif how == "script":
        await db.execute_script(text)
    elif how == "block":
        async with db.transaction() as tx:
            await tx.execute(text)
    else:
        with pytest.raises(LookupError):
            async with db.transaction() as tx:
                await tx.execute(text)
                raise LookupError
    clean: Any = question
    assert await db.fetch_value(clean)
    assert await db.fetch_value("SELECT pg_backend_pid()") == pid


async def test_prepared_statements_outlive_the_reset(db: DatabaseManager) -> None:
    """They are the library's own; a second run is one round trip."""
    sql = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%marker%'"
    assert await db.fetch_value(sql) == 1
    assert await db.fetch_value(sql) == 1


async def test_a_query_whose_header_says_clean_is_not_followed_by_a_reset(
    db: DatabaseManager, tmp_path: Path
) -> None:
    """Nor is a block of such queries; any other in it makes it dirty."""
    file = tmp_path / "q.sql"
    file.write_text(
        "-- name: read() :value\n-- session: clean\nSELECT 1;\n\n-- name: look() :value\n-- session: clean\n"
        "SELECT current_setting('work_mem') = '123kB';\n\n-- name: leave() :affected\n-- session: clean\n"
        "SET work_mem = '123kB';\n"
    )
    queries = load_queries(file)
    await db.execute(queries.leave)  # a lie, so that it shows
    assert await db.fetch_value(queries.look) is True
    async with db.transaction(readonly=True) as tx:
        assert await tx.fetch_value(queries.look) is True
    assert await db.fetch_value(queries.look) is True
    async with db.transaction(readonly=True) as tx:
        await tx.fetch_value("SELECT 1")
    assert await db.fetch_value(queries.look) is False


@pytest.mark.parametrize(
    "sql",
    ["BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT x", "RELEASE x",
     "PREPARE x AS SELECT 1", "EXECUTE x", "DEALLOCATE ALL", "DISCARD ALL", "COPY t FROM STDIN",
     "/* /* */ */ -- x\n commit", "PREPARE TRANSACTION 'x'"],
)  # fmt: skip
async def test_what_would_meddle_is_refused(db: DatabaseManager, sql: Any) -> None:
    """By every verb, on a script's every statement, and in a block; COPY would wait for ever."""
    calls: list[Callable[[], Any]] = [
        lambda: db.execute(sql),
        lambda: db.fetch_all(sql),
        lambda: db.execute_many(sql, [()]),
        lambda: db.execute_script("SELECT 1; " + sql),
        lambda: db.execute_transaction([(sql, ())]),
        lambda: anext(db.stream(sql)),
    ]
    for call in calls:
        with pytest.raises(StatementRefused) as raised:
            await call()
        assert raised.value.sent is False
    with pytest.raises(StatementRefused):
        async with db.transaction() as tx:
            await tx.execute(sql)
    assert await db.fetch_value("SELECT 1") == 1


async def test_a_commit_hidden_in_a_procedure_is_refused_inside_a_block(db: DatabaseManager) -> None:
    """The server refuses it; outside of a block a procedure may commit."""
    await db.execute_script(
        "CREATE TABLE t (a integer);"
        "CREATE PROCEDURE sneaky() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; END $$"
    )
    with pytest.raises(StatementRefused):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (2)")
            await tx.execute("CALL sneaky()")
    assert await db.fetch_value("SELECT count(*) FROM t") == 0
    await db.execute("CALL sneaky()")
    assert await db.fetch_value("SELECT count(*) FROM t") == 1


async def test_a_sequence_of_calls_does_not_wait_for_resets(url: str) -> None:
    """While one connection is reset, another is used."""
    settings = Settings(database=DatabaseSettings(pool_size=2, max_overflow=0))
    async with DatabaseManager(url, settings=settings) as db:
        await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(2)))
        await asyncio.sleep(0.1)
        assert await db.fetch_value("SELECT pg_backend_pid()") != await db.fetch_value(
            "SELECT pg_backend_pid()"
        )
