"""Transactions where the server commits, or rolls back, behind one's back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines.base import Isolation
from dal.errors import (
    DataError,
    LockTimeout,
    StatementRefused,
    TooManyRows,
    TransactionError,
    UniqueViolation,
)

ADD = "INSERT INTO account (email) VALUES (?)"
COUNT = "SELECT count(*) FROM account"


@pytest.mark.parametrize(
    ("level", "stored"),
    [
        (None, "SERIALIZABLE"),
        ("serializable", "SERIALIZABLE"),
        ("repeatable read", "REPEATABLE READ"),
        ("read committed", "READ COMMITTED"),
        ("read uncommitted", "READ UNCOMMITTED"),
    ],
)
async def test_the_isolation_level_is_the_one_asked_for(
    db: DatabaseManager, level: Isolation | None, stored: str
) -> None:
    """Serializable by default; the next transaction has the default again."""
    sql = (
        "SELECT trx_isolation_level FROM information_schema.innodb_trx "
        "WHERE trx_mysql_thread_id = connection_id()"
    )
    for number, (asked, expected) in enumerate(((level, stored), (None, "SERIALIZABLE"))):
        async with db.transaction(isolation=asked) as tx:
            await tx.execute(ADD, (f"{number}",))
            await asyncio.sleep(0.11)  # the table is renewed every tenth of a second
            assert await tx.fetch_value(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x (a INTEGER)", "CREATE OR REPLACE TABLE x (a INTEGER)", "DROP TABLE account",
        "ALTER TABLE account ADD x INTEGER", "TRUNCATE account", "RENAME TABLE account TO b",
        "CREATE INDEX i ON account (balance)", "GRANT SELECT ON *.* TO root@localhost",
        "LOCK TABLES account READ",
        "UNLOCK TABLES", "ANALYZE TABLE account", "OPTIMIZE TABLE account",
        "/* why */ -- this\n create view v as select 1",
        "/*!50000 CREATE */ TABLE x (a INTEGER)", "FLUSH TABLES", "SET PASSWORD = ''", "CHECK TABLE account",
    ],
)  # fmt: skip
async def test_what_would_commit_is_refused_before_it_is_sent(db: DatabaseManager, sql: Any) -> None:
    """The transaction is undone as a whole."""
    with pytest.raises(StatementRefused, match="commit") as raised:
        async with db.transaction() as tx:
            await tx.execute(ADD, ("a",))
            await tx.execute(sql)
    assert raised.value.sent is False
    with pytest.raises(StatementRefused, match="commit"):
        await db.execute_transaction([(ADD, ("a",)), (sql, ())])
    assert await db.fetch_value(COUNT) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TEMPORARY TABLE x (a INTEGER)", "CREATE OR REPLACE TEMPORARY TABLE x (a INTEGER)",
        "ANALYZE FORMAT=JSON SELECT 1", "EXPLAIN SELECT 1", "SET @a = 'autocommit = 0'",
        "(SELECT 1)", "SHOW TABLES", "DO sleep(0)",
    ],
)  # fmt: skip
async def test_what_does_not_commit_is_let_through(db: DatabaseManager, sql: Any) -> None:
    """It looks like it, or has the word in a text."""
    async with db.transaction() as tx:
        await tx.execute(ADD, ("a",))
        await tx.fetch_all(sql)
    assert await db.fetch_value(COUNT) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "START TRANSACTION", "BEGIN", "BEGIN WORK", "COMMIT", "ROLLBACK", "SAVEPOINT a",
        "RELEASE SAVEPOINT a",
        "XA START 'x'", "SET autocommit = 0", "SET @a = 1, @@session.autocommit := 1",
        "set transaction read only",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "# why\nCOMMIT",
        "SET completion_type = 1",
    ],
)  # fmt: skip
async def test_transaction_control_is_refused(db: DatabaseManager, sql: Any) -> None:
    """In a call of its own, in a block, and in a script."""
    with pytest.raises(StatementRefused):
        await db.execute(sql)
    with pytest.raises(StatementRefused):
        await db.execute_script(f"SELECT 1; {sql}")
    with pytest.raises(StatementRefused):
        async with db.transaction() as tx:
            await tx.execute(ADD, ("a",))
            await tx.execute(sql)
    assert await db.fetch_value(COUNT) == 0


@pytest.mark.parametrize("call", ["CALL hidden()", "EXECUTE IMMEDIATE 'COMMIT'"])
async def test_a_commit_that_hides_in_a_routine_is_found(db: DatabaseManager, call: Any) -> None:
    """The block fails; what follows would have been outside of any transaction."""
    await db.execute("CREATE PROCEDURE hidden() COMMIT")
    with pytest.raises(TransactionError, match="ended the transaction"):
        async with db.transaction() as tx:
            await tx.execute(ADD, ("a",))
            await tx.execute(call)
    with pytest.raises(TransactionError):
        async with db.transaction() as tx:
            with pytest.raises(TransactionError):
                await tx.execute(call)
            with pytest.raises(TransactionError):
                await tx.execute(ADD, ("never",))
    assert await db.fetch_value(COUNT + " WHERE email = 'never'") == 0


async def test_a_lock_timeout_that_is_swallowed_still_undoes_the_block(db: DatabaseManager) -> None:
    """The server undoes the one statement only."""
    await db.execute(ADD, ("a",))
    async with db.transaction(isolation="read committed") as holder:
        await holder.execute("UPDATE account SET balance = 1 WHERE email = 'a'")
        with pytest.raises(TransactionError):
            async with db.outside().transaction() as tx:
                await tx.execute("SET innodb_lock_wait_timeout = 1")
                await tx.execute(ADD, ("b",))
                with pytest.raises(LockTimeout) as raised:
                    await tx.execute("UPDATE account SET balance = 2 WHERE email = 'a'")
                assert raised.value.retryable
    assert [tuple(row) for row in await db.fetch_all("SELECT email, balance FROM account")] == [("a", 1)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO account (email) VALUES ('a'), ('b') RETURNING email",
        "INSERT INTO account (email) SELECT 'a' UNION SELECT 'b' RETURNING email",
        "DELETE FROM account RETURNING email",
    ],
)
async def test_a_second_row_of_a_write_undoes_it(db: DatabaseManager, sql: Any) -> None:
    """Also where the server would have committed at once."""
    await db.execute_many(ADD, [("x",), ("y",)])
    with pytest.raises(TooManyRows):
        await db.fetch_one(sql)
    assert await db.fetch_value(COUNT) == 2


async def test_an_insert_of_one_row_takes_one_round_trip(db: DatabaseManager) -> None:
    """Whatever stands in its texts."""
    row = await db.fetch_one("INSERT INTO account (email) VALUES (concat('),(', ?)) RETURNING email", ("x",))
    assert row is not None
    assert row[0] == "),(x"


async def test_execute_many_sends_several_rows_at_once(db: DatabaseManager) -> None:
    """In their order, so that generated keys are in the same order too."""
    before = await statements_sent(db)
    await db.execute_many(ADD, [(f"{n}",) for n in range(5000)])
    assert await statements_sent(db) - before <= 2
    keys = await db.fetch_all("SELECT email FROM account ORDER BY account_id")
    assert [row[0] for row in keys] == [f"{n}" for n in range(5000)]


async def statements_sent(db: DatabaseManager) -> int:
    row = await db.fetch_one("SHOW GLOBAL STATUS LIKE 'Com_insert'")
    assert row is not None
    return int(row[1])


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO account (email) VALUES (lower(?))",
        "INSERT INTO account (email) VALUES (?) ON DUPLICATE KEY UPDATE balance = balance + 1",
        "INSERT INTO account (email) SELECT ?",
        "REPLACE INTO account (email) VALUES (?)",
        "INSERT INTO `account` (`email`) VALUES (?)",
        "INSERT account(email)VALUES(?)",
    ],
)
async def test_execute_many_runs_any_statement(db: DatabaseManager, sql: Any) -> None:
    """In one statement or in several, the rows are the same."""
    await db.execute_many(sql, [("a",), ("b",), ("c",)])
    assert await db.fetch_value(COUNT) == 3
    with pytest.raises(UniqueViolation):
        await db.execute_many(ADD, [("d",), ("a",)])
    assert await db.fetch_value(COUNT) == 3


async def test_execute_many_larger_than_a_packet(db: DatabaseManager) -> None:
    """It is cut into statements that the server takes; a row that is too large itself stores nothing."""
    await db.execute("CREATE TABLE big (a INTEGER, b LONGTEXT)")
    rows = [(n, "x" * 300_000) for n in range(70)]
    await db.execute_many("INSERT INTO big (a, b) VALUES (?, ?)", rows)
    assert await db.fetch_value("SELECT sum(length(b)) FROM big") == 21_000_000
    with pytest.raises(DataError):
        await db.execute_many("INSERT INTO big (a, b) VALUES (?, ?)", [(1, "x"), (2, "x" * 17_000_000)])
    assert await db.fetch_value("SELECT count(*) FROM big") == 70


async def test_a_script_with_ddl_commits_statement_by_statement(db: DatabaseManager) -> None:
    """The server would do so in any case; without DDL a script is one transaction."""
    with pytest.raises(UniqueViolation):
        await db.execute_script(
            "INSERT INTO account (email) VALUES ('a'); CREATE TABLE t (a INTEGER); "
            "INSERT INTO account (email) VALUES ('a');"
        )
    assert await db.fetch_value(COUNT) == 1
    with pytest.raises(UniqueViolation):
        await db.execute_script(
            "INSERT INTO account (email) VALUES ('b'); INSERT INTO account (email) VALUES ('a');"
        )
    assert await db.fetch_value(COUNT) == 1
