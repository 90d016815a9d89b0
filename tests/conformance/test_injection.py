"""What a caller's string may not do: become SQL, reach a second statement, or name what it likes."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dal.database import DatabaseManager
from dal.errors import (
    DalError,
    DatabaseError,
    DataError,
    ParameterError,
    SqlSyntaxError,
    StatementRefused,
)
from dal.queries import load_queries
from dal.values import Json
from tests.engine_cases import Capability, EngineCase, needs

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"
EMAILS = "SELECT email FROM account ORDER BY account_id"

HOSTILE = [
    "'", "''", "\\", "\\'", '"', "%", "%s", "%(a)s", "?", ":a", "$1", "; DROP TABLE account; --",
    "' OR '1'='1", "' UNION SELECT email FROM account --", "\\' OR 1=1 -- ", "¿' OR 1=1 -- ", "/*", "*/",
    "--", "#", "\n", "\r\n", "\t", "\x1a", "\b", "😀'", "\u2028", "", " ", "a ", "NULL", "${jndi}", "0x27", "`",
    "[x]",
]  # fmt: skip


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


async def add(db: DatabaseManager, *names: str) -> None:
    await db.execute_many(ADD, [{"email": name} for name in names])


async def test_text_that_looks_like_sql_is_only_text(db: DatabaseManager) -> None:
    """As a value, in a stored row, as a condition and in a list; with names and with question marks."""
    for value in HOSTILE:
        assert await db.fetch_value("SELECT :v", {"v": value}) == value
        assert await db.fetch_value("SELECT ?", (value,)) == value
        await db.execute(ADD, {"email": value})
        assert await db.fetch_value("SELECT email FROM account WHERE email = :v", {"v": value}) == value
        assert await db.fetch_value("SELECT count(*) FROM account WHERE email IN :v", {"v": [value]}) == 1
    assert await db.fetch_value(COUNT) == len(HOSTILE)


@given(value=texts | st.sampled_from(HOSTILE), neighbour=st.sampled_from(HOSTILE))
@example(value="\\", neighbour="\\")
@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_two_texts_stay_apart(db: DatabaseManager, value: str, neighbour: str) -> None:
    """None ends its own literal and goes on in that of its neighbour; by name, by position, from a list."""
    row = await db.fetch_one("SELECT :a AS a, 'x' AS b, :b AS c", {"a": value, "b": neighbour})
    assert row == (value, "x", neighbour) or (row is not None and list(row) == [value, "x", neighbour])
    row = await db.fetch_one("SELECT ?, ?, ?", (neighbour, value, neighbour))
    assert row is not None
    assert list(row) == [neighbour, value, neighbour]
    sql = "SELECT count(*) FROM (SELECT :a AS word) AS t WHERE word IN :some"
    assert await db.fetch_value(sql, {"a": value, "some": [neighbour, value]}) == 1


async def test_hostile_texts_are_stored_by_every_way_in(db: DatabaseManager) -> None:
    """As many rows, as a list of statements, in a block, and as rows that come back."""
    await add(db, *HOSTILE)
    assert [row["email"] for row in await db.fetch_all(EMAILS)] == HOSTILE
    await db.execute_transaction([("DELETE FROM account WHERE email = ?", (text,)) for text in HOSTILE])
    assert await db.fetch_value(COUNT) == 0
    async with db.transaction() as tx:
        for text in HOSTILE:
            row = await tx.fetch_one(ADD + " RETURNING email", {"email": text})
            assert row is not None
            assert row["email"] == text
    assert [row["email"] async for row in db.stream(EMAILS, batch_size=3)] == HOSTILE


async def test_hostile_texts_are_only_text_in_json(
    db: DatabaseManager, case: EngineCase, tmp_path: Path
) -> None:
    """As values and as keys of a document."""
    (tmp_path / "q.sql").write_text(
        "-- name: put(doc: json) :affected\nINSERT INTO page (doc) VALUES (:doc);\n\n"
        "-- name: got() :value\n-- returns: json\nSELECT doc FROM page;\n"
    )
    queries = load_queries(tmp_path)
    await db.execute(f"CREATE TABLE page (doc {case.types['json']}) {case['strict']}")
    document: Any = {"values": HOSTILE, **{text: n for n, text in enumerate(HOSTILE)}}
    await db.execute(queries.put, {"doc": document})
    assert await db.fetch_value("SELECT count(*) FROM page") == 1
    stored: Any = await db.fetch_value(queries.got)
    assert stored == document
    await db.execute("DELETE FROM page")
    await db.execute("INSERT INTO page (doc) VALUES (:doc)", {"doc": Json(document)})
    assert await db.fetch_value(queries.got) == document


async def test_a_limit_takes_a_number_and_nothing_else(db: DatabaseManager) -> None:
    """A text with more in it is refused by class and runs nothing."""
    await add(db, "a", "b", "c")
    sql = EMAILS + " LIMIT :n"
    assert [row["email"] for row in await db.fetch_all(sql, {"n": 2})] == ["a", "b"]
    for hostile in ("1; DELETE FROM account", "1 UNION SELECT 's3cr3t'", "-1 OFFSET 1", "(SELECT 2)"):
        with pytest.raises(DatabaseError) as raised:
            await db.fetch_all(sql, {"n": hostile})
        assert type(raised.value) in (DataError, SqlSyntaxError)
        assert "s3cr3t" not in str(raised.value)
    assert await db.fetch_value(COUNT) == 3


async def test_a_bound_order_orders_nothing(db: DatabaseManager) -> None:
    """A parameter is a value, never the name of a column or a direction."""
    await add(db, "c", "a", "b")
    for hostile in ("email", "email DESC", "1", "2 DESC", "(SELECT 1)", "account_id; DELETE FROM account"):
        found = await db.fetch_all("SELECT email FROM account ORDER BY :by, account_id", {"by": hostile})
        assert [row["email"] for row in found] == ["c", "a", "b"]
    assert await db.fetch_value(COUNT) == 3


async def test_a_parameter_is_no_name(db: DatabaseManager) -> None:
    """Where a table or a column to write stands it is an error, and nothing is done."""
    texts: list[Any] = [
        "SELECT count(*) FROM :name",
        "DROP TABLE :name",
        "INSERT INTO account (:name) VALUES ('x')",
        "UPDATE :name SET balance = 1",
    ]
    for text in texts:
        with pytest.raises(DatabaseError):
            await db.fetch_all(text, {"name": "account"})
    assert await db.fetch_value(COUNT) == 0


async def test_the_name_of_a_parameter_never_reaches_the_sql(db: DatabaseManager) -> None:
    """A key that no parameter has is refused, whatever is written in it."""
    for key in ("a) ; DELETE FROM account; --", "a'", "", " a", "A", "%(a)s"):
        for params in ({key: "x"}, {"a": "x", key: "y"}):
            with pytest.raises(ParameterError):
                await db.fetch_value("SELECT :a", params)
    bad: Any = {"a": "x", 2: "y"}
    with pytest.raises(ParameterError, match="2"):
        await db.fetch_value("SELECT :a", bad)


async def test_any_mapping_binds_and_none_is_asked_to_invent(db: DatabaseManager) -> None:
    """A read-only view is as good as a dict; a defaultdict lacks what it does not have."""
    assert await db.fetch_value("SELECT :a", MappingProxyType({"a": "x"})) == "x"
    inventive: defaultdict[str, str] = defaultdict(lambda: "invented")
    with pytest.raises(ParameterError, match="no value for a"):
        await db.fetch_value("SELECT :a", inventive)
    inventive["a"] = "x"
    assert await db.fetch_value("SELECT :a", inventive) == "x"
    assert dict(inventive) == {"a": "x"}


async def test_wildcards_in_a_value_are_escaped_as_the_text_says(db: DatabaseManager) -> None:
    """LIKE ... ESCAPE works on bound patterns; without it ``%`` and ``_`` are wildcards."""
    await add(db, "100%", "100x", "a_b", "acb", "a!b")
    sql = "SELECT email FROM account WHERE email LIKE :pattern ESCAPE '!' ORDER BY account_id"
    for pattern, expected in (
        ("100!%", ["100%"]),
        ("100%", ["100%", "100x"]),
        ("a!_b", ["a_b"]),
        ("a_b", ["a_b", "acb", "a!b"]),
        ("a!!b", ["a!b"]),
    ):
        found = await db.fetch_all(sql, {"pattern": pattern})
        assert [row["email"] for row in found] == expected


SECOND = [
    "SELECT 1 /* ; */; DELETE FROM account",
    "SELECT 1; -- harmless\nDELETE FROM account",
    "SELECT 1;/**/DELETE/**/FROM/**/account",
    "SELECT ';'; DELETE FROM account",
    "SELECT 'it''s;'; DELETE FROM account",
    "SELECT 1 -- '\n; DELETE FROM account -- '",
    "SELECT 1;\n\t\r\n DELETE FROM account",
    "DELETE FROM account WHERE 1 = 0; DELETE FROM account",
]


@pytest.mark.parametrize("sql", SECOND)
async def test_no_disguise_hides_a_second_statement(db: DatabaseManager, sql: str) -> None:
    """Behind comments, literals and line ends: refused before anything is sent, by every verb."""
    await add(db, "a")
    for call in (db.execute, db.fetch_one, db.fetch_all, db.fetch_value):
        with pytest.raises(StatementRefused) as raised:
            await call(sql)
        assert raised.value.sent is False
    with pytest.raises(StatementRefused):
        await anext(db.stream(sql))
    with pytest.raises(StatementRefused):
        await db.execute_transaction([(sql, ())])
    assert await db.fetch_value(COUNT) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 /*! ; DELETE FROM account */",
        "SELECT 1 /*M! ; DELETE FROM account */",
        "SELECT 1 /*!99999 ; DELETE FROM account */",
        "DELIMITER //\nSELECT 1; DELETE FROM account//",
        "SELECT 1 \\g DELETE FROM account",
        "SELECT 1\nGO\nDELETE FROM account",
        "SELECT 1 DELETE FROM account",
        "SELECT 1 \\; DELETE FROM account",
        "SELECT '\\'; DELETE FROM account; --'",
    ],
)
async def test_what_a_client_program_would_split_deletes_nothing(db: DatabaseManager, sql: Any) -> None:
    """Executable comments and the commands of consoles: an error or a harmless row."""
    await add(db, "a")
    with suppress(DatabaseError):
        await db.fetch_all(sql)
    assert await db.fetch_value(COUNT) == 1


async def test_a_semicolon_inside_a_literal_name_or_comment_is_no_end(
    db: DatabaseManager, case: EngineCase
) -> None:
    """With parameters around it, and without."""
    name = case.quoted("a;b")
    sql = f"SELECT ';' AS {name} /* ; */ -- ;\nFROM account WHERE email <> ';--' AND email = :email"
    await add(db, "a")
    row = await db.fetch_one(sql, {"email": "a"})
    assert row is not None
    assert row["a;b"] == ";"


@pytest.mark.parametrize("sql", ["SELECT 'abc", "SELECT 'abc''", "SELECT 'a' || 'b WHERE 'c'"])
async def test_a_literal_that_is_never_closed_is_a_syntax_error(db: DatabaseManager, sql: Any) -> None:
    """Nor does a parameter close it."""
    with pytest.raises(SqlSyntaxError):
        await db.fetch_all(sql)
    with pytest.raises(DalError):
        await db.fetch_all(sql + " :a", {"a": "' OR 1 = 1"})


@pytest.mark.parametrize("sql", ["SELECT %s", "SELECT %(a)s", "SELECT {}", "SELECT {a}", "SELECT $1"])
async def test_the_placeholders_of_others_are_not_filled(db: DatabaseManager, sql: Any) -> None:
    """Neither the drivers' own nor those of Python's formatting: an error of `dal`, with or without values."""
    for params in ((), {}, ("x",), {"a": "x"}):
        with pytest.raises(DalError):
            await db.fetch_value(sql, params)


async def test_a_script_binds_nothing(db: DatabaseManager) -> None:
    """A parameter in it is an error, and what stands before it is undone."""
    with pytest.raises(DalError):
        await db.execute_script("DELETE FROM account; INSERT INTO account (email) VALUES (:email);")
    assert await db.fetch_value(COUNT) == 0


async def test_line_ends_and_tabs_are_only_space(db: DatabaseManager) -> None:
    """Those of every system, also directly before and after a parameter and in a comment's last line."""
    assert await db.fetch_value("SELECT\r\n\t:a\r\n-- :c '\r\n", {"a": "x"}) == "x"
    assert await db.fetch_value("SELECT\t?\n||\r\n?\t", ("a", "b")) == "ab"


