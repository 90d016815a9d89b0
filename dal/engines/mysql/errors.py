"""Translates the errors of asyncmy, and of the server behind it, into those of `dal`.

MariaDB and MySQL tell errors apart by number (https://mariadb.com/kb/en/mariadb-error-code-reference/).
Their texts quote values: those of the row, and since values travel inside the statement, also what stands
near a syntax error. So the messages here are our own, with names of constraints, columns and tables.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping

from asyncmy.errors import MySQLError

from dal.errors import (
    AuthenticationFailed,
    CannotOpen,
    CheckViolation,
    ConflictError,
    ConnectionFailed,
    ConnectionLost,
    DalError,
    DatabaseError,
    DataError,
    DiskFull,
    ForeignKeyViolation,
    IntegrityError,
    LockTimeout,
    NotNullViolation,
    QueryTimeout,
    ReadOnlyDatabase,
    SqlSyntaxError,
    StatementError,
    StatementRefused,
    StorageError,
    TooManyConnections,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

_Class = type[DatabaseError]

_NAME = r"[`'](?P<name>[^`']*)[`']"

_INTEGRITY: Mapping[int, tuple[type[IntegrityError], str, str]] = {
    # The error, what to say, and where the server's text has the name: at its end, since a value that
    # stands before may contain anything.
    1062: (UniqueViolation, "a row with this key is there already", rf"for key {_NAME}$"),
    1586: (UniqueViolation, "a row with this key is there already", rf"for key {_NAME}$"),
    1169: (UniqueViolation, "a row with this key is there already", ""),
    1451: (ForeignKeyViolation, "other rows still refer to this one", rf"CONSTRAINT {_NAME} FOREIGN KEY"),
    1452: (ForeignKeyViolation, "the row referred to does not exist", rf"CONSTRAINT {_NAME} FOREIGN KEY"),
    1216: (ForeignKeyViolation, "the row referred to does not exist", ""),
    1217: (ForeignKeyViolation, "other rows still refer to this one", ""),
    1761: (ForeignKeyViolation, "a row with this key is there already in a table that refers to it", ""),
    1762: (ForeignKeyViolation, "a row with this key is there already in a table that refers to it", ""),
    1048: (NotNullViolation, "a column that must have a value was given NULL", rf"^Column {_NAME}"),
    1364: (NotNullViolation, "a column that must have a value was given none", rf"^Field {_NAME}"),
    4025: (CheckViolation, "a CHECK constraint does not hold", rf"^CONSTRAINT {_NAME} failed"),
    3819: (CheckViolation, "a CHECK constraint does not hold", rf"^Check constraint {_NAME} is"),
    1644: (IntegrityError, "a trigger or a routine refused the change", ""),
}

_DATA = {
    1264: "a number is out of the column's range",
    1265: "a value does not fit the column's type",
    1292: "a text is no valid value of the column's type",
    1366: "a value does not fit the column's type or character set",
    1367: "a number is not valid",
    1406: "a value is longer than the column",
    1411: "a value is not valid for the function",
    1416: "a geometry is not valid",
    1441: "a date is out of range",
    1525: "a date or time is not valid",
    1690: "a number is out of range",
    1365: "a division by zero",
    1153: "the statement is larger than the server's max_allowed_packet",
    1300: "a text has a character that the server cannot take here",
    1301: "a result is larger than the server's max_allowed_packet",
    4037: "JSON text is not valid",
    4038: "JSON text is not valid",
    3140: "JSON text is not valid",
}
_COLUMN = re.compile(r"for column (?:[`'][^`']*[`']\.)*[`'](?P<name>[^`']*)[`'] at row \d+$")

_STATEMENT: Mapping[int, tuple[_Class, str, str]] = {
    1064: (SqlSyntaxError, "the server cannot parse the statement", r"(?P<name>at line \d+)$"),
    1005: (StatementError, "the table cannot be made", ""),
    1117: (StatementError, "the table would have too many columns", ""),
    1065: (SqlSyntaxError, "the statement is empty", ""),
    1149: (SqlSyntaxError, "the server cannot parse the statement", ""),
    1146: (UndefinedTable, "there is no such table", rf"^Table {_NAME} doesn't exist$"),
    1051: (UndefinedTable, "there is no such table", rf"^Unknown table {_NAME}$"),
    4092: (UndefinedTable, "there is no such view", rf"^Unknown VIEW: {_NAME}$"),
    1109: (UndefinedTable, "there is no such table", rf"^Unknown table {_NAME}"),
    1054: (UndefinedColumn, "there is no such column", rf"^Unknown column {_NAME}"),
    1072: (UndefinedColumn, "there is no such column", rf"^Key column {_NAME}"),
    1091: (UndefinedColumn, "there is no such column or key", rf"^Can't DROP (?:\w+ )*{_NAME}"),
    1050: (StatementError, "the table is there already", rf"^Table {_NAME} already exists$"),
    1305: (StatementError, "there is no such function or procedure", r"(?:FUNCTION|PROCEDURE) (?P<name>\S+)"),
    1049: (StatementError, "there is no such database", rf"^Unknown database {_NAME}$"),
    1055: (StatementError, "a column is neither grouped by nor aggregated", ""),
    1140: (StatementError, "a column is neither grouped by nor aggregated", ""),
    4005: (StatementError, "a recursive WITH has no part to begin with", ""),
    4015: (StatementError, "a window function stands where none may be", ""),
    4161: (StatementError, "there is no such type", rf"^Unknown data type: {_NAME}$"),
    1111: (StatementError, "an aggregate stands where none may be", ""),
    1052: (StatementError, "a column's name is ambiguous", rf"^Column {_NAME}"),
    1044: (StatementError, "the user has no right to do this", ""),
    1142: (StatementError, "the user has no right to do this", ""),
    1143: (StatementError, "the user has no right to do this", ""),
    1227: (StatementError, "the user has no right to do this", ""),
    1370: (StatementError, "the user has no right to do this", ""),
    1295: (StatementRefused, "the server does not take such a statement here", ""),
}  # fmt: skip

_OTHER: Mapping[int, tuple[_Class, str]] = {
    1213: (ConflictError, "the transaction met another one in a deadlock, and was rolled back"),
    1020: (ConflictError, "a row was changed by another transaction since it was read"),
    1412: (ConflictError, "the table's definition was changed by another transaction"),
    1180: (DatabaseError, "the commit failed"),
    1205: (LockTimeout, "another transaction held the lock for too long"),
    1206: (LockTimeout, "the server has no room for more locks"),
    1222: (StatementError, "the parts of the statement have different numbers of columns"),
    1317: (QueryTimeout, "the statement was stopped on the server"),
    1028: (QueryTimeout, "the statement was stopped on the server"),
    1969: (QueryTimeout, "the statement took longer than max_statement_time"),
    3024: (QueryTimeout, "the statement took longer than max_execution_time"),
    1290: (ReadOnlyDatabase, "the server is read-only"),
    1792: (ReadOnlyDatabase, "the transaction is read-only"),
    1836: (ReadOnlyDatabase, "the server is read-only"),
    1015: (StorageError, "the table cannot be locked"),
    1021: (DiskFull, "the server's disk is full"),
    1026: (StorageError, "a file of the server cannot be written"),
    1030: (StorageError, "the storage engine failed"),
    1034: (StorageError, "a table's file is damaged"),
    1114: (DiskFull, "the table is full"),
    1194: (StorageError, "a table is damaged"),
    28: (DiskFull, "the server's disk is full"),
    1040: (TooManyConnections, "the server has no room for more connections"),
    1203: (TooManyConnections, "the user has as many connections as it may have"),
    1226: (TooManyConnections, "the user has used up what it may have"),
    1045: (AuthenticationFailed, "the server refuses the user or the password"),
    1698: (AuthenticationFailed, "the server refuses the user or the password"),
    1251: (AuthenticationFailed, "the server wants a way to log in that the driver lacks"),
    1524: (AuthenticationFailed, "the server wants a way to log in that is not loaded"),
    2059: (AuthenticationFailed, "the server wants a way to log in that is not supported"),
    2061: (AuthenticationFailed, "the server wants a way to log in that is not supported"),
    1047: (ConnectionFailed, "the server is not ready"),
    2003: (CannotOpen, "the server does not answer at this address"),
    2005: (CannotOpen, "the server's name is unknown"),
    2026: (CannotOpen, "the encrypted connection could not be made"),
}

_LOST = {
    *(1043, 1053, 1077, 1079, 1080, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 2014),
    *(2027, 2055, 3032, 3169, 4031),
}
_TOO_LARGE = 1153
_MESSAGE_LOST = "the connection to the server is lost"


GONE = 2006  # found out before anything was sent


def number_of(error: BaseException) -> int:
    """Return the server's number for *error*, 0 if it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def ends_connection(error: BaseException) -> bool:
    """Say whether the server, which answered with *error*, closes the connection after it."""
    return number_of(error) in _LOST or number_of(error) == _TOO_LARGE


