"""Values go in and come back equal through a model, or are refused before they are sent."""

from __future__ import annotations

import enum
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dal.database import DatabaseManager
from dal.errors import DataError, ParameterError, RowMismatch
from dal.queries import Query, load_queries
from dal.values import Json
from tests.conformance.things import EXACT, KINDS, NOTHING, Thing, load_text, stored
from tests.engine_cases import Capability, EngineCase, needs

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

things = st.builds(
    Thing,
    truth=st.none() | st.booleans(),
    whole=st.none() | st.integers(-(2**63), 2**63 - 1),
    ratio=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    price=st.none() | st.decimals(-(10**12), 10**12, places=6),
    words=st.none() | texts,
    raw=st.none() | st.binary(),
    day=st.none() | st.dates(),
    moment=st.none()
    | st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.timezones()),
    ident=st.none() | st.uuids(),
    doc=json_values,
)


@given(thing=things)
@hypothesis_settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_a_model_comes_back_equal(thing_db: DatabaseManager, thing: Thing) -> None:
    """Every type of the library, with NULL, extremes and any Unicode."""
    await thing_db.execute(thing_db.queries.put, thing.model_dump())
    assert await thing_db.fetch_one(thing_db.queries.newest) == thing


@pytest.mark.parametrize("field", EXACT)
async def test_a_value_comes_back_equal_and_of_its_type(thing_db: DatabaseManager, field: str) -> None:
    """The edges of each type, where drivers round, cut off, shift or take one value for another."""
    for value in EXACT[field]:
        given_value = Decimal(value) if field == "price" else value
        found = getattr(await stored(thing_db, **{field: given_value}), field)
        assert found == given_value
        assert type(found) is type(given_value)


async def test_a_moment_is_stored_in_utc(thing_db: DatabaseManager) -> None:
    """Whatever offset came in, none is dropped; moments compare by time."""
    here = datetime(2026, 1, 2, 1, 4, 5, 678, tzinfo=timezone(timedelta(hours=-2)))
    thing = await stored(thing_db, moment=here)
    assert thing.moment == here
    assert thing.moment is not None
    assert thing.moment.utcoffset() == timedelta(0)
    later = here.astimezone(timezone(timedelta(hours=9))) + timedelta(microseconds=1)
    await stored(thing_db, moment=later)
    found = await thing_db.fetch_all(thing_db.queries.moments, {"since": later})
    assert [thing.moment for thing in found] == [later]


async def test_many_rows_come_back_equal(thing_db: DatabaseManager) -> None:
    """execute_many takes the same values as execute, by another way of the driver."""
    rows = []
    for field, values in EXACT.items():
        for value in values:
            given_value = Decimal(value) if field == "price" else value
            rows.append(NOTHING | {field: given_value})
    await thing_db.execute_many(thing_db.queries.put, rows)
    found = await thing_db.fetch_all(thing_db.queries.everything)
    assert [thing.model_dump() for thing in found] == rows


class Colour(enum.Enum):
    RED = "red"


class Rank(enum.IntEnum):
    FIRST = 1


class Name(enum.StrEnum):
    ANN = "Ann"


async def test_an_enum_is_stored_by_its_value(thing_db: DatabaseManager) -> None:
    """Also one that is an int or a str at the same time."""
    thing = await stored(thing_db, words=Colour.RED, whole=Rank.FIRST)
    assert (thing.words, thing.whole) == ("red", 1)
    assert (await stored(thing_db, words=Name.ANN)).words == "Ann"
    assert await thing_db.fetch_value("SELECT :c || :n", {"c": Colour.RED, "n": Name.ANN}) == "redAnn"


async def test_json_null_is_not_sql_null(thing_db: DatabaseManager) -> None:
    """`Json(None)` is a document, None is none."""
    await stored(thing_db, doc=Json(None))
    await stored(thing_db, doc=None)
    assert await thing_db.fetch_value("SELECT count(*) FROM thing WHERE doc IS NULL") == 1


async def test_a_plain_row_holds_numbers_text_and_bytes_as_they_are(
    thing_db: DatabaseManager,
) -> None:
    """Without a model these types are the same on every engine."""
    await stored(thing_db, whole=7, ratio=0.5, words="ä", raw=b"\xff")
    row = await thing_db.fetch_one("SELECT whole, ratio, words, raw FROM thing")
    assert row is not None
    assert list(row) == [7, 0.5, "ä", b"\xff"]
    assert [type(value) for value in row] == [int, float, str, bytes]


