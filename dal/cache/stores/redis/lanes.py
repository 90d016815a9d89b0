"""Lanes: callers append commands, a pump sends them in batches over one connection and settles the futures.

A command's deadline covers its time in line, connecting, sending and the reply; one timer serves all of
them. A batch that is not answered by the last deadline in it costs the lane its connection, so that no
reply of it can be taken for another one's. What was sent is never sent again, but for a read whose
connection was lost: it goes once more, over a fresh one, inside its deadline.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from redis.exceptions import ReadOnlyError, ResponseError

from dal.cache.stores.redis.breaker import Breaker
from dal.cache.stores.redis.failures import too_late, translated
from dal.cache.stores.redis.wire import Wire
from dal.cache.stores.url import StoreUrl
from dal.engines.deadlines import Deadlines
from dal.errors import CacheError, CacheUnavailable
from dal.tasks import Background

T = TypeVar("T")

MAX_COMMANDS = 128  # of a batch
MAX_BYTES = 256 * 1024  # of a batch, unless one command alone has more
MAX_WAITING = 10_000  # calls in line before the next ones are turned away
CONNECT_SECONDS = 0.5  # at least: connecting goes on beyond the deadlines of those who wait for it

# A timer that comes this late says that the event loop stood still, not that the server did: what has arrived
# meanwhile is then read first, which takes some steps of the loop.
_STALL = 0.005
_STEPS = 4


class Command:
    """One call: what is sent, how many replies belong to it, and the future that its caller awaits.

    Attributes:
        name: What errors call it.
        repeatable: True for a read, which may be sent again if its connection was lost.
        deadline: In the event loop's time.
    """

    __slots__ = ("_lane", "deadline", "future", "name", "packed", "repeatable", "replies")

    def __init__(
        self, lane: Lane, name: str, packed: bytes, replies: int, repeatable: bool, deadline: float
    ) -> None:
        self._lane = lane
        self.name = name
        self.packed = packed
        self.replies = replies
        self.repeatable = repeatable
        self.deadline = deadline
        self.future: asyncio.Future[Any] = lane.loop.create_future()

    def expire(self) -> None:
        """Fail for lateness; called at the deadline."""
        if self.future.done():
            return
        if self._lane.loop.time() - self.deadline > _STALL:
            _after_steps(self._lane.loop, _STEPS, self._lane.expired, self)
        else:
            self._lane.expired(self)


class Lane:
    """Commands in line for one connection."""

    def __init__(
        self,
        url: StoreUrl,
        wire: Wire,
        timeout: float,
        breaker: Breaker,
        deadlines: Deadlines,
        background: Background,
    ) -> None:
        self._url = url
        self._wire = wire
        self._timeout = timeout
        self._breaker = breaker
        self._background = background
        self._waiting: deque[Command] = deque()
        self._sent: deque[Command] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._bell: asyncio.Future[None] | None = None
        self._is_outdated = False
        self.loop = asyncio.get_running_loop()
        self.deadlines = deadlines
        self.deadline = math.inf  # of the batch that was sent

    def submit(self, name: str, packed: bytes, *, replies: int = 1, repeatable: bool = False) -> Command:
        """Put a command in line; its future brings the reply, of several *replies* a list, or the error."""
        command = Command(self, name, packed, replies, repeatable, self.loop.time() + self._timeout)
        if len(self._waiting) >= MAX_WAITING:
            error = CacheUnavailable(f"{MAX_WAITING} calls wait for the cache at {self._url} already")
            command.future.set_exception(error)
            return command
        self.deadlines.add(command)
        self._waiting.append(command)
        if self._bell is not None:
            if not self._bell.done():
                self._bell.set_result(None)
        elif self._pump is None or self._pump.done():
            self._pump = self._background.start(self._run())
        return command

    def expired(self, command: Command) -> None:
        """Fail *command*, whose deadline has passed, unless its reply has come."""
        if command.future.done():
            return
        error = too_late(self._url, command.name, self._timeout)
        command.future.set_exception(error)
        self._breaker.failed(str(error))

    def expire(self) -> None:
        """Drop the connection if a batch was not answered in time, once all calls in it have expired."""
        _after_steps(self.loop, 2 * _STEPS, self._drop_if_late, self.deadline)

    def _drop_if_late(self, deadline: float) -> None:
        if self._sent and self.deadline == deadline:
            self._wire.drop()

    def give_up(self, error: Callable[[], CacheError]) -> None:
        """Fail all calls, and drop the connection if a reply is due on it."""
        for command in (*self._sent, *self._waiting):
            self._fail(command, error())
        self._waiting.clear()
        if self._sent:
            self._wire.drop()

    def stop(self) -> None:
        """End the pump, which fails all calls."""
        if self._pump is not None:
            self._pump.cancel()

    async def _run(self) -> None:
        try:
            while True:
                if not self._waiting:
                    await self._call()
                if await self._is_ready() or await self._connect():
                    await self._exchange(self._batch())
        finally:
            self.give_up(lambda: CacheUnavailable(f"the cache at {self._url} was disconnected"))
            self._wire.drop()

    async def _call(self) -> None:
        """Wait until a command is in line."""
        self._bell = self.loop.create_future()
        try:
            await self._bell
        finally:
            self._bell = None

    async def _is_ready(self) -> bool:
        return not self._is_outdated and await self._wire.is_usable()

    async def _connect(self) -> bool:
        """Open the connection, and say whether it is open; if it is not, who waited has been told."""
        self._wire.drop()
        self._is_outdated = False
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        if not self._waiting:
            return False  # nobody is left to connect for
        try:
            async with asyncio.timeout(max(CONNECT_SECONDS, self._timeout)):
                await self._wire.open()
        except Exception as error:  # redis-py lets errors through that are not its own
            self._wire.drop()
            waiting, self._waiting = self._waiting, deque()
            for command in waiting:
                self._fail(command, translated(self._url, command.name, error))
            self._breaker.failed(str(translated(self._url, "CONNECT", error)))
            return False
        return True

    def _batch(self) -> list[Command]:
        """Take the next commands from the line; those whose callers have left are dropped."""
        batch: list[Command] = []
        size = 0
        while self._waiting and len(batch) < MAX_COMMANDS:
            command = self._waiting[0]
            if not command.future.done():
                size += len(command.packed)
                if batch and size > MAX_BYTES:
                    break
                batch.append(command)
            self._waiting.popleft()
        return batch

    async def _exchange(self, batch: list[Command]) -> None:
        """Send *batch* and settle its futures."""
        if not batch:
            return
        sent = self._sent
        sent.extend(batch)
        self.deadline = max(command.deadline for command in batch) + 2 * _STALL
        self.deadlines.add(self)
        wire = self._wire
        try:
            await wire.send([command.packed for command in batch])
            while sent:
                command = sent[0]
                if command.replies == 1:
                    reply = await wire.receive()
                else:
                    reply = [await wire.receive() for _ in range(command.replies)]
                sent.popleft()
                self._settle(command, reply)
            self._breaker.answered()
        except Exception as error:  # redis-py lets errors through that are not its own
            self._lost(error)
        finally:
            self.deadlines.discard(self)

    def _settle(self, command: Command, reply: Any) -> None:
        self.deadlines.discard(command)
        if command.future.done():
            return
        error = _error_in(reply) if command.replies > 1 or isinstance(reply, ResponseError) else None
        if error is None:
            command.future.set_result(reply)
            return
        command.future.set_exception(translated(self._url, command.name, error))
        if isinstance(error, ReadOnlyError):
            # This was the primary once. A new connection may lead to the one that is it now.
            self._is_outdated = True

    def _lost(self, error: Exception) -> None:
        """The connection is gone: reads go to the head of the line, the others have failed."""
        self._wire.drop()
        lost = [command for command in self._sent if not command.future.done()]
        self._sent.clear()
        for command in reversed(lost):
            if command.repeatable:
                command.repeatable = False
                self._waiting.appendleft(command)
            else:
                self._fail(command, translated(self._url, command.name, error))
        if lost:
            self._breaker.failed(str(translated(self._url, lost[0].name, error)))

    def _fail(self, command: Command, error: CacheError) -> None:
        self.deadlines.discard(command)
        if not command.future.done():
            command.future.set_exception(error)


def _after_steps(
    loop: asyncio.AbstractEventLoop, steps: int, action: Callable[[T], None], argument: T
) -> None:
    """Call *action* when the event loop has gone through what is ready *steps* times."""
    if steps:
        loop.call_soon(_after_steps, loop, steps - 1, action, argument)
    else:
        action(argument)


def _error_in(reply: Any) -> ResponseError | None:
    """Return the first error in *reply*: one, several, or those of a transaction among several."""
    if isinstance(reply, ResponseError):
        return reply
    errors = map(_error_in, reply) if type(reply) is list else ()
    return next(filter(None, errors), None)
