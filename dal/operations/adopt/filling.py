"""Turns the rows of an old file into those of a new one, and compares what came out with what went in.

The new database is ``main``, the old one is attached as ``old``. How a table's rows become today's stands in
the system's ``adopt.sqlite.sql``. The comparison does not trust it: it goes by SQLite's own arithmetic and
clock.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence

from dal.errors import CorruptDatabase
from dal.operations.adopt.catalog import Catalog
from dal.operations.adopt.conversions import Conversions, now
from dal.queries import Queries
from dal.queries.dialects import DIALECTS

LISTED = 20
"""How many of the rows that are refused are named."""

_BATCH = 5000  # rows of one statement: how long a cancelled adoption goes on

_CALL = re.compile(r"\bas_(?P<kind>\w+)\((?P<column>\w+)(?:, (?P<scale>\d+))?\)")
_BLOB = re.compile(r"cannot store BLOB value in \w+ column \w+\.(?P<column>\w+)")
_FAILED = re.compile(r"(?P<kind>[A-Z ]+) constraint failed: (?P<what>.+)")

_EQUAL = {
    "key": "n.{c} = CAST(o.{c} AS INTEGER)",
    "integer": "n.{c} = CAST(o.{c} AS INTEGER)",
    "units": "abs(n.{c} / 1e{s} - CAST(o.{c} AS REAL)) <= abs(CAST(o.{c} AS REAL)) * 1e-14 + {slack}",
    "day": "n.{c} = substr(trim(o.{c}), 1, 10)",
    "moment": "abs(julianday(n.{c}) - julianday(trim(o.{c}))) < 2e-8",  # SQLite's clock counts milliseconds
    "text": "n.{c} = CAST(o.{c} AS TEXT)",
    "uuid": "n.{c} = as_uuid(o.{c}) AND replace(n.{c}, '-', '') = replace(lower(o.{c}), '-', '')",
}

Progress = Callable[[str, int, int], None]
"""Is told a table, how many of its rows are done, and how many there are; from another thread."""


class Stopped(Exception):
    """The work was cancelled."""


class Refusals:
    """The rows that today's schema refuses: the first in words, and how many more."""

    def __init__(self) -> None:
        self.count = 0
        self.tables: set[str] = set()
        self._first: list[str] = []

    def add(self, table: str, key: object, reason: str) -> None:
        """Remember a row."""
        self.count += 1
        self.tables.add(table)
        if self.count <= LISTED:
            self._first.append(f"{table} {key}: {reason}")

    def texts(self) -> list[str]:
        """All that is said of them."""
        more = self.count - len(self._first)
        return [*self._first, *([f"and {more} more rows"] if more else [])]


