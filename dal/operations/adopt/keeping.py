"""What is the user's own in an old file: kept as it is, or else a reason to refuse.

A table, index, trigger or view of theirs is kept where it cannot mean anything else afterwards. What reads or
writes the tables that are turned into today's could: prices become integers there.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from dal.operations.adopt.catalog import Catalog, Difference, Index, Other, Table

_WORD = re.compile(r"\w+")


@dataclass
class Kept:
    """What is copied as it is, in the order in which it was made."""

    tables: list[Table] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)

    def names(self) -> list[str]:
        """The names of all of it."""
        names = [table.name for table in self.tables]
        return [*names, *(index.name for index in self.indexes), *(other.name for other in self.others)]


def kept_from(old: Catalog, today: Catalog, ours: Collection[str]) -> tuple[Kept, list[Difference]]:
    """Return what of *old* is kept, and what becomes of all else that *today* does not have.

    Args:
        ours: The tables that are turned into today's.
    """
    kept = Kept()
    found: list[Difference] = []
    for name, table in old.tables.items():
        if name in today.tables:
            continue
        if table.kind == "virtual" and set(_WORD.findall(table.sql.lower())) & set(ours):
            found.append(Difference(table.name, "is virtual, and uses one of these; drop it", blocks=True))
        else:
            kept.tables.append(table)
    for name, index in old.indexes.items():
        if name in today.indexes and today.indexes[name].table == index.table:
            continue
        if name in today.indexes:
            found.append(
                Difference(index.table, f"the index {index.name} has a name of today's", blocks=True)
            )
            continue
        if index.table not in today.tables:
            kept.indexes.append(index)
            continue
        difference = _fate_of_index(index, today)
        if difference is None:
            kept.indexes.append(index)
        else:
            found.append(difference)
    for name, other in old.others.items():
        if name in today.others and today.others[name].table == other.table:
            continue
        if set(other.tokens) & set(ours):
            found.append(
                Difference(other.table, f"the {other.kind} {other.name} uses the table; drop it", blocks=True)
            )
        else:
            kept.others.append(other)
    return kept, found


def _fate_of_index(index: Index, today: Catalog) -> Difference | None:
    if index.columns is None:
        return Difference(
            index.table, f"the index {index.name} is partial or on an expression; drop it", blocks=True
        )
    table = today.tables[index.table]
    if not index.ascending:
        return None
    for keys, name in _keys(table, today):
        if keys[: len(index.columns)] == index.columns and not index.unique:
            return Difference(index.table, f"the index {index.name} is dropped; {name} does its work")
    if index.unique and tuple(sorted(index.columns)) in {*table.unique, table.primary_key}:
        return Difference(index.table, f"the index {index.name} is dropped; a constraint does its work")
    return None


def _keys(table: Table, today: Catalog) -> Iterator[tuple[tuple[str, ...], str]]:
    for index in today.indexes.values():
        if index.table == table.name and index.columns is not None and index.ascending:
            yield index.columns, index.name
    for unique in table.unique_in_order:
        yield unique, f"the unique key ({', '.join(unique)})"


def copy(connection: sqlite3.Connection, kept: Kept) -> dict[str, int]:
    """Copy it from the attached database ``old``; return the rows of each table.

    Triggers are made last, so that none fires.
    """
    rows = {}
    for table in kept.tables:
        if table.kind == "virtual":
            continue
        connection.execute(table.sql)
        columns = ", ".join(_quoted(column.name) for column in table.columns.values() if not column.hidden)
        if table.has_rowid and "rowid" not in table.columns and not _has_number(table):
            columns = f"rowid, {columns}"
        name = _quoted(table.name)
        connection.execute(f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM old.{name}")
        (rows[table.name],) = connection.execute(f"SELECT count(*) FROM main.{name}").fetchone()
        if "autoincrement" in table.tokens:
            _copy_sequence(connection, table.name)
    for index in kept.indexes:
        connection.execute(index.sql)
    _copy_virtual(connection, [table for table in kept.tables if table.kind == "virtual"])
    for other in kept.others:
        connection.execute(other.sql)
    return rows


def _copy_virtual(connection: sqlite3.Connection, tables: list[Table]) -> None:
    """What a virtual table holds lies in plain tables, which are copied: it is declared, and not made."""
    connection.execute("PRAGMA writable_schema = ON")
    for table in tables:
        connection.execute(
            "INSERT INTO main.sqlite_schema (type, name, tbl_name, rootpage, sql)"
            " VALUES ('table', ?1, ?1, 0, ?2)",
            (table.name, table.sql),
        )
    connection.execute("PRAGMA writable_schema = OFF")


def unequal(connection: sqlite3.Connection, kept: Kept) -> list[str]:
    """Return the tables that are not the same in ``main`` and ``old``, row by row in both directions."""
    found = []
    for table in kept.tables:
        if table.kind == "virtual":
            continue
        name = _quoted(table.name)
        columns = ", ".join(_quoted(column.name) for column in table.columns.values())
        there, here = (f"SELECT {columns} FROM {schema}.{name}" for schema in ("old", "main"))
        (same,) = connection.execute(
            f"SELECT (SELECT count(*) FROM old.{name}) = (SELECT count(*) FROM main.{name})"
            f" AND NOT EXISTS ({there} EXCEPT {here}) AND NOT EXISTS ({here} EXCEPT {there})"
        ).fetchone()
        if not same:
            found.append(table.name)
    return found


def _has_number(table: Table) -> bool:
    key = table.primary_key
    return len(key) == 1 and table.columns[key[0]].type.upper() == "INTEGER"


def _copy_sequence(connection: sqlite3.Connection, table: str) -> None:
    connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (table,))
    connection.execute(
        "INSERT INTO main.sqlite_sequence (name, seq)"
        " SELECT name, seq FROM old.sqlite_sequence WHERE name = ?",
        (table,),
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
