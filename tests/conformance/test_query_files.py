"""Queries from files: lists, typed headers, engine variants, and what a model may be."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from dal.database import DatabaseManager
from dal.errors import DataError, ParameterError, QueryError, RowMismatch
from dal.queries import Queries, Query, load_queries
from dal.settings import Settings
from dal.values import JsonColumn
from tests.engine_cases import EngineCase

VALUES: dict[str, tuple[str, list[Any]]] = {
    "truth": ("bool", [True, False]),
    "whole": ("int", [7, -(2**63), 2**63 - 1]),
    "ratio": ("float", [0.1, -1e300, 2.5]),
    "price": ("decimal(6)", [Decimal("1.5"), Decimal("-0.000001"), Decimal("9999999.999999")]),
    "words": ("text", ["a", "", "ä '%?:x"]),
    "raw": ("bytes", [b"\0", b"", b"\xff'\\"]),
    "day": ("date", [date(1, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]),
    "moment": ("timestamp", [datetime(2026, 1, 2, 3, 4, 5, n, tzinfo=UTC) for n in (0, 1, 999_999)]),
    "ident": ("uuid", [UUID(int=0), UUID(int=1), UUID(int=2**128 - 1)]),
}


class Street(BaseModel):
    name: str
    number: int


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Home(BaseModel):
    street: Annotated[Street, JsonColumn]
    rooms: Annotated[list[Street], JsonColumn]
    colour: Colour


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: str


class Renamed(BaseModel):
    address: str = Field(alias="email")


class Checked(BaseModel):
    email: str

    @field_validator("email")
    @classmethod
    def has_no_z(cls, value: str) -> str:
        if "z" in value:
            raise ValueError(f"{value} has a z")
        return value


@dataclass
class Point:
    email: str
    balance: int = 1


class Pair(NamedTuple):
    email: str
    balance: int


FILE = """
-- name: homes() :many
-- returns: Home
SELECT street, rooms, colour FROM home ORDER BY id;

-- name: put_home(street: json, rooms: json, colour) :affected
INSERT INTO home (street, rooms, colour) VALUES (:street, :rooms, :colour);

-- name: strictly() :many
-- returns: Strict
SELECT email, balance FROM account ORDER BY email;

-- name: renamed() :many
-- returns: Renamed
SELECT email FROM account ORDER BY email;

-- name: checked() :many
-- returns: Checked
SELECT email FROM account ORDER BY email;

-- name: points() :many
-- returns: Point
SELECT email, balance FROM account ORDER BY email;

-- name: pairs() :many
-- returns: Pair
SELECT email, balance FROM account ORDER BY email;

-- name: first_richer_than(balance: int) :first
-- returns: Point
SELECT email, balance FROM account WHERE balance > :balance ORDER BY balance;

-- name: add(email, balance: int) :batch
INSERT INTO account (email, balance) VALUES (:email, :balance);

-- name: total() :value
-- returns: int
SELECT sum(balance) FROM account;

-- name: by_emails(emails: text[]) :many
SELECT email FROM account WHERE email IN :emails ORDER BY email;

-- name: by_email(email: text) :many
SELECT email FROM account WHERE email = :email;
"""


@pytest.fixture
def queries(tmp_path: Path) -> Queries:
    text = FILE
    for name, (kind, _) in VALUES.items():
        text += f"""
-- name: put_{name}({name}: {kind}) :affected
INSERT INTO thing ({name}) VALUES (:{name});

-- name: find_{name}(some: {kind}[]) :many
SELECT id FROM thing WHERE {name} IN :some ORDER BY id;

