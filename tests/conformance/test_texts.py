"""SQL texts and parameters: what is left alone, what binds, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    DataError,
    ParameterError,
    QueryError,
    QueryNotFound,
    SqlSyntaxError,
    StatementError,
    StatementRefused,
    UndefinedColumn,
)
from dal.queries import Queries, Query, load_queries
from tests.engine_cases import EngineCase

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"

FILE = """
-- Texts that other layers trip over.

-- name: clock() :value
SELECT '10:30' || ' 50%' || {year of a date} || ' a ? b :no';

-- name: comments(word: text) :value
SELECT /* :not ? a 'parameter */ :word -- nor :this one's ?
;

-- name: json_path(doc: json) :value
SELECT {value of a JSON key};

-- name: modulo(n: int) :value
SELECT :n % 10 + (:n % 3);

-- name: in_list(ids: int[]) :many
SELECT value FROM (SELECT 1 AS value UNION SELECT 2 UNION SELECT 3) AS t WHERE value IN :ids ORDER BY value;

-- name: in_words(words) :many
SELECT 'a' AS word WHERE 'a' IN :words;

-- name: not_in_list(ids: int[]) :value
SELECT count(*) FROM (SELECT 1 AS value UNION SELECT 2) AS t WHERE value NOT IN :ids;

-- name: two_lists(ids: int[], others: int[], low: int) :many
SELECT account_id FROM account
WHERE account_id IN :ids AND balance NOT IN :others AND account_id > :low
ORDER BY account_id;

