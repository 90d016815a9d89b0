"""Values travel as literals: what is put in comes back, byte for byte, and never becomes SQL."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dal.database import DatabaseManager
from dal.errors import DataError
from dal.queries import Query
from dal.queries.statement import Parameter
from dal.settings import Settings
from dal.values import Json, ParameterType
from tests.servers import MariaDbServer

EXAMPLES = hypothesis_settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


async def back(db: DatabaseManager, value: Any) -> Any:
    return await db.fetch_value("SELECT ?", (value,))


async def test_every_byte_and_every_pair_with_a_special_one(db: DatabaseManager) -> None:
    """Alone, and before and after what escapes and quotes."""
    special = (b"", b"'", b'"', b"\\", b"%", b"\n", b"\0", b"\x1a", b"\xe3\x81", b"\xf0\x9f\x98", b"\xbf")
    for before in special:
        for after in special:
            value = b"".join(before + bytes((byte,)) + after for byte in range(256))
            assert await back(db, value) == value


@given(value=TEXTS)
@EXAMPLES
async def test_any_text(db: DatabaseManager, value: str) -> None:
    """Any Unicode but NUL and surrogates."""
    assert await back(db, value) == value


@pytest.mark.parametrize(
    "value",
    [
        "'", "\\", "\\'", "''", '"', "%s", "%", "%%", "%(a)s", "😀", "a😀'\\", "-- ", "/*", "#",
        "\n\r\t\x1a\b",
        "'; DROP TABLE account; -- ", "\\' OR 1=1 -- ", "¿' OR 1=1 -- ", "\u2028", "?", ":name", "",
    ],
)  # fmt: skip
async def test_text_that_looks_like_sql(db: DatabaseManager, value: str) -> None:
    """As a value, in a stored row, and as a condition."""
    assert await back(db, value) == value
    await db.execute("INSERT INTO account (email) VALUES (?)", (value,))
    assert await db.fetch_value("SELECT email FROM account WHERE email = ?", (value,)) == value
    assert await db.fetch_value("SELECT count(*) FROM account") == 1


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@EXAMPLES
async def test_floats_are_exact(db: DatabaseManager, value: float) -> None:
    """To the last bit, the sign of zero apart."""
    assert await back(db, value) == value


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 0, -1, True, False, None])
async def test_integers_and_booleans(db: DatabaseManager, value: Any) -> None:
    """The extremes of 64 bits; a negative one after a minus sign is no comment."""
    assert await back(db, value) == value
    if type(value) is int and value > -(2**63):
        assert await db.fetch_value("SELECT 1-?", (value,)) == 1 - value


@pytest.mark.parametrize(
    "value",
    [
        datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC),
    ],
)  # fmt: skip
async def test_moments_come_back_aware(db: DatabaseManager, value: datetime) -> None:
    """In UTC, to the microsecond, also from a column."""
    await db.execute("CREATE TABLE m (a DATETIME(6), b DATETIME(3))")
    await db.execute("INSERT INTO m (a) VALUES (?)", (value,))
    for found in (await back(db, value), await db.fetch_value("SELECT a FROM m")):
        assert found == value
        assert found.utcoffset() == timedelta(0)
    assert await db.fetch_value("SELECT a FROM m WHERE a = ?", (value,)) == value


async def test_dates_uuids_and_json(db: DatabaseManager) -> None:
    """A date as a date; a UUID as text, which fits CHAR(36) and MariaDB's own type; JSON as text."""
    for day in (date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)):
        assert await back(db, day) == day
    ident = UUID("c0ffee00-0000-4000-8000-00000000cafe")
    await db.execute("CREATE TABLE i (a CHAR(36), b UUID, c JSON)")
    await db.execute("INSERT INTO i VALUES (?, ?, ?)", (ident, ident, Json({"a": "\\'\"😀\n"})))
    row = await db.fetch_one("SELECT a, b, c FROM i WHERE a = ? AND b = ?", (ident, ident))
    assert row is not None
    assert list(row) == [str(ident), str(ident), '{"a":"\\\\\'\\"😀\\n"}']


@pytest.mark.parametrize("text", ["1.5", "-0.000001", "1E+3", "99999999999999999999999999999999.123456"])
async def test_decimals_are_exact(db: DatabaseManager, text: str) -> None:
    """Through a DECIMAL(38, 6)."""
    await db.execute("CREATE TABLE d (a DECIMAL(38, 6))")
    put = declared("INSERT INTO d VALUES (:a)", "decimal(6)")
    await db.execute(put, {"a": Decimal(text)})
    assert await db.fetch_value("SELECT a FROM d") == Decimal(text)


