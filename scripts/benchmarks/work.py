"""The work that everyone does: the rows, the model that they become, and the texts.

The row of a number is computed, here and in each engine's own SQL, so that every answer can be compared
with what it must be. Reads go to the table `item`, inserts to `written`, updates to `counted`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel

COLUMNS = ("item_id", "code", "name", "quantity", "price", "note")

COUNTED = 1000
"""Rows in `counted`, which are updated again and again."""

BATCH = 500
"""Rows that everyone reads at a time when it streams."""


class Item(BaseModel):
    """What a row becomes."""

    item_id: int
    code: str
    name: str
    quantity: int
    price: float
    note: str | None


class Record(NamedTuple):
    """A row as it goes in."""

    item_id: int
    code: str
    name: str
    quantity: int
    price: float
    note: str | None


def record(number: int) -> Record:
    """Return the row with this number."""
    return Record(
        number,
        f"code-{number:010d}",
        f"item {number}",
        number % 997,
        number % 4000 * 0.25,
        None if number % 5 == 0 else f"a note on item {number}",
    )


def plain(item: Any) -> tuple[Any, ...]:
    """Return the values of a model or entity, whatever its class."""
    return tuple(getattr(item, column) for column in COLUMNS)


def checksum(items: Iterable[Any]) -> tuple[int, int]:
    """Return how many items there are, and the sum of their quantities."""
    count = total = 0
    for item in items:
        count += 1
        total += item.quantity
    return count, total


def expected_checksum(count: int) -> tuple[int, int]:
    """Return what `checksum` makes of the rows 1 to *count*."""
    return count, sum(number % 997 for number in range(1, count + 1))


LIST = ", ".join(COLUMNS)
POINT = f"SELECT {LIST} FROM item WHERE item_id = {{0}}"
FROM = f"SELECT {LIST} FROM item WHERE item_id >= {{0}} ORDER BY item_id LIMIT {{1}}"
INSERT = f"INSERT INTO written ({LIST}) VALUES ({{0}}, {{1}}, {{2}}, {{3}}, {{4}}, {{5}})"
UPDATE = "UPDATE counted SET quantity = {1} WHERE item_id = {0}"

QMARK = ("?",) * 6
NUMBERED = ("$1", "$2", "$3", "$4", "$5", "$6")
FORMAT = ("%s",) * 6


def text(template: str, markers: Iterable[str]) -> str:
    """Return *template* with a driver's own markers for its parameters."""
    return template.format(*markers)


def named(template: str, *names: str) -> str:
    """Return *template* with ``:name`` for its parameters."""
    return template.format(*(f":{name}" for name in names))


TABLES = ("item", "written", "counted")

_COLUMN_TYPES = {
    "sqlite": ("INTEGER PRIMARY KEY", "TEXT", "TEXT", "INTEGER", "REAL", "TEXT", ") STRICT"),
    "postgresql": ("BIGINT PRIMARY KEY", "TEXT", "TEXT", "INTEGER", "DOUBLE PRECISION", "TEXT", ")"),
    "mysql": ("BIGINT PRIMARY KEY", "VARCHAR(40)", "VARCHAR(40)", "INT", "DOUBLE", "VARCHAR(80)", ")"),
}


def creation(engine: str, table: str) -> str:
    """Return the statement that makes *table*."""
    *types, end = _COLUMN_TYPES[engine]
    required = ["", " NOT NULL", " NOT NULL", " NOT NULL", " NOT NULL", ""]
    columns = ", ".join(
        f"{column} {kind}{rule}" for column, kind, rule in zip(COLUMNS, types, required, strict=True)
    )
    return f"CREATE TABLE {table} ({columns}{end}"


_FILLING = {
    "sqlite": "WITH RECURSIVE numbers (n) AS (SELECT {0} UNION ALL SELECT n + 1 FROM numbers WHERE n < {1}) "
    "INSERT INTO {2} SELECT n, printf('code-%010d', n), 'item ' || n, n % 997, n % 4000 * 0.25, "
    "CASE WHEN n % 5 <> 0 THEN 'a note on item ' || n END FROM numbers",
    "postgresql": "INSERT INTO {2} SELECT n, 'code-' || lpad(n::text, 10, '0'), 'item ' || n, n % 997, "
    "n % 4000 * 0.25, CASE WHEN n % 5 <> 0 THEN 'a note on item ' || n END "
    "FROM generate_series({0}, {1}) AS n",
    "mysql": "INSERT INTO {2} SELECT seq, concat('code-', lpad(seq, 10, '0')), concat('item ', seq), "
    "seq % 997, seq % 4000 * 0.25, IF(seq % 5 <> 0, concat('a note on item ', seq), NULL) "
    "FROM seq_{0}_to_{1}",
}

_AT_ONCE = 500_000


def filling(engine: str, table: str, rows: int) -> list[str]:
    """Return the statements that put the rows 1 to *rows* into *table*."""
    return [
        _FILLING[engine].format(first, min(first + _AT_ONCE - 1, rows), table)
        for first in range(1, rows + 1, _AT_ONCE)
    ]


EMPTYING = {
    "sqlite": "DELETE FROM written",
    "postgresql": "TRUNCATE written",
    "mysql": "TRUNCATE TABLE written",
}
SETTLING = {
    "sqlite": ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"),
    "postgresql": ("VACUUM (ANALYZE) item", "CHECKPOINT"),
    "mysql": ("ANALYZE TABLE item",),
}
