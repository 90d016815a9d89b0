"""Values go in and come back equal through a model, or are refused before they are sent."""

from __future__ import annotations

import enum
import math
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue

from dal.database import DatabaseManager
from dal.errors import DataError, ParameterError, RowMismatch
from dal.queries import Query, load_queries
from dal.settings import Settings
from dal.values import Json, JsonColumn, Scale, UtcDatetime


class Thing(BaseModel):
    truth: bool | None
    whole: int | None
    real: float | None
    price: Annotated[Decimal, Scale(6)] | None
    words: str | None
    raw: bytes | None
    day: date | None
    moment: UtcDatetime | None
    ident: UUID | None
    doc: Annotated[JsonValue, JsonColumn]


FILE = """
-- name: put(truth: bool, whole: int, real: float, price: decimal(6), words: text, raw: bytes, day: date,
--     moment: timestamp, ident: uuid, doc: json) :affected
INSERT INTO thing (truth, whole, real, price, words, raw, day, moment, ident, doc)
VALUES (:truth, :whole, :real, :price, :words, :raw, :day, :moment, :ident, :doc);

-- name: newest() :first
-- returns: Thing
SELECT truth, whole, real, price, words, raw, day, moment, ident, doc FROM thing ORDER BY id DESC LIMIT 1;
"""

TABLE = """
CREATE TABLE thing (
    id INTEGER PRIMARY KEY, truth INTEGER, whole INTEGER, real REAL, price INTEGER, words TEXT, raw BLOB,
    day TEXT, moment TEXT, ident TEXT, doc TEXT
) STRICT
"""

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=3
        )
    ),
    max_leaves=6,
)

things = st.builds(
    Thing,
    truth=st.none() | st.booleans(),
    whole=st.none() | st.integers(-(2**63), 2**63 - 1),
    real=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    price=st.none() | st.decimals(-(10**12), 10**12, places=6),
    words=st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    raw=st.none() | st.binary(),
    day=st.none() | st.dates(),
    moment=st.none()
    | st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.timezones()),
    ident=st.none() | st.uuids(),
    doc=json_values,
)


@pytest.fixture
async def thing_db(url: str, settings: Settings, tmp_path: Path) -> AsyncIterator[DatabaseManager]:
    file = tmp_path / "things.sql"
    file.write_text(FILE)
    queries = load_queries(file, models=[Thing])
    async with DatabaseManager(url, settings=settings, queries=queries) as db:
        await db.execute(TABLE)
        yield db


@given(thing=things)
@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_model_comes_back_equal(thing_db: DatabaseManager, thing: Thing) -> None:
    """Every type of the library, with NULL, extremes and any Unicode."""
    await thing_db.execute(thing_db.queries.put, thing.model_dump())
    assert await thing_db.fetch_one(thing_db.queries.newest) == thing


class Colour(enum.Enum):
    RED = "red"


class Rank(enum.IntEnum):
    FIRST = 1


async def test_an_enum_is_stored_by_its_value(db: DatabaseManager) -> None:
    """Also one that is an int or a str at the same time."""
    assert await db.fetch_value("SELECT :c || :r", {"c": Colour.RED, "r": Rank.FIRST}) == "red1"


async def test_json_goes_in_when_it_is_marked(db: DatabaseManager) -> None:
    """`Json` marks it; a JSON null is not an SQL NULL."""
    assert await db.fetch_value("SELECT :j", {"j": Json({"a": [1, None]})}) == '{"a":[1,null]}'
    assert await db.fetch_value("SELECT :j", {"j": Json(None)}) == "null"
    assert await db.fetch_value("SELECT :j", {"j": None}) is None


