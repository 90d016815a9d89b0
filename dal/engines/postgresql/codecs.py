"""How values of some types travel, where the driver's own way changes them.

Its own way reads 9999-12-31 as infinity, and stores it so; gives JSON as text; and gives UUIDs of its own
class, which no whitelist of exact types lets in again.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import asyncpg

_FIRST_DAY = date(2000, 1, 1)
_FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)


async def set_codecs(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Have *connection* read and write dates, times, UUIDs and JSON exactly."""
    await connection.set_type_codec("date", schema="pg_catalog", encoder=_days, decoder=_date, format="tuple")
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_microseconds, decoder=_moment, format="tuple"
    )
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=_uuid_bytes, decoder=_uuid, format="binary"
    )
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=str, decoder=json.loads, format="text"
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


def _uuid_bytes(value: UUID) -> bytes:
    return value.bytes


def _uuid(value: bytes) -> UUID:
    return UUID(bytes=value)
