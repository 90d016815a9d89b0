"""Every exception that `dal` raises, in one tree.

    DalError
    ├── ConfigurationError          a URL, a setting or a server that cannot be used as it is
    ├── QueryError                  a query, or a call of it, is wrong; nothing was sent
    │   ├── QueryFileError          a ``.sql`` file cannot be read
    │   ├── QueryNotFound           no query has this name
    │   └── ParameterError          names, counts or types of the parameters do not fit
    ├── ResultError                 the rows that came back are not what was asked for
    │   ├── TooManyRows
    │   └── RowMismatch             a row does not fit its model
    ├── UsageError                  a call at the wrong time or place: not connected, another loop
    │   └── TransactionError        a transaction used after its end, after an error, or from outside
    ├── DatabaseError               the database refused a statement, or did not answer
    │   ├── WaitError               nothing was sent: PoolTimeout, TooManyWaiters
    │   ├── QueryTimeout, LockTimeout, ConflictError
    │   ├── ConnectionFailed        CannotOpen, AuthenticationFailed, TooManyConnections, ConnectionLost,
    │   │                           OutcomeUnknown
    │   ├── IntegrityError          UniqueViolation, ForeignKeyViolation, NotNullViolation, CheckViolation
    │   ├── DataError               a value that the column, or this library, refuses
    │   ├── StatementError          SqlSyntaxError, UndefinedTable, UndefinedColumn, StatementRefused
    │   └── StorageError            DiskFull, ReadOnlyDatabase, CorruptDatabase
    ├── MigrationFailed             yoyo could not apply a migration
    ├── AdoptionRefused             an older file cannot be turned into today's without loss
    ├── BackupError                 a backup cannot be made or put back: BackupDamaged, BackupRefused,
    │                               ProgramMissing
    └── CacheError                  CacheUnavailable, CacheOverloaded, LoadTimeout, UnknownKeyFamily,
                                    CacheValueError

Callers branch on the class or on an attribute, never on the text. No message holds a password or
the value of a parameter. The driver's own error stays as ``__cause__``.
"""

from __future__ import annotations

from collections.abc import Sequence


class DalError(Exception):
    """The root of every error raised by `dal`."""


class ConfigurationError(DalError):
    """A URL, a setting or a server cannot be used as it is."""


class QueryError(DalError):
    """A query, or the way it was called, is wrong. Nothing was sent to the database."""


class QueryFileError(QueryError):
    """A ``.sql`` file, or one query in it, cannot be read.

    Attributes:
        path: The file.
        line: 1-based line of the mistake.
        query: The query's name, None where the mistake lies outside of a query.
    """

    def __init__(self, message: str, *, path: str, line: int, query: str | None = None) -> None:
        where = f"{path}:{line}"
        super().__init__(f"{where}: query {query}: {message}" if query else f"{where}: {message}")
        self.path = path
        self.line = line
        self.query = query

    def __reduce__(self) -> tuple[object, ...]:
        # BaseException would call __init__ with the finished message alone.
        return (_rebuild, (type(self), self.args, self.__dict__))


class QueryNotFound(QueryError, AttributeError, KeyError):
    """No query has this name."""

    __str__ = Exception.__str__  # KeyError's would print the message in quotes


class ParameterError(QueryError):
    """The parameters of a call do not fit its query: a name, the count, or a type."""


class ResultError(DalError):
    """The rows that came back are not what the call asked for.

    Attributes:
        query: The query's name, None for a query given as a string.
    """

    query: str | None = None

    def __str__(self) -> str:
        text = super().__str__()
        return f"query {self.query}: {text}" if self.query else text


class TooManyRows(ResultError):
    """A query for one row matched two or more."""


class RowMismatch(ResultError):
    """A row does not fit the model that the query returns."""


class UsageError(DalError):
    """A call at the wrong time or place: before connect, after disconnect, from another loop."""


class TransactionError(UsageError):
    """A transaction was used after its end, after an error inside it, or past its block."""


class DatabaseError(DalError):
    """The database refused a statement, or did not answer.

    Attributes:
        code: The database's own code as text (SQLSTATE, errno, SQLITE_*); None if none came.
        query: The query's name, None for a query given as a string.
        sent: False if nothing reached the database, so running it again is safe.
        retryable: True if the same work, begun anew, may well succeed.
    """

    retryable = False

    def __init__(
        self, message: str, *, code: str | None = None, query: str | None = None, sent: bool = True
    ) -> None:
        super().__init__(message)
        self.code = code
        self.query = query
        self.sent = sent

    def __str__(self) -> str:
        text = super().__str__()
        return f"query {self.query}: {text}" if self.query else text


class WaitError(DatabaseError):
    """The call gave up while it was waiting for its turn. Nothing was sent."""

    retryable = True

    def __init__(
        self, message: str, *, code: str | None = None, query: str | None = None, sent: bool = False
    ) -> None:
        super().__init__(message, code=code, query=query, sent=sent)