-- name: page(low: int, size: int) :many
SELECT email FROM account WHERE balance > :low AND :low < balance ORDER BY email LIMIT :size;
"""


@pytest.fixture
def queries(case: EngineCase, tmp_path: Path) -> Queries:
    text = FILE
    for name in ("year of a date", "value of a JSON key"):
        text = text.replace(f"{{{name}}}", case[name])
    file = tmp_path / f"queries.{case.dialect}.sql"
    file.write_text(text)
    return load_queries(file)


async def test_literals_are_left_alone(db: DatabaseManager, queries: Queries) -> None:
    """Colons, percent signs and question marks in them are no parameters."""
    assert await db.fetch_value(queries.clock) == "10:30 50%2026 a ? b :no"


async def test_comments_are_left_alone(db: DatabaseManager, queries: Queries) -> None:
    """A quote in one opens no literal either."""
    assert await db.fetch_value(queries.comments, {"word": "w"}) == "w"


async def test_json_paths_are_left_alone(db: DatabaseManager, queries: Queries) -> None:
    """Neither the colon in a key nor the percent sign in a document is taken for something else."""
    assert await db.fetch_value(queries.json_path, {"doc": {"a:b": "1"}}) == "1x:y ? %s"


async def test_a_percent_sign_is_an_operator(db: DatabaseManager, queries: Queries) -> None:
    """Beside parameters, and without any."""
    assert await db.fetch_value(queries.modulo, {"n": 25}) == 6
    assert await db.fetch_value("SELECT 10 % 3 WHERE 'ab%' LIKE 'a%'") == 1
    assert await db.fetch_value("SELECT 10 % 3 WHERE 'ab' LIKE :pattern", {"pattern": "a%"}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "10:30 :x ? 50%", "%s %d %% %(a)s", "?", "??", "$1 $2", ":a::b", "{a} {0}", "-- no comment",
        "/* nor */", "; SELECT 1", "#", "\"double\"", "`back`", "[bracket]", "$$dollar$$", "@name", "ä😀",
        "tab\tline\nend",
    ],
)  # fmt: skip
async def test_a_literal_reaches_the_database_as_it_is_written(db: DatabaseManager, text: str) -> None:
    """Alone, beside named parameters, and beside question marks."""
    assert await db.fetch_value(f"SELECT '{text}'") == text
    assert await db.fetch_value(f"SELECT '{text}' WHERE 'a' = :a", {"a": "a"}) == text
    assert await db.fetch_value(f"SELECT '{text}' WHERE 'a' = ?", ("a",)) == text


@pytest.mark.parametrize(
    "comment", ["-- :x ? %s it's\n", "/* :x ? %s it's */", "-- \n", "/* a\nb */", "/* ; */"]
)
async def test_a_comment_may_stand_anywhere(db: DatabaseManager, comment: str) -> None:
    """Before, within and after a statement with parameters."""
    sql = f"{comment} SELECT {comment} :a {comment}"
    assert await db.fetch_value(sql, {"a": "b"}) == "b"
    assert await db.fetch_value(f"{comment} SELECT {comment} ? {comment}", ("b",)) == "b"


async def test_the_same_texts_run_as_strings(db: DatabaseManager) -> None:
    """With a mapping, with a sequence, and without parameters."""
    assert await db.fetch_value("SELECT :x || '?:y%' /* :z ? */", {"x": "a"}) == "a?:y%"
    assert await db.fetch_value("SELECT ? || '?:y%' -- ? :z", ("a",)) == "a?:y%"
    assert await db.fetch_value("SELECT ':a', '{\"b\": 1}'") == ":a"


async def test_a_parameter_may_occur_twice(db: DatabaseManager, queries: Queries) -> None:
    """Each occurrence has its one value; the order in the text is no matter."""
    for name, balance in (("a", 1), ("b", 2), ("c", 3)):
        await db.execute(
            "INSERT INTO account (balance, email) VALUES (:balance, :email)",
            {"email": name, "balance": balance},
        )
    found = await db.fetch_all(queries.page, {"size": 2, "low": 1})
    assert [row["email"] for row in found] == ["b", "c"]
    assert await db.fetch_value("SELECT :b || :a || :b", {"a": "1", "b": "2"}) == "212"


async def test_more_than_ten_positional_values_keep_their_order(db: DatabaseManager) -> None:
    """The tenth placeholder does not begin like the first."""
    marks = " || ".join("?" * 12)
    values = [chr(ord("a") + n) for n in range(12)]
    assert await db.fetch_value(f"SELECT {marks}", values) == "abcdefghijkl"
    names = " || ".join(f":v{n}" for n in range(12))
    named = {f"v{n}": value for n, value in enumerate(values)}
    assert await db.fetch_value(f"SELECT {names}", named) == "abcdefghijkl"


async def test_a_list_binds_where_one_is_declared(db: DatabaseManager, queries: Queries) -> None:
    """Of any length."""
    for ids in ([2], [1, 3], [1, 2, 3], [9] * 100):
        found = [row[0] for row in await db.fetch_all(queries.in_list, {"ids": ids})]
        assert found == sorted({1, 2, 3} & set(ids))
    assert len(await db.fetch_all(queries.in_words, {"words": ("a", "b")})) == 1


async def test_an_empty_list_matches_nothing(db: DatabaseManager, queries: Queries) -> None:
    """And excludes nothing."""
    assert await db.fetch_all(queries.in_list, {"ids": []}) == []
    assert await db.fetch_all(queries.in_words, {"words": []}) == []
    assert await db.fetch_value(queries.not_in_list, {"ids": []}) == 2


async def test_a_list_may_be_any_collection(db: DatabaseManager, queries: Queries) -> None:
    """A tuple, a set, a frozen set."""
    for ids in ((1, 2), {1, 2}, frozenset((1, 2))):
        assert len(await db.fetch_all(queries.in_list, {"ids": ids})) == 2


async def test_several_lists_and_scalars_bind_together(db: DatabaseManager, queries: Queries) -> None:
    """Lists of different lengths before and after scalars keep to their places."""
    await db.execute_many(
        "INSERT INTO account (account_id, email, balance) VALUES (?, ?, ?)",
        [(n, f"{n}", n % 3) for n in range(1, 10)],
    )
    params = {"ids": [1, 2, 3, 4, 5, 6, 7], "others": [0, 1], "low": 2}
    assert [row[0] for row in await db.fetch_all(queries.two_lists, params)] == [5]


async def test_a_long_list_binds(db: DatabaseManager, queries: Queries) -> None:
    """Ten thousand values."""
    found = await db.fetch_all(queries.in_list, {"ids": list(range(10_000))})
    assert [row[0] for row in found] == [1, 2, 3]


async def test_a_list_in_a_string_binds_to_in(db: DatabaseManager) -> None:
    """``IN :names`` declares it by itself; text, whole numbers, none at all."""
    await db.execute(ADD, {"email": "a"})
    for names, count in ((["a", "b"], 1), (["b"], 0), ([], 0)):
        assert (
            await db.fetch_value("SELECT count(*) FROM account WHERE email IN :names", {"names": names})
            == count
        )


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
        ("SELECT :A", {"a": 1}, "A"),
        ("SELECT 1", {"a": 1}, "a"),
        ("SELECT 1", (1,), "1"),
        ("SELECT ?", ([1, 2],), "list"),
        ("SELECT email FROM account WHERE email IN :a", {"a": "text"}, "a"),
    ],
)  # fmt: skip
async def test_parameters_that_do_not_fit_are_refused(
    db: DatabaseManager, sql: str, params: Any, said: str
) -> None:
    """Missing, superfluous, the wrong form, a list for a scalar: an error before anything is sent."""
    with pytest.raises(ParameterError, match=said):
        await db.fetch_value(sql, params)


@pytest.mark.parametrize("verb", ["execute", "fetch_one", "fetch_all", "fetch_value"])
async def test_every_verb_checks_its_parameters(db: DatabaseManager, verb: str) -> None:
    """And nothing is done."""
    with pytest.raises(ParameterError, match="email"):
        await getattr(db, verb)(ADD, {"mail": "a"})
    with pytest.raises(ParameterError, match="email"):
        await db.execute_transaction([(ADD, {"email": "a"}), (ADD, {})])
    assert await db.fetch_value(COUNT) == 0


async def test_a_wrong_parameter_inside_a_block_does_not_fail_the_block(db: DatabaseManager) -> None:
    """Nothing was sent, so nothing has to be undone."""
    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        with pytest.raises(ParameterError):
            await tx.execute(ADD, {})
        await tx.execute(ADD, {"email": "b"})
    assert await db.fetch_value(COUNT) == 2


async def test_a_wrong_type_for_a_declared_parameter_is_refused(
    db: DatabaseManager, queries: Queries
) -> None:
    """The message names the query, the parameter and the types, never the value."""
    with pytest.raises((ParameterError, DataError), match="modulo") as raised:
        await db.fetch_value(queries.modulo, {"n": "s3cret"})
    assert "n" in str(raised.value)
    assert "s3cret" not in str(raised.value)
    with pytest.raises((ParameterError, DataError), match="in_list"):
        await db.fetch_value(queries.in_list, {"ids": 3})


async def test_the_elements_of_a_list_are_checked(db: DatabaseManager, queries: Queries) -> None:
    """Each of them, against the declared type."""
    for ids in ([1, "s3cret"], [1.5], [True], [2**63]):
        with pytest.raises((ParameterError, DataError), match="ids") as raised:
            await db.fetch_all(queries.in_list, {"ids": ids})
        assert "s3cret" not in str(raised.value)


async def test_an_unknown_query_names_the_nearest(queries: Queries, case: EngineCase) -> None:
    """What, and where it was looked for."""
    with pytest.raises(QueryNotFound, match=rf"clok.*clock.*queries\.{case.dialect}\.sql"):
        queries.clok  # noqa: B018  # the access is what raises


async def test_errors_carry_the_querys_name(db: DatabaseManager, tmp_path: Path) -> None:
    """In the attribute and in the text."""
    file = tmp_path / "q.sql"
    file.write_text("-- name: broken() :many\nSELECT absent FROM account;\n")
    with pytest.raises(UndefinedColumn, match="query broken") as raised:
        await db.fetch_all(load_queries(file).broken)
    assert raised.value.query == "broken"


async def test_an_engines_variant_takes_the_place_of_the_shared_text(
    db: DatabaseManager, case: EngineCase, tmp_path: Path
) -> None:
    """And only that engine's."""
    (tmp_path / "q.sql").write_text("-- name: which() :value\nSELECT 'shared';\n")
    for dialect in ("sqlite", "postgresql", "mysql"):
        (tmp_path / f"q.{dialect}.sql").write_text(f"-- name: which() :value\nSELECT '{dialect}';\n")
    assert await db.fetch_value(load_queries(tmp_path).which) == case.dialect
    (tmp_path / f"q.{case.dialect}.sql").unlink()
    assert await db.fetch_value(load_queries(tmp_path).which) == "shared"


