"""Edges: what leaks, what is left behind, and what outlasts its timeout, where it is easily overlooked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from dal.database import DatabaseManager
from dal.engines.sqlite import engine, file
from dal.engines.sqlite.encoders import encoders
from dal.errors import (
    DalError,
    DataError,
    PoolTimeout,
    QueryError,
    QueryTimeout,
    ResultError,
    SqlSyntaxError,
    UsageError,
)
from dal.queries.query import Query
from dal.values import ParameterType
from tests.clock import Clock

ADD = "INSERT INTO account (email) VALUES (?)"
COUNT = "SELECT count(*) FROM account"
ENDLESS = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SELECT * FROM words WHERE words MATCH ?", "well-secret"),
        ("SELECT * FROM words WHERE words MATCH ?", "*secret"),
        ("SELECT * FROM words WHERE words MATCH 'a' AND rank MATCH ?", "secret("),
        ("SELECT json_extract('{}', ?)", "secret"),
        ("SELECT * FROM json_each('{}', ?)", "secret"),
    ],
)
async def test_no_error_repeats_a_value(db: DatabaseManager, text: Any, value: str) -> None:
    """SQLite quotes pieces of search expressions and JSON paths, which are values."""
    await db.execute("CREATE VIRTUAL TABLE words USING fts5 (body)")
    with pytest.raises(DalError) as caught:
        await db.fetch_all(text, [value])
    assert "secret" not in str(caught.value)


async def test_a_timeout_ends_the_wait_for_another_task_of_the_block(db: DatabaseManager) -> None:
    """A task that shares a transaction waits for the other one no longer than its own timeout."""
    async with db.transaction() as tx:
        slow = asyncio.create_task(tx.fetch_value(ENDLESS, timeout=3600))
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            with pytest.raises(PoolTimeout):
                await tx.fetch_value("SELECT 1", timeout=0.05)
        slow.cancel()
        await asyncio.wait([slow])
        tx._failure = None


async def test_a_wait_for_a_nested_block_ends_at_its_timeout(db: DatabaseManager) -> None:
    """So does one that waits for a nested block, even if that block waits for it."""
    begun = asyncio.Event()

    async def older() -> object:
        await begun.wait()
        return await tx.fetch_value("SELECT 1", timeout=0.05)

    async with db.transaction() as tx:
        task = asyncio.create_task(older())
        await asyncio.sleep(0)
        async with asyncio.timeout(60), tx.transaction():
            begun.set()
            with pytest.raises(PoolTimeout):
                await task


async def test_a_block_that_took_too_long_does_not_commit(db: DatabaseManager, clock: Clock) -> None:
    """The timeout is for the block as a whole, its own code included."""
    for _ in range(10):
        with pytest.raises(QueryTimeout):
            async with db.transaction(timeout=60) as tx:
                await tx.execute(ADD, ["a"])
                clock.forward(60)
    assert await db.fetch_value(COUNT) == 0


async def test_actions_run_only_after_a_commit_that_succeeded(db: DatabaseManager) -> None:
    """Cancelled just as the block ends, whether the commit was begun or not."""
    for turn in range(60):
        seen: list[Any] = []
        ended = asyncio.Event()

        async def block(turn: int = turn, seen: list[Any] = seen, ended: asyncio.Event = ended) -> None:
            async with db.transaction() as tx:
                await tx.execute(ADD, [str(turn)])
                tx.after_commit(lambda: seen.append(True))
                ended.set()

        task = asyncio.create_task(block())
        await ended.wait()
        if turn % 2:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await db.execute(ADD, [f"behind {turn}"])  # in line behind the commit, if that was begun
        there = await db.fetch_value("SELECT count(*) FROM account WHERE email = ?", [str(turn)])
        async with asyncio.timeout(60):
            while len(seen) < there:
                await asyncio.sleep(0)
        assert len(seen) == there


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where databases in memory have their files: no other process puts its own there."""
    monkeypatch.setattr(file, "_FASTEST_FOLDER", tmp_path)
    return tmp_path


