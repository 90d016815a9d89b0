"""Translates the errors of asyncpg, and of what lies under it, into those of `dal`.

PostgreSQL tells errors apart by SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).
Its message is passed on only where it names parts of the schema or of the statement; DETAIL, and the
messages of data errors, hold values.
"""

from __future__ import annotations

import asyncio
import ssl

import asyncpg

from dal.errors import (
    AuthenticationFailed,
    CannotOpen,
    CheckViolation,
    ConflictError,
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

_CONSTRAINTS: dict[str, type[IntegrityError]] = {
    "23505": UniqueViolation,
    "23503": ForeignKeyViolation,
    "23502": NotNullViolation,
    "23514": CheckViolation,
    "23P01": UniqueViolation,
}

_CODES: dict[str, type[DatabaseError]] = {
    "25006": ReadOnlyDatabase,
    "25001": StatementRefused,
    "2D000": StatementRefused,
    "40001": ConflictError,
    "40P01": ConflictError,
    "42601": SqlSyntaxError,
    "42703": UndefinedColumn,
    "42P01": UndefinedTable,
    "53100": DiskFull,
    "53300": TooManyConnections,
    "55P03": LockTimeout,
    "57014": QueryTimeout,
    "57P01": ConnectionLost,
    "57P02": ConnectionLost,
    "57P03": CannotOpen,
    "57P04": ConnectionLost,
    "57P05": ConnectionLost,
    "25P03": ConnectionLost,
    "25P04": QueryTimeout,
    "3D000": CannotOpen,
    "58030": StorageError,
    "XX001": CorruptDatabase,
    "XX002": CorruptDatabase,
}

_CLASSES: dict[str, type[DatabaseError]] = {
    "08": ConnectionLost,
    "0A": StatementError,
    "21": StatementError,
    "22": DataError,
    "23": IntegrityError,
    "25": StatementError,
    "28": AuthenticationFailed,
    "42": StatementError,
    "54": StatementError,
    "55": StatementError,
}

_OWN_TEXTS = {
    "22001": "the value is too long for its column",
    "22003": "the number is out of range for its column",
    "22021": "the text has a character that the database's encoding lacks",
    "22P02": "the text is no valid value of the type that the statement gives it",
    "22P05": "the text has a character that the column cannot hold",
    "22007": "the text is no valid date or time",
    "22008": "the date or time is out of range",
    "22012": "division by zero",
    "P0001": "a trigger or a function raised an exception; its text may hold values and is in __cause__",
    "42P18": "PostgreSQL cannot tell the type of a parameter: write cast(:name AS bigint), for instance",
    "42P08": "PostgreSQL deduces two types for one parameter: write cast(:name AS bigint), for instance",
}

# Their messages name tables, columns, constraints, settings and pieces of the statement, never a value.
_SPEAKING = frozenset(("08", "0A", "21", "23", "25", "2D", "28", "3D", "40", "42", "53", "54", "55", "57"))


class StalePlan(ConflictError):
    """A statement was prepared for an older schema, and nothing of it was run."""


class ClosedBefore(ConnectionLost):
    """The server had said good-bye on the connection before the statement was sent."""


def is_of_the_server(error: BaseException) -> bool:
    """Say whether the server refused a statement and the connection goes on."""
    return (
        isinstance(error, asyncpg.PostgresError)
        and getattr(error, "severity", None) is not None
        and not is_fatal(error)
    )


def is_fatal(error: BaseException) -> bool:
    """Say whether the server closes the connection after this error."""
    severity = getattr(error, "severity_en", None) or getattr(error, "severity", None)
    return severity in ("FATAL", "PANIC")


def is_harmless(error: BaseException) -> bool:
    """Say whether the connection is idle after this error, and may be used again."""
    if isinstance(error, asyncpg.PostgresError):
        return not isinstance(error, asyncpg.PostgresConnectionError) and not is_fatal(error)
    if isinstance(error, DalError):  # a check of ours, unless it is the deadline that cancelled the call
        return not isinstance(error, (QueryTimeout, ConnectionLost))
    # A decoder that refused a value of the answer, which was read to its end.
    return isinstance(error, (ValueError, ArithmeticError)) and not isinstance(error, asyncpg.InterfaceError)


def translated(error: Exception, *, opening: bool = False) -> DalError:
    """Return our error for one that came out of the driver, or *error* itself if it is ours already.

    Args:
        error: Any error that a call of the driver raised.
        opening: It was raised while a connection was opened: nothing of a statement was sent.
    """
    if isinstance(error, DalError):
        return error
    if isinstance(error, asyncpg.PostgresError):
        found = _of_the_server(error, opening)
    else:
        found = _of_the_client(error, opening)
    if opening:
        found.sent = False
    return found


def _of_the_server(error: asyncpg.PostgresError, opening: bool) -> DatabaseError:
    state = error.sqlstate or ""
    if isinstance(error, asyncpg.PostgresConnectionError):
        return _lost(error, opening)
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return StalePlan(
            "the schema changed after the statement was prepared; run the transaction again", code=state
        )
    if getattr(error, "severity", None) is None:  # asyncpg's own, raised before it sent anything
        return DataError(
            "the driver cannot send a value as the type that the statement gives it; send it as text: write "
            "cast(cast(:name AS text) AS tsrange), for instance",
            sent=False,
        )
    text = _text(error, state)
    if state[:2] == "23" or state == "P0001":
        kind = _CONSTRAINTS.get(state, IntegrityError)
        return kind(text, code=state, constraint=error.constraint_name or _column(error))
    cls = _CODES.get(state) or _CLASSES.get(state[:2], DatabaseError)
    if opening and cls is ConnectionLost:
        cls = CannotOpen
    elif not opening and cls in (CannotOpen, AuthenticationFailed):  # of another database, or by dblink
        cls = StatementError
    return cls(text, code=state)


def _column(error: asyncpg.PostgresError) -> str | None:
    """NOT NULL has no name before PostgreSQL 18: its column's, with the table's, stands for it."""
    if error.column_name is None:
        return None
    return f"{error.table_name}.{error.column_name}" if error.table_name else str(error.column_name)


def _text(error: asyncpg.PostgresError, state: str) -> str:
    if state in _OWN_TEXTS:
        return _OWN_TEXTS[state]
    if state[:2] in _SPEAKING and error.message:
        return str(error.message)
    return f"PostgreSQL refused the statement: {type(error).__name__.removesuffix('Error')} ({state})"


def _lost(error: asyncpg.PostgresError, opening: bool) -> DatabaseError:
    cause = error.__cause__
    code = getattr(cause, "sqlstate", None) or error.sqlstate
    if isinstance(cause, asyncpg.PostgresError) and cause.sqlstate == "53300":
        return TooManyConnections(_text(cause, "53300"), code="53300")
    if opening:
        return CannotOpen("the server closed the connection while it was opened", code=code)
    return ConnectionLost("the server closed the connection", code=code)


def _of_the_client(error: Exception, opening: bool) -> DatabaseError:
    if opening:
        return CannotOpen(_reason(error))
    if isinstance(error, (asyncpg.InterfaceError, OSError, asyncio.TimeoutError)):
        return ConnectionLost(_reason(error))
    if isinstance(error, asyncpg.InternalClientError):
        if str(error).startswith("cannot switch to state"):  # it waits for the end of the connection
            return ClosedBefore("the server closed the connection; nothing was sent", sent=False)
        return DatabaseError(f"the driver failed: {type(error).__name__}")
    if isinstance(error, UnicodeEncodeError):
        return DataError("the text is no valid Unicode", sent=False)
    if isinstance(error, (ValueError, ArithmeticError)):
        return DataError(
            "a stored value is one that Python has no equal for, such as infinity as a date or a month as an "
            "interval; select it cast to text"
        )
    return DatabaseError(f"the driver failed: {type(error).__name__}")


def _reason(error: Exception) -> str:
    """What went wrong, in words that hold nothing of the URL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}"
    if type(error) is ConnectionError:  # the driver's own; those of the system say more
        return "TLS failed, or the server offers none"
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    if isinstance(error, OSError):
        return f"the server cannot be reached: {error.strerror or type(error).__name__}"
    if isinstance(error, asyncpg.InterfaceError):
        return "the connection is closed"
    return type(error).__name__
