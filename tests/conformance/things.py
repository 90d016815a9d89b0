"""A table with a column of every type, its model and its queries; the edges of each type."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, JsonValue

from dal.database import DatabaseManager
from dal.queries import Query
from dal.values import JsonColumn, Scale, UtcDatetime


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


async def stored(db: DatabaseManager, **values: Any) -> Thing:
    """The row with *values*, as it comes back."""
    await db.execute(db.queries.put, NOTHING | values)
    newest: Query[Thing] = db.queries.newest
    thing = await db.fetch_one(newest)
    assert thing is not None
    return thing


def load_text(sql: str, model: type) -> Query[Any]:
    """A query that returns *model*."""
    return Query(name="q", shared=sql, kind="many", returns=model)


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
