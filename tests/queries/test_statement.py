"""Compiling a query for an engine, and binding values to it."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dal.errors import DataError, ParameterError, StatementRefused
from dal.queries import Query, Statement
from dal.queries.dialects import MYSQL, POSTGRESQL, SQLITE, Dialect
from dal.values import Json
from tests.queries.conftest import Files, encoders_of

SECRET = "hunter2"


class Colour(Enum):
    RED = "red"
    BLUE = 2


class Size(StrEnum):
    SMALL = "small"


def compiled(text: str, dialect: Dialect = SQLITE, *, positional: bool = False) -> Statement:
    return Query.from_text(text, positional).statement(dialect, encoders_of)


@pytest.mark.parametrize(
    ("dialect", "sql", "args"),
    [
        (SQLITE, "SELECT ?, ?, ?", (1, 2, 1)),
        (POSTGRESQL, "SELECT $1, $2, $1", (1, 2)),
        (MYSQL, "SELECT %s, %s, %s", (1, 2, 1)),
    ],
)
def test_names_become_the_placeholders_of_the_engine(
    dialect: Dialect, sql: str, args: tuple[int, ...]
) -> None:
    """A name that stands twice is one value; engines that number their placeholders get it once."""
    statement = compiled("SELECT :a, :b, :a", dialect)
    assert statement.sql == sql
    assert statement.bind({"b": 2, "a": 1}) == (sql, args)


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [(SQLITE, "SELECT ?, '?' ? ?"), (POSTGRESQL, "SELECT $1, '?' ? $2"), (MYSQL, "SELECT %s, '?' ? %s")],
)
def test_question_marks_take_a_sequence(dialect: Dialect, sql: str) -> None:
    """Every bare one binds; two are the operator."""
    assert compiled("SELECT ?, '?' ?? ?", dialect, positional=True).bind([1, 2]) == (sql, (1, 2))


def test_question_marks_are_operators_beside_names() -> None:
    """On an engine that has such operators they stay as they are."""
    text = "SELECT a ? :b, c ?| d, e ?? f"
    assert compiled(text, POSTGRESQL).sql == text.replace(":b", "$1")


@pytest.mark.parametrize("text", ["SELECT ?, :a", "SELECT ?"])
def test_a_question_mark_without_a_sequence_is_refused(text: str) -> None:
    """Where it cannot be an operator."""
    with pytest.raises(ParameterError, match=r"a bare \? is a parameter for sqlite"):
        compiled(text)


@pytest.mark.parametrize("own", ["?1", "@x", "$x", ":1"])
@pytest.mark.parametrize("positional", [True, False])
def test_parameters_of_sqlites_own_kind_are_refused(own: str, positional: bool) -> None:
    """With the place, and what to write instead."""
    with pytest.raises(
        ParameterError, match=r"use :name, or \? with a sequence \(line 2, column 3 of the text\)"
    ):
        compiled(f"SELECT\n  {own}", positional=positional)


def test_numbered_placeholders_of_postgresql_are_refused() -> None:
    """They would clash with ours."""
    with pytest.raises(ParameterError, match=r"\$1 is a parameter of postgresql's own kind"):
        compiled("SELECT $1, :a", POSTGRESQL)


def test_percent_signs_are_doubled_where_the_driver_formats() -> None:
    """Only there, and only if there is a placeholder."""
    assert compiled("SELECT 10 % 3, '50%', :a", MYSQL).sql == "SELECT 10 %% 3, '50%%', %s"
    assert compiled("SELECT 10 % 3, '50%'", MYSQL).sql == "SELECT 10 % 3, '50%'"
    assert compiled("SELECT 10 % 3, :a", SQLITE).sql == "SELECT 10 % 3, ?"


def test_percent_signs_stay_if_an_empty_list_leaves_no_placeholder() -> None:
    """The driver is then called without arguments and formats nothing."""
    sql, args = compiled("SELECT 10 % 3 WHERE 1 IN :ids", MYSQL).bind({"ids": []})
    assert (sql, args) == ("SELECT 10 % 3 WHERE 1 IN (SELECT NULL FROM DUAL WHERE 1 = 0)", ())


def test_a_statement_is_compiled_once_per_engine() -> None:
    """And kept."""
    query = Query.from_text("SELECT :a")
    assert query.statement(SQLITE, encoders_of) is query.statement(SQLITE, encoders_of)
    assert query.statement(MYSQL, encoders_of) is not query.statement(SQLITE, encoders_of)


def test_a_statement_knows_its_verb_and_name(files: Files) -> None:
    """What the engine learns of it can be noted on it."""
    statement = files.statement("-- name: f\n/* a */ with b as (select 1) select 2;")
    assert (statement.verb, statement.query) == ("WITH", "f")
    assert (statement.writes, statement.alone) == (False, False)
    statement.writes = statement.alone = True


@pytest.mark.parametrize("text", ["", "  ;\n", "-- nothing"])
def test_a_text_without_a_statement_is_refused(text: str) -> None:
    """SQLite would silently do nothing."""
    with pytest.raises(StatementRefused, match="no statement in it") as caught:
        compiled(text)
    assert not caught.value.sent


def test_a_second_statement_is_refused() -> None:
    """With its place and what to use instead."""
    with pytest.raises(
        StatementRefused, match=r"begins at line 2, column 2 of the text: .* use execute_script"
    ):
        compiled("SELECT 1;\n SELECT 2")


# Lists


@pytest.mark.parametrize(
    ("ids", "placeholders", "args"),
    [
        ([7], "(?)", (7,)),
        ((7, 8), "(?, ?)", (7, 8)),
        ([7, 8, 9], "(?, ?, ?, ?)", (7, 8, 9, 9)),
        ({7}, "(?)", (7,)),
        (frozenset(), "(SELECT NULL WHERE 1 = 0)", ()),
    ],
)
def test_a_list_is_filled_up_to_a_power_of_two(ids: Any, placeholders: str, args: tuple[int, ...]) -> None:
    """With its last value, so that few different texts are sent."""
    statement = compiled("SELECT :a WHERE 1 IN :ids AND 2 = :b")
    assert statement.bind({"a": 1, "ids": ids, "b": 2}) == (
        f"SELECT ? WHERE 1 IN {placeholders} AND 2 = ?",
        (1, *args, 2),
    )


@pytest.mark.parametrize("count", [1_000, 20_000, 32_000])
def test_a_long_list_stays_within_what_sqlite_takes(count: int) -> None:
    """Near the limit of 32,766 values it is no longer filled up."""
    sql, args = compiled("SELECT :last IN :ids").bind({"ids": list(range(count)), "last": count - 1})
    connection = sqlite3.connect(":memory:")
    connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)  # a distribution may have raised it
    assert connection.execute(sql, args).fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("SELECT 1 WHERE a IN :ids OR :b", "SELECT 1 WHERE a = ANY($1) OR $2"),
        ("SELECT 1 WHERE a NOT\n IN :ids OR :b", "SELECT 1 WHERE a <> ALL($1) OR $2"),
        ("SELECT 1 WHERE a IN :ids OR b IN :ids AND :b", "SELECT 1 WHERE a = ANY($1) OR b = ANY($1) AND $2"),
    ],
)
def test_a_list_is_one_array_where_the_engine_has_arrays(text: str, sql: str) -> None:
    """One text for every length, the empty list among them."""
    statement = compiled(text, POSTGRESQL)
    assert statement.bind({"ids": (1, 2, 3), "b": True}) == (sql, ([1, 2, 3], True))
    assert statement.bind({"ids": (), "b": True}) == (sql, ([], True))


@pytest.mark.parametrize(("operator", "rows"), [("IN", []), ("NOT IN", [(1,), (2,)])])
def test_an_empty_list_matches_nothing(operator: str, rows: list[tuple[int]]) -> None:
    """And its negation everything."""
    sql, args = compiled(f"SELECT a FROM (SELECT 1 AS a UNION SELECT 2) WHERE a {operator} :ids").bind(
        {"ids": []}
    )
    connection = sqlite3.connect(":memory:")
    assert connection.execute(sql, args).fetchall() == rows
    connection.close()


def test_several_lists_are_expanded_each(files: Files) -> None:
    """Typed elements are encoded by their type."""
    statement = files.statement(
        "-- name: f(a: uuid[], b: decimal(2)[])\nSELECT 1 WHERE 1 IN :a OR 2 IN :b OR 3 IN :a"
    )
    key = UUID(int=1)
    sql, args = statement.bind({"a": [key], "b": [Decimal("1.5"), Decimal(2), None]})
    assert sql == "SELECT 1 WHERE 1 IN (?) OR 2 IN (?, ?, ?, ?) OR 3 IN (?)"
    assert args == (str(key), 150, 200, None, None, str(key))


@pytest.mark.parametrize("value", ["abc", 1, None, {"a": 1}, iter([1])])
def test_a_list_parameter_takes_a_list_only(value: object) -> None:
    """Text is no list of characters."""
    given = type(value).__name__
    with pytest.raises(ParameterError, match=f"parameter ids takes a list, tuple or set, not a {given}"):
        compiled("SELECT 1 WHERE 1 IN :ids").bind({"ids": value})


@pytest.mark.parametrize("value", [[1], (1,), {1}])
def test_a_list_for_one_value_is_told(value: object) -> None:
    """With the way to declare it; it never matches nothing in silence."""
    with pytest.raises(
        ParameterError, match=r"parameter a takes one value, not a .*: for a list write IN :a in"
    ):
        compiled("SELECT 1 WHERE 1 IN (:a)").bind({"a": value})
    with pytest.raises(ParameterError, match=r"parameter 1 takes one value.*write IN :name in"):
        compiled("SELECT ?", positional=True).bind([value])


# What is given


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"a": 1}, r"query f: no value for b\. It takes a, b"),
        ({}, r"query f: no value for a, b\. It takes a, b"),
        ({"a": 1, "b": 2, "c": 3}, r"query f: no such parameter as c\. It takes a, b"),
        ({"a": 1, "c": 3}, r"query f: no value for b; no such parameter as c\. It takes a, b"),
        ((1, 2), "query f takes a mapping of a, b; a tuple was given"),
        ((), "query f takes a mapping of a, b; a tuple was given"),
        ("ab", "query f takes a mapping of a, b; a str was given"),
        (None, "query f takes a mapping of a, b; a NoneType was given"),
    ],
)
def test_names_have_to_fit(files: Files, params: Any, message: str) -> None:
    """None missing, none superfluous, and a mapping for names."""
    statement = files.statement("-- name: f(a, b)\nSELECT :a, :b")
    with pytest.raises(ParameterError, match=message):
        statement.bind(params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ((1,), "the statement takes 2 values, 1 were given"),
        ([1, 2, 3], "the statement takes 2 values, 3 were given"),
        ({"a": 1, "b": 2}, "the statement takes a sequence of 2 values, one for each .; a dict was given"),
        ("ab", "the statement takes a sequence of 2 values, one for each .; a str was given"),
        ({1, 2}, "the statement takes a sequence of 2 values, one for each .; a set was given"),
    ],
)
def test_counts_have_to_fit(params: Any, message: str) -> None:
    """A sequence has one value for each question mark."""
    with pytest.raises(ParameterError, match=message):
        compiled("SELECT ?, ?", positional=True).bind(params)


def test_names_in_a_text_called_with_a_sequence_are_told() -> None:
    """The error lists them."""
    with pytest.raises(ParameterError, match="by name: call it with a mapping of a, b, not with a sequence"):
        compiled("SELECT :a, :b, :a", positional=True)


@pytest.mark.parametrize("positional", [True, False])
@pytest.mark.parametrize("params", [(), [], {}, MappingProxyType({})])
def test_no_parameters_are_given_by_any_empty_collection(positional: bool, params: Any) -> None:
    """A verb's default is an empty tuple."""
    assert compiled("SELECT 1", positional=positional).bind(params) == ("SELECT 1", ())


