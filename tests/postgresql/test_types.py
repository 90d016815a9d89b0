"""What PostgreSQL's own types take and give: exact, or refused before it is sent."""

from __future__ import annotations

import contextlib
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import DataError, StatementError
from dal.queries import Query, load_queries
from dal.values import Json

U = uuid.UUID("c0ffeec0-ffee-c0ff-eec0-ffeec0ffeec0")


def typed(kind: str, declared: str, tmp_path: Path) -> Query[Any]:
    """A query that casts its parameter to *kind* and returns it."""
    file = tmp_path / "q.postgresql.sql"
    file.write_text(f"-- name: same(x: {declared}) :value\nSELECT cast(:x AS {kind});\n")
    query: Query[Any] = load_queries(file).same
    return query


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("boolean", True), ("smallint", -(2**15)), ("integer", 2**31 - 1), ("bigint", 2**63 - 1),
        ("double precision", 0.1), ("double precision", 5e-324), ("double precision", 2**53),
        ("real", 0.5), ("numeric", 7), ("text", "ä😀"), ("varchar(3)", "abc"), ("bytea", b"\0\xff"),
        ("date", date(9999, 12, 31)), ("date", date(1, 1, 1)), ("date", date(1899, 2, 28)),
        ("timestamptz", datetime.max.replace(tzinfo=UTC)), ("timestamptz", datetime.min.replace(tzinfo=UTC)),
        ("timestamptz", datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)), ("uuid", U),
        ("bigint", None), ("jsonb", None),
    ],
)  # fmt: skip
async def test_a_value_comes_back_equal_and_of_its_own_type(
    db: DatabaseManager, kind: str, value: Any
) -> None:
    """Extremes included, which the driver by itself reads as infinity."""
    sql: Any = f"SELECT cast(:x AS {kind})"
    found = await db.fetch_value(sql, {"x": value})
    assert found == value
    if kind not in ("double precision", "numeric"):
        assert type(found) is type(value)
    text: Any = f"SELECT cast(cast(:x AS {kind}) AS text)"
    assert "infinity" not in (await db.fetch_value(text, {"x": value}) or "")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", 1.7), ("integer", True), ("integer", 2**31), ("smallint", 2**15), ("integer", "12"),
        ("boolean", 1), ("double precision", 2**60 + 1), ("real", 0.1), ("real", 2**24 + 1), ("real", 1e300),
        ("numeric", 0.1), ("numeric", "1.5"), ("text", 1), ("text", b"x"), ("bytea", "x"),
        ("date", datetime(2026, 1, 1, tzinfo=UTC)), ("date", "2026-01-01"), ("timestamptz", date(2026, 1, 1)),
        ("timestamp", datetime(2026, 1, 1, tzinfo=UTC)), ("uuid", str(U)), ("jsonb", 1),
    ],
)  # fmt: skip
async def test_what_would_be_changed_on_the_way_in_is_refused(
    db: DatabaseManager, kind: str, value: Any
) -> None:
    """Truncated, rounded, cut off, read as another type: nothing was sent, and the parameter is named."""
    sql: Any = f"SELECT cast(:given AS {kind})"
    with pytest.raises(DataError, match="parameter given") as raised:
        await db.fetch_value(sql, {"given": value})
    assert raised.value.sent is False
    assert repr(value) not in str(raised.value)
    assert await db.fetch_value("SELECT 1") == 1


async def test_a_refused_value_costs_no_connection_inside_a_block(db: DatabaseManager) -> None:
    """The block is failed like after any error, the connection is used again."""
    with pytest.raises(DataError):
        async with db.transaction() as tx:
            await tx.fetch_value("SELECT cast(:x AS integer)", {"x": 1.5})
    assert await db.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize(
    ("kind", "declared", "values"),
    [
        ("bigint[]", "int[]", [1, 2**63 - 1, -1]), ("text[]", "text[]", ["a,b", '"', "{}", ""]),
        ("timestamptz[]", "timestamp[]", [datetime(2026, 1, 1, tzinfo=UTC)]), ("uuid[]", "uuid[]", [U]),
        ("date[]", "date[]", [date.max]), ("numeric[]", "decimal(2)[]", [Decimal("1.25")]),
        ("bigint[]", "int[]", []),
    ],
)  # fmt: skip
async def test_a_list_is_an_array(
    db: DatabaseManager, tmp_path: Path, kind: str, declared: str, values: list[Any]
) -> None:
    """Of any type that a parameter may have, the empty one too."""
    assert await db.fetch_value(typed(kind, declared, tmp_path), {"x": values}) == values


