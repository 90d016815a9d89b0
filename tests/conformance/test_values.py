"""Values go in and come back equal through a model, or are refused before they are sent."""

from __future__ import annotations

import enum
import math
import sys
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
from dal.errors import DatabaseError, DataError, ParameterError, RowMismatch
from dal.queries import Query, load_queries
from dal.settings import Settings
from dal.values import Json, JsonColumn, Scale, UtcDatetime
from tests.engine_cases import Capability, EngineCase, needs


class Thing(BaseModel):
    truth: bool | None
    whole: int | None
    ratio: float | None
    price: Annotated[Decimal, Scale(6)] | None
    words: str | None
    raw: bytes | None
    day: date | None
    moment: UtcDatetime | None
    ident: UUID | None
    doc: Annotated[JsonValue, JsonColumn]


FILE = """
-- name: put(truth: bool, whole: int, ratio: float, price: decimal(6), words: text, raw: bytes,
--     day: date, moment: timestamp, ident: uuid, doc: json) :affected
INSERT INTO thing (truth, whole, ratio, price, words, raw, day, moment, ident, doc)
VALUES (:truth, :whole, :ratio, :price, :words, :raw, :day, :moment, :ident, :doc);

-- name: newest() :first
-- returns: Thing
SELECT truth, whole, ratio, price, words, raw, day, moment, ident, doc FROM thing
ORDER BY id DESC LIMIT 1;

-- name: everything() :many
-- returns: Thing
SELECT truth, whole, ratio, price, words, raw, day, moment, ident, doc FROM thing
ORDER BY id;

-- name: by_value(truth: bool, whole: int, ratio: float, price: decimal(6), words: text, raw: bytes,
--     day: date, moment: timestamp, ident: uuid) :value
SELECT count(*) FROM thing
WHERE truth = :truth AND whole = :whole AND ratio = :ratio AND price = :price AND words = :words
    AND raw = :raw AND day = :day AND moment = :moment AND ident = :ident;

-- name: prices_above(low: decimal(6)) :many
-- returns: Thing
SELECT truth, whole, ratio, price, words, raw, day, moment, ident, doc FROM thing
WHERE price > :low ORDER BY price;

-- name: total() :value
-- returns: decimal(6)
SELECT sum(price) FROM thing;

-- name: moments(since: timestamp) :many
-- returns: Thing
SELECT truth, whole, ratio, price, words, raw, day, moment, ident, doc FROM thing
WHERE moment >= :since ORDER BY moment;
"""

KINDS = {
    "truth": "bool", "whole": "int", "ratio": "float", "price": "decimal", "words": "text", "raw": "bytes",
    "day": "date", "moment": "timestamp", "ident": "uuid", "doc": "json",
}  # fmt: skip
NOTHING = dict.fromkeys(KINDS)

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


@pytest.fixture
async def thing_db(
    case: EngineCase, url: str, settings: Settings, tmp_path: Path
) -> AsyncIterator[DatabaseManager]:
    """A database with a table of every type, and queries that declare them."""
    file = tmp_path / "things.sql"
    file.write_text(FILE)
    queries = load_queries(file, models=[Thing])
    columns = ", ".join(f"{name} {case.types[kind]}" for name, kind in KINDS.items())
    async with DatabaseManager(url, settings=settings, queries=queries) as db:
        await db.execute(f"CREATE TABLE thing (id {case.key}, {columns}) {case['strict']}")
        yield db


async def stored(db: DatabaseManager, **values: Any) -> Thing:
    """The row with *values*, as it comes back."""
    await db.execute(db.queries.put, NOTHING | values)
    newest: Query[Thing] = db.queries.newest
    thing = await db.fetch_one(newest)
    assert thing is not None
    return thing


@given(thing=things)
@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_model_comes_back_equal(thing_db: DatabaseManager, thing: Thing) -> None:
    """Every type of the library, with NULL, extremes and any Unicode."""
    await thing_db.execute(thing_db.queries.put, thing.model_dump())
    assert await thing_db.fetch_one(thing_db.queries.newest) == thing