def test_superfluous_parameters_of_a_query_without_any_are_told() -> None:
    """Neither kind of collection hides them."""
    with pytest.raises(ParameterError, match=r"no such parameter as a\. It takes no parameters"):
        compiled("SELECT 1").bind({"a": 1})
    with pytest.raises(ParameterError, match="takes 0 values, 1 were given"):
        compiled("SELECT 1", positional=True).bind((1,))


class Odd(Mapping[str, int]):
    """A mapping that is no dict."""

    def __getitem__(self, key: str) -> int:
        return {"a": 1}[key]

    def __iter__(self) -> Iterator[str]:
        return iter("a")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("params", [Odd(), OrderedDict(a=1), MappingProxyType({"a": 1})])
def test_any_mapping_will_do(params: Mapping[str, int]) -> None:
    """Not only a dict."""
    assert compiled("SELECT :a").bind(params) == ("SELECT ?", (1,))


def test_the_default_of_a_defaultdict_is_not_asked_for() -> None:
    """A missing name is an error there too, and the mapping stays as it was."""
    params: defaultdict[str, int] = defaultdict(int)
    with pytest.raises(ParameterError, match="no value for a"):
        compiled("SELECT :a").bind(params)
    assert not params


def test_any_sequence_will_do() -> None:
    """Not only a tuple or list."""
    assert compiled("SELECT ?, ?", positional=True).bind(range(2)) == ("SELECT ?, ?", (0, 1))


