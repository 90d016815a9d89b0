"""How values of some types travel, where the driver's own way changes them.

Its own way reads 9999-12-31 as infinity, and stores it so, and infinity as 9999-12-31; takes a month of an
interval for 30 days; gives JSON as text; and gives UUIDs of its own class, which no whitelist of exact types
lets in again.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

_FIRST_DAY = date(2000, 1, 1)
_FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_NAIVE = datetime(2000, 1, 1)


async def set_codecs(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Have *connection* read and write dates, times, UUIDs and JSON exactly."""
    await connection.set_type_codec("date", schema="pg_catalog", encoder=_days, decoder=_date, format="tuple")
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_microseconds, decoder=_moment, format="tuple"
    )
    await connection.set_type_codec(
        "timestamp", schema="pg_catalog", encoder=_not_sent, decoder=_naive, format="tuple"
    )
    await connection.set_type_codec(
        "interval", schema="pg_catalog", encoder=_not_sent, decoder=_span, format="tuple"
    )
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=_uuid_bytes, decoder=_uuid, format="binary"
    )
    # COPY takes the binary form only. That of jsonb begins with its version.
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=str.encode, decoder=_json, format="binary"
    )
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_jsonb_bytes, decoder=_jsonb, format="binary"
    )


def _days(day: date) -> tuple[int]:
    return (day.toordinal() - _FIRST_DAY.toordinal(),)


def _date(days: tuple[int]) -> date:
    return _FIRST_DAY + timedelta(days=days[0])


def _microseconds(moment: datetime) -> tuple[int]:
    since = moment - _FIRST_MOMENT
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds,)


def _moment(microseconds: tuple[int]) -> datetime:
    return _FIRST_MOMENT + timedelta(microseconds=microseconds[0])


def _naive(microseconds: tuple[int]) -> datetime:
    return _FIRST_NAIVE + timedelta(microseconds=microseconds[0])


def _span(parts: tuple[int, int, int]) -> timedelta:
    months, days, microseconds = parts
    if months:
        raise ValueError("months have no fixed length")
    return timedelta(days=days, microseconds=microseconds)


def _not_sent(_: object) -> tuple[int]:
    raise TypeError("a parameter of this type takes no value")


def _json(value: bytes) -> Any:
    try:
        return json.loads(value.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _jsonb(value: bytes) -> Any:
    return _json(value[1:])


def _jsonb_bytes(text: str) -> bytes:
    return b"\x01" + text.encode()


def _uuid_bytes(value: UUID) -> bytes:
    return value.bytes


def _uuid(value: bytes) -> UUID:
    return UUID(bytes=value)