class PoolTimeout(WaitError, TimeoutError):
    """No connection came free in time. Nothing was sent, so a retry is safe."""


class TooManyWaiters(WaitError):
    """The line for a connection is full. Nothing was sent."""


class QueryTimeout(DatabaseError, TimeoutError):
    """The statement took longer than its timeout and was stopped.

    A write may have been committed all the same if the timeout fell into its commit, or if on a server the
    lock that it waited for was freed before the cancellation came.
    """


class LockTimeout(DatabaseError, TimeoutError):
    """Another connection or process held the lock until the timeout."""

    retryable = True


class ConflictError(DatabaseError):
    """Two transactions got in each other's way (serialization failure, deadlock); this one lost."""

    retryable = True


class ConnectionFailed(DatabaseError):
    """There is no usable connection."""


class CannotOpen(ConnectionFailed):
    """The database could not be opened."""


class AuthenticationFailed(CannotOpen):
    """The server refused the user, the password, or both."""


class TooManyConnections(CannotOpen):
    """The server has no connection left for this user or for anyone."""

    retryable = True


class ConnectionLost(ConnectionFailed):
    """The connection broke, or was closed, while it was in use."""


class OutcomeUnknown(ConnectionFailed):
    """The answer to COMMIT was lost: the transaction may or may not have been committed."""


class IntegrityError(DatabaseError):
    """A constraint refused the change.

    Attributes:
        kind: ``unique``, ``foreign key``, ``not null``, ``check`` or ``trigger``.
        constraint: The constraint as the database names it; None where it does not say.
    """

    kind = "trigger"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        query: str | None = None,
        sent: bool = True,
        constraint: str | None = None,
    ) -> None:
        super().__init__(message, code=code, query=query, sent=sent)
        self.constraint = constraint


class UniqueViolation(IntegrityError):
    """The row exists already under one of its keys."""

    kind = "unique"


class ForeignKeyViolation(IntegrityError):
    """A row refers to one that does not exist, or is still referred to."""

    kind = "foreign key"


class NotNullViolation(IntegrityError):
    """A required column was given NULL."""

    kind = "not null"


class CheckViolation(IntegrityError):
    """A CHECK constraint does not hold."""

    kind = "check"


class DataError(DatabaseError):
    """A value cannot be stored exactly as it is: wrong type, out of range, too long."""


class StatementError(DatabaseError):
    """The statement itself is wrong or not allowed."""


class SqlSyntaxError(StatementError):
    """The database cannot parse the statement."""


class UndefinedTable(StatementError):
    """The statement names a table or view that does not exist."""


class UndefinedColumn(StatementError):
    """The statement names a column that does not exist."""


class StatementRefused(StatementError):
    """The statement is one that `dal` does not let through: BEGIN, ATTACH, a second statement, ..."""


class StorageError(DatabaseError):
    """The database's files cannot be read or written."""


class DiskFull(StorageError):
    """There is no space left; the transaction was rolled back."""


class ReadOnlyDatabase(StorageError):
    """The database, or this transaction, is read-only."""


class CorruptDatabase(StorageError):
    """The file is damaged, or is no database at all."""


class MigrationFailed(DalError):
    """A migration could not be applied; those before it are.

    Attributes:
        migration: The id of the migration that failed; None if the failure lies before the first.
    """

    def __init__(self, message: str, *, migration: str | None = None) -> None:
        super().__init__(message)
        self.migration = migration


class AdoptionRefused(DalError):
    """An older database file cannot be turned into today's without loss; it stays as it is.

    Attributes:
        differences: What stands in the way, a line each.
    """

    def __init__(self, message: str, *, differences: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.differences = differences


class BackupError(DalError):
    """A backup cannot be made, looked at or put back. What was there before is still there."""


class BackupDamaged(BackupError):
    """A backup is not what its manifest says, so nothing was done with it.

    Attributes:
        problems: Everything that is wrong with it.
    """

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class BackupRefused(BackupError):
    """What was asked for would overwrite something, or harm those who use the database."""


class ProgramMissing(BackupError):
    """A program that the work is left to is not on this machine."""


class CacheError(DalError):
    """The cache cannot do what was asked."""


class CacheUnavailable(CacheError):
    """The cache's store did not answer."""


class CacheOverloaded(CacheError):
    """The store is away, and as many loads as the key family allows are under way; nothing was loaded."""


class LoadTimeout(CacheError):
    """A load took longer than its key family allows, and was cancelled."""


class UnknownKeyFamily(CacheError):
    """The key belongs to no declared key family."""


class CacheValueError(CacheError):
    """The value cannot be stored as its family says."""


def _rebuild(cls: type[BaseException], args: tuple[object, ...], state: dict[str, object]) -> BaseException:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
