"""The PostgreSQL engine: a pool of connections, each call on one of them."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

from dal.engines.base import Call, Connections, Isolation, Rows, Session, Want
from dal.engines.deadlines import Deadlines
from dal.engines.pool import Pool, PoolSettings
from dal.engines.postgresql import statements, traces
from dal.engines.postgresql.connection import Connection
from dal.engines.postgresql.driver import Address, PostgresDriver
from dal.engines.postgresql.encoders import encoders
from dal.engines.postgresql.errors import ClosedBefore, StalePlan, is_harmless, translated
from dal.engines.postgresql.session import LIMITS, PostgresSession, begin_text, late, wanted
from dal.errors import ReadOnlyDatabase, StatementRefused, TransactionError
from dal.queries.dialects import POSTGRESQL
from dal.queries.statement import Statement
from dal.values import Encoders, ParameterType, Storage

T = TypeVar("T")

_DISCONNECT_SECONDS = 5.0  # how long disconnect waits for what still runs

_BEGIN = "BEGIN"  # for one statement, which sees one snapshot at any level
_BEGIN_READING = "BEGIN READ ONLY"

_held: ContextVar[tuple[PostgresSession, ...]] = ContextVar("dal_postgresql_sessions", default=())
"""The sessions that the task, or those that started it, began and that may hold a connection still."""


class PostgresEngine:
    """PostgreSQL through asyncpg; `Engine` in `dal.engines.base` says what it promises.

    Args:
        address: Where the server is.
        pool: How many connections, and for how long.
    """

    dialect = POSTGRESQL
    storage = Storage()

    def __init__(self, address: Address, pool: PoolSettings) -> None:
        self.address = address
        self._settings = pool

    def encoders(self, declared: ParameterType | None) -> Encoders:
        """See `Engine.encoders`."""
        return encoders(declared)

    async def connect(self) -> None:
        """Open the first connection; further ones follow in the background.

        Raises:
            ConfigurationError: The database is not encoded in UTF-8.
            CannotOpen, AuthenticationFailed, TooManyConnections: The server is not usable.
        """
        self._deadlines = Deadlines(asyncio.get_running_loop())
        self._pool = pool = Pool(PostgresDriver(self.address), self._settings)
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
        statements.refuse(call.statement)
        result = await self._on_one(
            lambda connection: connection.run(call), deadline, clean=call.statement.clean
        )
        return result.matched

    async def fetch(self, call: Call, deadline: float | None, want: Want) -> Rows:
        """See `Runner.fetch`."""
        statement = call.statement
        if statement.verb != "SELECT" or statement.writes:
            statements.refuse(statement)
            if want == "one" and statements.writes(statement) and not statements.inserts_one_row(statement):
                return await self._fetch_one_of_a_write(call, deadline)
        limit = LIMITS[want]
        rows, _ = await self._on_one(
            lambda connection: connection.run(call, limit), deadline, clean=statement.clean
        )
        return rows if want == "all" else wanted(rows, want)

    async def execute_many(
        self, statement: Statement, rows: Sequence[tuple[Any, ...]], deadline: float | None
    ) -> None:
        """See `Runner.execute_many`."""
        statements.refuse(statement)
        await self._on_one(
            lambda connection: connection.run_many(statement, rows), deadline, clean=statement.clean
        )

    async def execute_script(self, text: str, deadline: float | None) -> None:
        """See `Runner.execute_script`; the server makes it one transaction."""
        if checked := statements.checked_script(text):
            await self._on_one(lambda connection: connection.run_text(checked), deadline, clean=False)

    async def traces(self, statement: Statement, deadline: float | None) -> tuple[str, ...]:
        """See `Engine.traces`."""
        return await self._on_one(
            lambda connection: traces.found(connection.raw, statement), deadline, clean=False
        )

    async def execute_batch(self, calls: Sequence[Call], deadline: float | None) -> None:
        """See `Engine.execute_batch`."""

        async def run(session: PostgresSession) -> None:
            for call in calls:
                await session.execute(call, deadline)

        await self._in_one(begin_text(None, readonly=False), run, deadline)

    async def stream(self, call: Call, batch_size: int, timeout: float | None) -> AsyncGenerator[Rows, None]:
        """See `Runner.stream`."""
        statements.refuse(call.statement)
        for is_last in (False, True):
            if statements.writes(call.statement):
                break
            session = await self._begin(_BEGIN_READING, self._deadlines.after(timeout))
            try:
                async for rows in session.stream(call, batch_size, timeout):
                    yield rows
                return
            except ReadOnlyDatabase:
                call.statement.writes = True
            except StalePlan:
                if is_last:
                    raise
            finally:
                await session.rollback()
        async for rows in self._stream_of_a_write(call, batch_size, timeout):
            yield rows

    async def begin(self, isolation: Isolation | None, readonly: bool, deadline: float | None) -> Session:
        """See `Engine.begin`."""
        session = await self._begin(begin_text(isolation, readonly), deadline)
        _held.set((*(held for held in _held.get() if held.is_open), session))
        return session

    async def _begin(self, text: str, deadline: float | None) -> PostgresSession:
        for _ in range(self._pool.max_size):
            with contextlib.suppress(ClosedBefore):
                return await self._begun(text, deadline)
        return await self._begun(text, deadline)

    async def _begun(self, text: str, deadline: float | None) -> PostgresSession:
        session = PostgresSession(await self._acquire(deadline), self._pool, self._deadlines)
        await session.begin(text, deadline)
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
        tries = self._pool.max_size
        while True:
            connection = self._pool.take() or await self._acquire(deadline)
            try:
                with self._deadlines.limit(deadline, late):
                    value = await work(connection)
                break
            except BaseException as error:
                if is_harmless(error):
                    self._pool.release(connection, clean=clean)
                else:
                    self._pool.discard(connection)
                if not isinstance(error, Exception):
                    raise
                ours = translated(error)
                if not tries or not isinstance(ours, ClosedBefore):
                    raise ours from error
                tries -= 1
        self._pool.release(connection, clean=clean)
        if connection.raw.is_in_transaction():  # the pool discards it
            raise StatementRefused("the statement began a transaction and did not end it; it is rolled back")
        return value

    async def _fetch_one_of_a_write(self, call: Call, deadline: float | None) -> Rows:
        """A second row is seen only after both were written, so it must be possible to undo them."""
        return await self._in_one(_BEGIN, lambda session: session.fetch(call, deadline, "one"), deadline)

    async def _in_one(
        self, begin: str, work: Callable[[PostgresSession], Awaitable[T]], deadline: float | None
    ) -> T:
        """Return what *work* brings in a transaction of its own."""
        for is_last in (False, True):
            session = await self._begin(begin, deadline)
            try:
                value = await work(session)
            except StalePlan:
                await session.rollback()
                if is_last:
                    raise
            except BaseException:
                await session.rollback()
                raise
            else:
                await session.commit(deadline)
                return value
        raise AssertionError("the last try returns or raises")

    async def _stream_of_a_write(
        self, call: Call, batch_size: int, timeout: float | None
    ) -> AsyncGenerator[Rows, None]:
        """All changes are made, and committed, before the first row comes."""
        rows = await self.fetch(call, self._deadlines.after(timeout), "all")
        for start in range(0, len(rows.values), batch_size):
            yield Rows(rows.columns, rows.values[start : start + batch_size])