async def test_a_query_without_a_text_for_the_engine_says_so(
    db: DatabaseManager, case: EngineCase, tmp_path: Path
) -> None:
    """It names the engines that it has one for."""
    other = "sqlite" if case.dialect != "sqlite" else "postgresql"
    (tmp_path / f"q.{other}.sql").write_text("-- name: only() :value\nSELECT 1;\n")
    with pytest.raises(QueryError, match=other):
        await db.fetch_value(load_queries(tmp_path).only)


async def test_text_is_compared_by_code_point(db: DatabaseManager) -> None:
    """Case, accents and spaces at the end count, whatever the server's own defaults."""
    names = ["a", "A", "a ", "ä", "e", "é", "ß", "ss", "z", "Z", "😀", "\uffee", "_"]
    await db.execute_many(ADD, [{"email": name} for name in names])
    found = [row[0] for row in await db.fetch_all("SELECT email FROM account ORDER BY email")]
    assert found == sorted(names)
    assert await db.fetch_value("SELECT count(*) FROM account WHERE email = :a", {"a": "a"}) == 1


@pytest.mark.parametrize("verb", ["execute", "fetch_one", "fetch_all", "fetch_value"])
@pytest.mark.parametrize("sql", ["DELETE FROM account; SELECT 1", "SELECT 1; DELETE FROM account;"])
async def test_a_second_statement_is_refused(db: DatabaseManager, verb: str, sql: str) -> None:
    """Only execute_script takes several; nothing of the text is run."""
    await db.execute(ADD, {"email": "a"})
    with pytest.raises((StatementRefused, QueryError), match="execute_script"):
        await getattr(db, verb)(sql)
    assert await db.fetch_value(COUNT) == 1


