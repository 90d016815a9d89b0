"""SQL texts and parameters: what is left alone, what binds, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    DataError,
    ParameterError,
    QueryNotFound,
    SqlSyntaxError,
    UndefinedColumn,
    UndefinedTable,
)
from dal.queries import load_queries

FILE = """
-- Texts that other layers trip over.

-- name: clock() :value
SELECT '10:30' || ' 50%' || strftime('%Y', '2026-01-02') || ' a ? b :no';

-- name: comments(word: text) :value
SELECT /* :not ? a 'parameter */ :word -- nor :this one's ?
;

-- name: json_path(doc: json) :value
SELECT json_extract(:doc, '$.a:b') || json_extract('{"k":"x:y ? %s"}', '$.k');

-- name: modulo(n: int) :value
SELECT :n % 10 + (:n % 3);

-- name: in_list(ids: int[]) :many
SELECT value FROM (SELECT 1 AS value UNION SELECT 2 UNION SELECT 3) AS t WHERE value IN :ids ORDER BY value;

-- name: in_words(words) :many
SELECT 'a' AS word WHERE 'a' IN :words;

-- name: not_in_list(ids: int[]) :value
SELECT count(*) FROM (SELECT 1 AS value UNION SELECT 2) AS t WHERE value NOT IN :ids;
"""


@pytest.fixture
def queries(tmp_path: Path) -> Any:
    file = tmp_path / "queries.sqlite.sql"
    file.write_text(FILE)
    return load_queries(file)


async def test_literals_and_comments_are_left_alone(db: DatabaseManager, queries: Any) -> None:
    """Colons, percent signs and question marks in them are no parameters."""
    assert await db.fetch_value(queries.clock) == "10:30 50%2026 a ? b :no"
    assert await db.fetch_value(queries.comments, {"word": "w"}) == "w"
    assert await db.fetch_value(queries.json_path, {"doc": {"a:b": "1"}}) == "1x:y ? %s"
    assert await db.fetch_value(queries.modulo, {"n": 25}) == 6


async def test_the_same_texts_run_as_strings(db: DatabaseManager) -> None:
    """With a mapping, with a sequence, and without parameters."""
    assert await db.fetch_value("SELECT '10:30 :x ? 50%'") == "10:30 :x ? 50%"
    assert await db.fetch_value("SELECT :x || '?:y%' /* :z ? */", {"x": "a"}) == "a?:y%"
    assert await db.fetch_value("SELECT ? || '?:y%' -- ? :z", ("a",)) == "a?:y%"
    assert await db.fetch_value("SELECT ':a', '{\"b\": 1}'") == ":a"
    assert await db.fetch_value("SELECT 10 % 3 WHERE 'ab%' LIKE 'a%'") == 1


async def test_a_list_binds_where_one_is_declared(db: DatabaseManager, queries: Any) -> None:
    """Any length; an empty list matches nothing, and excludes nothing."""
    for ids in ([], [2], [1, 3], [1, 2, 3], [9] * 100):
        found = [row[0] for row in await db.fetch_all(queries.in_list, {"ids": ids})]
        assert found == sorted({1, 2, 3} & set(ids))
    assert await db.fetch_value(queries.not_in_list, {"ids": []}) == 2
    assert len(await db.fetch_all(queries.in_words, {"words": ("a", "b")})) == 1


@pytest.mark.parametrize(
    ("sql", "params", "said"),
    [
        ("SELECT :a + :b", {"a": 1}, "b"),
        ("SELECT :a", {"a": 1, "typo": 2}, "typo"),
        ("SELECT :a", {}, "a"),
        ("SELECT ?", (), "1"),
        ("SELECT ?", (1, 2), "2"),
        ("SELECT :a", (1,), ":a|mapping|named"),
        ("SELECT :a", {"a": [1, 2]}, "IN :a"),
    ],
)
async def test_parameters_that_do_not_fit_are_refused(
    db: DatabaseManager, sql: Any, params: Any, said: str
) -> None:
    """Missing, superfluous, the wrong form, a list for a scalar: an error before anything is sent."""
    with pytest.raises(ParameterError, match=said):
        await db.fetch_value(sql, params)


async def test_a_wrong_type_for_a_declared_parameter_is_refused(db: DatabaseManager, queries: Any) -> None:
    """The message names the query, the parameter and the types, never the value."""
    with pytest.raises((ParameterError, DataError), match="modulo") as raised:
        await db.fetch_value(queries.modulo, {"n": "s3cret"})
    assert "n" in str(raised.value)
    assert "s3cret" not in str(raised.value)
    with pytest.raises((ParameterError, DataError), match="in_list"):
        await db.fetch_value(queries.in_list, {"ids": 3})


async def test_an_unknown_query_names_the_nearest(queries: Any) -> None:
    """What, and where it was looked for."""
    with pytest.raises(QueryNotFound, match=r"clok.*clock.*queries\.sqlite\.sql"):
        queries.clok  # noqa: B018  # the access is what raises


async def test_wrong_sql_is_told_apart(db: DatabaseManager) -> None:
    """Syntax, table and column, by class."""
    with pytest.raises(SqlSyntaxError):
        await db.fetch_value("SELEC 1")
    with pytest.raises(UndefinedTable):
        await db.fetch_value("SELECT 1 FROM nowhere")
    with pytest.raises(UndefinedColumn):
        await db.fetch_value("SELECT absent FROM account")
    with pytest.raises(UndefinedColumn):
        await db.execute("INSERT INTO account (absent) VALUES (1)")


async def test_errors_carry_the_querys_name(db: DatabaseManager, tmp_path: Path) -> None:
    """In the attribute and in the text."""
    file = tmp_path / "q.sql"
    file.write_text("-- name: broken() :many\nSELECT absent FROM account;\n")
    with pytest.raises(UndefinedColumn, match="query broken") as raised:
        await db.fetch_all(load_queries(file).broken)
    assert raised.value.query == "broken"
