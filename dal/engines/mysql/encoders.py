"""How Python values go to MariaDB and MySQL: as literals of SQL.

The driver puts values into the text before it sends it. Each encoder here writes one literal, so what is
put in is settled when a value is bound; text and bytes are escaped by the driver's own functions. Those
hold for the character set and the SQL mode that `dal.engines.mysql.connection` sets and watches.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from asyncmy.converters import escape_bytes_prefixed, escape_string

from dal.values import (
    KINDS,
    SCALARS,
    Encoder,
    Encoders,
    Json,
    ParameterType,
    checked_decimal,
    checked_float,
    checked_int,
    checked_text,
    checked_timestamp,
    json_text,
    refused,
)

_JSON_LEVELS = 32  # of a document that MariaDB takes for valid
_DIGITS = 65  # of the widest DECIMAL; a literal with more would become the nearest one in silence


def _null(_: None) -> str:
    return "NULL"


def _bool(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def _int(value: int) -> str:
    return str(checked_int(value))


def _float(value: float) -> str:
    text = repr(checked_float(value))
    return text if "e" in text else f"{text}e0"  # without an exponent it would be a DECIMAL


def _text(value: str) -> str:
    return f"'{escape_string(checked_text(value))}'"


def _bytes(value: bytes) -> str:
    literal: str = escape_bytes_prefixed(value)
    return literal


def _date(value: date) -> str:
    return f"DATE'{value.isoformat()}'"


def _timestamp(value: datetime) -> str:
    moment = checked_timestamp(value).replace(tzinfo=None)
    return f"TIMESTAMP'{moment.isoformat(' ', 'microseconds')}'"


def _uuid(value: UUID) -> str:
    # Text fits a CHAR(36) column, and the UUID type that MariaDB has since 10.7.
    return f"'{value}'"


def _json(value: Any) -> str:
    return f"'{escape_string(json_text(value, _JSON_LEVELS))}'"


def _decimal(scale: int, value: Decimal) -> str:
    text = format(checked_decimal(value, scale), "f")
    if sum(map(str.isdigit, text)) > _DIGITS:
        raise refused(f"a decimal of more than {_DIGITS} digits cannot be stored")
    return text


_ENCODERS: dict[type, Encoder] = {
    type(None): _null,
    bool: _bool,
    int: _int,
    float: _float,
    str: _text,
    bytes: _bytes,
    date: _date,
    datetime: _timestamp,
    UUID: _uuid,
    Json: _json,
}


@cache
def encoders(declared: ParameterType | None) -> Encoders:
    """Return the encoder for each exact type that a parameter declared so takes."""
    if declared is None:
        return {kind: _ENCODERS[kind] for kind in SCALARS}
    scale = declared.scale or 0
    by_kind: dict[str, Callable[[type], Encoder]] = {
        "json": lambda _: _json,
        "decimal": lambda _: lambda value: _decimal(scale, value),
    }
    encoder = by_kind.get(declared.kind, _ENCODERS.__getitem__)
    return {type(None): _null, **{kind: encoder(kind) for kind in KINDS[declared.kind]}}
