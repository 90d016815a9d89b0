"""The values that may be bound to a statement, and how a model reads what was stored.

Values are accepted by their exact type. Whatever a driver might round, truncate, cut off or print
with ``repr`` is refused here, with the same error on every engine, before anything is sent.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, JsonValue, ValidationInfo

from dal.errors import DataError

Encoder = Callable[[Any], Any]
Encoders = Mapping[type, Encoder]

MAX_DIGITS = 65  # of a DECIMAL on MariaDB
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1


class Json:
    """Marks *value* to be stored as JSON: ``Json({"a": 1})``, ``Json(None)`` for a JSON null."""

    __slots__ = ("value",)

    def __init__(self, value: JsonValue) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Json(...)"


@dataclass(frozen=True, slots=True)
class ParameterType:
    """The type that a query's header gives a parameter: ``int``, ``decimal(6)``, ``text[]``.

    Attributes:
        kind: A key of `KINDS`.
        scale: Digits after the point, for ``decimal`` only.
        many: True for a list of such values.
    """

    kind: str
    scale: int | None = None
    many: bool = False

    @classmethod
    def parse(cls, text: str) -> ParameterType:
        """Read a type as a header writes it.

        Raises:
            ValueError: *text* is no such type; the message lists those that are.
        """
        match = _TYPE.fullmatch(text.strip())
        kind = match["kind"] if match else ""
        if match is None or kind not in KINDS or (match["scale"] is not None) != (kind == "decimal"):
            known = ", ".join(name if name != "decimal" else "decimal(SCALE)" for name in KINDS)
            raise ValueError(f"unknown parameter type {text.strip()!r}; there are {known}, and TYPE[]")
        scale = None if match["scale"] is None else int(match["scale"])
        return cls(kind, scale, many=match["many"] is not None)

    def __str__(self) -> str:
        scale = "" if self.scale is None else f"({self.scale})"
        return f"{self.kind}{scale}{'[]' if self.many else ''}"


_TYPE = re.compile(r"(?P<kind>\w+)(?:\((?P<scale>\d{1,2})\))?(?P<many>\[\])?")

KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "int": (int,),
    "float": (float,),
    "bool": (bool,),
    "bytes": (bytes,),
    "date": (date,),
    "timestamp": (datetime,),
    "uuid": (UUID,),
    "json": (Json, dict, list, str, int, float, bool),
    "decimal": (Decimal,),
}
"""Each parameter type and the exact Python types that it takes, None apart."""

SCALARS: tuple[type, ...] = (type(None), bool, int, float, str, bytes, date, datetime, UUID, Json)
"""What an undeclared parameter takes. A Decimal needs a declared scale."""


def refused(what: str) -> DataError:
    """The error for a value that no engine would store exactly; nothing was sent."""
    return DataError(what, sent=False)


def same(value: Any) -> Any:
    """Return *value*: the driver takes it as it is."""
    return value


def checked_int(value: int) -> int:
    """Return *value*, which must fit 64 bits."""
    if not INTEGER_MIN <= value <= INTEGER_MAX:
        raise refused("an integer beyond 64 bits cannot be stored; send it as text or as a decimal")
    return value


def checked_float(value: float) -> float:
    """Return *value*, which must be finite: SQLite stores NaN as NULL, MariaDB has neither."""
    if not math.isfinite(value):
        raise refused("NaN and infinity cannot be stored")
    return value


def checked_text(value: str) -> str:
    """Return *value*, which must be valid Unicode without NUL (PostgreSQL refuses it)."""
    if "\0" in value:
        raise refused("text with a NUL character cannot be stored; send it as bytes")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise refused("text with a lone surrogate is no Unicode and cannot be stored") from None
    return value


def checked_timestamp(value: datetime) -> datetime:
    """Return *value* in UTC; it must be aware."""
    offset = value.utcoffset()
    if offset is None:
        raise refused("a datetime without a time zone is ambiguous; use datetime.now(UTC)")
    try:
        return value.astimezone(UTC) if offset or value.tzinfo is not UTC else value
    except OverflowError:
        raise refused("a datetime before the year 1 or after the year 9999 in UTC cannot be stored") from None


def checked_decimal(value: Decimal, scale: int) -> Decimal:
    """Return *value*, which must be finite and have at most *scale* digits after the point."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise refused("a decimal that is NaN or infinite cannot be stored")
    if value and value.adjusted() + scale >= MAX_DIGITS:
        raise refused(f"a decimal of more than {MAX_DIGITS} digits cannot be stored")
    excess = -exponent - scale
    if excess > 0 and any(digits[-excess:]):
        raise refused(
            f"a decimal with more than {scale} digits after the point would be rounded; quantize it"
        )
    return value


MAX_JSON_DEPTH = 128  # orjson writes 254 at most
MAX_JSON_ITEMS = 8 * 1024 * 1024  # of one level: shared parts may make a small value a huge text

TOO_MANY_ITEMS = "too many items"
"""The flaw of a value that has more items than were asked for."""


