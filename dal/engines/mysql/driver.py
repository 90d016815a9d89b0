"""What the pool needs to know of connections to MariaDB and MySQL."""

from __future__ import annotations

import asyncio
import logging

from dal.engines.mysql.connection import Address, Connection, opened
from dal.errors import DalError

_log = logging.getLogger("dal.mysql")


class MysqlDriver:
    """Opens, checks, resets and closes connections; see `Driver` in `dal.engines.pool`.

    Args:
        address: Where the server is.
        exact: Give times as aware ones; otherwise as asyncmy does by itself.
        longest_pause: Seconds between two statements of a transaction, after which MariaDB ends it.
    """

    def __init__(self, address: Address, *, exact: bool = True, longest_pause: int | None = None) -> None:
        self._address = address
        self._exact = exact
        self._longest_pause = longest_pause
        self._killer = _Killer(address)

    async def open(self) -> Connection:
        """See `Driver.open`."""
        return await opened(self._address, exact=self._exact, longest_pause=self._longest_pause)

    def is_open(self, connection: Connection) -> bool:
        """See `Driver.is_open`."""
        return connection.is_open and not connection.is_left

    def is_clean(self, connection: Connection) -> bool:
        """See `Driver.is_clean`."""
        return connection.is_clean

    async def check(self, connection: Connection) -> None:
        """See `Driver.check`."""
        await connection.ping()

    async def reset(self, connection: Connection) -> None:
        """See `Driver.reset`."""
        await connection.reset(self._address.database)

    async def close(self, connection: Connection) -> None:
        """See `Driver.close`. The server itself would go on with a statement that nobody waits for."""
        if connection.is_open:
            await connection.quit()
            return
        connection.abort()
        if connection.busy and not connection.committing:
            await self._killer.kill(connection.thread_id)

    def abort(self, connection: Connection) -> None:
        """See `Driver.abort`."""
        connection.abort()


class _Killer:
    """Ends connections on the server, over one that is open only as long as there is something to do.

    It ends the connection, not the statement (KILL QUERY): that would miss one which has not begun.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._connection: Connection | None = None

    async def kill(self, thread_id: int) -> None:
        self._waiting += 1
        try:
            async with self._turn:
                await self._kill(thread_id)
        finally:
            self._waiting -= 1
            if not self._waiting and self._connection is not None:
                connection, self._connection = self._connection, None
                await connection.quit()

    async def _kill(self, thread_id: int) -> None:
        try:
            if self._connection is None or self._connection.is_left or not self._connection.is_clean:
                self._connection = await opened(self._address)
            await self._connection.run(f"KILL CONNECTION {thread_id}")
        except DalError as error:
            _log.info("a statement could not be stopped on the server: %s", error)
        except BaseException:
            if self._connection is not None:
                self._connection.abort()
                self._connection = None
            raise
