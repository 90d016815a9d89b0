"""Every refusal of the database is an error of `dal`: of one class on every engine, and without values."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
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
    NotNullViolation,
    QueryTimeout,
    SqlSyntaxError,
    StatementError,
    TransactionError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from dal.settings import Settings
from tests.engine_cases import Capability, EngineCase, needs

SECRET = "s3cr3t"
ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"

INTEGRITY: dict[str, tuple[str, type[IntegrityError]]] = {
    "unique": ("INSERT INTO account (email) VALUES ('s3cr3t')", UniqueViolation),
    "foreign key": ("INSERT INTO account (email, parent_id) VALUES ('s3cr3t 2', 99)", ForeignKeyViolation),
    "not null": ("INSERT INTO account (email) VALUES (NULL)", NotNullViolation),
    "check": ("INSERT INTO account (email, balance) VALUES ('s3cr3t 2', -7)", CheckViolation),
}

REFUSALS: dict[str, tuple[str, type[DatabaseError]]] = {
    **INTEGRITY,
    "unique, by an update": ("UPDATE account SET email = 's3cr3t'", UniqueViolation),
    "primary key": ("INSERT INTO account (account_id, email) VALUES (1, 's3cr3t 2')", UniqueViolation),
    "foreign key, by an update": ("UPDATE account SET parent_id = 99", ForeignKeyViolation),
    "foreign key, of a parent": ("DELETE FROM account WHERE account_id = 1", ForeignKeyViolation),
    "not null, by an update": ("UPDATE account SET email = NULL", NotNullViolation),
    "not null, left out": ("INSERT INTO account (balance) VALUES (1)", NotNullViolation),
    "check, by an update": ("UPDATE account SET balance = -1", CheckViolation),
    "text in a number": ("INSERT INTO account (email, balance) VALUES ('a', 's3cr3t')", DataError),
    "syntax": ("SELEC 's3cr3t'", SqlSyntaxError),
    "syntax, at the end": ("SELECT 's3cr3t' FROM", SqlSyntaxError),
    "syntax, in the middle": ("INSERT INTO account email VALUES 's3cr3t'", SqlSyntaxError),
    "table": ("SELECT 's3cr3t' FROM nowhere", UndefinedTable),
    "table, written": ("INSERT INTO nowhere (a) VALUES ('s3cr3t')", UndefinedTable),
    "table, dropped": ("DROP TABLE nowhere", UndefinedTable),
    "column": ("SELECT absent FROM account WHERE email = 's3cr3t'", UndefinedColumn),
    "column, written": ("INSERT INTO account (absent) VALUES ('s3cr3t')", UndefinedColumn),
    "column, in a condition": ("DELETE FROM account WHERE absent = 's3cr3t'", UndefinedColumn),
    "column, of an alias": ("SELECT a.absent FROM account AS a", UndefinedColumn),
    "function": ("SELECT no_such_function('s3cr3t')", StatementError),
    "table, there already": ("CREATE TABLE account (a INTEGER)", StatementError),
    "ambiguous column": ("SELECT email FROM account AS a CROSS JOIN account AS b", StatementError),
}  # fmt: skip

VERBS: dict[str, Callable[[DatabaseManager, str], Awaitable[Any]]] = {
    "execute": lambda db, sql: db.execute(sql),
    "fetch_one": lambda db, sql: db.fetch_one(sql),
    "fetch_all": lambda db, sql: db.fetch_all(sql),
    "fetch_value": lambda db, sql: db.fetch_value(sql),
    "execute_many": lambda db, sql: db.execute_many(sql, [(), ()]),
    "execute_script": lambda db, sql: db.execute_script(sql),
    "execute_transaction": lambda db, sql: db.execute_transaction([(sql, ())]),
    "stream": lambda db, sql: anext(db.stream(sql)),
    "run_transaction": lambda db, sql: db.run_transaction(lambda tx: tx.execute(sql)),
}


@pytest.fixture
async def db(case: EngineCase, url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """The table ``account`` with a row and its child."""
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(case.account)
        await manager.execute("INSERT INTO account (email) VALUES ('s3cr3t')")
        await manager.execute("INSERT INTO account (email, parent_id) VALUES ('child', 1)")
        yield manager


@pytest.mark.parametrize("what", REFUSALS)
async def test_a_refusal_has_its_class(db: DatabaseManager, what: str) -> None:
    """With the database's code, the driver's error as its cause, no value; the next call works."""
    sql, kind = REFUSALS[what]
    with pytest.raises(DatabaseError) as raised:
        await db.execute(sql)
    error = raised.value
    assert type(error) is kind
    assert error.code
    assert not error.retryable
    assert error.__cause__ is not None
    assert SECRET not in str(error) + repr(error)
    assert await db.fetch_value(COUNT) == 2


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO account (email, balance) VALUES ('s3cr3t')",
        "SELECT 's3cr3t' UNION SELECT 1, 2",
        "SELECT email FROM account GROUP BY nothing",
        "SELECT sum(sum(balance)) FROM account",
    ],
)
async def test_a_statement_that_makes_no_sense_is_a_statement_error(db: DatabaseManager, sql: str) -> None:
    """Whether an engine calls it a mistake of syntax or not."""
    with pytest.raises(StatementError) as raised:
        await db.execute(sql)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("kind", INTEGRITY)
async def test_an_integrity_error_tells_its_kind_and_constraint(
    db: DatabaseManager, case: EngineCase, kind: str
) -> None:
    """The kind always, the constraint as the engine names it."""
    with pytest.raises(IntegrityError) as raised:
        await db.execute(INTEGRITY[kind][0])
    assert raised.value.kind == kind
    assert raised.value.constraint == case.constraints[kind]


@needs(Capability.FOREIGN_KEY_NAMES)
async def test_a_foreign_key_is_named_from_both_its_sides(db: DatabaseManager) -> None:
    """For the row that refers, and for the one that is referred to."""
    for sql in ("UPDATE account SET parent_id = 99", "DELETE FROM account WHERE account_id = 1"):
        with pytest.raises(ForeignKeyViolation) as raised:
            await db.execute(sql)
        assert raised.value.constraint == "account_parent_id_fkey"


async def test_a_value_cannot_pose_as_a_constraint(db: DatabaseManager, case: EngineCase) -> None:
    """However much it looks like the message of a server."""
    sneaky = "x' for key 'y' CONSTRAINT `z` FOREIGN KEY (email)=(a) \"w\""
    await db.execute(ADD, {"email": sneaky})
    with pytest.raises(UniqueViolation) as raised:
        await db.execute(ADD, {"email": sneaky})
    assert raised.value.constraint == case.constraints["unique"]


@pytest.mark.parametrize("verb", VERBS)
async def test_no_verb_lets_a_drivers_error_through(db: DatabaseManager, verb: str) -> None:
    """Whatever the statement's mistake, and wherever in the call it is found."""
    for sql, _ in REFUSALS.values():
        if verb == "execute_script" and sql == "DROP TABLE nowhere":
            continue
        with pytest.raises(DalError) as raised:
            await VERBS[verb](db, sql)
        assert type(raised.value).__module__ == "dal.errors"
    assert await db.fetch_value(COUNT) == 2