@needs(Capability.TYPED_COLUMNS)
async def test_a_plain_row_holds_native_types(thing_db: DatabaseManager) -> None:
    """As their own classes of Python, not as the driver's."""
    values = {
        "truth": True, "price": Decimal("1.500000"), "day": date(2024, 2, 29),
        "moment": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "ident": UUID(int=7), "doc": {"a": [1]},
    }  # fmt: skip
    await stored(thing_db, **values)
    row = await thing_db.fetch_one("SELECT truth, price, day, moment, ident, doc FROM thing")
    assert row is not None
    assert list(row) == list(values.values())
    assert [type(value) for value in row] == [type(value) for value in values.values()]


@pytest.mark.parametrize("megabytes", [1, 10])
async def test_large_values_come_back_whole(thing_db: DatabaseManager, megabytes: int) -> None:
    """Text of four-byte characters, and bytes."""
    words, raw = "😀" * (megabytes * 250_000), bytes(range(250)) * (megabytes * 2000)
    assert (await stored(thing_db, words=words)).words == words
    assert (await stored(thing_db, raw=raw)).raw == raw


async def test_what_is_too_large_is_refused_whole(thing_db: DatabaseManager) -> None:
    """Twenty megabytes come back exactly or raise `DataError`; the next call works."""
    words = "x" * 20_000_000
    found: Thing | DataError
    try:
        found = await stored(thing_db, words=words)
    except DataError as error:
        found = error
    if isinstance(found, DataError):
        assert found.sent is False
        assert await thing_db.fetch_value("SELECT count(*) FROM thing") == 0
    else:
        assert found.words == words
    assert (await stored(thing_db, words="x")).words == "x"