async def test_the_elements_of_a_list_are_checked(db: DatabaseManager, tmp_path: Path) -> None:
    """Against the type that the statement gives the array."""
    with pytest.raises(DataError, match="parameter x"):
        await db.fetch_value(typed("integer[]", "float[]", tmp_path), {"x": [1.5]})
    with pytest.raises(DataError, match="parameter x"):
        await db.fetch_value(typed("integer[]", "int[]", tmp_path), {"x": [2**31]})


@pytest.mark.parametrize(
    "value",
    [
        "1.000001", "-0.000001", "123456789012345678901234567890.123456", "1E+3", "0", "1.50000000",
    ],
)  # fmt: skip
async def test_a_declared_decimal_is_exact(db: DatabaseManager, tmp_path: Path, value: str) -> None:
    """Of any size, since numeric has none."""
    query = typed("numeric(60, 6)", "decimal(6)", tmp_path)
    assert await db.fetch_value(query, {"x": Decimal(value)}) == Decimal(value)


async def test_an_undeclared_decimal_is_refused_as_on_every_engine(db: DatabaseManager) -> None:
    """PostgreSQL could take it; the same text would not run on SQLite."""
    with pytest.raises(Exception, match="scale"):
        await db.fetch_value("SELECT cast(:x AS numeric)", {"x": Decimal("1.5")})


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -1, 1.5, 1e16, 7.168030589738886e16, -1e300, 5e-324, "1e+16", 'a"e+5\\',
        {"a": [1e22, {"b": "2e+30"}], "": None}, [], {}, "ä😀",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["json", "jsonb"])
async def test_json_comes_back_equal_and_of_its_own_type(db: DatabaseManager, kind: str, value: Any) -> None:
    """Large floats stay floats, which jsonb would make integers."""
    sql: Any = f"SELECT cast(:x AS {kind})"
    found = await db.fetch_value(sql, {"x": Json(value)})
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", ["\0", {"a\0": 1}, "\\\0", "\ud800"])
async def test_json_that_jsonb_cannot_hold_is_refused(db: DatabaseManager, value: Any) -> None:
    """Before it is sent; a backslash before u0000 is none of it."""
    with pytest.raises(DataError) as raised:
        await db.fetch_value("SELECT cast(:x AS jsonb)", {"x": Json(value)})
    assert raised.value.sent is False
    assert await db.fetch_value("SELECT cast(:x AS jsonb)", {"x": Json("\\u0000")}) == "\\u0000"