@pytest.mark.parametrize("verb", VERBS)
async def test_each_verb_gives_a_refusal_the_same_class(db: DatabaseManager, verb: str) -> None:
    """And leaves nothing behind."""
    for what in ("unique", "check", "syntax", "table", "column"):
        sql, kind = REFUSALS[what]
        with pytest.raises(DatabaseError) as raised:
            await VERBS[verb](db, sql)
        assert type(raised.value) is kind
    assert await db.fetch_value(COUNT) == 2


@pytest.mark.parametrize("what", REFUSALS)
async def test_any_refusal_fails_its_block(db: DatabaseManager, what: str) -> None:
    """Swallowed, it still keeps the block from going on and from committing."""
    sql, _ = REFUSALS[what]
    if sql.startswith(("CREATE", "DROP")):
        pytest.skip("DDL is refused inside a block where it would commit")
    with pytest.raises(TransactionError):
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "lost"})
            with suppress(DatabaseError):
                await tx.execute(sql)
            with pytest.raises(TransactionError):
                await tx.execute(ADD, {"email": "lost too"})
    assert await db.fetch_value(COUNT) == 2


async def test_refusals_cost_no_connection(db: DatabaseManager) -> None:
    """Far more of them, at once and in turn, than there are connections."""

    async def fail(n: int) -> None:
        sql, kind = list(REFUSALS.values())[n % len(REFUSALS)]
        with pytest.raises(kind):
            await db.execute(sql)

    await asyncio.gather(*(fail(n) for n in range(60)))
    for n in range(20):
        await fail(n)
    assert await asyncio.gather(*(db.fetch_value(COUNT) for _ in range(10))) == [2] * 10


async def test_an_error_keeps_its_attributes_through_pickle(db: DatabaseManager) -> None:
    """As a pool of processes needs it."""
    with pytest.raises(UniqueViolation) as raised:
        await db.execute(ADD, {"email": SECRET})
    error = pickle.loads(pickle.dumps(raised.value))
    assert type(error) is UniqueViolation
    assert str(error) == str(raised.value)
    for name in ("code", "query", "sent", "constraint", "kind", "retryable"):
        assert getattr(error, name) == getattr(raised.value, name)


async def test_no_value_is_logged(
    url: str, case: EngineCase, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, with SQL_ECHO, of statements that pass and of those that fail."""
    caplog.set_level(logging.DEBUG)
    echoing = settings.model_copy(
        update={"database": settings.database.model_copy(update={"sql_echo": True})}
    )
    async with DatabaseManager(url, settings=echoing) as db:
        await db.execute(case.account)
        for _ in range(2):
            with suppress(UniqueViolation):
                await db.execute(ADD, {"email": SECRET})
        with suppress(DataError):
            await db.execute("INSERT INTO account (email, balance) VALUES ('a', :b)", {"b": SECRET})
        await db.fetch_all("SELECT email FROM account WHERE email = :email", {"email": SECRET})
    ours = [record for record in caplog.records if record.name.startswith("dal")]
    assert any("SELECT email" in record.getMessage() for record in ours)
    assert SECRET not in " ".join(str(vars(record)) for record in ours)


@pytest.mark.usefixtures("time_flies")
async def test_a_timeout_is_a_timeout_error(db: DatabaseManager, case: EngineCase) -> None:
    """So that ``except TimeoutError`` holds for every engine and every kind of waiting."""
    with pytest.raises(TimeoutError) as raised:
        await db.fetch_value(case.endless, timeout=1000)
    assert type(raised.value) is QueryTimeout
    assert not raised.value.retryable


@pytest.mark.parametrize("bad", [0, -1, "1", float("nan")])
async def test_a_timeout_that_is_none_is_refused(db: DatabaseManager, bad: Any) -> None:
    """Zero, a negative one, a text."""
    with pytest.raises(DalError, match="timeout"):
        await db.fetch_value("SELECT 1", timeout=bad)
