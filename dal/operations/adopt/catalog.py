"""What a SQLite file says of its tables, and in what two files differ."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|\s+"  # passed over
    r"|(?P<quoted>'(?:[^']|'')*')"
    r'|"(?P<double>(?:[^"]|"")*)"|`(?P<tick>(?:[^`]|``)*)`|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<word>\w+)|(?P<sign>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Difference:
    """In what an old file differs from today's schema.

    Attributes:
        table: The table that it is about; or another object's name.
        blocks: The file cannot be adopted with it.
    """

    table: str
    text: str
    blocks: bool = False

    def __str__(self) -> str:
        return f"{self.table}: {self.text}"


@dataclass(frozen=True)
class Column:
    """A column as it was declared."""

    name: str
    type: str
    required: bool
    default: str | None
    hidden: bool


@dataclass(frozen=True)
class Table:
    """A table as it was declared.

    Attributes:
        kind: ``table``, ``virtual`` or ``shadow``.
        columns: By name in small letters.
        primary_key: Names in small letters.
        unique_in_order: The keys of UNIQUE constraints and unique indexes, without the primary key's.
        foreign_keys: Each in words.
        checks: The condition of each CHECK in tokens -> its name.
    """

    name: str
    kind: str
    sql: str
    tokens: tuple[str, ...]
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    unique_in_order: tuple[tuple[str, ...], ...]
    foreign_keys: frozenset[str]
    checks: Mapping[tuple[str, ...], str]
    strict: bool
    has_rowid: bool

    @property
    def unique(self) -> frozenset[tuple[str, ...]]:
        """The unique keys, whatever the order of their columns."""
        return frozenset(tuple(sorted(key)) for key in self.unique_in_order)


@dataclass(frozen=True)
class Index:
    """An index that a statement made.

    Attributes:
        columns: In small letters; None if it is partial or on an expression.
        ascending: Every column in its usual order.
    """

    name: str
    table: str
    sql: str
    tokens: tuple[str, ...]
    columns: tuple[str, ...] | None
    ascending: bool
    unique: bool


@dataclass(frozen=True)
class Other:
    """A trigger or a view."""

    kind: str
    name: str
    table: str
    sql: str
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Catalog:
    """All of a file but SQLite's own objects, by name in small letters."""

    tables: Mapping[str, Table]
    indexes: Mapping[str, Index]
    others: Mapping[str, Other]


def read(connection: sqlite3.Connection, schema: str = "main") -> Catalog:
    """Return the catalog of an attached database."""
    tables: dict[str, Table] = {}
    indexes: dict[str, Index] = {}
    others: dict[str, Other] = {}
    traits = {
        name: (kind, bool(strict), not without_rowid)
        for name, kind, strict, without_rowid in connection.execute(
            "SELECT name, type, strict, wr FROM pragma_table_list WHERE schema = ?", (schema,)
        )
    }
    objects = connection.execute(
        f"SELECT type, name, tbl_name, sql FROM {schema}.sqlite_schema"
        " WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
    ).fetchall()
    for kind, name, owner, sql in objects:
        if kind == "table":
            tables[name.lower()] = _table(connection, schema, name, sql, traits[name])
        elif kind == "index":
            indexes[name.lower()] = _index(connection, schema, name, owner.lower(), sql)
        else:
            others[name.lower()] = Other(kind, name, owner.lower(), sql, tokens(sql))
    return Catalog(tables, indexes, others)


def tokens(sql: str) -> tuple[str, ...]:
    """Return a statement without comments, spaces, quotes of names, and capitals."""
    found = []
    for match in _TOKEN.finditer(sql):
        if match.lastgroup is not None:
            text = match[match.lastgroup]
            found.append(text if match.lastgroup == "quoted" else text.lower())
    return tuple(found)


def differences(old: Catalog, today: Catalog, ours: Iterable[str]) -> Iterator[Difference]:
    """Say in what the tables *ours* of *old*, and what hangs on them, differ from those of *today*."""
    there = set()
    for name in ours:
        if name not in old.tables:
            yield Difference(name, "the table is missing; an empty one is made")
            continue
        there.add(name)
        if old.tables[name].tokens != today.tables[name].tokens:
            yield from _table_differences(old.tables[name], today.tables[name])
    for index in today.indexes.values():
        known = old.indexes.get(index.name)
        if index.table in there and (known is None or known.tokens != index.tokens):
            yield Difference(index.table, f"the index {index.name} is missing")
    for trigger in today.others.values():
        same = old.others.get(trigger.name)
        if trigger.table in there and (same is None or same.tokens != trigger.tokens):
            yield Difference(trigger.table, f"the trigger {trigger.name} is missing")


