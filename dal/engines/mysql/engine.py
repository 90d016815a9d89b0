"""The engine for MariaDB and MySQL: a pool of connections, each call on one of them."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from dal.engines.base import Call, Connections, Isolation, Rows, Session, Want
from dal.engines.deadlines import Deadlines
from dal.engines.mysql import statements, traces
from dal.engines.mysql.connection import Address, Connection
from dal.engines.mysql.driver import MysqlDriver
from dal.engines.mysql.encoders import encoders
from dal.engines.mysql.session import MysqlSession, begin_texts, in_transaction, late
from dal.engines.mysql.statements import Cursor
from dal.engines.pool import Pool, PoolSettings
from dal.errors import DalError, TransactionError
from dal.queries.dialects import MYSQL
from dal.queries.statement import Statement
from dal.values import Encoders, ParameterType, Storage

T = TypeVar("T")

_DISCONNECT_SECONDS = 5.0  # how long disconnect waits for what still runs

_held: ContextVar[tuple[MysqlSession, ...]] = ContextVar("dal_mysql_sessions", default=())
"""The sessions that the task, or those that started it, began and that may hold a connection still."""


class MysqlEngine:
    """MariaDB and MySQL through asyncmy; `Engine` in `dal.engines.base` says what it promises.

    Args:
        address: Where the server is.
        pool: How many connections, and for how long.
    """

    dialect = MYSQL
    storage = Storage(json_as_text=True)

    def __init__(self, address: Address, pool: PoolSettings) -> None:
        self.address = address
        self._settings = pool

    def encoders(self, declared: ParameterType | None) -> Encoders:
        """See `Engine.encoders`."""
        return encoders(declared)

    async def connect(self) -> None:
        """Open the first connection; further ones follow in the background.

        Raises:
            ConfigurationError: The server does not keep a setting.
            CannotOpen, AuthenticationFailed, TooManyConnections: The server is not usable.
        """
        self._deadlines = Deadlines(asyncio.get_running_loop())
        self._pool = pool = Pool(MysqlDriver(self.address), self._settings)
        try:
            await pool.open()
        except BaseException:
            await pool.close(0)
            raise
        self._finalizer = weakref.finalize(self, pool.abort)

    async def disconnect(self) -> None:
        """Let what runs end for a few seconds, then stop it; close every connection."""
        await self._pool.close(_DISCONNECT_SECONDS)
        self._finalizer.detach()
        self._deadlines.close()

    def reachable_at(self, url: str) -> str:
        """See `Engine.reachable_at`."""
        return url

    @property
    def connections(self) -> Connections:
        """See `Engine.connections`."""
        return Connections(self._pool.size, self._pool.lent, self._pool.waiting)

    async def execute(self, call: Call, deadline: float | None) -> int:
        """See `Runner.execute`."""
        statements.check(call.sql, inside=False)
        return await self._on_one(
            lambda connection: statements.change(connection, call), deadline, clean=call.statement.clean
        )

    async def fetch(self, call: Call, deadline: float | None, want: Want) -> Rows:
        """See `Runner.fetch`."""
        nature = statements.check(call.sql, inside=False)
        clean = call.statement.clean
        if want == "one" and nature.writes and not nature.one_row:
            # A second row is seen only after both were written, so it must be possible to undo them.
            return await self._in_transaction(
                lambda connection: statements.read(connection, call, want), deadline, clean=clean
            )
        return await self._on_one(
            lambda connection: statements.read(connection, call, want), deadline, clean=clean
        )

    async def execute_many(
        self, statement: Statement, rows: Sequence[tuple[Any, ...]], deadline: float | None
    ) -> None:
        """See `Runner.execute_many`."""
        statements.check(statement.sql, inside=True)
        await self._in_transaction(
            lambda connection: statements.change_many(connection, statement, rows),
            deadline,
            clean=statement.clean,
        )

    async def execute_script(self, text: str, deadline: float | None) -> None:
        """See `Runner.execute_script`.

        Without DDL it is one transaction. A statement of DDL commits by itself, and so does then each
        of the others.
        """
        pieces = statements.script(text)
        commits = [statements.check(piece, inside=False).commits for piece in pieces]
        if not pieces:
            return
        run = self._on_one if any(commits) else self._in_transaction
        await run(lambda connection: statements.run_all(connection, pieces), deadline, clean=False)

    async def traces(self, statement: Statement, deadline: float | None) -> tuple[str, ...]:
        """See `Engine.traces`."""
        return await self._on_one(
            lambda connection: traces.found(connection, statement), deadline, clean=False
        )

    async def execute_batch(self, calls: Sequence[Call], deadline: float | None) -> None:
        """See `Engine.execute_batch`."""
        for call in calls:
            statements.check(call.sql, inside=True)

        async def change_all(connection: Connection) -> None:
            for call in calls:
                await statements.change(connection, call)

        await self._in_transaction(change_all, deadline, clean=all(call.statement.clean for call in calls))

    async def stream(self, call: Call, batch_size: int, timeout: float | None) -> AsyncGenerator[Rows, None]:
        """See `Runner.stream`. Left early, its connection is closed: a result has no other end."""
        if statements.check(call.sql, inside=False).writes:
            async for rows in self._stream_of_a_write(call, batch_size, timeout):
                yield rows
            return
        connection = await self._acquire(self._deadlines.after(timeout))
        try:
            cursor = Cursor(connection, statements.rendered(call.sql, call.args), batch_size)
            while True:
                with self._deadlines.limit(self._deadlines.after(timeout), late):
                    rows = await cursor.next_rows()
                if not rows.values:
                    break
                yield rows
        finally:
            self._pool.release(connection, clean=call.statement.clean)

    async def begin(self, isolation: Isolation | None, readonly: bool, deadline: float | None) -> Session:
        """See `Engine.begin`."""
        texts = begin_texts(isolation, readonly)
        session = MysqlSession(await self._acquire(deadline), self._pool, self._deadlines)
        await session.begin(texts, deadline)
        _held.set((*(held for held in _held.get() if held.is_open), session))
        return session

    def _acquire(self, deadline: float | None) -> Awaitable[Connection]:
        """Borrow a connection, unless it would wait for those that the task itself holds."""
        if self._pool.is_exhausted and sum(held.is_open for held in _held.get()) >= self._pool.max_size:
            raise TransactionError(
                "this call would wait for the connection that the transaction block around it holds; "
                "use the block's own tx, or make the pool larger (pool_size, max_overflow)"
            )
        return self._pool.acquire(deadline)

    async def _on_one(
        self, work: Callable[[Connection], Awaitable[T]], deadline: float | None, *, clean: bool
    ) -> T:
        """Return what *work* brings on a connection that is outside of any transaction."""
        connection = self._pool.take() or await self._acquire(deadline)
        try:
            with self._deadlines.limit(deadline, late):
                return await work(connection)
        finally:
            # One that is in a transaction, was left or broke is not usable, and the pool closes it.
            self._pool.release(connection, clean=clean)

    async def _in_transaction(
        self, work: Callable[[Connection], Awaitable[T]], deadline: float | None, *, clean: bool
    ) -> T:
        """Return what *work* brings in a transaction of its own; if it fails, all is undone."""
        connection = await self._acquire(deadline)
        try:
            value = await in_transaction(connection, self._deadlines, deadline, partial(work, connection))
        except DalError:
            if connection.is_open:  # only the connection's next user waits for it
                self._pool.finish(connection, connection.rollback())
            else:
                self._pool.discard(connection)
            raise
        except BaseException:
            self._pool.discard(connection)
            raise
        self._pool.release(connection, clean=clean)
        return value

    async def _stream_of_a_write(
        self, call: Call, batch_size: int, timeout: float | None
    ) -> AsyncGenerator[Rows, None]:
        """All changes are made, and committed, before the first row comes."""
        rows = await self.fetch(call, self._deadlines.after(timeout), "all")
        for start in range(0, len(rows.values), batch_size):
            yield Rows(rows.columns, rows.values[start : start + batch_size])
