"""A transaction block, or a stream, on one SQLite connection.

The jobs of a session go to its connection's thread in their order, so the ROLLBACK of a caller who
left waits behind the statement that it interrupted, and the connection is given back when the thread
is through, whether or not anybody still waits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from dal.engines.base import Call, Rows, Want
from dal.engines.sqlite import connection as own
from dal.engines.sqlite import statements
from dal.engines.sqlite.connection import Connection
from dal.engines.sqlite.jobs import CommitJob, Job, Waits
from dal.engines.sqlite.worker import Worker
from dal.errors import TransactionError
from dal.queries.statement import Statement

T = TypeVar("T")


class SqliteSession:
    """One connection inside a transaction; `Session` in `dal.engines.base` says what it promises."""

    def __init__(self, worker: Worker, waits: Waits, give_back: Callable[[], None]) -> None:
        self._worker = worker
        self._waits = waits
        self._give_back = give_back
        self._savepoints = 0
        self._ended = False
        self._cursor: Cursor | None = None

    def holds(self, give_back: Callable[[], None]) -> bool:
        """Say whether this session, not yet ended, is the one that *give_back* would end."""
        return not self._ended and self._give_back == give_back

    async def begin_reading(self, deadline: float | None) -> None:
        """Begin a transaction that sees one snapshot, that of its first read."""
        try:
            await self._wait(Job(lambda connection: connection.own(own.BEGIN_READ), deadline))
        except BaseException:
            self._end(Job(Connection.leave_transaction, None))
            raise

    async def execute(self, call: Call, deadline: float | None) -> int:
        """See `Runner.execute`."""
        statements.refuse_inside_transaction(call.statement)
        return await self._run(lambda connection: statements.change(connection, call), deadline)

    async def fetch(self, call: Call, deadline: float | None, want: Want) -> Rows:
        """See `Runner.fetch`."""
        return await self._run(lambda connection: statements.write_and_read(connection, call, want), deadline)

    async def execute_many(
        self, statement: Statement, rows: Sequence[tuple[Any, ...]], deadline: float | None
    ) -> None:
        """See `Runner.execute_many`."""
        await self._run(lambda connection: statements.change_many(connection, statement, rows), deadline)

    async def execute_script(self, text: str, deadline: float | None) -> None:
        """See `Runner.execute_script`."""
        await self._run(lambda connection: statements.run_script(connection, text), deadline)

    async def stream(self, call: Call, batch_size: int, timeout: float | None) -> AsyncGenerator[Rows, None]:
        """See `Runner.stream`."""
        self._cursor = cursor = Cursor(call, batch_size)
        try:
            while (rows := await self._run(cursor.next_rows, self._waits.after(timeout))).values:
                yield rows
        finally:
            if not self._ended:
                self._cursor = None
                self._worker.submit(cursor.close, _nobody)

    async def savepoint(self, deadline: float | None) -> str:
        """See `Session.savepoint`."""
        self._savepoints += 1
        name = f"dal_{self._savepoints}"
        await self._run(lambda connection: connection.own(own.savepoint(name)), deadline)
        return name

    async def release(self, savepoint: str, deadline: float | None) -> None:
        """See `Session.release`."""
        await self._run(lambda connection: connection.own(own.release(savepoint)), deadline)

    async def rollback_to(self, savepoint: str, deadline: float | None) -> None:
        """See `Session.rollback_to`."""

        def undo(connection: Connection) -> None:
            connection.own(own.rollback_to(savepoint))
            connection.own(own.release(savepoint))

        await self._run(undo, deadline)

    async def commit(self, deadline: float | None) -> None:
        """See `Session.commit`."""
        job = CommitJob(partial(_inside, _commit), deadline)
        self._end(job)
        await self._waits.wait(job)

    async def rollback(self) -> None:
        """See `Session.rollback`."""
        if not self._ended:
            job = Job(Connection.leave_transaction, None)
            self._end(job)
            await self._waits.wait(job)

    async def _run(self, work: Callable[[Connection], T], deadline: float | None) -> T:
        if self._ended:
            raise TransactionError("the transaction has ended")
        return await self._wait(Job(partial(_inside, work), deadline))

    async def _wait(self, job: Job[T]) -> T:
        self._worker.submit(job.run, job.settle)
        return await self._waits.wait(job)

    def _end(self, job: Job[None]) -> None:
        """Run *job*, after which the connection is outside of any transaction, and give it back."""
        self._ended = True
        cursor = self._cursor

        def run(connection: Connection) -> None:
            if cursor is not None:  # a stream that was not read to its end
                cursor.close(connection)
            try:
                job.run(connection)
            finally:
                connection.leave_transaction()

        def done(value: None, error: BaseException | None) -> None:
            job.settle(value, error)
            self._give_back()

        self._worker.submit(run, done)


class Cursor:
    """The rows of one statement, a batch at a time; lives in the connection's thread."""

    def __init__(self, call: Call, batch_size: int) -> None:
        self._call = call
        self._batch_size = batch_size
        self._cursor: sqlite3.Cursor | None = None

    def next_rows(self, connection: Connection) -> Rows:
        """Return the next batch, an empty one at the end."""
        if self._cursor is None:
            self._cursor = statements.opened(connection, self._call.sql, self._call.args)
        columns = tuple([column[0] for column in self._cursor.description or ()])
        return Rows(columns, self._cursor.fetchmany(self._batch_size) if columns else [])

    def close(self, connection: Connection) -> None:
        """End the statement."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None


def _inside(work: Callable[[Connection], T], connection: Connection) -> T:
    if not connection.in_transaction:  # what follows would commit by itself
        raise TransactionError("SQLite ended the transaction after an error; nothing of it was kept")
    return work(connection)


def _commit(connection: Connection) -> None:
    connection.check_file()
    connection.own(own.COMMIT)


def _nobody(value: Any, error: BaseException | None) -> None:
    """The answer to work that nobody waits for."""