def translated(error: Exception) -> DalError:
    """Return our error for one that came out of asyncmy, or *error* itself if it is ours already."""
    if isinstance(error, DalError):
        return error
    if not isinstance(error, MySQLError):
        return ConnectionLost(f"{_MESSAGE_LOST}: {type(error).__name__}")
    number = number_of(error)
    text = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], str) else ""
    if number in _INTEGRITY:
        kind, message, pattern = _INTEGRITY[number]
        name = _name(pattern, text)
        said = f"{message}: {name}" if name else message
        return kind(said, code=str(number), constraint=name)
    if number in _DATA:
        found = _COLUMN.search(text)
        where = f": column {found['name']}" if found else ""
        return DataError(f"{_DATA[number]}{where}", code=str(number))
    if number in _STATEMENT:
        cls, message, pattern = _STATEMENT[number]
        name = _name(pattern, text)
        return cls(f"{message}: {name}" if name else message, code=str(number))
    if number in _OTHER:
        cls, message = _OTHER[number]
        return cls(message, code=str(number))
    if number in _LOST or not number:
        return ConnectionLost(_MESSAGE_LOST, code=str(number) if number else None)
    return _by_state(error, number)


def opening(error: Exception) -> DalError:
    """Return our error for one that came while a connection was opened: no statement was sent."""
    ours = translated(error)
    if not isinstance(ours, DatabaseError):
        return ours
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        reason = error.__cause__.verify_message
        ours = CannotOpen(f"the server's certificate is not accepted: {reason}", code=ours.code)
    elif isinstance(error.__cause__, ssl.SSLError):
        ours = CannotOpen(f"TLS failed, or the server offers none: {error.__cause__.reason}", code=ours.code)
    elif isinstance(ours, ConnectionLost) or not isinstance(ours, ConnectionFailed):
        ours = CannotOpen(f"the connection could not be opened: {ours}", code=ours.code)
    ours.sent = False
    return ours


def _by_state(error: MySQLError, number: int) -> DatabaseError:
    """The class of the standard's SQLSTATE, for a number that is in no table."""
    state = str(error.sqlstate or "")
    kinds: Mapping[str, _Class] = {
        "21": StatementError,
        "22": DataError,
        "23": IntegrityError,
        "40": ConflictError,
        "42": StatementError,
    }
    cls = kinds.get(state[:2], DatabaseError)
    return cls(f"the server refused the statement with its error {number}", code=str(number))


def _name(pattern: str, text: str) -> str | None:
    """The name that *pattern* finds in *text*; MySQL puts the table before a key's."""
    found = re.search(pattern, text) if pattern else None
    return found["name"].rpartition(".")[2] or None if found else None