MISFITS: dict[str, list[Any]] = {
    "truth": [1, 0, "true", "", 1.0, b"\1"],
    "whole": [True, 1.0, 1.7, "1", "12abc", b"1", Decimal(1), 2**63, date(2026, 1, 1)],
    "ratio": [1, True, "1.5", Decimal("1.5"), math.nan, math.inf],
    "price": [1.5, 1, "1.5", True, Decimal("0.1234567"), Decimal("NaN"), Decimal("-Infinity"),
              Decimal("sNaN"), Decimal("1E+70")],
    "words": [b"x", 1, True, ["x"], {"a": 1}, Decimal(1), "\0", "\ud800", date(2026, 1, 1)],
    "raw": ["x", bytearray(b"x"), memoryview(b"x"), 1],
    "day": [datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01", "2024-02-31", 0],
    "moment": [date(2026, 1, 1), datetime(2026, 1, 1), "2026-01-01T00:00:00Z", 0, 1.5],
    "ident": ["c0ffee", str(UUID(int=1)), UUID(int=1).bytes, 1],
    "doc": [object(), {1: 2}, {"a": math.nan}, ("a",), {"a"}, b"x", "\ud800", Decimal(1),
            datetime(2026, 1, 1, tzinfo=UTC)],
}  # fmt: skip


@pytest.mark.parametrize("field", MISFITS)
async def test_a_declared_type_takes_that_type_alone(thing_db: DatabaseManager, field: str) -> None:
    """No silent int -> float, Decimal -> float, rounding to the scale, bool -> int, or text -> date."""
    for value in MISFITS[field]:
        with pytest.raises((DataError, ParameterError), match=field) as raised:
            await thing_db.execute(thing_db.queries.put, NOTHING | {field: value})
        assert not isinstance(raised.value, DataError) or raised.value.sent is False
    assert await thing_db.fetch_value("SELECT count(*) FROM thing") == 0


@pytest.mark.parametrize("price", ["10000000000000", "-10000000000000", "1E+30"])
async def test_a_decimal_beyond_its_column_is_refused(thing_db: DatabaseManager, price: str) -> None:
    """Not cut to the largest that fits."""
    with pytest.raises(DataError):
        await thing_db.execute(thing_db.queries.put, NOTHING | {"price": Decimal(price)})
    assert await thing_db.fetch_value("SELECT count(*) FROM thing") == 0


async def test_a_refused_value_among_many_rows_stores_none_of_them(thing_db: DatabaseManager) -> None:
    """It is found before the first row is sent."""
    with pytest.raises((DataError, ParameterError), match="whole"):
        await thing_db.execute_many(
            thing_db.queries.put, [NOTHING | {"whole": 1}, NOTHING | {"whole": "s3cret"}, NOTHING]
        )
    assert await thing_db.fetch_value("SELECT count(*) FROM thing") == 0


@pytest.mark.parametrize(
    ("column", "literal"),
    [
        ("whole", "'12abc'"), ("whole", "'x'"), ("ratio", "'x'"), ("price", "'x'"),
        ("whole", "9223372036854775808"),
    ],
)  # fmt: skip
async def test_a_column_refuses_what_is_no_value_of_its_type(
    thing_db: DatabaseManager, column: str, literal: str
) -> None:
    """A literal of the SQL text too: an error, not the nearest value."""
    with pytest.raises(DataError):
        await thing_db.execute(f"INSERT INTO thing ({column}) VALUES ({literal})")
    assert await thing_db.fetch_value("SELECT count(*) FROM thing") == 0


@needs(Capability.NATIVE_TYPES)
@pytest.mark.parametrize(
    ("column", "value"),
    [("narrow", "abcd"), ("small", 2**15), ("small", -(2**15) - 1), ("day", "2024-02-31")],
)  # fmt: skip
async def test_a_native_column_refuses_what_does_not_fit(
    db: DatabaseManager, column: str, value: Any
) -> None:
    """Too long, out of range, no such day: `DataError`, and nothing is cut off."""
    await db.execute("CREATE TABLE tight (narrow VARCHAR(3), small SMALLINT, day DATE)")
    with pytest.raises(DataError):
        await db.execute(f"INSERT INTO tight ({column}) VALUES (:value)", {"value": value})
    assert await db.fetch_value("SELECT count(*) FROM tight") == 0


@needs(Capability.ARRAYS)
async def test_a_declared_list_is_an_array(db: DatabaseManager, tmp_path: Path) -> None:
    """Where the engine has arrays; the empty one too."""
    (tmp_path / "q.postgresql.sql").write_text(
        "-- name: same(x: int[]) :value\nSELECT cast(:x AS bigint[]);\n"
    )
    same = load_queries(tmp_path).same
    for values in ([], [1], [2**63 - 1, -1]):
        assert await db.fetch_value(same, {"x": values}) == values


async def test_a_row_that_does_not_fit_its_model_names_the_field(thing_db: DatabaseManager) -> None:
    """And not the value."""

    class Narrow(BaseModel):
        words: int

    query: Query[Narrow] = load_text("SELECT words FROM thing", Narrow)
    await stored(thing_db, words="s3cret")
    with pytest.raises(RowMismatch, match="words") as raised:
        await thing_db.fetch_one(query)
    assert "s3cret" not in str(raised.value)


@needs(Capability.NATIVE_TYPES)
async def test_a_length_counts_characters_not_bytes(db: DatabaseManager) -> None:
    """Three characters of four bytes fit where three characters fit, and a fourth does not."""
    await db.execute("CREATE TABLE tight (narrow VARCHAR(3))")
    await db.execute("INSERT INTO tight (narrow) VALUES (:value)", {"value": "😀" * 3})
    assert await db.fetch_value("SELECT narrow FROM tight") == "😀" * 3
    with pytest.raises(DataError):
        await db.execute("INSERT INTO tight (narrow) VALUES (:value)", {"value": "😀" * 4})


async def test_an_undeclared_value_is_bound_by_its_own_type(db: DatabaseManager, case: EngineCase) -> None:
    """A query given as a string has no header: texts, numbers, bytes, times and documents find their columns."""
    values: dict[str, Any] = {
        "truth": True, "whole": -7, "ratio": 0.1, "words": "ä'", "raw": b"\0\xff", "day": date(2024, 2, 29),
        "moment": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "ident": UUID(int=7), "doc": Json({"a": [1]}),
    }  # fmt: skip
    columns = ", ".join(f"{name} {case.types[KINDS[name]]}" for name in values)
    await db.execute(f"CREATE TABLE loose ({columns}) {case['strict']}")
    marks = ", ".join(f":{name}" for name in values)
    await db.execute(f"INSERT INTO loose ({', '.join(values)}) VALUES ({marks})", values)
    condition = " AND ".join(f"{name} = :{name}" for name in values if name != "doc")
    wanted = {name: value for name, value in values.items() if name != "doc"}
    assert await db.fetch_value(f"SELECT count(*) FROM loose WHERE {condition}", wanted) == 1