-- name: get_{name}(id: int) :value
-- returns: {kind}
SELECT {name} FROM thing WHERE id = :id;
"""
    (tmp_path / "files.sql").write_text(text)
    models = [Home, Strict, Renamed, Checked, Point, Pair]
    return load_queries(tmp_path / "files.sql", models=models)


@pytest.fixture
async def db(
    case: EngineCase, url: str, settings: Settings, queries: Queries
) -> AsyncIterator[DatabaseManager]:
    """Three accounts, and empty tables for values of every type and for nested models."""
    kinds = {name: case.types[kind.partition("(")[0]] for name, (kind, _) in VALUES.items()}
    columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    json, name, strict = case.types["json"], case.types["name"], case["strict"]
    async with DatabaseManager(url, settings=settings, queries=queries) as manager:
        await manager.execute(case.account)
        await manager.execute(f"CREATE TABLE thing (id {case.key}, {columns}) {strict}")
        await manager.execute(
            f"CREATE TABLE home (id {case.key}, street {json}, rooms {json}, colour {name}) {strict}"
        )
        await manager.execute_many(
            queries.add, [{"email": email, "balance": n} for n, email in enumerate("abc")]
        )
        yield manager


@pytest.mark.parametrize("name", VALUES)
async def test_a_list_may_hold_values_of_any_type(db: DatabaseManager, name: str) -> None:
    """Each finds its equals, none its neighbours; the empty list finds nothing."""
    _, values = VALUES[name]
    for value in values:
        await db.execute(db.queries[f"put_{name}"], {name: value})
    find = db.queries[f"find_{name}"]
    for some in ([], values[:1], values[1:], values):
        found = [row[0] for row in await db.fetch_all(find, {"some": some})]
        assert found == [values.index(value) + 1 for value in some]


@pytest.mark.parametrize("name", VALUES)
async def test_a_value_comes_back_as_the_type_of_its_header(db: DatabaseManager, name: str) -> None:
    """Without a model: ``returns:`` of a ``:value`` names the type itself."""
    _, values = VALUES[name]
    for number, value in enumerate(values, 1):
        await db.execute(db.queries[f"put_{name}"], {name: value})
        found = await db.fetch_value(db.queries[f"get_{name}"], {"id": number})
        assert found == value
        assert type(found) is type(value)


async def test_a_sum_of_integers_is_an_integer(db: DatabaseManager) -> None:
    """Two engines add them up as decimals; the header says what comes back."""
    total = await db.fetch_value(db.queries.total)
    assert (total, type(total)) == (3, int)


async def test_a_list_for_a_declared_scalar_is_refused(db: DatabaseManager) -> None:
    """It never matches nothing in silence; the message says how to declare one."""
    value: Any
    for value in (["a"], [], ("a", "b"), {"a"}):
        with pytest.raises((ParameterError, DataError), match=r"email.*IN :|email.*list"):
            await db.fetch_all(db.queries.by_email, {"email": value})


@pytest.mark.parametrize("bad", ["a", 1, {"a": 1}, b"a", None])
async def test_what_is_no_list_is_refused_for_a_declared_one(db: DatabaseManager, bad: Any) -> None:
    """A text is not taken for the list of its letters, nor None for no list."""
    with pytest.raises((ParameterError, DataError), match="emails"):
        await db.fetch_all(db.queries.by_emails, {"emails": bad})


async def test_a_thousand_texts_are_one_list(db: DatabaseManager) -> None:
    """Those that are there are found among them, each once, although some occur twice."""
    emails = [f"{n}" for n in range(500)] + ["c", "a", "a"] + [f"'{n}" for n in range(497)]
    found = await db.fetch_all(db.queries.by_emails, {"emails": emails})
    assert [row["email"] for row in found] == ["a", "c"]


async def test_a_list_of_any_length_binds_or_is_refused(db: DatabaseManager) -> None:
    """Beyond what an engine takes the error is typed, and nothing is cut off."""
    emails = ["a", *(f"x{n}" for n in range(70_000)), "c"]
    found: Any = None
    with suppress(DataError, QueryError):
        found = await db.fetch_all(db.queries.by_emails, {"emails": emails})
    assert found is None or [row["email"] for row in found] == ["a", "c"]
    assert await db.fetch_value(db.queries.total) == 3


async def test_null_in_a_list_matches_nothing(db: DatabaseManager) -> None:
    """As SQL has it: it finds no row, and NOT IN a list with a NULL finds none at all."""
    count = "SELECT count(*) FROM account WHERE email "
    assert await db.fetch_value(count + "IN :some", {"some": ["a", None]}) == 1
    assert await db.fetch_value(count + "IN :some", {"some": [None]}) == 0
    assert await db.fetch_value(count + "NOT IN :some", {"some": ["a", None]}) == 0


async def test_first_is_none_where_nothing_matches(db: DatabaseManager) -> None:
    """And the first of several, as its model, where they do."""
    first: Query[Point] = db.queries.first_richer_than
    assert await db.fetch_one(first, {"balance": 99}) is None
    assert await db.fetch_one(first, {"balance": 0}) == Point("b", 1)


async def test_a_model_may_hold_models_in_its_json_columns(db: DatabaseManager) -> None:
    """One, and a list of them; an enum from its value beside them."""
    home = {"street": {"name": "Straße", "number": 7}, "rooms": [{"name": "r", "number": 1}], "colour": "red"}
    await db.execute(db.queries.put_home, home)
    await db.execute(db.queries.put_home, home | {"rooms": [], "colour": Colour.GREEN})
    found: list[Any] = await db.fetch_all(db.queries.homes)
    assert [type(each) for each in found] == [Home, Home]
    assert found[0].street == Street(name="Straße", number=7)
    assert found[0].rooms == [Street(name="r", number=1)]
    assert (found[1].rooms, found[1].colour) == ([], Colour.GREEN)


@pytest.mark.parametrize(
    ("wrong", "column"),
    [
        ({"street": {"name": "n"}}, "street"),
        ({"street": {"name": "n", "number": "s3cr3t"}}, "street"),
        ({"street": ["s3cr3t"]}, "street"),
        ({"rooms": [{"name": "n", "number": 1}, {"s3cr3t": 1}]}, "rooms"),
        ({"rooms": {"s3cr3t": 1}}, "rooms"),
        ({"colour": "s3cr3t"}, "colour"),
        ({"rooms": None}, "rooms"),
    ],
)
async def test_a_nested_value_that_does_not_fit_names_its_column(
    db: DatabaseManager, wrong: dict[str, Any], column: str
) -> None:
    """And the query; not a value, and no key of the stored document."""
    good = {"street": {"name": "n", "number": 1}, "rooms": [], "colour": "red"}
    await db.execute(db.queries.put_home, good | wrong)
    with pytest.raises(RowMismatch, match=rf"query homes: .*{column}") as raised:
        await db.fetch_all(db.queries.homes)
    assert "s3cr3t" not in str(raised.value) + repr(raised.value)


async def test_the_row_that_does_not_fit_its_model_is_numbered(db: DatabaseManager) -> None:
    """Among many that do: counted from 0, as the list would be."""
    await db.execute("UPDATE account SET email = 'z s3cr3t' WHERE email = 'c'")
    with pytest.raises(RowMismatch, match=r"query checked: 1 values.* 2\.email") as raised:
        await db.fetch_all(db.queries.checked)
    assert "s3cr3t" not in str(raised.value) + repr(raised.value)


async def test_a_model_that_forbids_more_columns_is_obeyed(db: DatabaseManager) -> None:
    """The column that has no field is named."""
    with pytest.raises(RowMismatch, match="balance"):
        await db.fetch_all(db.queries.strictly)


async def test_an_alias_is_the_columns_name(db: DatabaseManager) -> None:
    """A field may be called otherwise than its column."""
    found: list[Any] = await db.fetch_all(db.queries.renamed)
    assert [each.address for each in found] == ["a", "b", "c"]


async def test_a_dataclass_and_a_named_tuple_are_models(db: DatabaseManager) -> None:
    """Whatever Pydantic can validate."""
    points: list[Any] = await db.fetch_all(db.queries.points)
    assert points == [Point("a", 0), Point("b", 1), Point("c", 2)]
    pairs: list[Any] = await db.fetch_all(db.queries.pairs)
    assert [type(pair) for pair in pairs] == [Pair] * 3
    assert pairs == [("a", 0), ("b", 1), ("c", 2)]


async def test_a_value_query_with_a_type_is_not_streamed(db: DatabaseManager) -> None:
    """Its type is that of one value."""
    with pytest.raises(QueryError, match="fetch_value"):
        await anext(db.stream(db.queries.total))


async def test_a_query_that_was_pickled_runs(db: DatabaseManager) -> None:
    """After it ran, and in the copy; with its model and its types."""
    await db.fetch_all(db.queries.points)
    again: Query[Point] = pickle.loads(pickle.dumps(db.queries.points))
    assert await db.fetch_all(again) == await db.fetch_all(db.queries.points)


async def test_one_file_serves_two_engines_at_once(
    db: DatabaseManager, queries: Queries, settings: Settings, tmp_path: Path
) -> None:
    """The same query objects on this engine and on an embedded file, in turns."""
    async with DatabaseManager(f"sqlite:///{tmp_path}/other.db", settings=settings, queries=queries) as other:
        await other.execute("CREATE TABLE account (email TEXT, balance INTEGER)")
        await other.execute_many(queries.add, [{"email": "x", "balance": 40}])
        for _ in range(2):
            assert await db.fetch_value(queries.total) == 3
            assert await other.fetch_value(queries.total) == 40
        some = {"emails": ["a", "x"]}
        assert [row[0] for row in await db.fetch_all(queries.by_emails, some)] == ["a"]
        assert [row[0] for row in await other.fetch_all(queries.by_emails, some)] == ["x"]


async def test_variants_may_order_their_parameters_differently(
    db: DatabaseManager, case: EngineCase, tmp_path: Path
) -> None:
    """Values go by their names, whichever comes first in the text of an engine."""
    folder = tmp_path / "variants"
    folder.mkdir()
    (folder / "q.sql").write_text("-- name: both(a: text, b: text) :value\nSELECT :a || '-' || :b;\n")
    (folder / f"q.{case.dialect}.sql").write_text(
        "-- name: both(a: text, b: text) :value\nSELECT '[' || :b || '-' || :a || '-' || :b || ']';\n"
    )
    assert await db.fetch_value(load_queries(folder).both, {"a": "1", "b": "2"}) == "[2-1-2]"


async def test_a_header_gives_its_type_to_what_has_none(db: DatabaseManager, tmp_path: Path) -> None:
    """A parameter that stands alone in the text, and a Decimal, which is nothing without its scale."""
    (tmp_path / "typed.sql").write_text(
        "-- name: word(x: text) :value\nSELECT :x;\n\n"
        "-- name: price(x: decimal(2)) :value\n-- returns: decimal(2)\nSELECT cast(:x AS decimal(9, 2));\n"
    )
    queries = load_queries(tmp_path / "typed.sql")
    assert await db.fetch_value(queries.word, {"x": "7"}) == "7"
    assert await db.fetch_value(queries.price, {"x": Decimal("12.50")}) == Decimal("12.50")
