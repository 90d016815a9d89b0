"""One SQLite connection, served from the thread that aiosqlite keeps for it.

aiosqlite spends a future and several calls on each statement. Here its thread is entered once, by its
public API: the connection's ``executescript`` (see `Connection`) takes the thread and serves a queue
of work in it until the connection closes. What the work brought goes to the event loop through an outbox.

The thread is a daemon, so that a process which never disconnects still ends: a thread inherits the
flag from the one that constructs it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any

import aiosqlite

from dal.engines.sqlite.connection import Connection
from dal.engines.sqlite.outbox import Done, Outbox
from dal.errors import UsageError

Run = Callable[[Connection], Any]


class Worker:
    """A connection and the queue of work for its thread."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[tuple[Run, Done] | None] = SimpleQueue()
        self._stopped = False
        self._aiosqlite: aiosqlite.Connection | None = None
        self._entered: Coroutine[Any, Any, Any] | None = None
        self._left: asyncio.Future[Any] | None = None
        self._dropped = False
        self._connection: Connection | None = None

    async def open(self, uri: str) -> None:
        """Open the connection. Must run in a task of the engine's own, which no caller cancels.

        Raises:
            sqlite3.Error: The file cannot be opened.
        """
        self._aiosqlite = await constructed_in_daemon_thread(
            uri, timeout=0, cached_statements=512, factory=Connection
        )
        await self._aiosqlite
        # See Connection.executescript. Not a task: nobody should cancel it, and a loop that is closed
        # without disconnect would complain of it.
        self._entered = self._aiosqlite.executescript(self._serve)
        self._left = self._entered.send(None)  # type: ignore[func-returns-value]  # it is the future

    def submit(self, run: Run, done: Done) -> None:
        """Have ``run(connection)`` called in the thread, then ``done(value, error)`` on the loop."""
        if self._stopped:  # nobody would ever answer
            self._outbox.post(done, None, UsageError("the database was disconnected"))
        else:
            self._queue.put((run, done))

    async def call(self, run: Run) -> Any:
        """Return ``run(connection)``, for work that belongs to no caller."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(value: Any, error: BaseException | None) -> None:
            if not future.done():
                future.set_result(value) if error is None else future.set_exception(error)

        self.submit(run, done)
        return await future

    def interrupt(self) -> None:
        """Stop the statement that runs now, whosever it is."""
        if self._connection is not None and (job := self._connection.running) is not None:
            job.settle(None, UsageError("the database was disconnected while this call ran"))
            job.abandon()

    def stop(self) -> None:
        """Let the thread end after the work that it was given. Callable from any thread."""
        self._stopped = True
        self._queue.put(None)

    def drop(self) -> None:
        """End the thread of a connection that nobody will close. Callable from any thread."""
        self._dropped = True
        self.stop()

    async def close(self) -> None:
        """Finish the work that was submitted, roll back what is open, close the connection."""
        self.stop()
        if self._left is not None and self._entered is not None:
            await asyncio.wait([self._left])
            self._entered.close()
        if self._aiosqlite is not None:
            await self._aiosqlite.close()

    def _serve(self, connection: Connection) -> None:
        self._connection = connection
        while (item := self._queue.get()) is not None:
            run, done = item
            try:
                value, error = run(connection), None
            except BaseException as raised:  # whatever it was, its caller gets it, and the thread lives on
                # The traceback's frames hold the arguments of every statement in a shared commit.
                value, error = None, raised.with_traceback(None)
            self._outbox.post(done, value, error)
            del item, run, done, value, error  # keep nothing alive while waiting
        connection.leave_transaction()
        connection.set_authorizer(None)  # it refers back to the connection
        self._connection = None
        if self._dropped:
            self._close_alone(connection)

    def _close_alone(self, connection: Connection) -> None:
        """Close in the thread, where no loop is needed, and have aiosqlite end the thread."""
        connection.close()
        if self._loop.is_closed():  # aiosqlite would answer it, fail, and print a traceback
            threading.Event().wait()  # a daemon: it ends with the process
        elif self._aiosqlite is not None:
            self._aiosqlite.stop()


async def constructed_in_daemon_thread(uri: str, **options: Any) -> aiosqlite.Connection:
    """Return a connection, not yet opened, whose thread will not keep the process alive."""
    loop = asyncio.get_running_loop()
    constructed: asyncio.Future[aiosqlite.Connection] = loop.create_future()

    def hand_over(connection: aiosqlite.Connection) -> None:
        if not constructed.done():  # the caller may have left
            constructed.set_result(connection)

    def construct() -> None:
        connection = aiosqlite.connect(uri, uri=True, isolation_level=None, **options)
        loop.call_soon_threadsafe(hand_over, connection)

    threading.Thread(target=construct, daemon=True).start()
    return await constructed
