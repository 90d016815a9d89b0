"""The back end of `DatabaseManager.database`: the one of `databases`, on connections that are kept.

The `databases` package opens a connection for each query, without any settings. Here its queries share
two connections of their own, never the engine's, with the same settings. A connection comes back to
the pool outside of any transaction, whatever its last user left.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

import aiosqlite
from databases.backends import sqlite as upstream

from dal.engines.sqlite.connection import SETTINGS
from dal.engines.sqlite.engine import SqliteEngine
from dal.engines.sqlite.worker import constructed_in_daemon_thread
from dal.errors import ConfigurationError, PoolTimeout, UsageError
from dal.tasks import Background

_log = logging.getLogger("dal.sqlite")

_CONNECTIONS = 2
_LOCK_SECONDS = 5.0  # how long a connection waits, in its own thread, for a lock
_WAIT_SECONDS = 30.0  # how long a query waits for a connection
_LONGEST_TRANSACTION = 60.0  # seconds; a transaction that nobody ends would lock the file for ever


class SqliteBackend(upstream.SQLiteBackend):
    """`databases`' SQLite back end on a small pool."""

    def __init__(self, url: Any, *, engine: SqliteEngine) -> None:
        super().__init__(url.replace(query=""))
        self._connections = _Pool(engine)

    async def disconnect(self) -> None:
        """Close the connections."""
        await self._connections.close()

    def connection(self) -> _Connection:
        """Return a connection that is not yet acquired."""
        return _Connection(self._connections, self._dialect)  # type: ignore[arg-type]  # acquire and release


class _Connection(upstream.SQLiteConnection):
    def transaction(self) -> _Transaction:
        return _Transaction(self)


class _Transaction(upstream.SQLiteTransaction):
    async def start(self, is_root: bool, extra_options: dict[Any, Any]) -> None:
        """Begin at once as a writer: a transaction that reads first cannot wait for the lock later."""
        if extra_options:
            raise UsageError(f"transactions take no options here: {', '.join(map(str, extra_options))}")
        if not is_root:
            await super().start(is_root, extra_options)
            return
        self._is_root = True
        async with self._connection.raw_connection.execute("BEGIN IMMEDIATE"):
            pass


class _Pool:
    """Two connections at the most, opened when first needed, first come, first served."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._file = engine.file
        self._idle: list[aiosqlite.Connection] = []
        self._open = 0
        self._line: deque[asyncio.Future[aiosqlite.Connection]] = deque()
        self._lent: dict[aiosqlite.Connection, asyncio.TimerHandle] = {}
        self._background = Background()

    async def acquire(self) -> aiosqlite.Connection:
        """Lend a connection.

        Raises:
            PoolTimeout: None came free in time.
        """
        waiter: asyncio.Future[aiosqlite.Connection] = asyncio.get_running_loop().create_future()
        self._line.append(waiter)
        self._next()
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                connection = await waiter
        except (TimeoutError, asyncio.CancelledError) as left:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._idle.append(waiter.result())  # lent in the very step in which the caller left
                self._next()
            if isinstance(left, asyncio.CancelledError):
                raise
            raise PoolTimeout("no connection of db.database came free; nothing was sent") from None
        self._watch(connection)
        return connection

    async def release(self, connection: aiosqlite.Connection) -> None:
        """Take *connection* back: stop what still runs on it, roll back what is open."""
        if connection not in self._lent:  # closed meanwhile
            return
        self._lent.pop(connection).cancel()
        self._background.start(self._cleaned(connection))

    async def close(self) -> None:
        """Close every connection, those still lent too."""
        for waiter in self._line:
            if not waiter.done():
                waiter.set_exception(UsageError("the database was disconnected"))
        self._line.clear()
        await self._background.join(_LOCK_SECONDS)
        for connection, timer in self._lent.items():
            timer.cancel()
            await connection.interrupt()
        for connection in [*self._idle, *self._lent]:
            await connection.close()
        self._idle.clear()
        self._lent.clear()

    def _next(self) -> None:
        while self._line and (self._idle or self._open < _CONNECTIONS):
            waiter = self._line.popleft()
            if waiter.done():
                continue
            if self._idle:
                waiter.set_result(self._idle.pop())
            else:
                self._open += 1
                self._background.start(self._opened_for(waiter))

    async def _opened_for(self, waiter: asyncio.Future[aiosqlite.Connection]) -> None:
        try:
            connection = await self._opened()
        except Exception as error:
            self._open -= 1
            if not waiter.done():
                waiter.set_exception(error)
        else:
            if waiter.done():
                self._idle.append(connection)
            else:
                waiter.set_result(connection)
        self._next()

    async def _opened(self) -> aiosqlite.Connection:
        connection = await constructed_in_daemon_thread(self._file.uri, timeout=_LOCK_SECONDS)
        await connection
        for name, value in (SETTINGS | self._file.settings).items():
            if name == "busy_timeout":  # this connection may wait in its thread; sqlite3 has set it
                continue
            await (await connection.execute(f"PRAGMA {name} = {value}")).close()
            async with connection.execute(f"PRAGMA {name}") as cursor:
                held = await cursor.fetchone()
            if held is None or held[0] != value:
                raise ConfigurationError(f"SQLite does not keep PRAGMA {name} = {value}")
        return connection

    async def _cleaned(self, connection: aiosqlite.Connection) -> None:
        await connection.interrupt()  # for a query whose caller was cancelled
        try:
            await connection.rollback()  # goes to the thread behind that query; does nothing outside one
        except Exception as error:
            _log.warning("a connection of db.database is discarded: %s", type(error).__name__)
            self._open -= 1
            await connection.close()
        else:
            self._idle.append(connection)
        self._next()

    def _watch(self, connection: aiosqlite.Connection) -> None:
        loop = asyncio.get_running_loop()
        self._lent[connection] = loop.call_later(_LONGEST_TRANSACTION, self._overdue, connection)

    def _overdue(self, connection: aiosqlite.Connection) -> None:
        if connection.in_transaction:
            _log.warning("a transaction through db.database was open for too long and is rolled back")
            self._background.start(connection.rollback())
        self._watch(connection)
