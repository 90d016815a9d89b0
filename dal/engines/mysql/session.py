"""A transaction block on one connection, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from dal.engines.base import Call, Isolation, Rows, Want
from dal.engines.deadlines import Deadlines
from dal.engines.mysql import statements
from dal.engines.mysql.connection import BEGIN, BEGIN_READ, Connection
from dal.engines.mysql.statements import Cursor
from dal.engines.pool import Pool
from dal.errors import ConnectionLost, OutcomeUnknown, QueryTimeout, StatementRefused, TransactionError
from dal.queries.statement import Statement

T = TypeVar("T")

_ROLLBACK_PATIENCE = 1.0  # seconds that the caller waits for it; it goes on without the caller
_LEVELS: tuple[Isolation, ...] = ("serializable", "repeatable read", "read committed", "read uncommitted")


def begin_texts(isolation: Isolation | None, readonly: bool) -> tuple[str, ...]:
    """Return the statements that begin such a transaction.

    Serializable here means that reads lock. One that only reads needs no locks: since those that write
    lock what they read, a snapshot is what a serial order would show.

    Raises:
        StatementRefused: There is no such isolation level.
    """
    level = isolation or "serializable"
    if level not in _LEVELS:
        raise StatementRefused(
            f"MariaDB and MySQL have no isolation level {level!r}; there are {', '.join(_LEVELS)}", sent=False
        )
    begin = BEGIN_READ if readonly else BEGIN
    if level == "serializable" and readonly:
        level = "repeatable read"
    if level == "serializable":  # the session's own
        return (begin,)
    return (f"SET TRANSACTION ISOLATION LEVEL {level.upper()}", begin)


def late() -> QueryTimeout:
    """The error of a call whose deadline passed while it ran."""
    return QueryTimeout("the statement was stopped at its timeout")


class MysqlSession:
    """One connection inside a transaction; `Session` in `dal.engines.base` says what it promises."""

    def __init__(self, connection: Connection, pool: Pool[Connection], deadlines: Deadlines) -> None:
        self._connection = connection
        self._pool = pool
        self._deadlines = deadlines
        self._savepoints = 0
        self._clean = True
        self._ended = False

    @property
    def is_open(self) -> bool:
        """True until the connection was given back."""
        return not self._ended

    async def begin(self, texts: Sequence[str], deadline: float | None) -> None:
        """Run *texts*, which begin the transaction; if that fails the connection is given back."""
        try:
            with self._deadlines.limit(deadline, late):
                for text in texts:
                    await self._connection.run(text)
        except BaseException:
            self._ended = True
            self._pool.discard(self._connection)
            raise

    async def execute(self, call: Call, deadline: float | None) -> int:
        """See `Runner.execute`."""
        self._take_note(call.statement, call.sql)
        return await self._run(statements.change(self._connection, call), deadline)

    async def fetch(self, call: Call, deadline: float | None, want: Want) -> Rows:
        """See `Runner.fetch`."""
        self._take_note(call.statement, call.sql)
        return await self._run(statements.read(self._connection, call, want), deadline)

    async def execute_many(
        self, statement: Statement, rows: Sequence[tuple[Any, ...]], deadline: float | None
    ) -> None:
        """See `Runner.execute_many`."""
        self._take_note(statement, statement.sql)
        await self._run(statements.change_many(self._connection, statement, rows), deadline)

    async def execute_script(self, text: str, deadline: float | None) -> None:
        """See `Runner.execute_script`."""
        self._clean = False
        pieces = statements.script(text)
        for piece in pieces:
            statements.check(piece, inside=True)
        await self._run(statements.run_all(self._connection, pieces), deadline)

    async def stream(self, call: Call, batch_size: int, timeout: float | None) -> AsyncGenerator[Rows, None]:
        """See `Runner.stream`. Left early, what is left of the result is read and thrown away."""
        self._take_note(call.statement, call.sql)
        cursor = Cursor(self._connection, statements.rendered(call.sql, call.args), batch_size)
        try:
            while (rows := await self._run(cursor.next_rows(), self._deadlines.after(timeout))).values:
                yield rows
        finally:
            if not cursor.ended and not self._ended and self._connection.is_reading:
                await self._run(cursor.skip(), self._deadlines.after(timeout))

    async def savepoint(self, deadline: float | None) -> str:
        """See `Session.savepoint`."""
        self._savepoints += 1
        name = f"dal_{self._savepoints}"
        await self._run(self._connection.run(f"SAVEPOINT {name}"), deadline)
        return name

    async def release(self, savepoint: str, deadline: float | None) -> None:
        """See `Session.release`."""
        await self._run(self._connection.run(f"RELEASE SAVEPOINT {savepoint}"), deadline)

    async def rollback_to(self, savepoint: str, deadline: float | None) -> None:
        """See `Session.rollback_to`."""
        await self._run(
            statements.run_all(
                self._connection, (f"ROLLBACK TO SAVEPOINT {savepoint}", f"RELEASE SAVEPOINT {savepoint}")
            ),
            deadline,
        )

    async def commit(self, deadline: float | None) -> None:
        """See `Session.commit`."""
        if self._ended:
            raise TransactionError("the transaction has ended")
        if not self._connection.is_open:
            await self.rollback()
            raise ConnectionLost("the connection was lost before COMMIT; the transaction was rolled back")
        if self._deadlines.has_passed(deadline):
            await self.rollback()
            raise QueryTimeout(
                "the timeout passed before COMMIT; the transaction was rolled back", sent=False
            )
        self._ended = True
        try:
            await committed(self._connection, self._deadlines, deadline)
        finally:
            self._pool.release(self._connection, clean=self._clean)

    async def rollback(self) -> None:
        """See `Session.rollback`."""
        if self._ended:
            return
        self._ended = True
        if not self._connection.is_open:
            self._pool.discard(self._connection)
            return
        done = self._pool.finish(self._connection, self._connection.rollback())
        await asyncio.wait([done], timeout=_ROLLBACK_PATIENCE)

    def _take_note(self, statement: Statement, sql: str) -> None:
        statements.check(sql, inside=True)
        self._clean = self._clean and statement.clean

    async def _run(self, work: Awaitable[T], deadline: float | None) -> T:
        if self._ended or not (self._connection.is_open or self._connection.is_reading):
            if asyncio.iscoroutine(work):
                work.close()
            if self._ended:
                raise TransactionError("the transaction has ended")
            raise ConnectionLost("the connection was lost; the transaction is rolled back", sent=False)
        with self._deadlines.limit(deadline, late):
            value = await work
        if not (self._connection.in_transaction or self._connection.is_reading):
            raise TransactionError("the statement ended the transaction; what it did before may be committed")
        return value


async def committed(connection: Connection, deadlines: Deadlines, deadline: float | None) -> None:
    """Commit.

    Raises:
        OutcomeUnknown: No answer came in time, or at all.
    """
    try:
        with deadlines.limit(deadline, late):
            await connection.commit()
    except (QueryTimeout, ConnectionLost) as error:
        if not error.sent:
            raise
        raise OutcomeUnknown(
            "the answer to COMMIT was lost; the transaction may or may not have been committed",
            code=error.code,
        ) from error


async def in_transaction(
    connection: Connection, deadlines: Deadlines, deadline: float | None, work: Callable[[], Awaitable[T]]
) -> T:
    """Return what *work* brings in a transaction of its own; if it fails, all is undone."""
    with deadlines.limit(deadline, late):
        await connection.run(BEGIN)
        value = await work()
        if not connection.in_transaction:
            raise TransactionError("a statement ended the transaction; what was done before may be committed")
    await committed(connection, deadlines, deadline)
    return value