def _table_differences(old: Table, today: Table) -> Iterator[Difference]:
    name = today.name
    if old.kind != "table":
        yield Difference(name, "is a virtual table", blocks=True)
        return
    for key, column in today.columns.items():
        if key in old.columns:
            yield from _column_differences(name, old.columns[key], column)
        elif column.required and column.default is None and (key,) != today.primary_key:
            yield Difference(name, f"the column {column.name} is missing, and must have a value", blocks=True)
        else:
            yield Difference(name, f"the column {column.name} is missing")
    for key, column in old.columns.items():
        if key not in today.columns:
            yield Difference(name, f"today's table has no column {column.name}", blocks=True)
    if old.primary_key != today.primary_key:
        yield Difference(
            name, f"the primary key is {_listed(old.primary_key)}, today's {_listed(today.primary_key)}"
        )
    for unique in sorted(today.unique - old.unique):
        yield Difference(name, f"{_listed(unique)} is not unique")
    for unique in sorted(old.unique - today.unique - {today.primary_key}):
        yield Difference(name, f"{_listed(unique)} is unique, and is not today")
    for reference in sorted(today.foreign_keys - old.foreign_keys):
        yield Difference(name, f"the foreign key is missing: {reference}")
    for reference in sorted(old.foreign_keys - today.foreign_keys):
        yield Difference(name, f"today's table has no foreign key {reference}")
    for check, label in today.checks.items():
        if check not in old.checks:
            yield Difference(name, f"the check {label} is missing")
    for check, label in old.checks.items():
        if check not in today.checks:
            yield Difference(name, f"today's table has no check {label or ' '.join(check)}")
    if today.strict and not old.strict:
        yield Difference(name, "the table is not STRICT")
    if today.has_rowid and not old.has_rowid:
        yield Difference(name, "the table is WITHOUT ROWID")
    if "autoincrement" in old.tokens and "autoincrement" not in today.tokens:
        yield Difference(name, "the table is AUTOINCREMENT; today's gives a deleted last number again")


def _column_differences(table: str, old: Column, today: Column) -> Iterator[Difference]:
    found = []
    if old.type.lower() != today.type.lower():
        found.append(f"its type is {old.type or 'none'}, today's {today.type}")
    if old.required != today.required:
        found.append("it may be NULL" if today.required else "it may not be NULL, and may today")
    if _default(old) != _default(today):
        found.append(f"its default is {old.default or 'none'}, today's {today.default or 'none'}")
    if old.hidden:
        found.append("it is generated")
    if found:
        yield Difference(table, f"the column {today.name}: {'; '.join(found)}")


def _default(column: Column) -> tuple[str, ...]:
    return tokens(column.default or "")


def _table(
    connection: sqlite3.Connection, schema: str, name: str, sql: str, traits: tuple[str, bool, bool]
) -> Table:
    kind, strict, has_rowid = traits
    rows = connection.execute(
        'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?, ?)', (name, schema)
    ).fetchall()
    columns = {
        row[0].lower(): Column(row[0], row[1], bool(row[2]) or _numbers_rows(row), row[3], row[5] != 0)
        for row in rows
    }
    key = tuple(row[0].lower() for row in sorted(rows, key=lambda row: row[4]) if row[4] > 0)
    unique = [
        _index_columns(connection, schema, index)[0]
        for (index,) in connection.execute(
            "SELECT name FROM pragma_index_list(?, ?) WHERE \"unique\" AND NOT partial AND origin <> 'pk'",
            (name, schema),
        ).fetchall()
    ]
    references: dict[int, list[tuple[str, ...]]] = {}
    for number, target, column, at, on_update, on_delete in connection.execute(
        'SELECT id, "table", "from", coalesce("to", \'\'), on_update, on_delete'
        " FROM pragma_foreign_key_list(?, ?) ORDER BY id, seq",
        (name, schema),
    ):
        references.setdefault(number, []).append((target, column, at, on_update, on_delete))
    found = tokens(sql)
    return Table(
        name=name,
        kind=kind,
        sql=sql,
        tokens=found,
        columns=columns,
        primary_key=key,
        unique_in_order=tuple(index for index in unique if index is not None),
        foreign_keys=frozenset(map(_reference, references.values())),
        checks=_checks(found),
        strict=strict,
        has_rowid=has_rowid,
    )


def _numbers_rows(column: tuple[object, ...]) -> bool:
    """Say whether it is the row's own number; other primary keys may be NULL in SQLite."""
    return column[4] == 1 and str(column[1]).upper() == "INTEGER"


def _reference(parts: list[tuple[str, ...]]) -> str:
    target, _, _, on_update, on_delete = parts[0]
    own, its = (_listed(part[place] for part in parts) for place in (1, 2))
    return f"{own} to {target} {its} ON UPDATE {on_update} ON DELETE {on_delete}".lower()


def _index(connection: sqlite3.Connection, schema: str, name: str, table: str, sql: str) -> Index:
    found = tokens(sql)
    columns, ascending = _index_columns(connection, schema, name)
    if "where" in found:
        columns = None
    return Index(name, table, sql, found, columns, ascending, unique=found[1] == "unique")


def _index_columns(
    connection: sqlite3.Connection, schema: str, name: str
) -> tuple[tuple[str, ...] | None, bool]:
    rows = connection.execute(
        'SELECT name, "desc", coll FROM pragma_index_xinfo(?, ?) WHERE "key"', (name, schema)
    ).fetchall()
    ascending = not any(descending or collation != "BINARY" for _, descending, collation in rows)
    if any(column is None for column, _, _ in rows):
        return None, ascending
    return tuple(column.lower() for column, _, _ in rows), ascending


def _checks(found: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    checks = {}
    for place, token in enumerate(found[:-1]):
        if token == "check" and found[place + 1] == "(":
            depth, end = 1, place + 2
            while depth and end < len(found):
                depth += {"(": 1, ")": -1}.get(found[end], 0)
                end += 1
            name = found[place - 1] if found[place - 2] == "constraint" else ""
            checks[found[place + 2 : end - 1]] = name
    return checks


def _listed(names: Iterable[str]) -> str:
    return f"({', '.join(names)})"
