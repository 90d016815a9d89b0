"""How values go into SQLite, which stores 64-bit integers, floats, text and blobs.

Text forms have one fixed width, so that they compare and sort as the values do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial
from uuid import UUID

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
    same,
)


def _timestamp(value: datetime) -> str:
    return checked_timestamp(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _scaled(scale: int, value: Decimal) -> int:
    if value.is_finite() and value.adjusted() + scale > 18:  # before an integer of any size is made of it
        raise refused(f"a decimal of this size does not fit 64 bits with {scale} digits after the point")
    return checked_int(int(checked_decimal(value, scale).scaleb(scale)))


_ENCODERS: dict[type, Encoder] = {
    type(None): same,
    bool: int,
    int: checked_int,
    float: checked_float,
    str: checked_text,
    bytes: same,
    date: date.isoformat,
    datetime: _timestamp,
    UUID: str,
    Json: json_text,
}


@cache
def encoders(declared: ParameterType | None) -> Encoders:
    """Return the encoder for each exact type that a parameter declared so takes."""
    if declared is None:
        return {kind: _ENCODERS[kind] for kind in SCALARS}
    by_kind: dict[str, Callable[[type], Encoder]] = {
        "json": lambda _: json_text,
        "decimal": lambda _: partial(_scaled, declared.scale or 0),
    }
    encoder = by_kind.get(declared.kind, _ENCODERS.__getitem__)
    return {type(None): same, **{kind: encoder(kind) for kind in KINDS[declared.kind]}}
