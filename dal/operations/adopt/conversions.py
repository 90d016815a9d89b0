"""What the texts of ``sql/<system>/adopt.sqlite.sql`` call: old values in today's form.

None stays None. A value that has no such form becomes a BLOB with the reason, which no STRICT column of
today's takes: the statement fails, and nothing is guessed.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from uuid import UUID

from dal.errors import DataError
from dal.values import checked_int, checked_text

_OFFSET = r"[+-](?:0\d|1[0-4]):[0-5]\d"  # those that SQLite reads, too
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|" + _OFFSET + ")?)?", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)\.(\d+))?(Z|" + _OFFSET + ")?)?",
    re.ASCII,
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}(\1[0-9a-fA-F]{4}){2}\1[0-9a-fA-F]{12}")

_SCALE = {scale: Decimal(1).scaleb(-scale) for scale in range(19)}


class Unfit(Exception):
    """A value that today's column cannot hold; the text says why, without the value."""


class Conversions:
    """The functions for one connection.

    Attributes:
        reasons: Why values were refused, since `clear`.
    """

    def __init__(self, *, rounding: bool) -> None:
        self._rounding = rounding
        self.reasons: list[str] = []

    def register(self, connection: sqlite3.Connection) -> None:
        """Make the functions known to *connection*."""
        functions: dict[str, tuple[int, Callable[..., Any]]] = {
            "as_key": (1, _key),
            "as_integer": (1, _integer),
            "as_units": (2, self._units),
            "as_day": (1, _day),
            "as_moment": (1, self._moment),
            "as_text": (1, _text),
            "as_uuid": (1, _uuid),
        }
        for name, (count, function) in functions.items():
            connection.create_function(name, count, self._checked(function), deterministic=True)
        connection.create_function("as_decimal", 2, _decimal, deterministic=True)

    def _checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def convert(value: object, *options: object) -> Any:
            if value is None and function is not _key:
                return None
            try:
                return function(value, *options)
            except (Unfit, DataError) as error:
                reason = str(error)
            self.reasons.append(reason)
            return reason.encode()

        return convert

    def _units(self, value: object, scale: int) -> int:
        if isinstance(value, str):
            if _NUMBER.fullmatch(value.strip(" ")) is None:
                raise Unfit("is no number")
            exact = Decimal(value.strip(" "))
        elif isinstance(value, int):
            exact = Decimal(value)
        elif isinstance(value, float):
            exact = Decimal(repr(value))
            if not exact.is_finite():
                raise Unfit("is not finite")
        else:
            raise Unfit("is no number")
        if exact and exact.adjusted() + scale > 18:
            raise Unfit(f"does not fit 64 bits with {scale} digits after the point")
        units = exact.scaleb(scale)
        if self._rounding:
            units = units.quantize(_SCALE[0], rounding=ROUND_HALF_EVEN)
        elif units != units.to_integral_value():
            raise Unfit(f"has more than {scale} digits after the point")
        return checked_int(int(units))

    def _moment(self, value: object) -> str:
        found = _MOMENT.fullmatch(value.strip(" ")) if isinstance(value, str) else None
        if found is None:
            raise Unfit("is no time as YYYY-MM-DD HH:MM:SS")
        day, clock, fraction, offset = found.groups()
        fraction = (fraction or "").rstrip("0")
        if len(fraction) > 6 and not self._rounding:
            raise Unfit("has more than 6 digits of a second")
        try:
            moment = datetime.fromisoformat(
                f"{day}T{clock or '00:00'}{':00' if clock and len(clock) == 5 else ''}"
            ).replace(microsecond=int(fraction[:6].ljust(6, "0")))
            if offset not in (None, "Z"):
                moment -= _offset(offset)
        except (ValueError, OverflowError):
            raise Unfit("is no time of the calendar") from None
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _offset(text: str) -> Any:
    return datetime.fromisoformat(f"2000-01-01T00:00:00{text}").utcoffset()


def _key(value: object) -> int:
    if value is None:
        raise Unfit("has no value")
    number = _integer(value)
    if number < 1:
        raise Unfit("is below 1, where pages begin")
    return number


def _integer(value: object) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,19}(\.0*)?", value.strip(" "), re.ASCII):
        return checked_int(int(value.strip(" ").partition(".")[0]))
    raise Unfit("is no whole number")


def _day(value: object) -> str:
    found = _DAY.fullmatch(value.strip(" ")) if isinstance(value, str) else None
    if found is None:
        if isinstance(value, str) and _MOMENT.fullmatch(value.strip(" ")):
            raise Unfit("is a time, not a day")
        raise Unfit("is no day as YYYY-MM-DD")
    try:
        return date.fromisoformat(found[1]).isoformat()
    except ValueError:
        raise Unfit("is no day of the calendar") from None


def _text(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise Unfit("is no text")
    return checked_text(value)


def _uuid(value: object) -> str:
    if not isinstance(value, str) or _UUID.fullmatch(value) is None:
        raise Unfit("is no UUID")
    return str(UUID(value))


def _decimal(units: Any, scale: int) -> Any:
    """What units stand for, as text: the way back, for a table that is in today's form."""
    return str(Decimal(units).scaleb(-scale)) if isinstance(units, int) else units


def now() -> str:
    """This moment as today's columns hold it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
