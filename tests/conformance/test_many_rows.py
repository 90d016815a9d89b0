"""execute_many: one statement for many rows, all of them or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    CheckViolation,
    DataError,
    ParameterError,
    QueryError,
    StatementRefused,
    TransactionError,
    UniqueViolation,
)
from dal.queries import load_queries
from tests.engine_cases import Capability, EngineCase, needs

ADD = "INSERT INTO account (email) VALUES (:email)"
ADD_BOTH = "INSERT INTO account (email, balance) VALUES (:email, :balance)"
COUNT = "SELECT count(*) FROM account"
EMAILS = "SELECT email FROM account ORDER BY account_id"


async def emails(db: DatabaseManager) -> list[str]:
    return [row["email"] for row in await db.fetch_all(EMAILS)]


async def add(db: DatabaseManager, *names: str) -> None:
    await db.execute_many(ADD, [{"email": name} for name in names])


async def test_execute_many_is_all_or_nothing(db: DatabaseManager) -> None:
    """A row that is refused in the middle takes the others with it."""
    with pytest.raises(UniqueViolation):
        await add(db, "a", "b", "a", "c")
    assert await db.fetch_value(COUNT) == 0
    await add(db, "a", "b")
    assert await emails(db) == ["a", "b"]


async def test_execute_many_takes_any_iterable_even_an_empty_one(db: DatabaseManager) -> None:
    """Rows may come from a generator; none at all is nothing to do."""
    await db.execute_many(ADD, [])
    await db.execute_many(ADD, ({"email": f"{n}"} for n in range(2500)))
    assert await db.fetch_value(COUNT) == 2500


async def test_execute_many_checks_every_row_before_anything_is_sent(db: DatabaseManager) -> None:
    """A row with a wrong parameter is found before the first is stored."""
    with pytest.raises(ParameterError, match="mail"):
        await db.execute_many(ADD, [{"email": "a"}, {"mail": "b"}])
    assert await db.fetch_value(COUNT) == 0


@needs(Capability.WITH_BEFORE_WRITE)
async def test_execute_many_runs_a_statement_that_begins_with_a_with_clause(db: DatabaseManager) -> None:
    """The driver's own executemany refuses such a statement."""
    await db.execute_many(
        "WITH x AS (SELECT :email AS e) INSERT INTO account (email) SELECT e FROM x",
        [{"email": "a"}, {"email": "b"}],
    )
    assert await emails(db) == ["a", "b"]


async def test_ten_thousand_rows_are_each_stored_once_and_in_order(db: DatabaseManager) -> None:
    """However they are split on the way."""
    await db.execute_many(ADD_BOTH, [{"email": f"{n:05}", "balance": n} for n in range(10_000)])
    found = await db.fetch_all("SELECT email, balance FROM account ORDER BY account_id")
    assert [tuple(row) for row in found] == [(f"{n:05}", n) for n in range(10_000)]


async def test_the_last_of_ten_thousand_rows_takes_the_others_with_it(db: DatabaseManager) -> None:
    """The database refuses it when all the others are there already."""
    rows = [{"email": f"{n}", "balance": n} for n in range(10_000)]
    with pytest.raises(CheckViolation):
        await db.execute_many(ADD_BOTH, [*rows, {"email": "last", "balance": -1}])
    assert await db.fetch_value(COUNT) == 0


async def test_rows_larger_than_any_packet_together_are_stored(db: DatabaseManager, case: EngineCase) -> None:
    """Forty megabytes in one call, more than a server takes at once."""
    await db.execute(
        f"CREATE TABLE page (n {case.types['int']}, words {case.types['text']}) {case['strict']}"
    )
    words = "😀" * 250_000
    await db.execute_many("INSERT INTO page VALUES (?, ?)", ((n, words) for n in range(40)))
    assert await db.fetch_value("SELECT count(*) FROM page") == 40
    assert await db.fetch_value("SELECT count(*) FROM page WHERE words = :words", {"words": words}) == 40


