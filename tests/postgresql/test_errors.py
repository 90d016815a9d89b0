"""Every error is one of `dal.errors`, by SQLSTATE, without a value in it, whichever verb meets it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from dal.database import DatabaseManager
from dal.engines.postgresql.errors import translated
from dal.errors import (
    CheckViolation,
    ConflictError,
    ConnectionLost,
    DalError,
    DatabaseError,
    DataError,
    DiskFull,
    ForeignKeyViolation,
    IntegrityError,
    LockTimeout,
    NotNullViolation,
    QueryTimeout,
    ReadOnlyDatabase,
    SqlSyntaxError,
    StatementError,
    StatementRefused,
    TooManyConnections,
    TooManyRows,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from dal.settings import DatabaseSettings, Settings
from dal.transaction import Transaction

SECRET = "s3cr3t"
TIMEOUT = "statement timeout"

ERRORS: dict[str, tuple[str, type[DalError], str | None]] = {
    "unique": ("INSERT INTO account (email) VALUES ('s3cr3t'), ('s3cr3t')", UniqueViolation,
               "account_email_key"),
    "foreign key": ("INSERT INTO account (email, parent_id) VALUES ('s3cr3t', 99)", ForeignKeyViolation,
                    "account_parent_id_fkey"),
    "not null": ("INSERT INTO account (email) VALUES (NULL)", NotNullViolation, "account.email"),
    "check": ("INSERT INTO account (email, balance) VALUES ('s3cr3t', -1)", CheckViolation,
              "account_balance_positive"),
    "exclusion": ("INSERT INTO booking VALUES ('[1,3)'), ('[2,4)')", UniqueViolation, "booking_apart"),
    "trigger": ("INSERT INTO guarded VALUES ('s3cr3t')", IntegrityError, None),
    "syntax": ("SELEC 1", SqlSyntaxError, None),
    "table": ("SELECT 1 FROM nowhere", UndefinedTable, None),
    "column": ("SELECT absent FROM account", UndefinedColumn, None),
    "function": ("SELECT nothing(1)", StatementError, None),
    "text for a number": ("SELECT 's3cr3t'::integer", DataError, None),
    "text for a number later": ("SELECT a::integer FROM (VALUES ('s3cr3t')) AS t (a)", DataError, None),
    "too long": ("INSERT INTO short VALUES ('s3cr3t')", DataError, None),
    "out of range": ("SELECT 99999::smallint", DataError, None),
    "division": ("SELECT 1 / 0", DataError, None),
    "bad date": ("SELECT '2024-02-31'::date", DataError, None),
    "bad JSON": ("SELECT '{s3cr3t'::jsonb", DataError, None),
    "role": ("DROP ROLE absent", StatementError, None),
    "no such database": ("DROP DATABASE absent", StatementError, None),
    "vacuum in a batch": ("VACUUM account", StatementRefused, None),
    "lock": ("SELECT pg_catalog.pg_advisory_unlock_all() FROM held FOR UPDATE NOWAIT", LockTimeout, None),
    "statement timeout": ("SELECT pg_sleep(600)", QueryTimeout, None),
    "killed": ("SELECT pg_terminate_backend(pg_backend_pid())", ConnectionLost, None),
    "a date Python has not": ("SELECT 'infinity'::date", DataError, None),
}  # fmt: skip

SCHEMA = """
CREATE TABLE booking (during int4range, CONSTRAINT booking_apart EXCLUDE USING gist (during WITH &&));
CREATE TABLE short (a varchar(3));
CREATE TABLE held (a integer);
INSERT INTO held VALUES (1);
CREATE TABLE guarded (a text);
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no %', NEW.a; END $$;
CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION guard();
"""


async def in_block(db: DatabaseManager, run: Callable[[Transaction], Awaitable[Any]]) -> None:
    async with db.transaction() as tx:
        await run(tx)


async def in_savepoint(db: DatabaseManager, sql: Any) -> None:
    async with db.transaction() as tx, tx.transaction() as inner:
        await inner.execute(sql)


async def streamed(executor: Any, sql: Any) -> None:
    async for _ in executor.stream(sql):
        pass


VERBS: dict[str, Callable[[DatabaseManager, Any], Awaitable[Any]]] = {
    "execute": lambda db, sql: db.execute(sql),
    "fetch_one": lambda db, sql: db.fetch_one(sql),
    "fetch_all": lambda db, sql: db.fetch_all(sql),
    "fetch_value": lambda db, sql: db.fetch_value(sql),
    "execute_many": lambda db, sql: db.execute_many(sql, [()]),
    "execute_script": lambda db, sql: db.execute_script(sql),
    "execute_transaction": lambda db, sql: db.execute_transaction([(sql, ())]),
    "stream": streamed,
    "execute in a block": lambda db, sql: in_block(db, lambda tx: tx.execute(sql)),
    "fetch in a block": lambda db, sql: in_block(db, lambda tx: tx.fetch_value(sql)),
    "many in a block": lambda db, sql: in_block(db, lambda tx: tx.execute_many(sql, [()])),
    "script in a block": lambda db, sql: in_block(db, lambda tx: tx.execute_script(sql)),
    "stream in a block": lambda db, sql: in_block(db, lambda tx: streamed(tx, sql)),
    "savepoint": in_savepoint,
}


@pytest.fixture
def settings() -> Settings:
    return Settings(database=DatabaseSettings(pool_size=3, max_overflow=3))


async def each_error_is_ours(db: DatabaseManager, verb: str, names: list[str]) -> None:
    for name in names:
        sql, expected, constraint = ERRORS[name]
        silent = ("script" in verb or "many" in verb) and name.startswith("a date")  # they read no rows
        if silent or (name == "vacuum in a batch" and ("block" not in verb and verb != "savepoint")):
            continue
        with pytest.raises(DalError) as raised:
            await VERBS[verb](db, sql)
        error = raised.value
        assert isinstance(error, expected), (name, error)
        assert SECRET not in str(error) + repr(error), name
        if isinstance(error, DatabaseError) and name != "a date Python has not":
            assert error.code is not None, name
        if isinstance(error, IntegrityError):
            assert error.constraint == constraint, name
        assert await db.fetch_value("SELECT 1", timeout=60) == 1


@pytest.mark.parametrize("verb", VERBS)
async def test_every_error_is_ours_from_every_verb(
    db: DatabaseManager, url: str, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By class and constraint, with the SQLSTATE, no value in text or log, and the next call works."""
    caplog.set_level(logging.DEBUG)
    await db.execute_script(SCHEMA)
    async with DatabaseManager(url, settings=db.settings) as other, db.transaction() as holder:
        await holder.fetch_value("SELECT a FROM held FOR UPDATE")
        await each_error_is_ours(other, verb, [name for name in ERRORS if name != TIMEOUT])
    database = await db.fetch_value("SELECT current_database()")
    limit: Any = f"ALTER DATABASE {database} SET statement_timeout = '500ms'"
    await db.execute(limit)
    async with DatabaseManager(url, settings=db.settings) as limited:
        await each_error_is_ours(limited, verb, [TIMEOUT])
    assert SECRET not in caplog.text