async def test_thousands_of_parameters_bind_in_one_statement(db: DatabaseManager) -> None:
    """Each to its own place; beyond what the engine takes the error is typed."""
    marks = ", ".join("?" * 9000)
    assert await db.fetch_value(f"SELECT 8999 IN ({marks})", list(range(9000))) in (True, 1)
    marks = ", ".join("?" * 70_000)
    with suppress(DatabaseError, ParameterError):
        found = await db.fetch_value(f"SELECT 69999 IN ({marks})", list(range(70_000)))
        assert found in (True, 1)
    assert await db.fetch_value(COUNT) == 0


async def test_a_text_of_a_megabyte_runs(db: DatabaseManager) -> None:
    """A long comment, and a long literal."""
    assert await db.fetch_value(f"SELECT /*{'x' * 1_000_000}*/ :a", {"a": "y"}) == "y"
    assert await db.fetch_value(f"SELECT length('{'x' * 1_000_000}')") == 1_000_000


@needs(Capability.QUESTION_OPERATORS)
async def test_operators_with_a_question_mark_are_left_alone(db: DatabaseManager) -> None:
    """With a mapping as they are written; with a sequence, for which ? binds, as ``??``."""
    doc = 'cast(\'{"a": {"b": 1}}\' AS jsonb)'
    assert await db.fetch_value(f"SELECT {doc} ? 'a' AND {doc} @> cast(:x AS jsonb)", {"x": Json({"a": {}})})
    assert await db.fetch_value(f"SELECT {doc} ?| array[:x, 'z']", {"x": "a"}) is True
    assert await db.fetch_value(f"SELECT {doc} ?& array['a', 'b']", {}) is False
    assert await db.fetch_value(f"SELECT {doc} ?? ?", ("b",)) is False
    assert await db.fetch_value(f"SELECT ({doc} #>> '{{a,b}}')::integer + :n", {"n": 1}) == 2
    assert await db.fetch_value("SELECT (array[1, 2, 3])[:low:3]", {"low": 2}) == [2, 3]
