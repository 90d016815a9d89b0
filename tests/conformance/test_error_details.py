"""What an error carries beside its class, whoever raised it, and what it never carries."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    CheckViolation,
    DalError,
    DatabaseError,
    DataError,
    ForeignKeyViolation,
    IntegrityError,
    LockTimeout,
    NotNullViolation,
    QueryTimeout,
    ReadOnlyDatabase,
    StatementError,
    TransactionError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from dal.settings import DatabaseSettings, Settings
from tests.engine_cases import Capability, EngineCase, needs

SECRET = "s3cr3t"
ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"


@pytest.fixture
async def db(case: EngineCase, url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """The table ``account`` with a row and its child."""
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(case.account)
        await manager.execute("INSERT INTO account (email) VALUES ('s3cr3t')")
        await manager.execute("INSERT INTO account (email, parent_id) VALUES ('child', 1)")
        yield manager


def everything_said(error: BaseException) -> str:
    """What a log, a debugger or an error report may show of *error*, its causes left out."""
    return f"{error} {error!r} {error.args} {vars(error)} {getattr(error, '__notes__', ())}"


async def in_block(db: DatabaseManager, sql: str, params: Any) -> None:
    async with db.transaction() as tx:
        await tx.fetch_all(sql, params)


async def in_savepoint(db: DatabaseManager, sql: str, params: Any) -> None:
    async with db.transaction() as tx, tx.transaction() as inner:
        await inner.execute(sql, params)


async def streamed(executor: Any, sql: str, params: Any, timeout: float | None = None) -> None:
    async for _ in executor.stream(sql, params, timeout=timeout):
        pass


async def streamed_in_block(db: DatabaseManager, sql: str, params: Any) -> None:
    async with db.transaction() as tx:
        await streamed(tx, sql, params)


async def many_in_block(db: DatabaseManager, sql: str, params: Any) -> None:
    async with db.transaction() as tx:
        await tx.execute_many(sql, [params, params])


VERBS: dict[str, Callable[[DatabaseManager, str, Any], Awaitable[Any]]] = {
    "execute": lambda db, sql, params: db.execute(sql, params),
    "fetch_one": lambda db, sql, params: db.fetch_one(sql, params),
    "fetch_all": lambda db, sql, params: db.fetch_all(sql, params),
    "fetch_value": lambda db, sql, params: db.fetch_value(sql, params),
    "execute_many": lambda db, sql, params: db.execute_many(sql, [params, params]),
    "execute_transaction": lambda db, sql, params: db.execute_transaction([(sql, params)]),
    "stream": streamed,
    "transaction": in_block,
    "nested transaction": in_savepoint,
    "stream in a transaction": streamed_in_block,
    "execute_many in a transaction": many_in_block,
    "run_transaction": lambda db, sql, params: db.run_transaction(lambda tx: tx.execute(sql, params)),
    "outside": lambda db, sql, params: db.outside().execute(sql, params),
}

FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "unique": (ADD, {"email": SECRET}),
    "check": ("UPDATE account SET balance = :x", {"x": -7}),
    "foreign key": ("UPDATE account SET parent_id = :x", {"x": 99_887_766}),
    "not null": ("UPDATE account SET email = :x", {"x": None}),
    "number for a text": (ADD, {"email": object()}),
    "NUL": (ADD, {"email": f"{SECRET}\0"}),
    "surrogate": (ADD, {"email": f"{SECRET}\ud800"}),
    "NaN": ("UPDATE account SET balance = :x", {"x": math.nan}),
    "too large a number": ("UPDATE account SET balance = :x", {"x": 2**63}),
    "text in a number": ("UPDATE account SET balance = :x", {"x": SECRET}),
    "missing parameter": (ADD, {"mail": SECRET}),
    "list for a scalar": (ADD, {"email": [SECRET]}),
    "syntax": ("SELEC :x", {"x": SECRET}),
    "table": ("DELETE FROM nowhere WHERE a = :x", {"x": SECRET}),
    "column": ("DELETE FROM account WHERE absent = :x", {"x": SECRET}),
    "second statement": ("DELETE FROM account; DELETE FROM account WHERE email = :x", {"x": SECRET}),
    "BEGIN": ("BEGIN", {}),
    "empty": ("", {}),
    "overflow": ("UPDATE account SET balance = abs(-9223372036854775807 - account_id)", {}),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_no_fault_of_a_call_raises_another_error_or_shows_its_values(
    db: DatabaseManager, verb: str
) -> None:
    """With bound values: by every verb an error of `dal`, none of a driver, and no value in it."""
    for what, (sql, params) in FAULTS.items():
        with pytest.raises(DalError) as raised:
            await VERBS[verb](db, sql, params)
        error = raised.value
        assert type(error).__module__ == "dal.errors", what
        assert SECRET not in everything_said(error), what
        assert "99887766" not in everything_said(error), what
    assert await db.fetch_value(COUNT) == 2
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 0


async def test_the_cause_of_a_refusal_is_the_drivers_own_error(db: DatabaseManager, case: EngineCase) -> None:
    """For those who need its details; `sent` says that the database saw the statement."""
    for sql in ("SELEC 1", "SELECT 1 FROM nowhere", "UPDATE account SET balance = -1"):
        with pytest.raises(DatabaseError) as raised:
            await db.execute(sql)
        cause = raised.value.__cause__
        assert type(cause).__module__.partition(".")[0] == case["driver"]
        assert (raised.value.sent, raised.value.retryable) == (True, False)


@pytest.mark.parametrize("verb", ["execute", "fetch_all", "execute_many", "stream", "nested transaction"])
async def test_an_integrity_error_is_as_precise_from_every_verb(
    db: DatabaseManager, case: EngineCase, verb: str
) -> None:
    """Class, kind and constraint do not depend on the way that the row took."""
    refusals: dict[type[IntegrityError], tuple[str, dict[str, Any]]] = {
        UniqueViolation: FAULTS["unique"],
        CheckViolation: FAULTS["check"],
        ForeignKeyViolation: FAULTS["foreign key"],
        NotNullViolation: FAULTS["not null"],
    }
    for expected, (sql, params) in refusals.items():
        with pytest.raises(IntegrityError) as raised:
            await VERBS[verb](db, sql, params)
        error = raised.value
        assert type(error) is expected
        assert error.kind == expected.kind
        assert error.constraint == case.constraints[expected.kind]


async def test_a_key_of_several_columns_is_told_as_one(db: DatabaseManager) -> None:
    """A primary key and a unique index, each by what the engine calls it."""
    await db.execute("CREATE TABLE pair (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b))")
    await db.execute("CREATE TABLE other (a INTEGER NOT NULL, b INTEGER NOT NULL)")
    await db.execute("CREATE UNIQUE INDEX other_both ON other (a, b)")
    for table in ("pair", "other"):
        await db.execute(f"INSERT INTO {table} (a, b) VALUES (1, 2)")
        with pytest.raises(UniqueViolation) as raised:
            await db.execute(f"INSERT INTO {table} (a, b) VALUES (1, 2)")
        known = {
            "pair": ("pair.a, pair.b", "pair_pkey", "PRIMARY"),
            "other": ("other.a, other.b", "other_both"),
        }
        assert raised.value.constraint in known[table]


async def test_the_refusal_of_a_trigger_is_an_integrity_error_of_its_own_kind(
    db: DatabaseManager, case: EngineCase
) -> None:
    """None of the four that constraints have; what the trigger says may hold values and is not repeated."""
    await db.execute_script(case["guard"])
    with pytest.raises(IntegrityError) as raised:
        await db.execute("DELETE FROM account WHERE email = 's3cr3t'")
    error = raised.value
    assert (type(error), error.kind, error.constraint) == (IntegrityError, "trigger", None)
    assert error.code
    assert SECRET not in everything_said(error)
    assert await db.fetch_value(COUNT) == 2


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT abs(-9223372036854775807 - 1)",
        "UPDATE account SET balance = abs(-9223372036854775807 - account_id)",
        "UPDATE account SET balance = balance + 9223372036854775807 + account_id",
    ],
)
async def test_a_number_that_overflows_is_a_data_error(db: DatabaseManager, sql: Any) -> None:
    """In a result and in a column: it neither wraps around nor becomes a float."""
    with pytest.raises(DataError) as raised:
        await db.fetch_all(sql)
    assert raised.value.code
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 0


async def test_a_division_by_zero_is_never_stored(db: DatabaseManager) -> None:
    """Neither as zero nor as the largest number: an error, and the row is as it was."""
    await db.execute("UPDATE account SET balance = 7")
    with pytest.raises((DataError, NotNullViolation)) as raised:
        await db.execute("UPDATE account SET balance = balance / 0")
    assert raised.value.code
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 14


async def test_names_that_are_quoted_or_qualified_are_found_missing_too(
    db: DatabaseManager, case: EngineCase
) -> None:
    """By the same classes, with the name in the message."""
    quoted = case.quoted("größe")
    columns: list[Any] = [
        f"SELECT a.{quoted} FROM account AS a",
        f"SELECT account . {quoted} FROM account",
        f"ALTER TABLE account DROP COLUMN {quoted}",
        f"UPDATE account SET {quoted} = 1",
    ]
    for sql in columns:
        with pytest.raises(UndefinedColumn, match="größe"):
            await db.execute(sql)
    tables: list[Any] = [f"SELECT 1 FROM {quoted}", f"DROP VIEW {quoted}", f"INSERT INTO {quoted} VALUES (1)"]
    for sql in tables:
        with pytest.raises(UndefinedTable, match="größe"):
            await db.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE twice (a INTEGER, a INTEGER)",
        "WITH RECURSIVE c (n) AS (SELECT n FROM c) SELECT n FROM c",
        "SELECT email FROM account WHERE row_number() OVER () = 1",
        "INSERT INTO account (email) VALUES ('a', 'b')",
        "SELECT cast('x' AS nothing)",
    ],
)
async def test_no_mistake_of_a_statement_falls_out_of_the_tree(db: DatabaseManager, sql: Any) -> None:
    """Mistakes that engines seldom see have numbers of their own: a `StatementError` all the same."""
    with pytest.raises(StatementError) as raised:
        await db.execute(sql)
    assert raised.value.code


async def test_a_write_in_a_read_only_block_is_told_as_such(db: DatabaseManager) -> None:
    """`ReadOnlyDatabase`, with the engine's code; the block takes nothing more."""
    for sql in (ADD, "DELETE FROM account WHERE email = :email"):
        with pytest.raises(ReadOnlyDatabase) as raised:
            async with db.transaction(readonly=True) as tx:
                try:
                    await tx.execute(sql, {"email": "a"})
                finally:
                    with pytest.raises(TransactionError):
                        await tx.fetch_value(COUNT)
        assert (raised.value.retryable, bool(raised.value.code)) == (False, True)
    assert await db.fetch_value(COUNT) == 2


