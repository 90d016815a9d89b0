"""Binding many rows at once gives what binding them one by one gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dal.engines.mysql.encoders import encoders as mysql
from dal.engines.postgresql.encoders import encoders as postgresql
from dal.engines.sqlite.encoders import encoders as sqlite
from dal.errors import DataError, ParameterError
from dal.queries import Query, Statement
from dal.queries.dialects import MYSQL, POSTGRESQL, SQLITE
from dal.values import Json

ENGINES = {"sqlite": (SQLITE, sqlite), "postgresql": (POSTGRESQL, postgresql), "mysql": (MYSQL, mysql)}


class Colour(Enum):
    RED = "red"


class Name(str):
    __slots__ = ()


GOOD = {
    "int": st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, -(2**63), 2**63 - 1]),
    "float": st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.7e308]),
    "text": st.text() | st.sampled_from(["", "it's", "ä\\0", "😀"]),
    "bool": st.booleans(),
    "bytes": st.binary(),
    "date": st.dates(),
    "time": st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=9))])),
    "uuid": st.uuids(),
    "json": st.builds(Json, st.lists(st.integers(0, 9))),
}
BAD = st.sampled_from(
    [
        2**63,
        -(2**63) - 1,
        float("nan"),
        float("inf"),
        "nul\0",
        "\ud800",
        "\ud83d",
        Decimal(1),
        datetime(2020, 1, 1),
        Colour.RED,
        Name("a"),
        [1],
        {"a": 1},
        object,
    ]
)
NAMES = ("a", "b")


def columns_of(count: int) -> st.SearchStrategy[list[Any]]:
    """Mostly values of one kind; sometimes NULL among them, another kind, or what is refused."""
    one = st.sampled_from(sorted(GOOD)).flatmap(lambda kind: st.sampled_from([GOOD[kind], GOOD[kind]]))
    return one.flatmap(
        lambda kind: (
            st.lists(
                st.one_of(kind, kind, kind, st.none(), st.one_of(*GOOD.values()), BAD),
                min_size=count,
                max_size=count,
            )
            | st.lists(kind | st.none(), min_size=count, max_size=count)
            | st.lists(kind, min_size=count, max_size=count)
        )
    )


named_rows = st.integers(1, 6).flatmap(
    lambda count: st.tuples(columns_of(count), columns_of(count)).map(
        lambda columns: [dict(zip(NAMES, row, strict=True)) for row in zip(*columns, strict=True)]
    )
)
shapes = st.sampled_from(
    [
        lambda row: row,
        lambda row: row,
        lambda row: row,
        lambda row: dict(reversed(row.items())),
        MappingProxyType,
        lambda row: {"a": row["a"]},
        lambda row: {"a": row["a"], "c": row["b"]},
        lambda row: {**row, "c": 1},
        lambda row: tuple(row.values()),
        lambda row: 7,
    ]
)


def compiled(engine: str, text: str, *, positional: bool = False) -> Statement:
    dialect, encoders = ENGINES[engine]
    return Query.from_text(text, positional).statement(dialect, encoders)


def plain(value: Any) -> Any:
    """What can be compared, -0.0 apart from 0.0 and True from 1."""
    return type(value), repr(value)


def one_by_one(statement: Statement, rows: list[Any]) -> Any:
    bound = []
    for number, row in enumerate(rows, 1):
        try:
            bound.append([plain(value) for value in statement.bind(row)[1]])
        except (ParameterError, DataError) as error:
            return type(error), f"row {number}: {error}"
    return bound


def at_once(statement: Statement, rows: list[Any]) -> Any:
    try:
        bound = statement.bind_many(rows)
    except (ParameterError, DataError) as error:
        return type(error), str(error)
    return [[plain(value) for value in row] for row in bound]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("text", ["INSERT INTO t VALUES (:a, :b)", "INSERT INTO t VALUES (:b, :a, :b)"])
@settings(max_examples=80)
@given(named_rows, st.data())
@example([{"a": "\ud83d", "b": 1.7e308}, {"a": "\ude00", "b": 1.7e308}], None)
@example([{"a": 1, "b": 2**63}, {"a": "\0", "b": 1}], None)
@example([{"a": 0.0, "b": ""}, {"a": None, "b": None}], None)
def test_rows_are_bound_as_each_would_be(engine: str, text: str, rows: Any, data: Any) -> None:
    """Values and their types, or the error of the first row that does not fit."""
    if data is not None and data.draw(st.booleans()):
        rows = [data.draw(shapes)(row) for row in rows]
    statement = compiled(engine, text)
    assert at_once(statement, rows) == one_by_one(statement, rows)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=60)
@given(named_rows, st.data())
def test_sequences_are_bound_as_each_would_be(engine: str, rows: Any, data: Any) -> None:
    """Of any length."""
    kinds = st.sampled_from(
        [tuple, tuple, tuple, list, lambda row: tuple(row)[:1], lambda row: (*row, 1), dict.fromkeys]
    )
    if data.draw(st.booleans()):
        given_rows = [data.draw(kinds)(row.values()) for row in rows]
    else:
        given_rows = [tuple(row.values()) for row in rows]
    statement = compiled(engine, "INSERT INTO t VALUES (?, ?)", positional=True)
    assert at_once(statement, given_rows) == one_by_one(statement, given_rows)


def test_the_number_of_a_row_counts_on_from_the_first() -> None:
    """Rows that come in several parts."""
    statement = compiled("sqlite", "INSERT INTO t VALUES (:a)")
    with pytest.raises(ParameterError, match="row 1002: "):
        statement.bind_many([{"a": 1}, {"b": 2}], 1001)


def test_rows_without_values_are_counted() -> None:
    """A statement without parameters is run as often as there are rows."""
    statement = compiled("sqlite", "INSERT INTO t DEFAULT VALUES")
    assert statement.bind_many([(), {}, ()]) == [(), (), ()]


def test_rows_of_the_common_shape_are_not_bound_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """NULL in a column does not make it an uncommon one."""
    statement = compiled("sqlite", "INSERT INTO t VALUES (:a, :b)")
    monkeypatch.delattr(Statement, "bind")
    rows: list[dict[str, Any]] = [{"a": 1, "b": "x"}, {"b": None, "a": 2}]
    assert statement.bind_many(rows) == [(1, "x"), (2, None)]


anything = st.lists(st.one_of(*GOOD.values(), st.none(), BAD), min_size=1, max_size=6)
of_one_kind = st.sampled_from(sorted(GOOD)).flatmap(
    lambda kind: st.lists(GOOD[kind] | st.none() | BAD, min_size=2, max_size=6)
)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=200)
@given(anything | of_one_kind)
@example([1.7e308, 1.7e308])
@example(["\ud83d", "\ude00"])
@example([1, 2**63, 2])
@example([0.5, float("nan")])
@example(["", "a\0b", "c"])
def test_values_are_checked_together_as_one_by_one(engine: str, values: list[Any]) -> None:
    """Whatever stands beside it, a value is bound as it is alone, or refused as it is alone."""
    markers = ", ".join(f":p{number}" for number in range(len(values)))
    together = compiled(engine, f"INSERT INTO t VALUES ({markers})")
    row = {f"p{number}": value for number, value in enumerate(values)}
    alone = [at_once(compiled(engine, f"SELECT :{name}"), [{name: row[name]}]) for name in row]
    refused = [outcome for outcome in alone if isinstance(outcome, tuple)]
    expected = refused[0] if refused else [[outcome[0][0] for outcome in alone]]
    assert one_by_one(together, [row]) == expected
    assert one_by_one(together, [row]) == expected  # it knows such values now
