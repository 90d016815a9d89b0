"""What each verb returns and refuses, the same on every engine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    ConfigurationError,
    QueryError,
    TooManyRows,
    UniqueViolation,
    UsageError,
)
from dal.queries import load_queries
from dal.settings import Settings
from tests.engine_cases import Capability, EngineCase, needs

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"
EMAILS = "SELECT email FROM account ORDER BY account_id"


async def emails(db: DatabaseManager) -> list[str]:
    return [row["email"] for row in await db.fetch_all(EMAILS)]


async def add(db: DatabaseManager, *names: str) -> None:
    await db.execute_many(ADD, [{"email": name} for name in names])


async def test_execute_returns_the_rows_matched(db: DatabaseManager) -> None:
    """Rows matched, not rows whose values differ from before; 0 for none, and for DDL."""
    assert await db.execute(ADD, {"email": "a"}) == 1
    await add(db, "b", "c")
    assert await db.execute("UPDATE account SET balance = 0") == 3
    assert await db.execute("DELETE FROM account WHERE email = ?", ("nobody",)) == 0
    assert await db.execute("DELETE FROM account") == 3
    assert await db.execute("CREATE TABLE other (a INTEGER)") == 0


@needs(Capability.WITH_BEFORE_WRITE)
async def test_execute_counts_a_write_that_begins_with_a_with_clause(db: DatabaseManager) -> None:
    """A common table expression before the verb does not hide the count."""
    await add(db, "a", "b")
    sql = (
        "WITH x AS (SELECT 'a' AS email) UPDATE account SET balance = 1 WHERE email IN (SELECT email FROM x)"
    )
    assert await db.execute(sql) == 1


async def test_execute_counts_a_write_that_returns_rows(db: DatabaseManager) -> None:
    """A RETURNING clause does not hide the count."""
    assert await db.execute("INSERT INTO account (email) VALUES ('a'), ('b') RETURNING account_id") == 2


async def test_fetch_one_returns_the_row_or_none(db: DatabaseManager) -> None:
    """A row by name and by position, None where nothing matches."""
    await add(db, "a")
    row = await db.fetch_one("SELECT account_id, email FROM account WHERE email = :email", {"email": "a"})
    assert row is not None
    assert (row["email"], row[1], len(row), row.keys()) == ("a", "a", 2, ("account_id", "email"))
    assert await db.fetch_one("SELECT email FROM account WHERE email = ?", ("b",)) is None


@pytest.mark.parametrize("verb", ["fetch_one", "fetch_value"])
async def test_a_second_row_is_an_error(db: DatabaseManager, verb: str) -> None:
    """A query for one row that matches two is wrong, and says so."""
    await add(db, "a", "b")
    with pytest.raises(TooManyRows, match="more than one row"):
        await getattr(db, verb)(EMAILS)


async def test_a_write_that_returns_a_second_row_is_undone(db: DatabaseManager) -> None:
    """The error of fetch_one leaves nothing behind."""
    with pytest.raises(TooManyRows):
        await db.fetch_one("INSERT INTO account (email) VALUES ('a'), ('b') RETURNING account_id")
    assert await db.fetch_value(COUNT) == 0


async def test_fetch_one_of_a_write_returns_its_row(db: DatabaseManager) -> None:
    """Generated keys come back by INSERT ... RETURNING."""
    row = await db.fetch_one(ADD + " RETURNING account_id, email", {"email": "a"})
    assert row is not None
    assert row["email"] == "a"
    assert await db.fetch_value(COUNT) == 1


async def test_fetch_value_returns_the_first_column(db: DatabaseManager) -> None:
    """The first column of the one row; None for no row."""
    assert await db.fetch_value("SELECT 7 AS a, 8 AS b") == 7
    assert await db.fetch_value("SELECT email FROM account") is None


async def test_a_tuple_binds_question_marks(db: DatabaseManager) -> None:
    """The signature with a tuple: every bare ? binds in turn."""
    await db.execute("INSERT INTO account (email, balance) VALUES (?, ?)", ("a", 5))
    rows = await db.fetch_all("SELECT email, balance FROM account WHERE balance > ?", (4,))
    assert [tuple(row) for row in rows] == [("a", 5)]


async def test_execute_transaction_is_all_or_nothing(db: DatabaseManager) -> None:
    """True once all are committed; any failure undoes all, and raises."""
    done = await db.execute_transaction(
        [(ADD, {"email": "a"}), ("DELETE FROM account WHERE email = ?", ("x",))]
    )
    assert done is True
    with pytest.raises(UniqueViolation):
        await db.execute_transaction([(ADD, {"email": "b"}), (ADD, {"email": "a"})])
    assert await emails(db) == ["a"]


async def test_execute_transaction_of_nothing_is_done(db: DatabaseManager) -> None:
    """An empty list needs no transaction."""
    assert await db.execute_transaction([]) is True


async def test_execute_script_runs_statements_in_turn(db: DatabaseManager, case: EngineCase) -> None:
    """Several statements, a trigger with semicolons of its own among them."""
    script = f"-- A comment; with a semicolon.\n{case['audit']}INSERT INTO account (email) VALUES ('a;b')"
    await db.execute_script(script)
    notes = [row["note"] for row in await db.fetch_all("SELECT note FROM log ORDER BY log_id")]
    assert notes == ["one; a;b", "two"]


async def test_a_script_that_fails_leaves_nothing(db: DatabaseManager) -> None:
    """The statements before the failing one are undone."""
    with pytest.raises(UniqueViolation):
        await db.execute_script(
            "INSERT INTO account (email) VALUES ('a'); INSERT INTO account (email) VALUES ('a');"
        )
    assert await db.fetch_value(COUNT) == 0


async def test_a_script_query_says_which_verb_runs_it(db: DatabaseManager, tmp_path: Path) -> None:
    """The kind that the header declares is held to."""
    file = tmp_path / "queries.sql"
    file.write_text("-- name: wipe() :script\nDELETE FROM account;\n")
    wipe = load_queries(file).wipe
    with pytest.raises(QueryError, match="execute_script"):
        await db.execute(wipe)
    await db.execute_script(wipe)


async def test_a_verb_before_connect_or_after_disconnect_says_so(url: str, settings: Settings) -> None:
    """A typed error with the way out, not an assertion."""
    db = DatabaseManager(url, settings=settings)
    with pytest.raises(UsageError, match="connect"):
        await db.fetch_value("SELECT 1")
    await db.connect()
    await db.connect()
    assert await db.fetch_value("SELECT 1") == 1
    await db.disconnect()
    await db.disconnect()
    with pytest.raises(UsageError, match="connect"):
        await db.fetch_value("SELECT 1")


async def test_a_manager_can_be_connected_again(url: str, settings: Settings) -> None:
    """Disconnect is no end."""
    db = DatabaseManager(url, settings=settings)
    for _ in range(3):
        async with db:
            assert await db.fetch_value("SELECT 1") == 1


def test_a_call_from_another_event_loop_is_refused(url: str, settings: Settings) -> None:
    """Before it is queued, so that nobody waits for ever."""

    async def use() -> None:
        await db.fetch_value("SELECT 1")

    db = DatabaseManager(url, settings=settings)
    with asyncio.Runner() as first:
        first.run(db.connect())
        with asyncio.Runner() as second, pytest.raises(UsageError, match="event loop"):
            second.run(use())
        first.run(db.disconnect())


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
async def test_a_forked_process_must_connect_anew(db: DatabaseManager) -> None:
    """It has no thread that would answer; the parent's connections go on."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            await db.fetch_value("SELECT 1")
        except UsageError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert "not connected" in answer.read()
    await asyncio.to_thread(os.waitpid, pid, 0)
    assert await db.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize("bad", ["oracle://h/d", "sqlit:///x.db", "x.db", "postgre"])
def test_a_url_of_an_unknown_scheme_names_the_known_ones(bad: str, settings: Settings) -> None:
    """A typed error when the manager is made."""
    with pytest.raises(ConfigurationError, match="sqlite://"):
        DatabaseManager(bad, settings=settings)