class Filling:
    """One filling of a new file.

    Attributes:
        refusals: What could not be put in.
        rows: How many rows each table has.
        filled: How many rows of a column had nothing, where today's must have something.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        texts: Queries,
        old: Catalog,
        today: Catalog,
        *,
        rounding: bool,
        stop: threading.Event,
        progress: Progress | None,
    ) -> None:
        self._connection = connection
        self._texts = {query.name: query.text(DIALECTS["sqlite"]) for query in texts if query.name}
        self._old = old
        self._today = today
        self._rounding = rounding
        self._stop = stop
        self._progress = progress
        self._now = now()
        self._conversions = Conversions(rounding=rounding)
        self.refusals = Refusals()
        self.rows = dict.fromkeys(self._texts, 0)
        self.filled: dict[str, int] = {}

    def fill(self) -> None:
        """Put all rows in; afterwards `refusals` has those that could not be."""
        self._conversions.register(self._connection)
        tables = [table for table in self._texts if table in self._old.tables]
        for table in self._texts:
            self._make_view(table)
        for table in tables:
            self._fill(table)
        self._find_orphans()

    def compare(self) -> None:
        """Compare every value of the new tables with the old one.

        Raises:
            CorruptDatabase: A value is another, or a row is missing or too much.
        """
        for table in self._texts:
            condition = " AND ".join(self._conditions(table)) or "1"
            (equal,) = self._connection.execute(
                f"SELECT count(*) FROM old_{table} AS o CROSS JOIN {table} AS n WHERE {condition}"
            ).fetchone()
            (there,) = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            if not equal == there == self.rows[table]:
                raise CorruptDatabase(
                    f"{table}: of {self.rows[table]} rows {equal} came out equal; nothing was changed"
                )

    def forget(self) -> None:
        """Take the views of the old tables out again: the user's own tables may have their names."""
        for table in self._texts:
            self._connection.execute(f"DROP VIEW temp.old_{table}")

    def _conditions(self, table: str) -> Iterator[str]:
        for kind, column, scale in self._calls(table):
            slack = f"0.50000001e-{scale}" if self._rounding else "0"
            condition = _EQUAL[kind].format(c=f'"{column}"', s=scale, slack=slack)
            if (column,) == self._today.tables[table].primary_key:
                yield condition
            elif self._today.tables[table].columns[column].required:
                yield f'(o."{column}" IS NULL OR {condition})'  # it was filled
            else:
                yield f'CASE WHEN o."{column}" IS NULL THEN n."{column}" IS NULL ELSE {condition} END'
        converted = {column for _, column, _ in self._calls(table)}
        for column, declared in self._today.tables[table].columns.items():
            counted = declared.required and declared.default is not None  # by a trigger, from other rows
            if column not in converted and not counted:
                yield f'n."{column}" IS o."{column}"'

    def _calls(self, table: str) -> list[tuple[str, str, str]]:
        return calls_in(self._texts[table])

    def _make_view(self, table: str) -> None:
        """The old table with today's columns, for the statements: NULL where it has none."""
        today = self._today.tables[table]
        scales = {column: scale for kind, column, scale in self._calls(table) if kind == "units"}
        old = self._old.tables.get(table)
        if old is None:
            nothing = ", ".join(f'NULL AS "{column}"' for column in today.columns)
            self._connection.execute(
                f"CREATE TEMP VIEW old_{table} AS SELECT NULL AS old_row, {nothing} WHERE 0"
            )
            return
        source = f'old."{old.name}"'
        if not old.has_rowid:
            source = f"temp.numbered_{table}"
            self._connection.execute(f'CREATE TEMP TABLE numbered_{table} AS SELECT * FROM old."{old.name}"')
        columns = []
        for column in today.columns:
            if column not in old.columns:
                value = "rowid" if (column,) == today.primary_key else "NULL"
            elif column in scales and old.tokens == today.tokens:
                value = f'as_decimal("{column}", {scales[column]})'  # in today's form already
            else:
                value = f'"{old.columns[column].name}"'
            columns.append(f'{value} AS "{column}"')
        self._connection.execute(
            f"CREATE TEMP VIEW old_{table} AS SELECT rowid AS old_row, {', '.join(columns)} FROM {source}"
        )

    def _fill(self, table: str) -> None:
        connection = self._connection
        (total,) = connection.execute(f"SELECT count(*) FROM old_{table}").fetchone()
        self.rows[table] = total
        done = 0
        numbers = connection.execute(f"SELECT old_row FROM old_{table} ORDER BY old_row")
        while batch := [number for (number,) in numbers.fetchmany(_BATCH)]:
            if self._stop.is_set():
                raise Stopped
            self._insert(table, batch)
            done += len(batch)
            if self._progress is not None:
                self._progress(table, done, total)
        for _, column, _ in self._calls(table):
            declared = self._today.tables[table].columns[column]
            if declared.required and declared.default is not None:
                (count,) = connection.execute(
                    f'SELECT count(*) FROM old_{table} WHERE "{column}" IS NULL'
                ).fetchone()
                if count:
                    self.filled[f"{table}.{column}"] = count

    def _insert(self, table: str, batch: Sequence[int]) -> None:
        """Put rows in; where one is refused, find it by halves and go on with the others."""
        self._conversions.reasons.clear()
        stretch = {"first_row": batch[0], "last_row": batch[-1], "now": self._now}
        try:
            self._connection.execute(self._texts[table], stretch)
        except sqlite3.Error as error:
            if not _is_fault_of_a_row(error):
                raise
            if len(batch) == 1:
                self._refuse(table, batch[0], error)
                return
            middle = len(batch) // 2
            self._insert(table, batch[:middle])
            self._insert(table, batch[middle:])

    def _refuse(self, table: str, number: int, error: sqlite3.Error) -> None:
        text = str(error)
        reasons = self._conversions.reasons
        if found := _BLOB.search(text):
            reason = f"{found['column']} {reasons[0] if reasons else 'has no form of today'}"
        elif "datatype mismatch" in text:
            reason = f"{self._key(table)} {reasons[0] if reasons else 'is no number'}"
        elif found := _FAILED.search(text):
            what = found["what"].replace(f"{table}.", "")
            reason = f"{found['kind']} {what}"
        else:
            reason = "a text is not valid UTF-8"
        self.refusals.add(table, self._key_of(table, number), reason)

    def _key(self, table: str) -> str:
        return self._today.tables[table].primary_key[0]

    def _key_of(self, table: str, number: int) -> str:
        key = self._key(table)
        try:
            (value,) = self._connection.execute(
                f'SELECT "{key}" FROM old_{table} WHERE old_row = ?', (number,)
            ).fetchone()
        except sqlite3.OperationalError:  # it cannot be decoded
            value = None
        return f"{key}={value}" if value is not None else f"rowid={number}"

    def _find_orphans(self) -> None:
        for table in self._texts:
            key = self._key(table)
            for _, number, parent, place in self._connection.execute(
                f"PRAGMA main.foreign_key_check({table})"
            ).fetchall():
                if parent in self.refusals.tables:
                    continue  # it is there, and was refused itself
                column = self._connection.execute(
                    'SELECT "from" FROM pragma_foreign_key_list(?) WHERE id = ?', (table, place)
                ).fetchone()[0]
                self.refusals.add(
                    table, f"{key}={number}", f"FOREIGN KEY {column} refers to no row of {parent}"
                )


def calls_in(text: str) -> list[tuple[str, str, str]]:
    """Return how a statement converts each column: the kind, the column, and the scale of a decimal."""
    found: dict[str, tuple[str, str, str]] = {}
    for match in _CALL.finditer(text):
        found.setdefault(match["column"], (match["kind"], match["column"], match["scale"] or "0"))
    return list(found.values())


def _is_fault_of_a_row(error: sqlite3.Error) -> bool:
    return isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError)) or "user-defined function" in str(
        error
    )