async def test_rows_that_stop_coming_store_nothing(db: DatabaseManager) -> None:
    """The error of the generator reaches the caller as it is."""

    def rows() -> Iterator[dict[str, str]]:
        for n in range(2500):
            yield {"email": f"{n}"}
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await db.execute_many(ADD, rows())
    assert await db.fetch_value(COUNT) == 0


async def test_an_asynchronous_generator_of_rows_is_refused(db: DatabaseManager) -> None:
    """As is whatever else cannot be iterated; nothing passes for no rows."""

    async def rows() -> AsyncIterator[dict[str, str]]:
        yield {"email": "a"}

    bad: Any
    for bad in (rows(), None, 7):
        with pytest.raises(QueryError, match="iterable"):
            await db.execute_many(ADD, bad)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"email": "b"}, "balance"),
        ({"email": "b", "balance": 1, "typo": 2}, "typo"),
        (("b", 1), "mapping"),
        ({"email": "s3cr3t\0", "balance": 1}, "NUL"),
        ({"email": ["s3cr3t"], "balance": 1}, "list"),
    ],
)
async def test_a_row_that_does_not_fit_is_told_by_its_number(
    db: DatabaseManager, bad: Any, said: str
) -> None:
    """A name that is missing or superfluous, another form, a value: which row, not what was in it."""
    rows = [{"email": f"{n}", "balance": n} for n in range(1500)]
    with pytest.raises((ParameterError, DataError), match=rf"row 1501: .*{said}") as raised:
        await db.execute_many(ADD_BOTH, [*rows, bad])
    assert "s3cr3t" not in str(raised.value) + repr(raised.value)
    assert await db.fetch_value(COUNT) == 0


async def test_a_short_row_among_sequences_is_told_by_its_number(db: DatabaseManager) -> None:
    """And a mapping among them; values are never shifted from one row into the next."""
    sql = "INSERT INTO account (email, balance) VALUES (?, ?)"
    with pytest.raises(ParameterError, match=r"row 2: .*2 values, 1"):
        await db.execute_many(sql, [("a", 1), ("b",), (2, "c", 3)])
    with pytest.raises(ParameterError, match=r"row 2: .*sequence"):
        await db.execute_many(sql, [("a", 1), {"email": "b", "balance": 2}])
    assert await db.fetch_value(COUNT) == 0


async def test_text_is_no_list_of_rows(db: DatabaseManager) -> None:
    """Its characters are not taken for rows, nor a mapping's keys."""
    bad: Any
    for bad in ("ab", {"email": "a"}, [b"a"]):
        with pytest.raises(ParameterError, match="row 1: "):
            await db.execute_many("INSERT INTO account (email) VALUES (?)", bad)
    assert await db.fetch_value(COUNT) == 0


async def test_the_keys_of_a_row_may_come_in_any_order(db: DatabaseManager) -> None:
    """Each value goes to its own column."""
    await db.execute_many(ADD_BOTH, [{"email": "a", "balance": 1}, {"balance": 2, "email": "b"}])
    found = await db.fetch_all("SELECT email, balance FROM account ORDER BY email")
    assert [tuple(row) for row in found] == [("a", 1), ("b", 2)]


async def test_a_none_in_the_first_row_decides_no_type(db: DatabaseManager) -> None:
    """Nor one in the last: other rows keep their values."""
    await add(db, "root")
    sql = "INSERT INTO account (email, parent_id) VALUES (?, ?)"
    root = await db.fetch_value("SELECT account_id FROM account")
    await db.execute_many(sql, [("a", None), ("b", root), ("c", None)])
    found = await db.fetch_all("SELECT parent_id FROM account WHERE email <> 'root' ORDER BY email")
    assert [row[0] for row in found] == [None, root, None]