async def test_a_connect_that_is_cancelled_leaves_no_file(temporary: Path) -> None:
    """Whatever the step at which it was cancelled."""
    for step in range(40):
        db = DatabaseManager("sqlite:///:memory:")
        task = asyncio.create_task(db.connect())
        for _ in range(step):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await db.disconnect()
    assert list(temporary.iterdir()) == []


async def test_a_second_disconnect_finishes_one_that_was_cancelled(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays open for ever."""
    monkeypatch.setattr(engine, "_DISCONNECT_SECONDS", 1)  # for the stream; longer than it is waited for
    db = DatabaseManager("sqlite:///:memory:")
    await db.connect()
    assert list(temporary.iterdir()) != []
    stream = db.stream("SELECT 1")
    await anext(stream)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await db.disconnect()
    await stream.aclose()
    await db.disconnect()
    assert list(temporary.iterdir()) == []  # and conftest looks for threads


FORKING = """
import asyncio, atexit, os
from dal import DatabaseManager

async def main():
    async with DatabaseManager("sqlite:///:memory:") as db:
        await db.execute("CREATE TABLE t (a INTEGER) STRICT")
        if os.fork() == 0:
            atexit._run_exitfuncs()  # as an ordinary end would, but for the event loop, which is the parent's
            os._exit(0)
        os.wait()
        assert await db.execute("INSERT INTO t VALUES (1)") == 1

asyncio.run(main())
"""


def test_a_forked_process_removes_nothing() -> None:
    """A child that ends in the ordinary way leaves its parent's temporary file alone."""
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr


async def test_execute_many_takes_a_returning(db: DatabaseManager) -> None:
    """Its rows are not wanted, and harm nothing."""
    await db.execute_many("INSERT INTO account (email) VALUES (?) RETURNING email", [("a",), ("b",)])
    assert await db.fetch_value(COUNT) == 2


async def test_vacuum_into_takes_its_file_as_a_parameter(db: DatabaseManager, tmp_path: Path) -> None:
    """The one statement that runs past the guard has its arguments too."""
    await db.execute("VACUUM INTO ?", [str(tmp_path / "copy.db")])
    assert (tmp_path / "copy.db").exists()


class Account(BaseModel):
    email: int


async def test_every_error_names_its_query(db: DatabaseManager) -> None:
    """Those about results and scripts as well."""
    await db.execute(ADD, ["a"])
    await db.execute(ADD, ["b"])
    text = "SELECT email FROM account"
    for kind, returns in (("one", None), ("many", Account)):
        query: Query[Any] = Query(name="mine", kind=kind, shared=text, returns=returns)
        verb = db.fetch_one if kind == "one" else db.fetch_all
        with pytest.raises(ResultError, match="query mine: ") as caught:
            await verb(query)
        assert caught.value.query == "mine"
    with pytest.raises(SqlSyntaxError, match="query setup: "):
        await db.execute_script(Query(name="setup", kind="script", shared="CREATE TABEL x (a);"))
    with pytest.raises(QueryError):
        await db.execute_script(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "1"])
async def test_a_timeout_that_is_none_is_refused(db: DatabaseManager, timeout: Any) -> None:
    """Zero, less, NaN or a text; nothing is sent."""
    with pytest.raises(UsageError, match="timeout"):
        await db.execute(ADD, ["a"], timeout=timeout)
    with pytest.raises(UsageError, match="timeout"):
        async with db.transaction(timeout=timeout):
            pass
    assert await db.fetch_value(COUNT) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.execute_many(ADD, None),
        lambda db: db.execute_transaction(None),
        lambda db: db.execute_transaction([ADD]),
        lambda db: db.execute_transaction([(ADD, ("a",), 1)]),
        lambda db: db.fetch_all(None),
        lambda db: anext(db.stream(ADD, batch_size="3")),
    ],
)
async def test_wrong_arguments_are_typed_errors(db: DatabaseManager, call: Any) -> None:
    """They say what the verb takes."""
    with pytest.raises(QueryError):
        await call(db)


def test_a_decimal_of_any_size_is_refused_at_once() -> None:
    """A number from outside must not be worked out digit by digit."""
    for text in ("1E+999999", "-1E+100000", "1E-999999"):
        with pytest.raises(DataError):
            encoders(ParameterType("decimal", 2))[Decimal](Decimal(text))
