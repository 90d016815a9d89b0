"""The back end of `DatabaseManager.database`: the one of `databases`, on connections of its own.

There are two at the most, opened when first needed, so that nothing that `databases` leaks can starve the
verbs. A transaction that nobody ends is ended by the server, and its connection replaced.
"""

from __future__ import annotations

import asyncio
from typing import Any

from databases.backends import asyncmy as upstream

from dal.engines.mysql.connection import Connection
from dal.engines.mysql.driver import MysqlDriver
from dal.engines.mysql.engine import MysqlEngine
from dal.engines.pool import Pool, PoolSettings

_CONNECTIONS = PoolSettings(min_size=0, max_size=2)
_WAIT_SECONDS = 30.0  # how long a query waits for a connection
_LONGEST_PAUSE = 60  # seconds between two statements of a transaction
_DISCONNECT_SECONDS = 1.0


class MysqlBackend(upstream.AsyncMyBackend):
    """`databases`' asyncmy back end on a small pool."""

    def __init__(self, url: Any, *, engine: MysqlEngine) -> None:
        super().__init__(url)
        self._engine = engine

    async def connect(self) -> None:
        """Make the pool; connections are opened when they are needed."""
        driver = MysqlDriver(self._engine.address, exact=False, longest_pause=_LONGEST_PAUSE)
        self._pool: _Connections | None = _Connections(Pool(driver, _CONNECTIONS))  # type: ignore[assignment]

    async def disconnect(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None


class _Connections:
    """The pool, with the few methods of asyncmy's own that `databases` calls."""

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
        return connection.raw

    async def release(self, raw: Any) -> None:
        """Take it back; one that is in a transaction or was cancelled is closed."""
        connection = self._lent.pop(raw)
        connection.look()
        self._pool.release(connection, clean=False)

    async def close(self) -> None:
        """Close them all, those still lent too."""
        await self._pool.close(_DISCONNECT_SECONDS)