@needs(Capability.ROW_LOCKS)
async def test_a_lock_that_is_not_waited_for_is_a_lock_timeout(db: DatabaseManager) -> None:
    """NOWAIT meets another's row: retryable, with the server's code, and a `TimeoutError`."""
    sql = "SELECT email FROM account WHERE account_id = 1 FOR UPDATE NOWAIT"
    async with db.transaction() as tx:
        await tx.execute("UPDATE account SET balance = 1 WHERE account_id = 1")
        with pytest.raises(LockTimeout) as raised:
            await db.outside().fetch_one(sql)
    error = raised.value
    assert isinstance(error, TimeoutError)
    assert (error.retryable, error.sent, bool(error.code)) == (True, True, True)
    assert await db.fetch_value("SELECT balance FROM account WHERE account_id = 1") == 1


@pytest.mark.usefixtures("time_flies")
async def test_a_timeout_carries_no_value(db: DatabaseManager, case: EngineCase) -> None:
    """Of a statement that was stopped with its parameters on the way."""
    sql = f"SELECT ({case.endless}) AS n, :word AS word"
    with pytest.raises(QueryTimeout) as raised:
        await db.fetch_all(sql, {"word": SECRET}, timeout=1000)
    assert SECRET not in everything_said(raised.value)


@pytest.mark.usefixtures("time_flies")
async def test_the_default_timeout_is_that_of_the_settings(
    url: str, case: EngineCase, settings: Settings
) -> None:
    """For every verb that is given none of its own."""
    short = DatabaseSettings(pool_size=3, max_overflow=2, timeout=1000)
    async with DatabaseManager(url, settings=settings.model_copy(update={"database": short})) as db:
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: db.execute(case.endless),
            lambda: db.fetch_one(case.endless),
            lambda: db.fetch_all(case.endless),
            lambda: db.fetch_value(case.endless),
            lambda: db.execute_script(case.endless),
            lambda: db.execute_transaction([(case.endless, ())]),
            lambda: streamed(db, case.endless, ()),
        ]
        for call in calls:
            with pytest.raises(TimeoutError) as raised:
                await call()
            assert isinstance(raised.value, DatabaseError)
        assert await db.fetch_value("SELECT 1") == 1
