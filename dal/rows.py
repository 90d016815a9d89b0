"""Driver rows -> `Row`, a Pydantic model, or a single value.

A result is validated once, as a list, never column by column in Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, overload

from pydantic import TypeAdapter, ValidationError

from dal.engines.base import Rows
from dal.errors import RowMismatch
from dal.values import Storage

_AMBIGUOUS = -1


class Row(Sequence[Any]):
    """One row of a query given as a string: values by name or by position, as the engine stores them."""

    __slots__ = ("_positions", "_values")

    def __init__(self, positions: Mapping[str, int], values: Sequence[Any]) -> None:
        self._positions = positions
        self._values = values

    @overload
    def __getitem__(self, key: int | str) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Any]: ...
    def __getitem__(self, key: int | str | slice) -> Any:
        """Return a value by column name or position.

        Raises:
            KeyError: No column, or more than one, has this name.
        """
        if not isinstance(key, str):
            return self._values[key]
        position = self._positions.get(key)
        if position is None:
            raise KeyError(f"no column {key!r}; there are {', '.join(self._positions)}")
        if position == _AMBIGUOUS:
            raise KeyError(
                f"several columns are called {key!r}; name them apart with AS, or use the position"
            )
        return self._values[position]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Row):
            return tuple(self) == tuple(other) and self.keys() == other.keys()
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __reduce__(self) -> tuple[object, ...]:
        return Row, (dict(self._positions), tuple(self._values))  # a driver's own row may refuse to be copied

    def keys(self) -> tuple[str, ...]:
        """Return the column names in order; one that occurs twice is named once."""
        return tuple(self._positions)

    def __repr__(self) -> str:
        return f"<Row {', '.join(self._positions)}>"  # no values: rows end up in logs


def decoded(rows: Rows, returns: type | None, storage: Storage) -> list[Any]:
    """Return the rows as *returns* (a model), or as `Row` where it is None.

    Raises:
        RowMismatch: A row does not fit the model, or two columns have one name.
    """
    columns, values = rows
    if returns is None:
        positions = _positions(columns)
        return [Row(positions, value) for value in values]
    as_dicts = [dict(zip(columns, value)) for value in values]  # noqa: B905  drivers give as many as there are
    models: list[Any] = _fitting(_validator_of_rows(returns, columns), as_dicts, storage)
    return models


def validated(kind: Any, value: Any, storage: Storage) -> Any:
    """Return *value* validated as *kind*.

    Raises:
        RowMismatch: It does not fit; the message names the fields, not the values.
    """
    return _fitting(_validator(kind), value, storage)


def _fitting(validator: Any, value: Any, storage: Storage) -> Any:
    try:
        return validator.validate_python(value, context=storage)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        # The row's number and the field; what comes deeper may be the keys of a stored JSON.
        where = ".".join(str(part) for part in first["loc"][:2]) or "the value"
        raise RowMismatch(
            f"{error.error_count()} values do not fit {error.title}; the first: {where}: {first['type']}"
        ) from None
    except RecursionError:
        raise RowMismatch("a stored JSON value is too deeply nested to be read") from None


@lru_cache(maxsize=1024)
def _positions(columns: tuple[str, ...]) -> Mapping[str, int]:
    positions: dict[str, int] = {}
    for position, name in enumerate(columns):
        positions[name] = _AMBIGUOUS if name in positions else position
    return positions


@lru_cache(maxsize=1024)
def _validator_of_rows(returns: type, columns: tuple[str, ...]) -> Any:
    """What validates a list of rows that have these columns."""
    if len(set(columns)) < len(columns):
        twice = ", ".join(name for name, position in _positions(columns).items() if position == _AMBIGUOUS)
        raise RowMismatch(f"several columns are called {twice}; name them apart with AS")
    return _validator(list[returns])  # type: ignore[valid-type]  # built at run time


@lru_cache(maxsize=1024)
def _validator(kind: Any) -> Any:
    return TypeAdapter(kind).validator
