"""How stored values compare, sort and add up: as those of Python do."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dal.database import DatabaseManager
from tests.conformance.things import EXACT, KINDS, NOTHING, Thing, load_text, stored


async def test_a_column_sorts_as_python_does(thing_db: DatabaseManager) -> None:
    """Numbers by size, text by code point, bytes by byte, times by time; whatever they are stored as."""
    names = ["whole", "ratio", "price", "words", "raw", "day", "moment"]
    for name in names:
        values = [value for value in EXACT[name] if value is not None]
        values = [Decimal(value) for value in values] if name == "price" else values
        values = [value for value in values if not isinstance(value, (str, bytes)) or len(value) < 1000]
        await thing_db.execute("DELETE FROM thing")
        await thing_db.execute_many(thing_db.queries.put, [NOTHING | {name: value} for value in values])
        things = await thing_db.fetch_all(
            load_text(f"SELECT {', '.join(KINDS)} FROM thing ORDER BY {name}, id", Thing)
        )
        assert [getattr(thing, name) for thing in things] == sorted(values)


async def test_the_least_and_the_greatest_are_those_of_python(thing_db: DatabaseManager) -> None:
    """Of moments and of days around the year 1 and the year 9999, before and after 1970."""
    for name in ("moment", "day"):
        values = [value for value in EXACT[name] if value is not None]
        await thing_db.execute("DELETE FROM thing")
        await thing_db.execute_many(thing_db.queries.put, [NOTHING | {name: value} for value in values])
        for function in (min, max):
            row = await thing_db.fetch_one(
                load_text(
                    f"SELECT {', '.join(KINDS)} FROM thing "
                    f"WHERE {name} = (SELECT {function.__name__}({name}) FROM thing)",
                    Thing,
                )
            )
            assert getattr(row, name) == function(values)


@given(prices=st.lists(st.decimals(-(10**9), 10**9, places=6), min_size=1, max_size=20))
@hypothesis_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_a_sum_of_decimals_is_exact(thing_db: DatabaseManager, prices: list[Decimal]) -> None:
    """To the last digit, as often as they are added up; floats would not be."""
    await thing_db.execute("DELETE FROM thing")
    await thing_db.execute_many(thing_db.queries.put, [NOTHING | {"price": price} for price in prices])
    assert await thing_db.fetch_value(thing_db.queries.total) == sum(prices)


async def test_an_empty_text_is_not_null(thing_db: DatabaseManager) -> None:
    """Nor are no bytes, zero, false or an empty document."""
    await stored(thing_db, words="", raw=b"", whole=0, ratio=0.0, truth=False, doc={})
    columns = ("words", "raw", "whole", "ratio", "truth", "doc")
    condition = " AND ".join(f"{name} IS NOT NULL" for name in columns)
    assert await thing_db.fetch_value(f"SELECT count(*) FROM thing WHERE {condition}") == 1
    await stored(thing_db)
    condition = " AND ".join(f"{name} IS NULL" for name in KINDS)
    assert await thing_db.fetch_value(f"SELECT count(*) FROM thing WHERE {condition}") == 1


async def test_none_is_equal_to_nothing(thing_db: DatabaseManager) -> None:
    """Bound in a condition it is SQL's NULL: not equal, not unequal, not even to itself."""
    await stored(thing_db, words="a")
    await stored(thing_db, words=None)
    for sign in ("=", "<>"):
        sql = f"SELECT count(*) FROM thing WHERE words {sign} :x"
        assert await thing_db.fetch_value(sql, {"x": None}) == 0


async def test_texts_are_not_normalised(db: DatabaseManager) -> None:
    """One letter with its accent and the same in two characters are two keys, both found by themselves."""
    composed, combined = "caf\u00e9", "cafe\u0301"
    sql = "INSERT INTO account (email) VALUES (:email)"
    await db.execute_many(sql, [{"email": composed}, {"email": combined}, {"email": "cafe"}])
    for word in (composed, combined):
        row = await db.fetch_one("SELECT email FROM account WHERE email = :email", {"email": word})
        assert row is not None
        assert row["email"] == word


async def test_a_stored_zero_is_a_zero(thing_db: DatabaseManager) -> None:
    """Of either sign, as a key of its own row, and not taken for "the next number"."""
    for ratio in (0.0, -0.0):
        assert (await stored(thing_db, ratio=ratio)).ratio == 0
    assert await thing_db.fetch_value("SELECT count(*) FROM thing WHERE ratio = :x", {"x": 0.0}) == 2
    assert await thing_db.fetch_value("SELECT count(*) FROM thing WHERE ratio = :x", {"x": -0.0}) == 2


async def test_decimals_compare_and_add_up_as_numbers(thing_db: DatabaseManager) -> None:
    """Not as text, and not as floats."""
    for price in ("0.1", "0.2", "10", "9", "-1"):
        await stored(thing_db, price=Decimal(price))
    found = await thing_db.fetch_all(thing_db.queries.prices_above, {"low": Decimal("0.1")})
    assert [thing.price for thing in found] == [Decimal("0.2"), Decimal(9), Decimal(10)]
    assert await thing_db.fetch_value(thing_db.queries.total) == Decimal("18.3")


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