async def test_many_rows_may_be_changed_and_deleted(db: DatabaseManager) -> None:
    """It is not for INSERT alone; a later row sees what an earlier one did."""
    await add(db, "a", "b", "c")
    await db.execute_many(
        "UPDATE account SET balance = balance + :by WHERE email = :email",
        [{"by": 5, "email": "a"}, {"by": 7, "email": "b"}, {"by": 1, "email": "a"}],
    )
    found = await db.fetch_all("SELECT balance FROM account ORDER BY email")
    assert [row[0] for row in found] == [6, 7, 0]
    await db.execute_many("DELETE FROM account WHERE email = ?", [("a",), ("c",), ("absent",)])
    assert await emails(db) == ["b"]


async def test_many_changes_are_undone_by_the_one_that_fails(db: DatabaseManager) -> None:
    """Of an UPDATE too, which goes another way than rows to insert."""
    await add(db, "a", "b")
    with pytest.raises(CheckViolation):
        await db.execute_many("UPDATE account SET balance = ? WHERE email = ?", [(5, "a"), (-1, "b")])
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 0


async def test_many_rows_belong_to_their_block(db: DatabaseManager) -> None:
    """They are undone with it; and if one is refused, the block takes nothing more."""
    with pytest.raises(LookupError):
        async with db.transaction() as tx:
            await tx.execute_many(ADD, [{"email": "a"}, {"email": "b"}])
            assert await tx.fetch_value(COUNT) == 2
            raise LookupError
    with pytest.raises(UniqueViolation):
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "c"})
            try:
                await tx.execute_many(ADD, [{"email": "d"}, {"email": "c"}])
            finally:
                with pytest.raises(TransactionError):
                    await tx.execute(ADD, {"email": "e"})
    assert await db.fetch_value(COUNT) == 0


async def test_many_rows_from_several_tasks_do_not_mix(db: DatabaseManager) -> None:
    """Those of the task that fails are gone, those of the others are all there."""

    async def fill(name: str) -> None:
        last = f"{name} 0" if name == "c" else f"{name} last"
        await add(db, *(f"{name} {n}" for n in range(200)), last)

    results = await asyncio.gather(*(fill(name) for name in "abcd"), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), type(None), UniqueViolation, type(None)]
    assert await db.fetch_value(COUNT) == 603
    assert await db.fetch_value(COUNT + " WHERE email LIKE 'c %'") == 0


async def test_two_statements_are_not_run_for_many_rows(db: DatabaseManager) -> None:
    """The second one is never reached by any of them."""
    await add(db, "a")
    with pytest.raises(StatementRefused, match="execute_script"):
        await db.execute_many("UPDATE account SET balance = 1; DELETE FROM account", [(), ()])
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 0


async def test_a_list_in_many_rows_binds_as_an_array_or_is_refused(
    db: DatabaseManager, case: EngineCase
) -> None:
    """Whatever the lengths of the lists: whether it works does not depend on the data."""
    await add(db, "a", "b", "c")
    sql = "DELETE FROM account WHERE email IN :names"
    for rows in ([{"names": ["a"]}, {"names": ["b"]}], [{"names": ["a"]}, {"names": ["b", "c", "d"]}]):
        if Capability.ARRAYS in case.lacks:
            with pytest.raises(QueryError, match="no list parameters"):
                await db.execute_many(sql, rows)
        else:
            await db.execute_many(sql, rows)
    assert await db.fetch_value(COUNT) == (3 if Capability.ARRAYS in case.lacks else 0)


@needs(Capability.ARRAYS)
async def test_arrays_are_stored_for_many_rows(db: DatabaseManager, tmp_path: Path) -> None:
    """Of several lengths, the empty one among them."""
    await db.execute("CREATE TABLE bag (n bigint, items text[])")
    (tmp_path / "q.postgresql.sql").write_text(
        "-- name: fill(n, items: text[]) :batch\nINSERT INTO bag (n, items) VALUES (:n, :items);\n"
    )
    rows = [(0, ["a", "b"]), (1, []), (2, ["ä'\"{},\\"])]
    await db.execute_many(load_queries(tmp_path).fill, [{"n": n, "items": items} for n, items in rows])
    found = await db.fetch_all("SELECT n, items FROM bag ORDER BY n")
    assert [tuple(row) for row in found] == rows
