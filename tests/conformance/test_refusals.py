"""Values that no engine would keep as they are: refused before they are sent, the same everywhere."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dal.database import DatabaseManager
from dal.errors import DatabaseError, DataError, ParameterError
from dal.queries import load_queries
from dal.values import MAX_JSON_DEPTH, Json
from tests.engine_cases import EngineCase

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"


class OddText(str):
    __slots__ = ()


class OddInt(int):
    pass


class OddBytes(bytes):
    pass


class OddFloat(float):
    pass


class OddMoment(datetime):
    pass


class OddDate(date):
    pass


class OddUuid(UUID):
    pass


class OddDecimal(Decimal):
    pass


class Holds(Enum):
    TUPLE = ("a", 1)
    TEXT = "a\0b"
    LARGE = 2**63
    MOMENT = datetime(2026, 1, 1)


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


REFUSED |= {
    "subclass of bytes": OddBytes(b"x"),
    "subclass of float": OddFloat(1.5),
    "subclass of datetime": OddMoment(2026, 1, 1, tzinfo=UTC),
    "subclass of date": OddDate(2026, 1, 1),
    "subclass of UUID": OddUuid(int=1),
    "subclass of Decimal": OddDecimal("1.5"),
    "subclass of dict": OrderedDict(a=1),
    "time": time(1, 2, 3),
    "aware time": time(1, 2, 3, tzinfo=UTC),
    "Fraction": Fraction(1, 3),
    "path": PurePath("x"),
    "address": IPv4Address("127.0.0.1"),
    "range": range(3),
    "generator": (n for n in range(3)),
    "frozenset": frozenset({1}),
    "exception": ValueError("x"),
    "Ellipsis": ...,
    "NotImplemented": NotImplemented,
    "datetime after year 9999 in UTC": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2))),
    "ten thousand digits": 10**4000,
    "surrogate pair in two characters": "\ud83d\ude00",
    "surrogate at the end": "a\udfff",
    "enum of a tuple": Holds.TUPLE,
    "enum of a text with NUL": Holds.TEXT,
    "enum of 2**63": Holds.LARGE,
    "enum of a naive datetime": Holds.MOMENT,
    "bytes in JSON": Json(b"x"),  # type: ignore[arg-type]  # that is what is tested
    "Decimal in JSON": Json(Decimal("1.5")),  # type: ignore[arg-type]  # as above
    "datetime in JSON": Json(datetime(2026, 1, 1, tzinfo=UTC)),  # type: ignore[arg-type]  # as above
    "JSON in JSON": Json(Json(1)),  # type: ignore[arg-type]  # as above
    "infinity in JSON": Json([-math.inf]),
}


async def refusal(db: DatabaseManager, value: Any) -> BaseException | None:
    """The error that binding *value* raises, None if it was taken."""
    try:
        await db.fetch_value("SELECT :value", {"value": value})
    except Exception as error:
        return error
    return None


async def test_what_would_be_changed_is_refused_before_it_is_sent(db: DatabaseManager) -> None:
    """One error class, nothing sent, and no value in the message."""
    for what, value in REFUSED.items():
        error = await refusal(db, value)
        assert type(error) in (DataError, ParameterError), what
        assert getattr(error, "sent", False) is False, what
        assert what == "ten thousand digits" or f"{value!r} " not in str(error), what


async def test_a_bad_value_leaves_the_connection_usable(db: DatabaseManager) -> None:
    """Far more refusals than there are connections."""
    for _ in range(20):
        with pytest.raises(DatabaseError):
            await db.fetch_value("SELECT :x", {"x": "\0"})
        with pytest.raises(DatabaseError):
            await db.execute("INSERT INTO account (email, balance) VALUES ('a', 'x')")
    assert await db.fetch_value("SELECT count(*) FROM account") == 0


async def streamed(db: DatabaseManager, value: Any) -> None:
    async for _ in db.stream("SELECT :email", {"email": value}):
        pass


async def in_a_block(db: DatabaseManager, value: Any) -> None:
    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": value})


VERBS: dict[str, Callable[[DatabaseManager, Any], Awaitable[Any]]] = {
    "execute": lambda db, value: db.execute(ADD, {"email": value}),
    "fetch_one": lambda db, value: db.fetch_one("SELECT :email", {"email": value}),
    "fetch_all": lambda db, value: db.fetch_all(ADD + " RETURNING email", {"email": value}),
    "stream": streamed,
    "execute_many": lambda db, value: db.execute_many(ADD, [{"email": "a"}, {"email": value}]),
    "execute_transaction": lambda db, value: db.execute_transaction(
        [(ADD, {"email": "a"}), (ADD, {"email": value})]
    ),
    "a block": in_a_block,
}


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_refuses_a_bad_value(db: DatabaseManager, verb: str) -> None:
    """Before anything of the call is sent, what stands before it in the call included."""
    for value in ("a\0", "\ud800", 2**63, math.nan, datetime(2026, 1, 1), object(), Json({"a": "\0"})):
        with pytest.raises((DataError, ParameterError)):
            await VERBS[verb](db, value)
    assert await db.fetch_value(COUNT) == 0


async def test_a_bad_value_does_not_fail_its_block(db: DatabaseManager) -> None:
    """Nothing was sent, so the block goes on and commits."""
    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        for value in ("\0", 2**64, math.inf):
            with pytest.raises(DataError):
                await tx.execute(ADD, {"email": value})
        await tx.execute(ADD, {"email": "b"})
    assert await db.fetch_value(COUNT) == 2


@given(
    value=st.one_of(
        st.text().filter(lambda text: "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)),
        st.integers().filter(lambda n: not -(2**63) <= n < 2**63),
        st.sampled_from([math.nan, math.inf, -math.inf]),
        st.datetimes(),
        st.decimals(),
        st.fractions(),
        st.times(),
        st.timedeltas(),
        st.complex_numbers(),
        st.tuples(st.integers()),
        st.dictionaries(st.text(), st.integers()),
    )
)
@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_cannot_be_kept_is_refused(db: DatabaseManager, value: Any) -> None:
    """Any such text, number, time or container: typed, not sent, and not the value of another one."""
    with pytest.raises((DataError, ParameterError)) as raised:
        await db.fetch_value("SELECT :value", {"value": value})
    assert getattr(raised.value, "sent", False) is False


async def test_json_of_thirty_levels_comes_back_and_deeper_is_whole_or_refused(
    db: DatabaseManager, case: EngineCase, tmp_path: Path
) -> None:
    """Up to what each engine can read again; one level more is refused before it is sent, and so is a cycle."""
    (tmp_path / "q.sql").write_text("-- name: got() :value\n-- returns: json\nSELECT doc FROM page;\n")
    await db.execute(f"CREATE TABLE page (doc {case.types['json']}) {case['strict']}")
    got = load_queries(tmp_path).got
    document: Any = 1
    taken = 0
    for level in range(2, MAX_JSON_DEPTH + 2):
        document = {"a": document} if level % 2 else [document]
        await db.execute("DELETE FROM page")
        error = await refusal(db, Json(document))
        if error is not None:
            assert type(error) in (DataError, ParameterError)
            assert "level" in str(error)
            break
        await db.execute("INSERT INTO page (doc) VALUES (:doc)", {"doc": Json(document)})
        assert await db.fetch_value(got) == document
        taken = level
    assert taken >= 30
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(DataError, match="level"):
        await db.fetch_value("SELECT :x", {"x": Json(cycle)})


async def test_a_long_number_is_refused_at_once(db: DatabaseManager) -> None:
    """Its digits are never written out, which Python itself refuses beyond some thousands."""
    for value in (10**5000, -(10**5000), Decimal("1E+999999"), Decimal("1E-999999")):
        with pytest.raises((DataError, ParameterError)):
            await db.fetch_value("SELECT :x", {"x": value})
    assert sys.get_int_max_str_digits() < 5000


async def test_a_refusal_keeps_no_value_in_what_it_carries(db: DatabaseManager) -> None:
    """Not in its text, its arguments, its attributes or its notes."""
    for value in ("s3cr3t\0", {"s3cr3t": 1}, OddText("s3cr3t"), Json({"s3cr3t": "\0"}), ["s3cr3t"]):
        with pytest.raises((DatabaseError, ParameterError)) as raised:
            await db.fetch_value("SELECT :value", {"value": value})
        error = raised.value
        carried = f"{error} {error!r} {error.args} {vars(error)} {getattr(error, '__notes__', '')}"
        assert "s3cr3t" not in carried