@pytest.mark.parametrize("text", ["1E+100", "NaN", "Infinity", "1.1234567", "1" * 66])
async def test_decimals_that_do_not_fit_are_refused(db: DatabaseManager, text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(DataError) as raised:
        await db.fetch_value(declared("SELECT :a", "decimal(6)"), {"a": Decimal(text)})
    assert raised.value.sent is False


def declared(text: str, kind: str) -> Query[Any]:
    return Query(name="q", shared=text, parameters=[Parameter("a", ParameterType.parse(kind))])


async def test_percent_signs_in_texts(db: DatabaseManager) -> None:
    """With and without parameters, with an empty list, and in a script."""
    assert await db.fetch_value("SELECT 10 % 3") == 1
    assert await db.fetch_value("SELECT '%s %d %% %(a)s'") == "%s %d %% %(a)s"
    assert await db.fetch_value("SELECT concat(?, '%s %% %') LIKE 'a%'", ("a",)) == 1
    assert await db.fetch_value("SELECT '%' WHERE 1 IN :a", {"a": [1]}) == "%"
    assert await db.fetch_value("SELECT '%' WHERE 1 NOT IN :a", {"a": []}) == "%"
    await db.execute_script("INSERT INTO account (email) VALUES ('100%'); SELECT 1 % 1;")
    assert await db.fetch_value("SELECT email FROM account") == "100%"


async def test_text_up_to_the_largest_packet(db: DatabaseManager) -> None:
    """What the server takes comes back; one byte more is refused before it is sent."""
    limit = await db.fetch_value("SELECT @@max_allowed_packet")
    overhead = len("SELECT length('')") + 5
    assert await db.fetch_value("SELECT length(?)", ("x" * (limit - overhead),)) == limit - overhead
    with pytest.raises(DataError, match="max_allowed_packet") as raised:
        await db.fetch_value("SELECT length(?)", ("x" * (limit - overhead + 1),))
    assert raised.value.sent is False
    assert await db.fetch_value("SELECT 1") == 1


async def test_ten_megabytes_are_stored(db: DatabaseManager) -> None:
    """Text of four-byte characters."""
    text = "😀" * 2_500_000
    await db.execute("CREATE TABLE big (a LONGTEXT)")
    await db.execute("INSERT INTO big VALUES (?)", (text,))
    assert await db.fetch_value("SELECT a FROM big") == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\0", "\ud800", 2**63])
async def test_what_the_server_would_change_is_refused(db: DatabaseManager, value: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(DataError) as raised:
        await back(db, value)
    assert raised.value.sent is False


async def test_text_compares_by_code_point(db: DatabaseManager) -> None:
    """Case, accents and spaces at the end count, whatever the server's own collation."""
    for sql in ("'a' = 'A'", "'a' = 'a '", "'e' = 'é'", "'B' > 'a'"):
        assert await db.fetch_value(f"SELECT {sql}") == 0
    assert await db.fetch_value("SELECT :a = 'a '", {"a": "a"}) == 0


async def test_a_key_of_zero_is_stored_as_zero(db: DatabaseManager) -> None:
    """And does not become the next number."""
    await db.execute("INSERT INTO account (account_id, email) VALUES (0, 'zero')")
    assert await db.fetch_value("SELECT account_id FROM account") == 0


async def test_a_deep_recursion_is_not_cut_off(db: DatabaseManager) -> None:
    """The server's own limit would end it in silence after 1000 rows."""
    sql = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000)"
    assert await db.fetch_value(sql + " SELECT count(*) FROM c") == 5000


async def test_a_value_of_more_than_16_mb_at_the_head_of_its_row_comes_back(
    server: MariaDbServer, url: str, settings: Settings
) -> None:
    """Its row begins like the packet that ends an answer; the rows after it come as well."""
    ((before,),) = server.administer("SELECT @@global.max_allowed_packet")
    server.administer("SET GLOBAL max_allowed_packet = 64 * 1024 * 1024")
    try:
        async with DatabaseManager(url, settings=settings) as db:
            text = "SELECT repeat('x', 16777216 + :more) UNION ALL SELECT 'y'"
            for more in (-1, 0, 1, 2**24):
                rows = [row[0] for row in await db.fetch_all(text, {"more": more})]
                assert [len(value) for value in rows] == [2**24 + more, 1]
                rows = [row[0] async for row in db.stream(text, {"more": more}, batch_size=1)]
                assert [len(value) for value in rows] == [2**24 + more, 1]
            value = b"\xfe" * (2**24 + 3)
            assert await back(db, value) == value
    finally:
        server.administer(f"SET GLOBAL max_allowed_packet = {before}")


async def test_group_concat_is_not_cut_off(db: DatabaseManager) -> None:
    """Neither by the server's own limit, nor after a statement that set another."""
    text = "SELECT length(group_concat(repeat('x', 600000) SEPARATOR '')) FROM seq_1_to_2"
    assert await db.fetch_value(text) == 1_200_000
    await db.execute("SET group_concat_max_len = 10")
    assert await db.fetch_value(text) == 1_200_000


async def test_a_table_is_one_that_knows_transactions(db: DatabaseManager) -> None:
    """Whatever engine the server, or a statement before, has made the default."""
    await db.execute("SET default_storage_engine = 'MyISAM'")
    await db.execute("CREATE TABLE plain (x INTEGER)")
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO plain (x) VALUES (1)")
            raise ZeroDivisionError
    assert await db.fetch_value("SELECT count(*) FROM plain") == 0