def flaw_of_json(value: Any, levels: int = MAX_JSON_DEPTH, items: int = MAX_JSON_ITEMS) -> str | None:
    """Return why *value* is no JSON that everybody reads alike, None if it is.

    Refused is what some JSON library would refuse, change, or write in its own way: other types, keys
    that are no text, NaN, integers beyond 64 bits. Goes down level by level, so that neither a cycle nor
    shared parts can make it run away.

    Args:
        levels: How deep it may be.
        items: How many one level may have; beyond, the answer is `TOO_MANY_ITEMS`.
    """
    level = [value]
    for _ in range(levels):
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                if not all(type(name) is str for name in item):
                    return "a dictionary's keys must be text"
                inner += item.values()
            elif kind is list:
                inner += item
            elif kind is float:
                if not math.isfinite(item):
                    return "NaN and infinity are no JSON"
            elif kind is int:
                if not -(2**63) <= item < 2**64:
                    return "an integer beyond 64 bits"
            elif kind not in (str, bool, NoneType):
                known = "dict, list, str, int, float, bool and None"
                return f"a value of type {kind.__name__} is no JSON; JSON has {known}"
            if len(inner) > items:
                return TOO_MANY_ITEMS
        if not inner:
            return None
        level = inner
    return f"more than {levels} levels inside each other"


_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def json_text(value: Any, levels: int = MAX_JSON_DEPTH) -> str:
    """Return *value* (or what a `Json` holds) as compact JSON text: strict, keys in their order."""
    if type(value) is Json:
        value = value.value
    flaw = flaw_of_json(value, levels)
    if flaw is not None:
        raise refused(flaw)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), check_circular=False)
    if _ESCAPED_NUL.search(text):
        raise refused("JSON with a NUL character in a text cannot be stored")
    return checked_text(text)


def encode(encoders: Encoders, value: Any) -> Any:
    """Return *value* as its engine's driver wants it.

    Raises:
        DataError: The value's exact type is not among *encoders*, or the value itself is refused.
    """
    encoder = encoders.get(type(value))
    if encoder is not None:
        return encoder(value)
    if isinstance(value, Enum):
        return encode(encoders, value.value)
    raise refused(_unfit(type(value), encoders))


def _check_ints(values: Sequence[int]) -> None:
    try:
        struct.pack(f"{len(values)}q", *values)  # as 64-bit integers
    except struct.error:
        raise refused("one of the integers is beyond 64 bits") from None


def _check_floats(values: Sequence[float]) -> None:
    checked_float(sum(values))  # NaN and infinity stay in a sum


def _check_texts(values: Sequence[str]) -> None:
    for start in range(0, len(values), _JOINED):
        checked_text("".join(values[start : start + _JOINED]))


_JOINED = 50  # texts: few enough to be copied even if they are large

_CHECKS: Mapping[Encoder, Callable[[Sequence[Any]], None]] = {
    same: lambda _: None,
    checked_int: _check_ints,
    checked_float: _check_floats,
    checked_text: _check_texts,
}
"""The encoders that return the value itself, and what looks at many of their values at once.

Such a check may refuse what the encoder takes, but takes nothing that it refuses.
"""


def kinds_kept(encoders: Encoders) -> frozenset[type] | None:
    """Return the exact types, None apart, of what goes to the driver; None if *encoders* change values."""
    if not all(encoder in _CHECKS for encoder in encoders.values()):
        return None
    return frozenset(encoders) - {NoneType}


def encode_column(encoders: Encoders, column: Sequence[Any]) -> Sequence[Any]:
    """Return *column*, each value as its engine's driver wants it.

    Raises:
        KeyError: A value's exact type is not among *encoders*.
        DataError: A value is refused, or looks as if it had to be: `encode` tells.
    """
    kinds = set(map(type, column))
    values = column
    if len(kinds) == 2 and NoneType in kinds and encoders[NoneType] is same:
        kinds.remove(NoneType)
        values = list(filter(None, column))  # zero and empty text go with None: they pass every check
    if len(kinds) == 1:
        check = _CHECKS.get(encoders[kinds.pop()])
        if check is not None:
            check(values)
            return column
    return [encoders[type(value)](value) for value in column]


def _unfit(given: type, encoders: Encoders) -> str:
    known = ", ".join(sorted(t.__name__ for t in encoders if t is not type(None)))
    if given is Decimal:
        return "a Decimal needs its scale: declare the parameter as decimal(SCALE) in the query's header"
    hint = "; wrap it in Json(...) to store it as JSON" if given in (dict, list, tuple) else ""
    return f"a value of type {given.__name__} does not fit; this parameter takes {known}{hint}"


@dataclass(frozen=True, slots=True)
class Storage:
    """What an engine stores in another form than the model's: the context of every validation.

    Attributes:
        json_as_text: JSON columns come back as text.
        decimal_as_integer: Decimals come back as integers, multiplied by ten to their scale.
    """

    json_as_text: bool = False
    decimal_as_integer: bool = False


class Scale:
    """The digits after the point of a decimal column: ``Annotated[Decimal, Scale(6)]``."""

    def __init__(self, digits: int) -> None:
        self.digits = digits

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Called by Pydantic: read a stored integer as the decimal that it stands for."""
        from pydantic_core import core_schema

        def read(value: Any, info: ValidationInfo) -> Any:
            storage = info.context
            if isinstance(storage, Storage) and storage.decimal_as_integer and type(value) is int:
                return Decimal(value).scaleb(-self.digits)
            return value

        return core_schema.with_info_before_validator_function(read, handler(source))


def _read_json(value: Any, info: ValidationInfo) -> Any:
    storage = info.context
    if isinstance(storage, Storage) and storage.json_as_text and type(value) is str:
        return json.loads(value)
    return value


JsonColumn = BeforeValidator(_read_json)
"""Marks a model's field that is a JSON column: ``Annotated[dict[str, int], JsonColumn]``."""


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""An aware datetime, always in UTC."""