async def test_conflicts_are_retryable(db: DatabaseManager) -> None:
    """A deadlock and a serialization failure, each told to one of the two."""
    await db.execute("INSERT INTO account (email) VALUES ('a'), ('b')")
    update = "UPDATE account SET balance = balance + 1 WHERE email = :email"
    both = asyncio.Barrier(2)

    async def crossing(first: str, second: str) -> None:
        async with db.transaction(isolation="read committed") as tx:
            await tx.execute(update, {"email": first})
            await both.wait()
            await tx.execute(update, {"email": second})

    results = await asyncio.gather(crossing("a", "b"), crossing("b", "a"), return_exceptions=True)
    (deadlock,) = (result for result in results if result is not None)
    assert isinstance(deadlock, ConflictError)
    assert (deadlock.code, deadlock.retryable) == ("40P01", True)

    with pytest.raises(ConflictError) as raised:
        async with db.transaction() as tx:
            await tx.fetch_value("SELECT sum(balance) FROM account")
            await db.outside().execute(update, {"email": "a"})
            await tx.execute(update, {"email": "a"})
    assert (raised.value.code, raised.value.retryable) == ("40001", True)


async def test_a_conflict_found_at_commit_is_one(db: DatabaseManager) -> None:
    """Write skew: each reads what the other writes. It was rolled back, so its outcome is known."""
    both = asyncio.Barrier(2)

    async def skew(email: str) -> None:
        async with db.transaction() as tx:
            count = await tx.fetch_value("SELECT count(*) FROM account")
            await both.wait()
            await tx.execute("INSERT INTO account (email, balance) VALUES (?, ?)", (email, count))

    results = await asyncio.gather(skew("a"), skew("b"), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "NoneType"]
    assert await db.fetch_value("SELECT count(*) FROM account") == 1


