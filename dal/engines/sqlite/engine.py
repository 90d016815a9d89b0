"""The SQLite engine: one connection that writes, a few that read, all kept open."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import weakref
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from dal.engines.base import Call, Connections, Isolation, Rows, Session, Want
from dal.engines.sqlite import connection as own
from dal.engines.sqlite import statements
from dal.engines.sqlite.encoders import encoders
from dal.engines.sqlite.errors import is_locked, translated
from dal.engines.sqlite.file import DatabaseFile
from dal.engines.sqlite.jobs import Job, Waits
from dal.engines.sqlite.outbox import Outbox
from dal.engines.sqlite.readers import Lender, Loan, Readers
from dal.engines.sqlite.session import Cursor, SqliteSession
from dal.engines.sqlite.worker import Worker
from dal.engines.sqlite.writer import Turn, Write, Writer
from dal.errors import ConfigurationError, LockTimeout, ReadOnlyDatabase, StatementRefused, TransactionError
from dal.queries.dialects import SQLITE
from dal.queries.statement import Statement
from dal.tasks import to_its_end
from dal.values import Encoders, ParameterType, Storage

T = TypeVar("T")

_holding: ContextVar[SqliteSession | None] = ContextVar("dal_sqlite_writer", default=None)
"""The session that writes, in the task that began it and those that it started."""

OLDEST = (3, 37, 0)  # STRICT tables; RETURNING came with 3.35
_OPEN_SECONDS = 10.0  # how long opening waits for another process that holds the file
_DISCONNECT_SECONDS = 5.0  # how long disconnect waits for what still runs
_LENT = 16  # read-only blocks and streams at once


class SqliteEngine:
    """SQLite through aiosqlite; `Engine` in `dal.engines.base` says what it promises.

    Args:
        file: Where the database is.
        readers: Connections for single reads. Two are best on few cores: more compete for the GIL.
        max_waiting: Calls that may wait in a line before further ones are refused.
    """

    dialect = SQLITE
    storage = Storage(json_as_text=True, decimal_as_integer=True)

    def __init__(self, file: DatabaseFile, *, readers: int = 2, max_waiting: int = 10_000) -> None:
        self.file = file
        self._reader_count = readers
        self._max_waiting = max_waiting
        self._workers: set[Worker] = set()

    def encoders(self, declared: ParameterType | None) -> Encoders:
        """See `Engine.encoders`."""
        return encoders(declared)

    async def connect(self) -> None:
        """Open the file, made if it is missing and may be made, and the connections.

        Raises:
            ConfigurationError: SQLite is too old, or does not keep a setting.
            CannotOpen, CorruptDatabase, ReadOnlyDatabase, LockTimeout: The file is not usable.
        """
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigurationError(
                f"SQLite {sqlite3.sqlite_version} is too old for {sys.executable}; 3.37 or later is needed"
            )
        loop = asyncio.get_running_loop()
        self._waits = Waits(loop, self.file.explained)
        self._outbox = Outbox(loop)
        try:
            await to_its_end(asyncio.to_thread(self.file.make))
            writer = await self._open({})
            readers = [await self._open({"query_only": 1}) for _ in range(self._reader_count)]
        except BaseException:
            await to_its_end(self._close_workers())
            self._outbox.close()
            self.file.remove_if_temporary()
            raise
        self._writer = Writer(writer, self._max_waiting)
        self._readers = Readers(readers, self._max_waiting)
        self._lender = Lender(partial(self._open, {"query_only": 1}), self._close, _LENT, self._max_waiting)
        self._finalizer = weakref.finalize(self, _stop, self._workers, self.file, os.getpid())

    async def disconnect(self) -> None:
        """Let what runs end for a few seconds, then stop it; roll back, close, remove what is temporary."""
        await asyncio.gather(
            self._writer.close(_DISCONNECT_SECONDS),
            self._readers.close(_DISCONNECT_SECONDS),
            self._lender.close(_DISCONNECT_SECONDS),
        )
        await self._close_workers()
        self._outbox.close()
        self._waits.close()
        self.file.remove_if_temporary()
        self._finalizer.detach()

    def reachable_at(self, url: str) -> str:
        """See `Engine.reachable_at`; ``:memory:`` is a file too."""
        return f"sqlite:///{quote(str(self.file.path.absolute()))}"

    @property
    def connections(self) -> Connections:
        """See `Engine.connections`."""
        lines = (self._writer, self._readers, self._lender)
        in_use, waiting = sum(line.in_use for line in lines), sum(line.waiting for line in lines)
        return Connections(len(self._workers), in_use, waiting)

    def execute(self, call: Call, deadline: float | None) -> Awaitable[int]:
        """See `Runner.execute`."""
        statement = call.statement
        return self._write(
            Write(
                partial(statements.change, call=call),
                deadline,
                statement=statement,
                alone=statements.runs_alone(statement),
                outside=statements.runs_outside(statement),
            )
        )

    async def fetch(self, call: Call, deadline: float | None, want: Want) -> Rows:
        """See `Runner.fetch`."""
        if not call.statement.writes:
            try:
                job = Job(lambda connection: statements.read(connection, call, want), deadline)
                self._readers.submit(job)
                return await self._waits.wait(job)
            except ReadOnlyDatabase as error:
                self._learn_that_it_writes(call.statement, error)
        return await self._write(
            Write(
                lambda connection: statements.write_and_read(connection, call, want),
                deadline,
                statement=call.statement,
                savepoint=True,
                alone=statements.runs_alone(call.statement),
            )
        )

    async def execute_many(
        self, statement: Statement, rows: Sequence[tuple[Any, ...]], deadline: float | None
    ) -> None:
        """See `Runner.execute_many`."""
        await self._write(
            Write(
                lambda connection: statements.change_many(connection, statement, rows),
                deadline,
                savepoint=True,
                alone=len(rows) > 100,
            )
        )

    async def execute_script(self, text: str, deadline: float | None) -> None:
        """See `Runner.execute_script`."""
        await self._write(
            Write(lambda connection: statements.run_script(connection, text), deadline, alone=True)
        )

    async def traces(self, statement: Statement, deadline: float | None) -> tuple[str, ...]:
        """See `Engine.traces`. No session state is kept here, so there is nothing to reset."""
        job = Job(lambda connection: statements.compile_only(connection, statement), deadline)
        self._readers.submit(job)
        await self._waits.wait(job)
        return ()

    async def execute_batch(self, calls: Sequence[Call], deadline: float | None) -> None:
        """See `Engine.execute_batch`."""
        alone = any(statements.runs_alone(call.statement) for call in calls)
        for call in calls:
            statements.refuse_inside_transaction(call.statement)
        await self._write(
            Write(
                lambda connection: statements.change_all(connection, calls),
                deadline,
                savepoint=True,
                alone=alone,
            )
        )

    async def stream(self, call: Call, batch_size: int, timeout: float | None) -> AsyncGenerator[Rows, None]:
        """See `Runner.stream`."""
        if call.statement.writes:
            async for rows in self._stream_of_a_write(call, batch_size, timeout):
                yield rows
            return
        worker = await self._borrow(self._waits.after(timeout))
        cursor = Cursor(call, batch_size)
        try:
            while (rows := await self._on(worker, cursor, timeout)).values:
                yield rows
        except ReadOnlyDatabase as error:
            self._learn_that_it_writes(call.statement, error)
        finally:
            worker.submit(cursor.close, lambda _, __: self._lender.give_back(worker))
        if call.statement.writes:
            async for rows in self._stream_of_a_write(call, batch_size, timeout):
                yield rows

    async def begin(self, isolation: Isolation | None, readonly: bool, deadline: float | None) -> Session:
        """See `Engine.begin`."""
        if isolation not in (None, "serializable"):
            raise StatementRefused(
                f"SQLite has no isolation level {isolation!r}, only serializable", sent=False
            )
        if readonly:
            worker = await self._borrow(deadline)
            session = SqliteSession(worker, self._waits, partial(self._lender.give_back, worker))
            await session.begin_reading(deadline)
            return session
        turn = Turn(deadline)
        self._submit(turn)
        try:
            return self._turn(await self._waits.wait(turn))
        except asyncio.CancelledError:
            if turn.granted():  # cancelled in the very step in which it was granted
                await self._turn(turn.future.result()).rollback()
            raise

    def _turn(self, worker: Worker) -> SqliteSession:
        session = SqliteSession(worker, self._waits, self._writer.give_back)
        _holding.set(session)
        return session

    def _write(self, write: Write[T]) -> Awaitable[T]:
        self._submit(write)
        return self._waits.wait(write)

    def _submit(self, job: Write[Any] | Turn) -> None:
        """Put *job* in line, unless it would wait for the task that sends it."""
        holder = _holding.get()
        if holder is not None and holder.holds(self._writer.give_back):
            raise TransactionError(
                "this write would wait for the connection that the transaction block around it holds; "
                "use the block's own tx, or call it after the block"
            )
        self._writer.submit(job)

    async def _on(self, worker: Worker, cursor: Cursor, timeout: float | None) -> Rows:
        job = Job(cursor.next_rows, self._waits.after(timeout))
        worker.submit(job.run, job.settle)
        return await self._waits.wait(job)

    async def _stream_of_a_write(
        self, call: Call, batch_size: int, timeout: float | None
    ) -> AsyncGenerator[Rows, None]:
        """SQLite has made all changes before the first RETURNING row comes, and keeps the rows itself."""
        rows = await self.fetch(call, self._waits.after(timeout), "all")
        for start in range(0, len(rows.values), batch_size):
            yield Rows(rows.columns, rows.values[start : start + batch_size])

    def _learn_that_it_writes(self, statement: Statement, error: ReadOnlyDatabase) -> None:
        """A reading connection refuses a write before it begins, so it is safe to run it elsewhere."""
        if error.code != "SQLITE_READONLY":
            raise error
        statement.writes = True

    async def _borrow(self, deadline: float | None) -> Worker:
        loan = Loan(deadline)
        self._lender.submit(loan)
        try:
            return await self._waits.wait(loan)
        except asyncio.CancelledError:
            if loan.granted():
                self._lender.give_back(loan.future.result())
            raise

    async def _open(self, settings: dict[str, object]) -> Worker:
        """Open one connection; another process may hold the file for a moment."""
        worker = Worker(self._outbox)
        try:
            await to_its_end(worker.open(self.file.uri))
            await self._prepare(worker, own.SETTINGS | self.file.settings | settings)
        except BaseException as error:
            await to_its_end(worker.close())
            if isinstance(error, sqlite3.Error):
                raise self.file.explained(translated(error)) from error
            raise
        self._workers.add(worker)
        return worker

    async def _close(self, worker: Worker) -> None:
        self._workers.discard(worker)
        await worker.close()

    async def _prepare(self, worker: Worker, settings: dict[str, object]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + _OPEN_SECONDS
        path = str(self.file.path.absolute())
        while True:
            try:
                await worker.call(lambda connection: connection.prepare(path, settings))
                return
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
                if loop.time() > end:
                    raise LockTimeout(
                        f"another process holds {self.file.path} and does not let go", code="SQLITE_BUSY"
                    ) from error
            await asyncio.sleep(0.005)

    async def _close_workers(self) -> None:
        await asyncio.gather(*(self._close(worker) for worker in list(self._workers)))


def _stop(workers: set[Worker], file: DatabaseFile, owner: int) -> None:
    """End the threads of an engine that was dropped without disconnect."""
    if os.getpid() != owner:  # a forked process: threads and file are its parent's
        return
    for worker in workers:
        worker.drop()
    file.remove_if_temporary()
