"""Holds every ``-- reads:`` and ``-- writes:`` against what SQLite's compiler says of the text.

A cached answer is good until a table that it reads is written; both stand in headers, so that nothing has to
parse SQL when a query runs. Here SQLite compiles each text and reports the tables, also those that views read
and triggers write; foreign keys are followed by their ON DELETE and ON UPDATE. Run the check in a test, on a
database with the schema that is deployed. What a header says holds for the texts of all engines.

A text given as a string, and a query without a text for SQLite, cannot be checked: they must not write what a
cached query reads.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from databases import DatabaseURL

from dal.database import DatabaseManager
from dal.errors import QueryError, UsageError
from dal.queries import Query
from dal.queries.scanner import scan

_CHANGES = {
    sqlite3.SQLITE_INSERT: "INSERT",
    sqlite3.SQLITE_UPDATE: "UPDATE",
    sqlite3.SQLITE_DELETE: "DELETE",
}
_REPLACES = re.compile(r"\bREPLACE\s+INTO\b|\bOR\s+REPLACE\b", re.IGNORECASE)
_FOLLOWS = ("CASCADE", "SET NULL", "SET DEFAULT")


@dataclass(frozen=True, slots=True)
class TableFinding:
    """A header that is missing or wrong.

    Attributes:
        query: The query.
        place: ``path:line`` of its name.
        what: What is wrong, and what to write.
    """

    query: Query[Any]
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: query {self.query.name} {self.what}"


async def check_tables(
    db: DatabaseManager, queries: Iterable[Query[Any]] | None = None
) -> list[TableFinding]:
    """Return what is wrong with the headers ``reads`` and ``writes`` of *queries*; nothing is run.

    A cached query says all tables that it reads. Another query says all tables that it may write and that one
    of the cached ones reads; pass the queries of all that share the database.

    Args:
        db: Connected to a SQLite database with the schema that the queries are for.
        queries: Those of *db* if None.

    Raises:
        UsageError: *db* is on another engine.
        QueryError: A text does not fit the schema; the error says where it is.
    """
    url = DatabaseURL(db.url)
    if url.hostname or url.options.get("host"):
        raise UsageError("check_tables needs a database on SQLite, whose compiler it asks")
    found = db.queries if queries is None else list(queries)
    return await asyncio.to_thread(_check, Path(url.database), found, db)


def _check(file: Path, queries: Iterable[Query[Any]], db: DatabaseManager) -> list[TableFinding]:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        compiler = _Compiler(connection)
        seen = [(query, _seen(compiler, query, db)) for query in queries]
    cached = {table for query, tables in seen if query.cache for table in (*tables.reads, *query.reads)}
    return [
        TableFinding(query, query.place(db._engine.dialect), what)
        for query, tables in seen
        for what in _flaws(query, tables, cached)
    ]


class _Seen(NamedTuple):
    """The tables that a query reads and writes, and whether there is a text to see it from."""

    reads: set[str]
    writes: set[str]
    has_text: bool


def _seen(compiler: _Compiler, query: Query[Any], db: DatabaseManager) -> _Seen:
    dialect = db._engine.dialect
    if not query.has_text(dialect):
        return _Seen(set(), set(), has_text=False)
    if query.kind == "script":
        text = query.text(dialect)
        statements = [text[begin:end] for begin, end in scan(text, dialect).statements]
    else:
        statements = [query.statement(dialect, db._engine.encoders).sql]
    reads: set[str] = set()
    changes: set[_Change] = set()
    for statement in statements:
        try:
            report = compiler.compile(statement)
        except sqlite3.Error as error:
            raise QueryError(f"{query.place(dialect)}: query {query.name}: {error}") from error
        reads |= report.reads
        changes |= report.changes
    writes = {change.table for change in compiler.with_consequences(changes)}
    return _Seen(reads, writes, has_text=True)


def _flaws(query: Query[Any], seen: _Seen, cached: set[str]) -> Iterator[str]:
    if not seen.has_text:
        if query.reads or query.writes:
            yield "has no text for SQLite, so that its headers cannot be proven"
        return
    reads, writes = set(query.reads), set(query.writes)
    if query.cache or reads:
        if missing := seen.reads - reads:
            yield f"reads {_list(missing)}: write `-- reads: {_list(seen.reads)}`"
        if wrong := reads - seen.reads:
            yield f"does not read {_list(wrong)}, as its header says"
    if query.cache and seen.writes:
        yield f"is cached, and writes {_list(seen.writes)}"
    elif missing := (seen.writes & cached) - writes:
        yield (
            f"writes {_list(missing)}, which a cached query reads: "
            f"write `-- writes: {_list(seen.writes & cached | writes & seen.writes)}`"
        )
    if wrong := writes - seen.writes:
        yield f"does not write {_list(wrong)}, as its header says"


def _list(tables: Iterable[str]) -> str:
    return ", ".join(sorted(tables))


class _Change(NamedTuple):
    """A kind of change of a table; *column* is the changed one for ``UPDATE``."""

    kind: str
    table: str
    column: str = ""


class _Report(NamedTuple):
    reads: set[str]
    changes: set[_Change]


class _ForeignKey(NamedTuple):
    """A reference to *column* (None: the primary key) of *parent*."""

    child: str
    child_column: str
    parent: str
    column: str | None
    on_update: str
    on_delete: str


class _Compiler:
    """SQLite's own, on *connection*."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        everything = {name.lower() for (name,) in connection.execute(_TABLES)}
        shadows = {row[1].lower() for row in connection.execute("PRAGMA table_list") if row[2] == "shadow"}
        self._tables = everything - shadows
        self._keys = [
            _ForeignKey(child, row[3], row[2].lower(), row[4], row[5], row[6])
            for child in self._tables
            for row in connection.execute(f"PRAGMA foreign_key_list({_quoted(child)})")
        ]

    def compile(self, statement: str) -> _Report:
        """Return what *statement* reads and changes, triggers included."""
        report = _Report(set(), set())

        def note(action: int, name: str | None, column: str | None, *_: str | None) -> int:
            table = (name or "").lower()
            if table in self._tables:
                if action == sqlite3.SQLITE_READ:
                    report.reads.add(table)
                elif action in _CHANGES:
                    report.changes.add(_Change(_CHANGES[action], table, (column or "").lower()))
            return sqlite3.SQLITE_OK

        self._connection.set_authorizer(note)
        try:
            self._connection.execute(f"EXPLAIN {statement}").close()
        except sqlite3.ProgrammingError as error:
            if "binding" not in str(error):  # compiled, which is all that is wanted
                raise
        finally:
            self._connection.set_authorizer(None)
        if _REPLACES.search(statement):
            report.changes.update(
                _Change("DELETE", change.table) for change in set(report.changes) if change.kind == "INSERT"
            )
        return report

    def with_consequences(self, changes: Iterable[_Change]) -> set[_Change]:
        """Return *changes* and those that foreign keys make of them, with the triggers of those."""
        known: set[_Change] = set()
        new = set(changes)
        while new:
            known |= new
            new = {further for change in new for further in self._further(change)} - known
        return known

    def _further(self, change: _Change) -> Iterator[_Change]:
        for key in self._keys:
            if key.parent != change.table:
                continue
            column = _quoted(key.child_column)
            if change.kind == "DELETE" and key.on_delete == "CASCADE":
                yield from self.compile(f"DELETE FROM {_quoted(key.child)}").changes
            elif (change.kind == "DELETE" and key.on_delete in _FOLLOWS) or (
                change.kind == "UPDATE"
                and key.on_update in _FOLLOWS
                and (key.column is None or key.column.lower() == change.column)
            ):
                yield from self.compile(f"UPDATE {_quoted(key.child)} SET {column} = NULL").changes


_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