async def test_a_read_only_block_refuses_writes_by_class(db: DatabaseManager) -> None:
    """Also one that hides in a function."""
    with pytest.raises(ReadOnlyDatabase):
        async with db.transaction(readonly=True) as tx:
            await tx.fetch_value("SELECT nextval('account_account_id_seq')")


async def test_a_plan_made_stale_by_ddl_is_made_anew(db: DatabaseManager) -> None:
    """Without a word outside of a block; inside one it is a conflict, which a retry gets over."""
    sql = "SELECT * FROM account WHERE email = 'a'"
    for column in ("one", "two"):
        await asyncio.gather(*(db.fetch_all(sql) for _ in range(5)))
        change: Any = f"ALTER TABLE account ADD COLUMN {column} integer"
        await db.execute(change)
        if column == "one":
            assert await db.fetch_all(sql) == []
        else:
            with pytest.raises(ConflictError):
                while True:
                    async with db.transaction() as tx:
                        await tx.fetch_all(sql)
                    await db.fetch_all("SELECT 1")
            assert await db.run_transaction(lambda tx: tx.fetch_all(sql)) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda db, sql: db.fetch_all(sql),
        lambda db, sql: db.fetch_one(sql),
        lambda db, sql: db.execute(sql),
        lambda db, sql: db.execute_transaction([(sql, ())]),
        lambda db, sql: streamed(db, sql),
    ],
    ids=["fetch_all", "fetch_one", "execute", "execute_transaction", "stream"],
)
@pytest.mark.parametrize("text", ["SELECT * FROM account", "UPDATE account SET balance = 0 RETURNING *"])
async def test_no_call_outside_of_a_block_meets_a_stale_plan(
    db: DatabaseManager, call: Callable[[DatabaseManager, Any], Awaitable[Any]], text: Any
) -> None:
    """On each of several connections that have prepared it."""
    for column in ("one", "two"):
        before = await asyncio.gather(*(call(db, text) for _ in range(5)))
        change: Any = f"ALTER TABLE account ADD COLUMN {column} integer"
        await db.execute(change)
    after = await asyncio.gather(*(call(db, text) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in after] == [type(result) for result in before]


@pytest.mark.parametrize(
    ("state", "expected"),
    [("53100", DiskFull), ("53300", TooManyConnections), ("57P01", ConnectionLost),
     ("25006", ReadOnlyDatabase), ("40001", ConflictError), ("22P02", DataError),
     ("23000", IntegrityError), ("XX000", DatabaseError), ("99999", DatabaseError)],
)  # fmt: skip
def test_what_no_test_can_cause_is_mapped_by_its_code(state: str, expected: type[DatabaseError]) -> None:
    """A full disk for instance; an unknown code is a plain `DatabaseError`, and keeps its code."""
    error = asyncpg.PostgresError.new({"C": state, "M": f"about {SECRET}", "S": "ERROR", "D": SECRET})
    ours = translated(error)
    assert type(ours) is expected
    assert isinstance(ours, DatabaseError)
    assert ours.code == state


async def test_too_many_rows_undoes_a_write_of_any_form(db: DatabaseManager) -> None:
    """INSERT of two, of a SELECT, UPDATE, DELETE, and a WITH that writes."""
    await db.execute("INSERT INTO account (email) VALUES ('a'), ('b')")
    for sql in (
        "INSERT INTO account (email) VALUES ('c'), ('d') RETURNING email",
        "INSERT INTO account (email) SELECT email || '!' FROM account RETURNING email",
        "UPDATE account SET balance = 5 RETURNING email",
        "DELETE FROM account RETURNING email",
        "WITH gone AS (DELETE FROM account RETURNING email) SELECT email FROM gone",
    ):
        with pytest.raises(TooManyRows):
            await db.fetch_one(sql)
        with pytest.raises(TooManyRows):
            async with db.transaction() as tx:
                await tx.fetch_value(sql)
    assert await db.fetch_value("SELECT count(*) FROM account WHERE balance = 0") == 2


async def test_an_error_names_the_verbs_query_and_keeps_the_drivers(db: DatabaseManager) -> None:
    """`__cause__` has the details that the message leaves out."""
    with pytest.raises(UniqueViolation) as raised:
        await db.execute("INSERT INTO account (email) VALUES ('x'), ('x')")
    assert isinstance(raised.value.__cause__, asyncpg.UniqueViolationError)