# Values


@pytest.mark.parametrize(("value", "stored"), [(Colour.RED, "red"), (Colour.BLUE, 2), (Size.SMALL, "small")])
def test_an_enum_is_bound_by_its_value(value: Enum, stored: object) -> None:
    """By name, by place and in a list."""
    assert compiled("SELECT :a").bind({"a": value})[1] == (stored,)
    assert compiled("SELECT ?", positional=True).bind((value,))[1] == (stored,)
    assert compiled("SELECT 1 IN :a").bind({"a": [value, 3]})[1] == (stored, 3)


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [
        ("int", SECRET, r"query f: parameter a takes int \(int or None\); a str was given"),
        ("int", True, r"takes int \(int or None\); a bool was given"),
        ("text", 1, r"takes text \(str or None\); a int was given"),
        ("text", Colour.BLUE, r"takes text \(str or None\); a int was given"),
        ("decimal(2)", 1.5, r"takes decimal\(2\) \(Decimal or None\); a float was given"),
        ("json", object(), r"takes json \(.*\); a object was given"),
        ("int", [1], "takes one value, not a list: for a list write IN :a"),
    ],
)
def test_a_value_has_to_fit_its_declared_type(
    files: Files, declared: str, value: object, message: str
) -> None:
    """The error names query, parameter, declared type and given type, never the value."""
    statement = files.statement(f"-- name: f(a: {declared})\nSELECT :a")
    with pytest.raises(ParameterError, match=message) as caught:
        statement.bind({"a": value})
    assert SECRET not in str(caught.value)


