"""Rows: what the results of a query given as a string are, on every engine alike."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import StatementError, UndefinedColumn
from dal.rows import Row
from tests.engine_cases import EngineCase

COUNT = "SELECT count(*) FROM account"


async def one_row(db: DatabaseManager, sql: Any = "SELECT 7 AS a, 'x' AS b, NULL AS c") -> Row:
    row: Row | None = await db.fetch_one(sql)
    assert row is not None
    return row


async def test_two_columns_of_one_name_are_never_lost(db: DatabaseManager) -> None:
    """By position both are there; by name it is an error."""
    row = await db.fetch_one("SELECT 1 AS a, 2 AS a")
    assert row is not None
    assert list(row) == [1, 2]
    with pytest.raises(KeyError, match="several columns"):
        row["a"]


async def test_a_row_of_many_columns_is_there_to_its_last(db: DatabaseManager) -> None:
    """Sixteen hundred of them, by position and by name."""
    row = await db.fetch_one("SELECT " + ", ".join(f"{n} AS c{n}" for n in range(1600)))
    assert row is not None
    assert list(row) == list(range(1600))
    assert row["c1599"] == 1599


async def test_a_row_without_such_a_column_says_which_there_are(db: DatabaseManager) -> None:
    """Not a bare KeyError."""
    row = await db.fetch_one("SELECT 1 AS a, 2 AS b")
    assert row is not None
    with pytest.raises(KeyError, match="a, b"):
        row["c"]


async def test_rows_show_no_values(db: DatabaseManager) -> None:
    """Their repr ends up in logs."""
    row = await db.fetch_one("SELECT 's3cr3t' AS word")
    assert "s3cr3t" not in repr(row)
    assert "word" in repr(row)


async def test_a_row_counts_from_its_end_and_gives_slices(db: DatabaseManager) -> None:
    """As every sequence does."""
    row = await one_row(db)
    assert (row[-1], row[-2], row[-3]) == (None, "x", 7)
    assert list(row[1:]) == ["x", None]
    assert list(row[::-1]) == [None, "x", 7]


@pytest.mark.parametrize("position", [3, -4, 10**9])
async def test_a_position_beyond_the_row_is_an_index_error(db: DatabaseManager, position: int) -> None:
    """On either side."""
    with pytest.raises(IndexError):
        (await one_row(db))[position]


async def test_a_row_unpacks_and_iterates_over_its_values(db: DatabaseManager) -> None:
    """In the order of the columns; `in`, `index` and `count` look at values, not names."""
    row = await one_row(db)
    first, second, third = row
    assert [first, second, third] == list(row) == [7, "x", None]
    assert len(row) == 3
    assert ("x" in row, "b" in row) == (True, False)
    assert (row.index("x"), row.count(None)) == (1, 1)


async def test_a_row_becomes_a_dictionary_by_its_keys(db: DatabaseManager) -> None:
    """`keys()` is all that `dict` needs."""
    row = await one_row(db)
    assert row.keys() == ("a", "b", "c")
    as_dict: dict[str, Any] = dict(row)
    assert as_dict == {"a": 7, "b": "x", "c": None}


async def test_rows_are_equal_by_names_and_values(db: DatabaseManager) -> None:
    """Two runs of a query give equal rows; another name or value makes another row."""
    row = await one_row(db)
    assert row == await one_row(db)
    assert row != await one_row(db, "SELECT 7 AS a, 'x' AS b, NULL AS d")
    assert row != await one_row(db, "SELECT 8 AS a, 'x' AS b, NULL AS c")
    assert row == (7, "x", None)
    assert row != (7, "x")
    assert row != [7, "x", None]
    assert row != "row"


async def test_rows_may_be_put_into_a_set(db: DatabaseManager) -> None:
    """Equal ones fall together, and with their tuples."""
    sql = "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 1, 'x' UNION ALL SELECT 2, 'y'"
    assert set(await db.fetch_all(sql)) == {(1, "x"), (2, "y")}


async def test_a_row_cannot_be_changed(db: DatabaseManager) -> None:
    """Not by name, not by position, and it takes no attributes."""
    row: Any = await one_row(db)
    for key in ("a", 0, "new"):
        with pytest.raises(TypeError):
            row[key] = 1
        with pytest.raises(TypeError):
            del row[key]
    with pytest.raises(AttributeError):
        row.a = 1
    assert list(row) == [7, "x", None]


async def test_a_row_is_copied_and_pickled(db: DatabaseManager) -> None:
    """As a cache or a pool of processes needs it, whatever the driver's own rows allow."""
    for row in (await one_row(db), await one_row(db, "SELECT 1 AS a, 2 AS a")):
        for again in (copy.copy(row), copy.deepcopy(row), pickle.loads(pickle.dumps(row))):
            assert type(again) is Row
            assert again == row
            assert list(again) == list(row)
    with pytest.raises(KeyError, match="several columns"):
        again["a"]


