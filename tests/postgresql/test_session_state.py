"""What would meddle with a session is refused; what the library prepared in it stays prepared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import StatementRefused
from dal.settings import DatabaseSettings, Settings


@pytest.fixture
async def db(url: str) -> AsyncIterator[DatabaseManager]:
    """A database with a single connection, which every call gets."""
    settings = Settings(database=DatabaseSettings(pool_size=1, max_overflow=0))
    async with DatabaseManager(url, settings=settings) as manager:
        yield manager


async def test_prepared_statements_outlive_the_reset(db: DatabaseManager) -> None:
    """They are the library's own; a second run is one round trip."""
    sql = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%marker%'"
    assert await db.fetch_value(sql) == 1
    assert await db.fetch_value(sql) == 1


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