async def test_times_are_utc_whatever_the_servers_zone(db: DatabaseManager) -> None:
    """The session's time zone is UTC, so a cast to date or text means the same everywhere."""
    moment = datetime(2026, 1, 1, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    assert await db.fetch_value("SELECT cast(cast(:m AS timestamptz) AS date)", {"m": moment}) == date(
        2026, 1, 2
    )
    found = await db.fetch_value("SELECT cast(:m AS timestamptz)", {"m": moment})
    assert found.tzinfo is UTC


@pytest.mark.parametrize("sql", [
    "SELECT 'infinity'::date", "SELECT '-infinity'::timestamptz", "SELECT '12000-01-01'::date",
    "SELECT '44-03-15 BC'::date", "SELECT 'infinity'::timestamp", "SELECT '-infinity'::timestamp",
    "SELECT '1 mon'::interval", "SELECT '1 year -12 days'::interval", "SELECT array['infinity'::timestamp]",
])  # fmt: skip
async def test_a_value_that_python_has_not_is_an_error_not_another_value(
    db: DatabaseManager, sql: Any
) -> None:
    """It was stored by someone else; the connection goes on."""
    with pytest.raises(DataError):
        await db.fetch_value(sql)
    async with db.transaction() as tx:
        assert await tx.fetch_value("SELECT 1") == 1


async def test_json_that_is_nested_too_deeply_is_refused(db: DatabaseManager) -> None:
    """Where it is too deep, Python's version says; the connection goes on."""
    with contextlib.suppress(DataError):
        assert await db.fetch_value("SELECT (repeat('[', 3000) || repeat(']', 3000))::jsonb")
    assert await db.fetch_value("SELECT 1") == 1


async def test_times_without_a_zone_and_intervals_come_back_exactly(db: DatabaseManager) -> None:
    """The last microsecond too, which the driver by itself gives for infinity."""
    found = await db.fetch_one(
        "SELECT '9999-12-31 23:59:59.999999'::timestamp, '0001-01-01'::timestamp,"
        " '-3 days 00:00:00.000001'::interval"
    )
    assert found == (datetime.max, datetime.min, timedelta(days=-3, microseconds=1))


async def test_an_interval_goes_in_as_text(db: DatabaseManager) -> None:
    """The error says how."""
    with pytest.raises(DataError, match="AS interval"):
        await db.fetch_value("SELECT cast(:x AS interval)", {"x": "1 day"})
    text = "SELECT cast(cast(:x AS text) AS interval)"
    assert await db.fetch_value(text, {"x": "1 day"}) == timedelta(days=1)


async def test_a_parameter_without_a_type_says_what_to_write(db: DatabaseManager) -> None:
    """As text where PostgreSQL takes it for text, and where it cannot tell at all."""
    assert await db.fetch_value("SELECT :x", {"x": "a"}) == "a"
    with pytest.raises(DataError, match="cast"):
        await db.fetch_value("SELECT :x", {"x": 1})
    with pytest.raises(StatementError, match="cast"):
        await db.fetch_value("SELECT :x IS NULL", {"x": 1})


async def test_types_of_the_users_own_work(db: DatabaseManager) -> None:
    """Enumerations, domains, composites, ranges and networks, as the driver reads them."""
    await db.execute_script(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN positive AS integer CHECK (value > 0);"
        "CREATE TYPE point3 AS (x integer, y integer, z integer);"
    )
    assert await db.fetch_value("SELECT cast(:x AS mood)", {"x": "glad"}) == "glad"
    assert await db.fetch_value("SELECT cast(:x AS positive)", {"x": 3}) == 3
    with pytest.raises(DataError):
        await db.fetch_value("SELECT cast(:x AS positive)", {"x": 3.5})
    assert tuple(await db.fetch_value("SELECT ROW(1, 2, 3)::point3")) == (1, 2, 3)
    assert str(await db.fetch_value("SELECT cast(:x AS inet)", {"x": "10.0.0.1"})) == "10.0.0.1"
    with pytest.raises(DataError):
        await db.fetch_value("SELECT cast(:x AS mood)", {"x": "angry"})


@pytest.mark.parametrize("change", [
    "DROP TABLE felt; DROP TYPE mood; CREATE TYPE mood AS ENUM ('glad'); CREATE TABLE felt (x mood)",
    "ALTER TABLE felt ALTER x TYPE text",
    "ALTER TABLE felt ALTER x TYPE jsonb USING NULL",
])  # fmt: skip
async def test_a_write_goes_on_when_a_type_was_made_anew(db: DatabaseManager, change: Any) -> None:
    """Or its column is of another type that takes text too: the server refuses what was prepared before."""
    value = '"glad"' if "jsonb" in change else "glad"
    await db.execute_script("CREATE TYPE mood AS ENUM ('glad'); CREATE TABLE felt (x mood)")
    await db.execute("INSERT INTO felt (x) VALUES (:x)", {"x": "glad"})
    await db.execute_script(change)
    assert await db.execute("INSERT INTO felt (x) VALUES (:x)", {"x": value}) == 1


async def test_large_values_travel_whole(db: DatabaseManager) -> None:
    """20 MB of text."""
    text = "ä😀x" * 3_000_000
    assert await db.fetch_value("SELECT length(:x)", {"x": text}) == len(text)
    assert await db.fetch_value("SELECT :x", {"x": text}) == text


async def test_a_row_of_1600_columns_is_there_to_its_last(db: DatabaseManager) -> None:
    """Which is as many as a table can have."""
    sql: Any = "SELECT " + ", ".join(f"{n} AS c{n}" for n in range(1600))
    row = await db.fetch_one(sql)
    assert row is not None
    assert list(row) == list(range(1600))


async def test_a_result_without_rows_or_columns_has_none(db: DatabaseManager) -> None:
    """PostgreSQL takes SELECT without a list."""
    assert await db.fetch_all("SELECT 1 AS a WHERE false") == []
    row = await db.fetch_one("SELECT")
    assert row is not None
    assert len(row) == 0


async def test_a_row_without_a_column_has_no_value(db: DatabaseManager) -> None:
    """PostgreSQL has such rows."""
    assert [len(row) for row in await db.fetch_all("SELECT FROM generate_series(1, 2)")] == [0, 0]
    assert await db.fetch_value("SELECT") is None