@pytest.mark.parametrize("sql", ["SELECT 1;", "SELECT 1 ; ", "SELECT 1; -- end", "SELECT 1;\n/* end */\n"])
async def test_a_semicolon_at_the_end_is_no_second_statement(db: DatabaseManager, sql: str) -> None:
    """Nor is what is only comment behind it."""
    assert await db.fetch_value(sql) == 1


@pytest.mark.parametrize("sql", ["", "  ", ";", "-- only a comment", "/* only a comment */"])
async def test_a_text_without_a_statement_is_an_error(db: DatabaseManager, sql: str) -> None:
    """It never passes for a query without rows."""
    with pytest.raises((QueryError, StatementError)):
        await db.fetch_all(sql)


@pytest.mark.parametrize("bad", [None, 1, b"SELECT 1", ["SELECT 1"]])
async def test_what_is_no_query_is_refused(db: DatabaseManager, bad: Any) -> None:
    """With its type named."""
    with pytest.raises(QueryError, match=type(bad).__name__):
        await db.fetch_all(bad)


@pytest.mark.parametrize("bad", ["text", 1, None, b"bytes"])
async def test_parameters_of_another_form_are_refused(db: DatabaseManager, bad: Any) -> None:
    """A text is no sequence of parameters."""
    with pytest.raises(ParameterError):
        await db.fetch_value("SELECT ?", bad)


async def test_a_quoted_name_is_left_alone(db: DatabaseManager, case: EngineCase) -> None:
    """Reserved words, colons and question marks as names of columns."""
    names = ["order", "a:b", "what?", "50%", "key"]
    columns = ", ".join(f"{n} AS {case.quoted(name)}" for n, name in enumerate(names))
    row = await db.fetch_one(f"SELECT {columns}")
    assert row is not None
    assert [row[name] for name in names] == list(range(5))
    row = await db.fetch_one(f"SELECT {columns} WHERE 'x' = :x", {"x": "x"})
    assert row is not None
    assert row.keys() == tuple(names)


async def test_wrong_sql_with_parameters_is_told_as_such(db: DatabaseManager) -> None:
    """Not as a wrong parameter."""
    with pytest.raises(SqlSyntaxError):
        await db.fetch_all("SELEC :a FROM account", {"a": "1"})


async def test_a_query_of_a_file_and_a_string_bind_alike(db: DatabaseManager, tmp_path: Path) -> None:
    """The same text, the same rows."""
    sql = "SELECT email FROM account WHERE email > :low ORDER BY email"
    (tmp_path / "q.sql").write_text(f"-- name: above(low) :many\n{sql};\n")
    await db.execute_many(ADD, [{"email": name} for name in "abc"])
    above: Query[Any] = load_queries(tmp_path / "q.sql").above
    from_file = await db.fetch_all(above, {"low": "a"})
    assert from_file == await db.fetch_all(sql, {"low": "a"})
    assert len(from_file) == 2