EXACT: dict[str, list[Any]] = {
    "truth": [True, False, None],
    "whole": [0, -1, 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63), None],
    "ratio": [0.0, -0.0, 0.1, -1.5, 1e22, 1e-7, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
              2.0**53, 1 / 3, 123456789.123456789, sys.float_info.epsilon, None],
    "price": ["0", "-0.000001", "0.1", "1.50000000", "9223372036854.775807", "-9223372036854.775807", "1E+3",
              "1E-6", "123456789012.345678"],
    "words": ["", " ", "a ", "ä", "😀", "e\u0301", "\u2028\ufeff\uffff", "\U0010ffff", "'\\\"%?:x",
              "\x01\x1a\x7f", "\r\n\t", "x" * 70_000, "😀" * 20_000, None],
    "raw": [b"", b"\0", b"\xff\xfe", bytes(range(256)), b"'\\\"%?", b"x" * 70_000, None],
    "day": [date(1, 1, 1), date(1582, 10, 10), date(1899, 12, 31), date(1970, 1, 1), date(2024, 2, 29),
            date(9999, 12, 31), None],
    "moment": [
        datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(2026, 10, 25, 1, 30, fold=1, tzinfo=timezone(timedelta(hours=-11, minutes=-30))), None,
    ],
    "ident": [UUID(int=0), UUID(int=2**128 - 1), UUID("c0ffee00-0000-4000-8000-00000000cafe"), None],
    "doc": [
        True, 0, 1.5, 1e16, -1e300, "", "null", "ä😀\u2028", [], {}, [[[]]], {"": None},
        {"a": {"b": [1, None, "x"]}},
        {"a.b": 1, "$": 2, "'": 3, '"': 4, "\\": 5}, 2**53, -(2**63), ["\\u0000"], "\x01\x1f\x7f", None,
    ],
}  # fmt: skip


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


async def test_stored_values_are_found_by_equal_ones(thing_db: DatabaseManager) -> None:
    """What is bound in a condition is the same as what is bound in an INSERT."""
    values = {
        "truth": True, "whole": -(2**63), "ratio": 0.1, "price": Decimal("1.5"), "words": "ä 'x'",
        "raw": b"\0\xff", "day": date(2024, 2, 29),
        "moment": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "ident": UUID(int=7),
    }  # fmt: skip
    await stored(thing_db, **values)
    assert await thing_db.fetch_value(thing_db.queries.by_value, values) == 1
    assert await thing_db.fetch_value(thing_db.queries.by_value, values | {"raw": b"\0\xfe"}) == 0


async def test_decimals_compare_and_add_up_as_numbers(thing_db: DatabaseManager) -> None:
    """Not as text, and not as floats."""
    for price in ("0.1", "0.2", "10", "9", "-1"):
        await stored(thing_db, price=Decimal(price))
    found = await thing_db.fetch_all(thing_db.queries.prices_above, {"low": Decimal("0.1")})
    assert [thing.price for thing in found] == [Decimal("0.2"), Decimal(9), Decimal(10)]
    assert await thing_db.fetch_value(thing_db.queries.total) == Decimal("18.3")


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


class OddText(str):
    __slots__ = ()


class OddInt(int):
    pass


REFUSED = {
    "NUL": "a\0b",
    "lone surrogate": "\ud800",
    "2**63": 2**63,
    "below -2**63": -(2**63) - 1,
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "naive datetime": datetime(2026, 1, 1),
    "datetime before year 1 in UTC": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    "Decimal without scale": Decimal("1.5"),
    "Decimal NaN": Decimal("NaN"),
    "Decimal sNaN": Decimal("sNaN"),
    "Decimal infinity": Decimal("Infinity"),
    "complex": 1j,
    "timedelta": timedelta(1),
    "dict": {"a": 1},
    "tuple": ("a",),
    "list": ["a"],
    "set": {1},
    "bytearray": bytearray(b"x"),
    "memoryview": memoryview(b"x"),
    "object": object(),
    "class": str,
    "function": len,
    "subclass of str": OddText("x"),
    "subclass of int": OddInt(1),
    "NaN in JSON": Json(math.nan),
    "no JSON": Json({1: object()}),  # type: ignore[dict-item]  # that is what is tested
    "surrogate in JSON": Json("a\ud800"),
    "NUL in JSON": Json({"a": ["b\0c"]}),
    "NUL in a key of JSON": Json({"a\0": 1}),
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


def load_text(sql: str, model: type) -> Query[Any]:
    """A query that returns *model*."""
    return Query(name="q", shared=sql, kind="many", returns=model)


async def test_a_bad_value_leaves_the_connection_usable(db: DatabaseManager) -> None:
    """Far more refusals than there are connections."""
    for _ in range(20):
        with pytest.raises(DatabaseError):
            await db.fetch_value("SELECT :x", {"x": "\0"})
        with pytest.raises(DatabaseError):
            await db.execute("INSERT INTO account (email, balance) VALUES ('a', 'x')")
    assert await db.fetch_value("SELECT count(*) FROM account") == 0