async def test_times_sort_as_text(db: DatabaseManager) -> None:
    """One fixed width, UTC, whatever the offset that came in."""
    moment = datetime(2026, 1, 2, 1, 4, 5, 678, tzinfo=timezone(timedelta(hours=-2)))
    assert await db.fetch_value("SELECT :m", {"m": moment}) == "2026-01-02T03:04:05.000678Z"
    assert (
        await db.fetch_value("SELECT :m", {"m": datetime(1, 2, 3, tzinfo=UTC)})
        == "0001-02-03T00:00:00.000000Z"
    )


class OddText(str):
    __slots__ = ()


REFUSED = {
    "NUL": "a\0b",
    "lone surrogate": "\ud800",
    "2**63": 2**63,
    "below -2**63": -(2**63) - 1,
    "NaN": math.nan,
    "infinity": math.inf,
    "naive datetime": datetime(2026, 1, 1),
    "Decimal without scale": Decimal("1.5"),
    "dict": {"a": 1},
    "tuple": ("a",),
    "set": {1},
    "bytearray": bytearray(b"x"),
    "memoryview": memoryview(b"x"),
    "object": object(),
    "subclass of str": OddText("x"),
    "NaN in JSON": Json(math.nan),
    "no JSON": Json({1: object()}),  # type: ignore[dict-item]  # that is what is tested
    "surrogate in JSON": Json("a\ud800"),
    "NUL in JSON": Json({"a": ["b\0c"]}),
    "tuple in JSON": Json([("a",)]),  # type: ignore[list-item]  # that is what is tested
    "keys that would fall together": Json({1: 2, "1": 3}),  # type: ignore[dict-item]  # as above
    "2**64 in JSON": Json(2**64),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_would_be_changed_is_refused_before_it_is_sent(db: DatabaseManager, what: str) -> None:
    """One error class, nothing sent, and no value in the message."""
    value = REFUSED[what]
    with pytest.raises((DataError, ParameterError)) as raised:
        await db.fetch_value("SELECT :value", {"value": value})
    if isinstance(raised.value, DataError):
        assert raised.value.sent is False
    assert f"{value!r} " not in str(raised.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("whole", True), ("whole", 1.0), ("truth", 1), ("real", 1), ("price", 1.5), ("price", 1),
        ("words", b"x"), ("raw", "x"), ("day", datetime(2026, 1, 1, tzinfo=UTC)),
        ("moment", date(2026, 1, 1)),
        ("ident", "c0ffee"), ("price", Decimal("0.1234567")), ("price", Decimal("NaN")),
        ("price", Decimal("9223372036854.775808")),
    ],
)  # fmt: skip
async def test_a_declared_type_takes_that_type_alone(
    thing_db: DatabaseManager, field: str, value: Any
) -> None:
    """No silent int -> float, Decimal -> float, rounding to the scale, or bool -> int."""
    values = dict.fromkeys(Thing.model_fields) | {field: value}
    with pytest.raises((DataError, ParameterError), match=field):
        await thing_db.execute(thing_db.queries.put, values)
    assert await thing_db.fetch_value("SELECT count(*) FROM thing") == 0


async def test_decimals_are_exact_at_the_edge_of_their_column(thing_db: DatabaseManager) -> None:
    """Trailing zeros beyond the scale are no digits; the largest that fits comes back."""
    for price in (
        Decimal("1.50000000"),
        Decimal("9223372036854.775807"),
        Decimal("-0.000001"),
        Decimal("1E+3"),
    ):
        values = dict.fromkeys(Thing.model_fields) | {"price": price}
        await thing_db.execute(thing_db.queries.put, values)
        newest: Query[Thing] = thing_db.queries.newest
        thing = await thing_db.fetch_one(newest)
        assert thing is not None
        assert thing.price == price


async def test_a_row_that_does_not_fit_its_model_names_the_field(thing_db: DatabaseManager) -> None:
    """And not the value."""
    await thing_db.execute("INSERT INTO thing (ident, doc) VALUES ('s3cret', 'null')")
    with pytest.raises(RowMismatch, match="ident") as raised:
        await thing_db.fetch_one(thing_db.queries.newest)
    assert "s3cret" not in str(raised.value)