def test_an_element_has_to_fit_its_declared_type(files: Files) -> None:
    """Every element of a list is checked."""
    statement = files.statement("-- name: f(a: int[])\nSELECT 1 WHERE 1 IN :a")
    with pytest.raises(ParameterError, match=r"parameter a takes int \(int or None\); a str was given"):
        statement.bind({"a": [1, SECRET]})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Decimal(1), "needs its scale: declare it as decimal"),
        ({"a": 1}, r"a dict was given, wrapped in Json\(...\) if"),
        (object(), "takes UUID, bool, bytes, date, datetime, float, int, Json|a object was given"),
    ],
)
def test_an_undeclared_parameter_takes_plain_values_only(value: object, message: str) -> None:
    """With a hint at what to do."""
    with pytest.raises(ParameterError, match=message):
        compiled("SELECT :a").bind({"a": value})


@pytest.mark.parametrize("value", [2**63, float("nan"), f"{SECRET}\0", "\ud800", Json(object())])  # type: ignore[arg-type]
def test_a_refused_value_names_query_and_parameter(files: Files, value: object) -> None:
    """And never shows itself."""
    statement = files.statement("-- name: f(a, b)\nSELECT :a, :b")
    with pytest.raises(DataError, match=r"^query f: parameter b: ") as caught:
        statement.bind({"a": 1, "b": value})
    assert (caught.value.query, caught.value.sent) == ("f", False)
    assert SECRET not in repr(caught.value)


def test_a_refused_value_of_a_sequence_names_its_place() -> None:
    """Counted from one."""
    with pytest.raises(DataError, match=r"^parameter 2: an integer beyond 64 bits"):
        compiled("SELECT ?, ?", positional=True).bind((1, 2**63))


def test_json_may_be_a_list(files: Files) -> None:
    """Where the header says that the parameter is JSON."""
    statement = files.statement("-- name: f(tags: json)\nSELECT :tags")
    assert statement.bind({"tags": ["a", 1]})[1] == ('["a",1]',)


def test_representations_show_no_values(files: Files) -> None:
    """A statement shows its name and engine, a query its name and source."""
    assert repr(files.statement("-- name: f\nSELECT 'hunter2'")) == "<Statement f for sqlite>"
    assert repr(compiled("SELECT 'hunter2'")) == "<Statement SELECT for sqlite>"
    assert repr(Query.from_text("SELECT 'hunter2'")) == "<Query from a string>"


HARD = (
    "SELECT '10:30', '50%', strftime('%Y', '2026-01-02'), 'a ? :b', /* :c */ '{\"a\": 1, \"b\":2}' -- :d ?\n"
    ", 10 % 3, {parameters}"
)


@given(
    values=st.lists(
        st.integers(-(2**63), 2**63 - 1) | st.text("ab:?'%") | st.binary() | st.none(), min_size=1
    )
)
@settings(max_examples=50)
def test_sqlite_gives_the_values_back(values: list[Any]) -> None:
    """Amid everything that looks like a parameter, each value comes back from its own place."""
    names = [f"p{number}" for number in range(len(values))]
    text = HARD.replace("{parameters}", ", ".join(f":{name}" for name in names))
    sql, args = compiled(text).bind(dict(zip(names, values, strict=True)))
    connection = sqlite3.connect(":memory:")
    row = connection.execute(sql, args).fetchone()
    connection.close()
    assert row[:6] == ("10:30", "50%", "2026", "a ? :b", '{"a": 1, "b":2}', 1)
    assert list(row[6:]) == values
