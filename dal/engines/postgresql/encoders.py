"""How Python values go to PostgreSQL: as they are, once they are checked.

The whitelist is that of every engine. What a parameter of the statement takes is checked besides, see
`dal.engines.postgresql.parameters`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
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
    same,
)

_LARGE_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<float>-?[\d.]+e\+\d+)', re.DOTALL)


def _json(value: Any) -> str:
    """JSON text; jsonb makes 1e+16 an integer, but leaves 10000000000000000.0 what it is."""
    text = json_text(value)
    return _LARGE_FLOAT.sub(_written_out, text) if "e+" in text else text


def _written_out(found: re.Match[str]) -> str:
    return f"{Decimal(found['float']):f}.0" if found["float"] else found[0]


_ENCODERS: dict[type, Encoder] = {
    type(None): same,
    bool: same,
    int: checked_int,
    float: checked_float,
    str: checked_text,
    bytes: same,
    date: same,
    datetime: checked_timestamp,
    UUID: same,
    Json: _json,
}


@cache
def encoders(declared: ParameterType | None) -> Encoders:
    """Return the encoder for each exact type that a parameter declared so takes."""
    if declared is None:
        return {kind: _ENCODERS[kind] for kind in SCALARS}
    scale = declared.scale or 0

    def decimal(value: Decimal) -> Decimal:
        return checked_decimal(value, scale)

    by_kind: dict[str, Callable[[type], Encoder]] = {
        "json": lambda _: _json,
        "decimal": lambda _: decimal,
    }
    encoder = by_kind.get(declared.kind, _ENCODERS.__getitem__)
    return {type(None): same, **{kind: encoder(kind) for kind in KINDS[declared.kind]}}
