"""Defects that users of `databases` met, one claim each: none of them is here."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy.sql.compiler import SQLCompiler

from dal.database import DatabaseManager
from dal.errors import (
    ConfigurationError,
    ConflictError,
    DatabaseError,
    ForeignKeyViolation,
    PoolTimeout,
    QueryTimeout,
    StatementRefused,
    TransactionError,
    UniqueViolation,
)
from dal.queries import Query, load_queries
from dal.settings import DatabaseSettings, Settings
from dal.transaction import Transaction
from tests.conformance.pairs import quiet
from tests.conformance.steps import Steps
from tests.engine_cases import Capability, EngineCase, Place, needs

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"
MORE_THAN_THE_POOL = 7


async def assert_served(db: DatabaseManager) -> None:
    """Every connection works: as many calls at once as there can be, and a few more."""
    async with asyncio.timeout(60):
        assert await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(10))) == [1] * 10
        async with db.transaction() as tx:
            assert await tx.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize("sql", ["SELECT 10 % 3", "SELECT 1 WHERE 'x%' LIKE '%x%'", "SELECT 1 -- 100% %s %d"])
async def test_a_percent_sign_does_not_break_a_query(db: DatabaseManager, sql: str) -> None:
    """It needs no escape, and is not doubled on the way."""
    assert await db.fetch_value(sql) == 1
    assert await db.fetch_value("SELECT '%%Y'") == "%%Y"


@needs(Capability.DEFERRED_KEYS)
async def test_a_failed_commit_leaks_no_connection(db: DatabaseManager) -> None:
    """More of them than the pool has connections."""
    await db.execute(
        "CREATE TABLE child (parent BIGINT REFERENCES account (account_id) DEFERRABLE INITIALLY DEFERRED)"
    )
    for _ in range(MORE_THAN_THE_POOL):
        with pytest.raises(DatabaseError):
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO child (parent) VALUES (1)")
    await assert_served(db)


async def test_a_failed_begin_leaks_no_connection(db: DatabaseManager) -> None:
    """Nor is an unknown isolation level ignored."""
    for _ in range(MORE_THAN_THE_POOL):
        with pytest.raises(StatementRefused):
            async with db.transaction(isolation="typo"):  # type: ignore[arg-type]  # that is the defect
                pass
    await assert_served(db)


async def test_a_cancelled_begin_leaks_no_connection(db: DatabaseManager) -> None:
    """Cancelled after every possible number of steps."""
    for steps in range(30):
        task = asyncio.ensure_future(db.transaction().__aenter__())
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.done():
            await task.result()._session.rollback()
            continue
        task.cancel()
        with suppress(asyncio.CancelledError):
            tx = await task
            await tx._session.rollback()
    await assert_served(db)


async def test_a_timeout_in_a_block_is_a_timeout_and_leaks_nothing(
    db: DatabaseManager, case: EngineCase
) -> None:
    """`asyncio.timeout` ends as `TimeoutError`, not as an error of the driver."""
    for _ in range(MORE_THAN_THE_POOL):
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.03), db.transaction() as tx:
                await tx.fetch_value(case.endless)
        assert type(raised.value) is TimeoutError
    await assert_served(db)


async def test_execute_returns_rows_matched_and_never_a_key(db: DatabaseManager) -> None:
    """After an INSERT on the same connection too."""
    async with db.transaction() as tx:
        for n in range(7):
            assert await tx.execute(ADD, {"email": f"{n}"}) == 1
        assert await tx.execute("UPDATE account SET balance = 1 WHERE email = 'absent'") == 0
        assert await tx.execute("UPDATE account SET balance = 0") == 7
        assert await tx.execute("DELETE FROM account WHERE email IN ('1', '2')") == 2


async def test_a_child_task_does_not_leave_the_transaction_in_silence(db: DatabaseManager) -> None:
    """What `gather` runs on the manager raises; what it runs on the block is undone with it."""
    with pytest.raises(LookupError):
        async with db.transaction() as tx:
            await asyncio.gather(*(tx.execute(ADD, {"email": f"{n}"}) for n in range(3)))
            results = await asyncio.gather(
                *(db.execute(ADD, {"email": f"m{n}"}) for n in range(3)), return_exceptions=True
            )
            assert [type(result) for result in results] == [TransactionError] * 3
            raise LookupError
    assert await db.fetch_value(COUNT) == 0


async def test_a_query_inside_a_stream_does_not_deadlock(db: DatabaseManager) -> None:
    """On the manager it works, on the block that streams it raises."""
    await db.execute_many(ADD, [{"email": "a"}, {"email": "b"}])
    async with asyncio.timeout(60):
        async for row in db.stream("SELECT email FROM account", batch_size=1):
            assert await db.fetch_value(COUNT + " WHERE email = :email", {"email": row["email"]}) == 1
        async with db.transaction() as tx:
            with pytest.raises(TransactionError):
                async with aclosing(tx.stream("SELECT email FROM account", batch_size=1)) as rows:
                    async for _ in rows:
                        await tx.fetch_value(COUNT)
            assert await tx.fetch_value(COUNT) == 2


async def test_a_break_in_a_stream_does_not_hang(db: DatabaseManager) -> None:
    """Nor does it keep the connection."""
    await db.execute_many(ADD, [{"email": f"{n}"} for n in range(50)])
    async with asyncio.timeout(60):
        for _ in range(MORE_THAN_THE_POOL):
            async with aclosing(db.stream("SELECT email FROM account", batch_size=1)) as rows:
                async for _row in rows:
                    break
    await assert_served(db)


async def test_a_timeout_stops_the_statement(db: DatabaseManager, case: EngineCase) -> None:
    """The caller is free, and so is the connection."""
    for _ in range(MORE_THAN_THE_POOL):
        with pytest.raises((QueryTimeout, PoolTimeout)):  # a new connection may take that long
            await db.fetch_value(case.endless, timeout=0.05)
    await assert_served(db)


async def test_overlapping_transactions_do_not_trip_over_each_other(db: DatabaseManager) -> None:
    """Opened and left in any order, by tasks that share the manager."""

    async def block(n: int) -> None:
        async def work(tx: Any) -> None:
            await tx.execute(ADD, {"email": f"{n}"})
            await asyncio.sleep(0.001 * (n % 3))

        await db.run_transaction(work)

    await asyncio.gather(*(block(n) for n in range(12)))
    assert await db.fetch_value(COUNT) == 12


async def test_a_transaction_may_end_in_another_task_than_it_began_in(db: DatabaseManager) -> None:
    """As fixtures and dependency injection have it."""
    block = db.transaction()
    tx = await asyncio.create_task(block.__aenter__())
    await tx.execute(ADD, {"email": "a"})
    await asyncio.create_task(block.__aexit__(None, None, None))
    assert await db.fetch_value(COUNT) == 1


async def test_a_list_is_a_parameter(db: DatabaseManager) -> None:
    """``IN :names``, of any length and of none."""
    await db.execute_many(ADD, [{"email": "a"}, {"email": "b"}])
    sql = COUNT + " WHERE email IN :names"
    found = [await db.fetch_value(sql, {"names": names}) for names in (["a", "b", "c"], ["a"], [])]
    assert found == [2, 1, 0]


async def test_a_colon_in_a_literal_is_no_parameter(db: DatabaseManager) -> None:
    """Nor in JSON text."""
    assert await db.fetch_value("SELECT 'x :c'") == "x :c"
    assert await db.fetch_value("SELECT '{\"a\":1}'") == '{"a":1}'


async def test_execute_many_is_atomic_and_no_loop_of_round_trips(db: DatabaseManager, steps: Steps) -> None:
    """A duplicate in the middle keeps nothing; five thousand rows go to the driver in a few pieces."""
    rows = [{"email": f"{n}"} for n in range(5000)]
    with pytest.raises(UniqueViolation):
        await db.execute_many(ADD, [*rows[:50], rows[0], *rows[50:100]])
    assert await db.fetch_value(COUNT) == 0
    steps.count = 0
    await db.execute_many(ADD, rows)
    assert 1 <= steps.count < 20
    assert await db.fetch_value(COUNT) == 5000


def test_an_unknown_option_or_driver_of_a_url_is_refused(url: str, settings: Settings) -> None:
    """It is not ignored, and no other driver is taken in silence."""
    scheme, rest = url.split("://", 1)
    for bad in (f"{url}?sslmode=verify-full", f"{url}?no_such=1", f"{scheme}+nosuch://{rest}"):
        with pytest.raises(ConfigurationError):
            DatabaseManager(bad, settings=settings)


async def test_positional_parameters_bind_and_rows_give_their_values(db: DatabaseManager) -> None:
    """A row iterates over values, and is read by name or position."""
    await db.execute("INSERT INTO account (email, balance) VALUES (?, ?)", ("a", 3))
    row = await db.fetch_one("SELECT email, balance FROM account WHERE balance = ?", (3,))
    assert row is not None
    assert (list(row), row["email"], row[1]) == (["a", 3], "a", 3)


async def test_calls_in_turn_open_no_connection(
    db: DatabaseManager, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three hundred of them run on those that the pool keeps; nobody opens a file or a socket."""
    opened = []

    def counted(real: Any) -> Any:
        def opening(*args: Any, **options: Any) -> Any:
            opened.append(args)
            return real(*args, **options)

        return opening

    await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(3)))
    await quiet(db, place)
    monkeypatch.setattr(sqlite3, "connect", counted(sqlite3.connect))
    monkeypatch.setattr(socket.socket, "connect", counted(socket.socket.connect))
    for n in range(100):
        assert await db.fetch_value("SELECT 1") == 1
        await db.execute(ADD, {"email": f"{n}"})
        async with db.transaction() as tx:
            await tx.fetch_value("SELECT 1")
    assert len(opened) <= 1  # the pool may fill itself up meanwhile


