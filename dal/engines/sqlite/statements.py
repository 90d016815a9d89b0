"""What runs inside the connection's thread: one statement, or several, to their results."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from dal.engines.base import Call, Rows, Want
from dal.engines.sqlite.connection import Connection, execute, executemany, release, rollback_to, savepoint
from dal.errors import StatementError, StatementRefused, TooManyRows
from dal.queries.dialects import SQLITE
from dal.queries.scanner import split_statements
from dal.queries.statement import Statement

T = TypeVar("T")

_COUNTED = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})  # the verbs whose rows sqlite3 counts
_ODD = frozenset({"VACUUM", "WITH"})
_PLANNED = _COUNTED | {"SELECT", "WITH", "VALUES"}
_name = itemgetter(0)  # of a column, in the description of a cursor
_COLUMN = re.compile("no such column: (?P<name>.*)", re.DOTALL)
_OUTSIDE = frozenset({"VACUUM", "PRAGMA"})
_ALONE = frozenset({"CREATE", "DROP", "ALTER", "REINDEX", "ANALYZE"})


def runs_outside(statement: Statement) -> bool:
    """Say whether SQLite refuses or ignores the statement inside a transaction."""
    return statement.verb in _OUTSIDE


def refuse_inside_transaction(statement: Statement) -> None:
    """Raise for what SQLite cannot do inside a transaction."""
    if statement.verb == "VACUUM":
        raise StatementRefused("VACUUM does not run inside a transaction", sent=False)


def runs_alone(statement: Statement) -> bool:
    """Say whether the statement shares its commit with no other: DDL, and what was found slow."""
    return statement.alone or statement.verb in _ALONE


def change(connection: Connection, call: Call) -> int:
    """Run *call* and return the number of rows that it changed."""
    if call.statement.verb in _ODD:
        return _change_oddly(connection, call)
    cursor = opened(connection, call.sql, call.args)
    if cursor.description is not None:
        cursor.fetchall()  # a RETURNING that is not read to its end holds its lock
    count = cursor.rowcount
    cursor.close()
    return count if count > 0 else 0


def _change_oddly(connection: Connection, call: Call) -> int:
    """Do the same for a statement of which sqlite3 counts no rows."""
    if call.statement.verb == "VACUUM":  # it attaches a file of its own, which the guard would refuse
        connection.own(call.sql, call.args)
        return 0
    before = connection.total_changes
    cursor = opened(connection, call.sql, call.args)
    cursor.fetchall()
    cursor.close()
    if connection.total_changes == before:
        return 0
    return int(execute(connection, "SELECT changes()").fetchone()[0])


def read(connection: Connection, call: Call, want: Want) -> Rows:
    """Run *call* and return the rows that are wanted; only for statements that write nothing."""
    cursor = opened(connection, call.sql, call.args)
    try:
        if cursor.description is None:
            return Rows((), [])
        columns = tuple(map(_name, cursor.description))
        if want == "all":
            return Rows(columns, cursor.fetchall())
        rows = cursor.fetchmany(2 if want == "one" else 1)
    finally:
        cursor.close()
    if len(rows) > 1:
        raise too_many_rows()
    return Rows(columns, rows)


def compile_only(connection: Connection, statement: Statement) -> None:
    """Have SQLite compile *statement*, if it is one that a plan can be shown of; nothing is run."""
    if statement.verb in _PLANNED:
        execute(connection, "SELECT 1 FROM sqlite_schema").close()  # EXPLAIN itself asks for no newer schema
        sql = f"EXPLAIN {statement.sql}"
        opened(connection, sql, (None,) * len(statement.names)).close()


def write_and_read(connection: Connection, call: Call, want: Want) -> Rows:
    """Run *call*, a write that returns rows, to its end, and return the rows that are wanted."""
    rows = read(connection, call, "all")
    if want == "one" and len(rows.values) > 1:
        raise too_many_rows()
    return rows if want == "all" else Rows(rows.columns, rows.values[:1])


def too_many_rows() -> TooManyRows:
    """The error for a second row where one was asked for."""
    return TooManyRows("the query matched more than one row; add a LIMIT, or declare it :first or :many")


def change_many(connection: Connection, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run *statement* once for each of *rows*."""
    if statement.verb in _COUNTED and "RETURNING" not in statement.sql.upper():  # Python 3.12 misuses it
        executemany(connection, statement.sql, rows).close()
        return
    for args in rows:
        opened(connection, statement.sql, args).close()


def change_all(connection: Connection, calls: Sequence[Call]) -> None:
    """Run *calls* in turn."""
    for call in calls:
        change(connection, call)


def run_script(connection: Connection, text: str) -> None:
    """Run each statement of *text*; sqlite3's own executescript would commit first."""
    pending = ""
    for piece in split_statements(text, SQLITE):
        pending = f"{pending}{piece};" if pending else f"{piece};"
        if sqlite3.complete_statement(pending):  # a trigger's body has semicolons of its own
            opened(connection, pending, ()).close()
            pending = ""
    if pending:
        opened(connection, pending, ()).close()


def within_savepoint(connection: Connection, name: str, work: Callable[[Connection], T]) -> T:
    """Return ``work(connection)``; if it raises, undo what it did and nothing else."""
    connection.own(savepoint(name))
    try:
        value = work(connection)
    except BaseException:
        if connection.in_transaction:
            try:
                connection.own(rollback_to(name))
                connection.own(release(name))
            except sqlite3.Error:  # half undone is worse than undone: give up the transaction
                connection.leave_transaction()
        raise
    connection.own(release(name))
    return value


def opened(connection: Connection, sql: str, args: Sequence[Any]) -> sqlite3.Cursor:
    """Run a statement to its first row."""
    connection.refused = None
    try:
        return execute(connection, sql, args)
    except sqlite3.DatabaseError as error:
        if connection.refused is None:
            named = _COLUMN.match(str(error))
            # What is no name of the text is a column filter in an FTS5 MATCH, a value.
            if named is not None and not all(part.strip('"') in sql for part in named["name"].split(".")):
                raise StatementError("fts5 cannot read the MATCH expression", code="SQLITE_ERROR") from error
            raise
        raise StatementRefused(
            f"not allowed: {connection.refused}", code="SQLITE_AUTH", sent=False
        ) from error