async def test_a_row_outlives_its_connection(db: DatabaseManager) -> None:
    """It holds values, not a cursor."""
    rows = await db.fetch_all("SELECT 1 AS a UNION ALL SELECT 2")
    await db.disconnect()
    assert sorted(row["a"] for row in rows) == [1, 2]
    await db.connect()


async def test_names_of_columns_keep_their_case(db: DatabaseManager, case: EngineCase) -> None:
    """Two that differ in it alone are two columns."""
    row = await one_row(db, f"SELECT 1 AS {case.quoted('aB')}, 2 AS {case.quoted('Ab')}")
    assert row.keys() == ("aB", "Ab")
    assert (row["aB"], row["Ab"]) == (1, 2)
    with pytest.raises(KeyError, match="aB, Ab"):
        row["ab"]


async def test_names_need_not_be_ascii(db: DatabaseManager, case: EngineCase) -> None:
    """Of tables and of columns, in a table and in a result."""
    table, column = case.quoted("straße"), case.quoted("ваза 花")
    await db.execute(f"CREATE TABLE {table} ({column} {case.types['int']}) {case['strict']}")
    await db.execute(f"INSERT INTO {table} VALUES (:value)", {"value": 5})
    row = await one_row(db, f"SELECT {column} FROM {table}")
    assert row["ваза 花"] == 5


async def test_a_name_that_is_not_there_is_told_in_its_own_letters(
    db: DatabaseManager, case: EngineCase
) -> None:
    """Also where it is not ASCII."""
    with pytest.raises(UndefinedColumn, match="größe"):
        await db.fetch_all(f"SELECT x.{case.quoted('größe')} FROM account AS x")


async def test_no_rows_are_an_empty_list_and_none(db: DatabaseManager) -> None:
    """From a table that has none, and from a condition that never holds."""
    for sql in ("SELECT email, balance FROM account", "SELECT 1 AS a FROM account WHERE 1 = 0"):
        found: Any = (await db.fetch_all(sql), await db.fetch_one(sql), await db.fetch_value(sql))
        assert found == ([], None, None)


async def test_a_statement_without_columns_gives_no_rows(db: DatabaseManager) -> None:
    """A write and DDL run by the verbs that fetch: they run, and give nothing."""
    assert await db.fetch_all("INSERT INTO account (email) VALUES ('a')") == []
    assert await db.fetch_one("INSERT INTO account (email) VALUES ('b')") is None
    assert await db.fetch_value("UPDATE account SET balance = 1") is None
    assert await db.fetch_all("CREATE TABLE other (a INTEGER)") == []
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 2
    assert await db.fetch_value("SELECT count(*) FROM other") == 0


async def test_a_table_of_a_thousand_columns_is_written_and_read(
    db: DatabaseManager, case: EngineCase
) -> None:
    """With a value for each, in one statement, by name."""
    names = [f"c{n}" for n in range(1000)]
    columns = ", ".join(f"{name} {case.types['bool']}" for name in names)
    await db.execute(f"CREATE TABLE wide ({columns}) {case['strict']}")
    values = {name: n % 3 == 0 for n, name in enumerate(names)}
    marks = ", ".join(f":{name}" for name in names)
    await db.execute(f"INSERT INTO wide ({', '.join(names)}) VALUES ({marks})", values)
    row = await one_row(db, "SELECT * FROM wide")
    assert {name: bool(row[name]) for name in names} == values


async def test_more_columns_than_a_table_takes_are_a_statement_error(
    db: DatabaseManager, case: EngineCase
) -> None:
    """Whatever the engine's limit is, the error says it by its class and the next call works."""
    columns = ", ".join(f"c{n} INTEGER" for n in range(5000))
    with pytest.raises(StatementError) as raised:
        await db.execute(f"CREATE TABLE wide ({columns}) {case['strict']}")
    assert raised.value.code
    assert await db.fetch_value(COUNT) == 0


async def test_values_of_one_column_may_differ_in_type_from_null(db: DatabaseManager) -> None:
    """NULL is None beside any value, at the beginning of a result too."""
    found = await db.fetch_all("SELECT NULL AS a, 1 AS n UNION ALL SELECT 7, 2 ORDER BY n")
    assert [row["a"] for row in found] == [None, 7]
