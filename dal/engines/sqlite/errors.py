"""Translates the errors of sqlite3 into those of `dal`.

SQLite tells most errors apart by their extended result code (https://sqlite.org/rescode.html); an
unknown table or column and a syntax error share code 1 and differ in their text alone.
"""

from __future__ import annotations

import re
import sqlite3

from dal.errors import (
    CannotOpen,
    CheckViolation,
    ConnectionLost,
    CorruptDatabase,
    DalError,
    DatabaseError,
    DataError,
    DiskFull,
    ForeignKeyViolation,
    IntegrityError,
    LockTimeout,
    NotNullViolation,
    ParameterError,
    QueryTimeout,
    ReadOnlyDatabase,
    SqlSyntaxError,
    StatementError,
    StatementRefused,
    StorageError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

_CONSTRAINT_DATATYPE = 3091  # SQLITE_CONSTRAINT_DATATYPE, which Python 3.11 has no name for

_CONSTRAINTS: dict[int, type[IntegrityError]] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: UniqueViolation,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: UniqueViolation,
    sqlite3.SQLITE_CONSTRAINT_ROWID: UniqueViolation,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: ForeignKeyViolation,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: NotNullViolation,
    sqlite3.SQLITE_CONSTRAINT_CHECK: CheckViolation,
}

_PRIMARY: dict[int, type[DatabaseError]] = {
    sqlite3.SQLITE_AUTH: StatementRefused,
    sqlite3.SQLITE_BUSY: LockTimeout,
    sqlite3.SQLITE_LOCKED: LockTimeout,
    sqlite3.SQLITE_INTERRUPT: QueryTimeout,
    sqlite3.SQLITE_READONLY: ReadOnlyDatabase,
    sqlite3.SQLITE_CORRUPT: CorruptDatabase,
    sqlite3.SQLITE_NOTADB: CorruptDatabase,
    sqlite3.SQLITE_FULL: DiskFull,
    sqlite3.SQLITE_IOERR: StorageError,
    sqlite3.SQLITE_CANTOPEN: CannotOpen,
    sqlite3.SQLITE_PERM: CannotOpen,
    sqlite3.SQLITE_TOOBIG: DataError,
    sqlite3.SQLITE_MISMATCH: DataError,
    sqlite3.SQLITE_CONSTRAINT: IntegrityError,
}

_TEXTS: tuple[tuple[re.Pattern[str], type[DatabaseError]], ...] = (
    (re.compile(r"no such table|no such view"), UndefinedTable),
    (re.compile(r"no such column|has no column named"), UndefinedColumn),
    (re.compile(r"^(integer overflow|malformed JSON)$"), DataError),
    (re.compile(r"syntax error|incomplete input|unrecognized token"), SqlSyntaxError),
)

_RESTRICTED = "FOREIGN KEY constraint failed"
"""What ON UPDATE and ON DELETE RESTRICT say: SQLite makes a trigger of each, with a trigger's code."""

_FAILED = re.compile(r"constraint failed: (?P<name>.+)")


def primary_code(error: BaseException) -> int | None:
    """Return SQLite's primary result code (SQLITE_BUSY, ...) of *error*, None if it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_locked(error: BaseException | None) -> bool:
    """Say whether another connection's lock is in the way, so that waiting helps."""
    return error is not None and primary_code(error) == sqlite3.SQLITE_BUSY


def translated(error: Exception) -> DalError:
    """Return our error for one that came out of sqlite3, or *error* itself if it is ours already."""
    if isinstance(error, DalError):
        return error
    if not isinstance(error, (sqlite3.Error, sqlite3.Warning)):
        return DataError(f"the driver refused a value: {type(error).__name__}", sent=False)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return _without_code(error)
    name = _code_name(error, code)
    text = _without_values(str(error))
    if code == _CONSTRAINT_DATATYPE:
        return DataError(text, code=name)
    if code & 0xFF == sqlite3.SQLITE_CONSTRAINT:
        failed = _FAILED.search(text)
        kind = _CONSTRAINTS.get(code, IntegrityError)
        if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER and text == _RESTRICTED:
            kind = ForeignKeyViolation
        return kind(text, code=name, constraint=failed["name"] if failed else None)
    if code & 0xFF == sqlite3.SQLITE_ERROR:
        for pattern, cls in _TEXTS:
            if pattern.search(text):
                return cls(text, code=name)
        return StatementError(text, code=name)
    return _PRIMARY.get(code & 0xFF, DatabaseError)(text, code=name)


def _code_name(error: Exception, code: int) -> str:
    name = getattr(error, "sqlite_errorname", "")
    return name if name.startswith("SQLITE_") else f"SQLITE_{code}"


def _without_code(error: Exception) -> DalError:
    """Errors of the Python module itself have no code."""
    text = str(error)
    if "one statement" in text:
        return StatementRefused("one statement at a time: use execute_script for several", sent=False)
    if "binding" in text:
        return ParameterError(f"the statement's parameters do not fit: {text}")
    if "closed" in text:
        return ConnectionLost("the connection is closed", sent=False)
    if "decode" in text:
        return DataError("a stored text is not valid UTF-8")
    return DatabaseError(text)


_QUOTES_A_VALUE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"fts5:|unknown special query"), "fts5 cannot read the MATCH expression"),
    (re.compile(r"parse error in rank function"), "fts5 cannot read the rank function"),
    (re.compile(r"unable to open database:"), "unable to open database"),  # the name in VACUUM INTO
    (re.compile(r"(bad )?JSON path"), "not a JSON path; it begins with $"),
)
"""Errors found while a statement runs, whose text repeats a piece of a value."""


def _without_values(text: str) -> str:
    for pattern, instead in _QUOTES_A_VALUE:
        if pattern.match(text):
            return instead
    return text
