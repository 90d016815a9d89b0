"""What the parameters of a prepared statement take: nothing is changed silently on the way in.

asyncpg by itself truncates 1.7 for an integer, cuts the time off a datetime for a date, sends the nearest
float for a large int, and stores what a float is made of, 0.1000000000000000055, in a numeric.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from dal.errors import DataError
from dal.queries.statement import Statement
from dal.values import refused

Check = Callable[[Any], None]
Table = Mapping[type, Check | None]
"""The exact types that a parameter takes, and what is left to check of a value; None for nothing."""


def _exact_as_double(value: int) -> None:
    if int(float(value)) != value:
        raise refused("an integer this large would be rounded as a double precision number")


def _exact_as_single(value: float) -> None:
    try:
        same = struct.unpack("f", struct.pack("f", value))[0] == value
    except OverflowError:
        same = False
    if not same:
        raise refused("the number would be rounded to single precision; make the column double precision")


class _Range:
    """Takes the integers from *low* to *high*; if the least and the greatest of some pass, all do."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def __call__(self, value: int) -> None:
        if not self._low <= value <= self._high:
            raise refused("the integer is out of the range that the statement gives it")


_TEXT: Table = {str: None}

_TABLES: dict[str, Table] = {
    "bool": {bool: None},
    "int2": {int: _Range(-(2**15), 2**15 - 1)},
    "int4": {int: _Range(-(2**31), 2**31 - 1)},
    "int8": {int: None},
    "float4": {float: _exact_as_single, int: _exact_as_single},
    "float8": {float: None, int: _exact_as_double},
    "numeric": {Decimal: None, int: None},
    "text": _TEXT,
    "varchar": _TEXT,
    "bpchar": _TEXT,
    "name": _TEXT,
    "bytea": {bytes: None},
    "date": {date: None},
    "timestamptz": {datetime: None},
    "timestamp": {},
    "interval": {},
    "uuid": {UUID: None},
    "json": _TEXT,
    "jsonb": _TEXT,
}
_OTHER: Table = {str: None, int: None, bool: None, bytes: None, list: None}  # the driver checks the rest

_HINTS = {
    "text": "; where PostgreSQL cannot tell the type it takes text: write cast(:name AS bigint), say",
    "timestamp": "; a timestamp without a time zone is ambiguous: make it timestamptz",
    "interval": "; send it as text: write cast(cast(:name AS text) AS interval)",
    "numeric": "; a float is not exact: declare the parameter as decimal(SCALE) and give a Decimal",
}


class Parameters:
    """Checks the values of one prepared statement.

    Args:
        types: What the server said that each parameter is.
    """

    def __init__(self, types: Sequence[asyncpg.Type]) -> None:
        self.types = types
        self._tables = tuple(_table(kind) for kind in types)
        self._statement: Statement | None = None
        self._left: tuple[tuple[int, Table], ...] = ()

    def check(self, args: Sequence[Any], statement: Statement) -> None:
        """Raise if a value of *args* would not be stored exactly as it is.

        Args:
            args: The values as they go to the driver.
            statement: Knows what the query calls each of them.

        Raises:
            DataError: Nothing was sent.
        """
        try:
            for position, table in self._left if statement is self._statement else self._left_for(statement):
                value = args[position]
                if value is not None:
                    check = table[type(value)]
                    if check is not None:
                        check(value)
        except (KeyError, ValueError, DataError):
            raise self._explained(args, statement) from None

    def check_all(self, rows: Sequence[tuple[Any, ...]], statement: Statement) -> None:
        """Do what `check` does for each of *rows*, column by column."""
        try:
            for position, table in self._left_for(statement):
                _check_column([row[position] for row in rows], table)
        except (KeyError, ValueError, DataError):
            for args in rows:
                self.check(args, statement)
            raise AssertionError("one of the rows does not fit") from None

    def _left_for(self, statement: Statement) -> tuple[tuple[int, Table], ...]:
        """Return which values may not fit, as *statement* declares them, and what checks them."""
        self._left = tuple(
            (position, table)
            for position, (kinds, table) in enumerate(zip(statement.kinds, self._tables, strict=True))
            if kinds is None or not all(kind in table and table[kind] is None for kind in kinds)
        )
        self._statement = statement
        return self._left

    def checks(self, kind: asyncpg.Type) -> bool:
        """Say whether nothing is left to the driver to check of a value of *kind*, a scalar or an array."""
        return kind.schema == "pg_catalog" and bool(_TABLES.get(kind.name.removesuffix("[]")))

    def _explained(self, args: Sequence[Any], statement: Statement) -> DataError:
        """The error for the first value that does not fit."""
        if len(args) != len(self._tables):
            return refused(f"the statement takes {len(self._tables)} values, not {len(args)}")
        for position, (value, table) in enumerate(zip(args, self._tables, strict=True)):
            if value is None:
                continue
            label = f"parameter {statement.names[position]}"
            if type(value) not in table:
                return self._misfit(label, position, value)
            check = table[type(value)]
            try:
                if check is not None:
                    check(value)
            except DataError as error:
                return refused(f"{label}: {error.args[0]}")
        raise AssertionError("one of the values does not fit")

    def _misfit(self, label: str, position: int, value: object) -> DataError:
        kind = self.types[position].name
        takes = ", ".join(sorted(known.__name__ for known in self._tables[position])) or "nothing but None"
        return refused(
            f"{label} is {kind} in the statement and takes {takes}, "
            f"not {type(value).__name__}{_HINTS.get(kind, '')}"
        )


def _check_column(values: Sequence[Any], table: Table) -> None:
    """Raise if *table* does not take one of *values*."""
    kinds = set(map(type, values))
    for kind in kinds - {type(None)}:
        check = table[kind]
        if check is None:
            continue
        of_kind = values if len(kinds) == 1 else [value for value in values if type(value) is kind]
        for value in (min(of_kind), max(of_kind)) if isinstance(check, _Range) else of_kind:
            check(value)


def _table(kind: asyncpg.Type) -> Table:
    if kind.schema != "pg_catalog":
        return _OTHER
    if kind.kind != "array":
        return _TABLES.get(kind.name, _OTHER)
    elements = _TABLES.get(kind.name.removesuffix("[]"), _OTHER)

    def check(values: list[Any]) -> None:
        for value in values:
            if value is None:
                continue
            if type(value) not in elements:
                known = ", ".join(sorted(known.__name__ for known in elements))
                raise refused(f"its elements are {known}, not {type(value).__name__}")
            test = elements[type(value)]
            if test is not None:
                test(value)

    return {list: check}
