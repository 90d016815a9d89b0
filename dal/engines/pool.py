"""A pool of connections to a server: first come, first served, and nothing dirty is handed on.

Connections are opened, checked, reset and closed by tasks of the pool's own, so a caller who leaves
breaks none of it, and nobody waits for another's clean-up. A connection that comes back with an open
transaction, an unread result or a cancelled call is discarded, not repaired. One that is seen closed
before anything was sent is replaced without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import weakref
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from dal.errors import PoolTimeout, TooManyWaiters, UsageError
from dal.tasks import Background

C = TypeVar("C")

_log = logging.getLogger("dal.pool")

_CLEANUP_SECONDS = 5.0  # a reset or a check that takes longer is given up
_FAREWELL_SECONDS = 2.0  # the same for stopping what runs on a connection and closing it politely
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds between tries to bring the pool back to its size


class Driver(Protocol[C]):
    """What the pool asks of a driver about one connection."""

    async def open(self) -> C:
        """Open a connection, in bounded time; every driver error is one of `dal.errors`."""

    def is_open(self, connection: C) -> bool:
        """Say, without asking the server, that neither side has closed an idle connection."""

    def is_clean(self, connection: C) -> bool:
        """Say whether a connection, by its last answer, is idle and outside of any transaction."""

    async def check(self, connection: C) -> None:
        """Ask the server whether the connection works; raise if it does not."""

    async def reset(self, connection: C) -> None:
        """Bring the session back to the state in which it was opened; raise if that fails."""

    async def close(self, connection: C) -> None:
        """Stop what still runs on the server, and close."""

    def abort(self, connection: C) -> None:
        """Close the socket, now; a call that runs on the connection ends with an error."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How large a pool is, and how long its connections live.

    Attributes:
        min_size: Connections that are opened ahead, and again when one was lost.
        max_size: Connections at the most.
        max_waiting: Calls that may wait in line; further ones are refused.
        max_lifetime: Seconds after which a connection is replaced, give or take a tenth, so that not
            all are replaced at once; None for never.
        check_after: Seconds of idleness after which a connection is checked before it is lent.
        kept: Idle connections that stay open; what is beyond is closed after *max_idle*. None keeps all.
        max_idle: Seconds.
    """

    min_size: int = 1
    max_size: int = 20
    max_waiting: int = 10_000
    max_lifetime: float | None = 3600
    check_after: float = 30
    kept: int | None = None
    max_idle: float = 30


class _Member(Generic[C]):
    """A connection of the pool and what is known of it."""

    __slots__ = ("connection", "expires", "idle_since")

    def __init__(self, connection: C, expires: float) -> None:
        self.connection = connection
        self.expires = expires
        self.idle_since = math.inf  # until it is idle for the first time


class Pool(Generic[C]):
    """Lends connections; each `acquire` is answered by one `release`, `finish` or `discard`."""

    def __init__(self, driver: Driver[C], settings: PoolSettings) -> None:
        self._driver = driver
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._idle: deque[_Member[C]] = deque()  # the one used last at the right end, and used next
        self._lent: dict[int, _Member[C]] = {}
        # In order of arrival. A dict, so that whoever leaves is taken out at once.
        self._line: dict[asyncio.Future[C], int] = {}  # each with the number of its arrival
        self._arrivals = 0
        self._busy = 0  # being checked or reset: open, but neither idle nor lent
        self._openings: set[asyncio.Task[None]] = set()
        self._background = Background()
        self._pause = _FIRST_PAUSE
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._all_back = asyncio.Event()  # set only while closing

    @property
    def size(self) -> int:
        """Connections that are open or being opened."""
        return len(self._idle) + len(self._lent) + len(self._openings) + self._busy

    @property
    def max_size(self) -> int:
        """Connections at the most."""
        return self._settings.max_size

    @property
    def lent(self) -> int:
        """Connections that callers hold."""
        return len(self._lent)

    @property
    def waiting(self) -> int:
        """Callers in line."""
        return len(self._line)

    @property
    def is_exhausted(self) -> bool:
        """True if every connection that there may be is lent, so that only a release can serve a caller."""
        return len(self._lent) >= self._settings.max_size

    async def open(self) -> None:
        """Open the first connection, so that a wrong address or password is told at once."""
        self.release(await self.acquire(None), clean=True)
        self._fill_up()

    async def acquire(self, deadline: float | None) -> C:
        """Lend a connection.

        Args:
            deadline: In the event loop's time; None for no limit.

        Raises:
            PoolTimeout: None came free in time.
            TooManyWaiters: The line is full.
            DatabaseError: A connection had to be opened and could not be.
            UsageError: The pool was closed.
        """
        connection = self.take()
        return await self._wait(deadline) if connection is None else connection

    def take(self) -> C | None:
        """Lend a connection that is there at once; None if there is none, and `acquire` has to wait."""
        while self._idle and not self._line:
            member = self._idle.pop()
            now = monotonic()
            if member.expires <= now or not self._driver.is_open(member.connection):
                self._discard(member)
            elif now - member.idle_since >= self._settings.check_after:
                self._check(member)
                break
            else:
                self._lent[id(member.connection)] = member
                return member.connection
        return None

    def release(self, connection: C, *, clean: bool) -> None:
        """Take *connection* back.

        Args:
            clean: Nothing that ran on it can have left a state behind; otherwise the session is reset
                before it is lent again.
        """
        member = self._take_back(connection)
        if clean:
            self._offer(member)
        elif self._closed or not self._driver.is_clean(connection):
            self._discard(member)
        else:
            self._busy += 1
            self._background.start(self._after(member, self._driver.reset(connection)))

    def finish(self, connection: C, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Take *connection* back and run *work* on it, a ROLLBACK for instance; then it is reset.

        The task that is returned ends when *work* has ended, in bounded time; it never raises. If *work*
        does, the connection is discarded.
        """
        member = self._take_back(connection)
        self._busy += 1
        return self._background.start(self._finished(member, work))

    def discard(self, connection: C) -> None:
        """Take *connection* back and close it: a call on it was cancelled, or it broke."""
        self._discard(self._take_back(connection))

    async def close(self, patience: float) -> None:
        """Turn away those in line, wait up to *patience* seconds for what is lent, close everything."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for future in list(self._line):
            self._turn_away(future, UsageError("the database was disconnected before this call had its turn"))
        for opening in self._openings:
            opening.cancel()
        await self._wait_for_lent(patience)
        for member in self._lent.values():
            self._driver.abort(member.connection)
        await self._wait_for_lent(_FAREWELL_SECONDS / 2)
        while self._idle:
            self._discard(self._idle.pop())
        await self._background.join(_CLEANUP_SECONDS + _FAREWELL_SECONDS)

    def abort(self) -> None:
        """Close every socket, now: for a pool that nobody closed."""
        self._closed = True
        for member in [*self._idle, *self._lent.values()]:
            with contextlib.suppress(RuntimeError):  # the event loop may be closed
                self._driver.abort(member.connection)

    async def _wait_for_lent(self, patience: float) -> None:
        if self._lent and patience > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._all_back.wait()

    async def _wait(self, deadline: float | None) -> C:
        if self._closed:
            raise UsageError("the database was disconnected")
        if len(self._line) >= self._settings.max_waiting:
            raise TooManyWaiters(f"{self._settings.max_waiting} calls wait already for a connection")
        future: asyncio.Future[C] = self._loop.create_future()
        timer = None if deadline is None else self._loop.call_at(deadline, self._late, future)
        self._arrivals += 1
        self._line[future] = self._arrivals
        self._serve_line()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(future.result(), clean=True)  # lent in the very step of the cancellation
            raise
        finally:
            self._line.pop(future, None)
            if timer is not None:
                timer.cancel()

    def _late(self, future: asyncio.Future[C]) -> None:
        self._turn_away(future, PoolTimeout("no connection came free before the timeout; nothing was sent"))

    def _turn_away(self, future: asyncio.Future[C], error: Exception) -> None:
        self._line.pop(future, None)
        if not future.done():
            future.set_exception(error)

    def _next_in_line(self) -> asyncio.Future[C] | None:
        """Take the first out of the line who still waits."""
        while self._line:
            future = next(iter(self._line))
            del self._line[future]
            if not future.done():
                return future
        return None

    def _serve_line(self) -> None:
        """Bring idle connections to those in line, and open as many as are missing and allowed."""
        while self._idle and self._missing() > 0:
            self._offer(self._idle.pop())
        for _ in range(min(self._missing(), self._settings.max_size - self.size)):
            self._open_another()

    def _missing(self) -> int:
        """Those in line for whom no connection is on its way."""
        return len(self._line) - len(self._openings) - self._busy

    def _offer(self, member: _Member[C]) -> None:
        """Give a connection to the first in line, or keep it."""
        now = monotonic()
        usable = self._driver.is_clean(member.connection)
        if self._line:  # one that is kept is asked when it is lent
            usable = usable and self._driver.is_open(member.connection)
        if self._closed or member.expires <= now or not usable:
            self._discard(member)
        elif now - member.idle_since >= self._settings.check_after:
            self._check(member)
        elif (future := self._next_in_line()) is not None:
            self._lent[id(member.connection)] = member
            future.set_result(member.connection)
        else:
            member.idle_since = now
            self._idle.append(member)

    def _check(self, member: _Member[C]) -> None:
        member.idle_since = math.inf
        self._busy += 1
        self._background.start(self._after(member, self._driver.check(member.connection)))

    def _take_back(self, connection: C) -> _Member[C]:
        member = self._lent.pop(id(connection))
        member.idle_since = math.inf
        if self._closed and not self._lent:
            self._all_back.set()
        return member

    def _fill_up(self) -> None:
        """Bring the pool to its least size."""
        if not self._closed:
            for _ in range(self._settings.min_size - self.size):
                self._open_another()
            self._watch()

    def _open_another(self) -> None:
        opening = self._background.start(self._opened(self._arrivals))
        self._openings.add(opening)
        opening.add_done_callback(self._openings.discard)  # one that is cancelled before its first step, too

    async def _opened(self, begun: int) -> None:
        this = asyncio.current_task()
        assert this is not None, "connections are opened by tasks of the pool"
        try:
            connection = await self._driver.open()
        except Exception as error:
            self._openings.discard(this)
            self._not_opened(error, begun)
            return
        except BaseException:
            self._openings.discard(this)
            raise
        self._openings.discard(this)
        self._pause = _FIRST_PAUSE
        lifetime = self._settings.max_lifetime
        expires = math.inf
        if lifetime is not None:
            expires = monotonic() + lifetime * random.uniform(0.9, 1.1)
        self._offer(_Member(connection, expires))

    def _not_opened(self, error: Exception, begun: int) -> None:
        """Tell the first in line if it was there when the opening began, as arrival number *begun* or before.

        The others have their own try, or a connection that comes back.
        """
        first = next((future for future in self._line if not future.done()), None)
        if first is None:
            _log.warning("a connection could not be opened: %s", error)
            self._fill_up_later()
            return
        if self._line[first] <= begun:
            self._turn_away(first, error)
        self._serve_line()

    def _fill_up_later(self) -> None:
        if not self._closed:
            self._loop.call_later(self._pause, _call_if_alive, weakref.WeakMethod(self._fill_up))
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def _after(self, member: _Member[C], work: Coroutine[Any, Any, None]) -> None:
        """Offer a connection once *work*, a reset or a check, has succeeded on it."""
        succeeded = await self._succeeds(work, _CLEANUP_SECONDS)
        self._busy -= 1
        if succeeded:
            self._offer(member)
        else:
            self._discard(member)

    async def _finished(self, member: _Member[C], work: Coroutine[Any, Any, None]) -> None:
        succeeded = await self._succeeds(work, _CLEANUP_SECONDS)
        if not succeeded or self._closed or not self._driver.is_clean(member.connection):
            self._busy -= 1
            self._discard(member)
        else:
            self._background.start(self._after(member, self._driver.reset(member.connection)))

    async def _succeeds(self, work: Coroutine[Any, Any, None], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await work
        except Exception as error:
            _log.info("a connection is discarded: %s", type(error).__name__)
            return False
        return True

    def _discard(self, member: _Member[C]) -> None:
        self._background.start(self._closed_down(member.connection))
        if not self._closed:
            self._loop.call_soon(self._make_up_for_it)

    def _make_up_for_it(self) -> None:
        if not self._closed:
            self._serve_line()
            if self.size < self._settings.min_size:
                self._fill_up_later()

    async def _closed_down(self, connection: C) -> None:
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._driver.close(connection)
        except Exception as error:
            _log.info("a connection was closed without a farewell: %s", type(error).__name__)
        finally:
            self._driver.abort(connection)

    def _watch(self) -> None:
        """Look after idle connections from time to time; the timer alone does not keep the pool alive."""
        seconds = min(self._settings.max_idle, self._settings.check_after) / 2
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sweeper = self._loop.call_later(seconds, _call_if_alive, weakref.WeakMethod(self._sweep))

    def _sweep(self) -> None:
        """Discard idle connections that are dead, too old, or more than need be kept."""
        now = monotonic()
        kept = self._settings.max_size if self._settings.kept is None else self._settings.kept
        surplus = len(self._idle) + len(self._lent) + self._busy - kept
        for member in list(self._idle):  # the one that was idle for longest comes first
            idle_for = now - member.idle_since
            if member.expires <= now or not self._driver.is_open(member.connection):
                self._idle.remove(member)
                self._discard(member)
            elif surplus > 0 and idle_for >= self._settings.max_idle:
                surplus -= 1
                self._idle.remove(member)
                self._discard(member)
        self._fill_up()


def _call_if_alive(method: weakref.WeakMethod[Any]) -> None:
    call = method()
    if call is not None:
        call()