async def test_every_connection_has_the_settings_of_the_first(db: DatabaseManager) -> None:
    """Foreign keys hold on all of them, however many calls there are at once."""
    sql = "INSERT INTO account (email, parent_id) VALUES (?, 99)"
    for _ in range(3):
        results = await asyncio.gather(
            *(db.execute(sql, (f"{n}",)) for n in range(20)), return_exceptions=True
        )
        assert [type(result) for result in results] == [ForeignKeyViolation] * 20
    assert await db.fetch_value(COUNT) == 0


async def test_a_text_is_compiled_once_and_never_by_sqlalchemy(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred calls by four verbs take one compilation for each form of the parameters."""
    compiled: list[str] = []
    real = Query._compile

    def counted(query: Query[Any], dialect: Any, encoders: Any) -> Any:
        compiled.append(query.text(dialect))
        return real(query, dialect, encoders)

    def refused(*_: Any, **__: Any) -> None:
        pytest.fail("SQLAlchemy compiled a statement")

    monkeypatch.setattr(Query, "_compile", counted)
    monkeypatch.setattr(SQLCompiler, "__init__", refused)
    sql = "SELECT email FROM account WHERE email = :email"
    marked = "SELECT email FROM account WHERE email = ?"
    for n in range(25):
        await db.fetch_all(sql, {"email": f"{n}"})
        await db.fetch_one(marked, (f"{n}",))
        async with db.transaction() as tx:
            await tx.fetch_value(sql, {"email": f"{n}"})
            await tx.execute(marked, (f"{n}",))
    assert sorted(compiled) == sorted([sql, marked])


async def test_rows_are_not_wrapped_column_by_column(db: DatabaseManager) -> None:
    """All rows of a result share what is known about its columns."""
    await db.execute_many(ADD, [{"email": f"{n}"} for n in range(100)])
    rows = await db.fetch_all("SELECT account_id, email FROM account")
    assert len(rows) == 100
    assert len({id(row._positions) for row in rows}) == 1


async def test_a_connection_grows_too_old_and_is_replaced(
    url: str, case: EngineCase, settings: Settings
) -> None:
    """Its age has a bound unless somebody changes it, so that no server closes it first."""
    assert settings.database.pool_recycle == 3600
    young = DatabaseSettings(pool_size=1, max_overflow=0, pool_recycle=0.05)
    async with DatabaseManager(url, settings=settings.model_copy(update={"database": young})) as db:
        for _ in range(4):
            assert await db.fetch_value("SELECT 1") == 1
            await asyncio.sleep(0.06)
        await assert_served(db)


@needs(Capability.WEAKER_ISOLATION)
async def test_the_isolation_that_is_asked_for_is_the_one_that_holds(db: DatabaseManager) -> None:
    """The option is not ignored: what another commits meanwhile is seen, or is not."""
    for level, seen in (("read committed", 1), ("repeatable read", 0), ("serializable", 0)):
        await db.execute("DELETE FROM account")
        async with db.transaction(isolation=level, readonly=True) as tx:  # type: ignore[arg-type]  # a list of them
            assert await tx.fetch_value(COUNT) == 0
            await db.outside().execute(ADD, {"email": "a"})
            assert await tx.fetch_value(COUNT) == seen


async def test_a_conflict_is_repeated_for_the_caller(db: DatabaseManager) -> None:
    """From its beginning, as often as it takes; the work that was lost is not there twice."""
    tries = []

    async def work(tx: Transaction) -> int:
        tries.append(await tx.fetch_value(COUNT))
        await tx.execute(ADD, {"email": "a"})
        if len(tries) < 3:
            raise ConflictError("lost to another transaction")
        return len(tries)

    assert await db.run_transaction(work) == 3
    assert tries == [0, 0, 0]
    assert await db.fetch_value(COUNT) == 1


async def test_every_call_can_be_measured(
    url: str, case: EngineCase, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With SQL_ECHO: its text, the name of its query and its milliseconds, of those that fail too."""
    (tmp_path / "q.sql").write_text("-- name: how_many() :value\nSELECT count(*) FROM account;\n")
    echo = settings.model_copy(update={"database": DatabaseSettings(sql_echo=True)})
    caplog.set_level(logging.INFO, "dal.sql")
    async with DatabaseManager(url, settings=echo, queries=load_queries(tmp_path)) as db:
        with pytest.raises(DatabaseError):
            await db.fetch_value(db.queries.how_many)
        await db.execute(case.account)
        assert await db.fetch_value(db.queries.how_many) == 0
    records = [record for record in caplog.records if getattr(record, "query", None) == "how_many"]
    assert [COUNT in record.getMessage() for record in records] == [True, True]
    assert all(record.__dict__["duration_ms"] >= 0 for record in records)


async def test_a_row_becomes_a_model_on_its_way(db: DatabaseManager, tmp_path: Path) -> None:
    """The query says which; nobody maps columns by hand."""

    class Entry(BaseModel):
        email: str
        balance: int

    (tmp_path / "q.sql").write_text(
        "-- name: entries() :many\n-- returns: Entry\nSELECT email, balance FROM account;\n"
    )
    await db.execute(ADD, {"email": "a"})
    entries = load_queries(tmp_path, models=[Entry]).entries
    assert await db.fetch_all(entries) == [Entry(email="a", balance=0)]
