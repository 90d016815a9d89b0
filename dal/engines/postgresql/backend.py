"""The back end of `DatabaseManager.database`: the one of `databases`, on connections of its own.

There are two at the most, opened when first needed, so that nothing that `databases` leaks can starve the
verbs. A transaction that nobody ends is ended by the server, and its connection replaced.
"""

from __future__ import annotations

import asyncio
from typing import Any

from databases.backends import postgres as upstream

from dal.engines.pool import Pool, PoolSettings
from dal.engines.postgresql.connection import Connection
from dal.engines.postgresql.driver import PostgresDriver
from dal.engines.postgresql.engine import PostgresEngine

_CONNECTIONS = PoolSettings(min_size=0, max_size=2)
_WAIT_SECONDS = 30.0  # how long a query waits for a connection
_LONGEST_PAUSE = "60s"  # between two statements of a transaction
_DISCONNECT_SECONDS = 1.0


class PostgresBackend(upstream.PostgresBackend):
    """`databases`' PostgreSQL back end on a small pool."""

    def __init__(self, url: Any, *, engine: PostgresEngine) -> None:
        super().__init__(url)
        self._engine = engine

    async def connect(self) -> None:
        """Make the pool; connections are opened when they are needed."""
        settings = {"idle_in_transaction_session_timeout": _LONGEST_PAUSE}
        driver = PostgresDriver(self._engine.address, exact=False, settings=settings)
        self._pool: _Connections | None = _Connections(Pool(driver, _CONNECTIONS))  # type: ignore[assignment]  # typed as None there

    async def disconnect(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None


class _Connections:
    """The pool, with the few methods of asyncpg's own that `databases` calls."""

    def __init__(self, pool: Pool[Connection]) -> None:
        self._pool = pool
        self._lent: dict[Any, Connection] = {}

    async def acquire(self) -> Any:
        """Lend a connection of the driver.

        Raises:
            PoolTimeout: None came free in time.
        """
        connection = await self._pool.acquire(asyncio.get_running_loop().time() + _WAIT_SECONDS)
        self._lent[connection.raw] = connection
        connection.raw.add_termination_listener(self._terminated)
        return connection.raw

    async def release(self, raw: Any) -> None:
        """Take it back; one that is in a transaction or was cancelled is closed."""
        connection = self._lent.pop(raw, None)
        if connection is None:  # it broke, and was taken back then
            return
        raw.remove_termination_listener(self._terminated)
        # No public way tells that a call on it was cancelled.
        if raw._protocol is None or raw._protocol._is_cancelling():
            self._pool.discard(connection)
        else:
            self._pool.release(connection, clean=False)

    async def close(self) -> None:
        """Close them all, those still lent too."""
        await self._pool.close(_DISCONNECT_SECONDS)

    def _terminated(self, raw: Any) -> None:
        connection = self._lent.pop(raw, None)
        if connection is not None:
            self._pool.discard(connection)
