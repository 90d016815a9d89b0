"""Tracking: one connection on which the server says which keys were changed.

It speaks RESP3 and tracks in broadcasting mode: the server sends the name of every changed key that begins
with one of the prefixes, whoever changed it and in whatever database, and remembers nothing for each
reader. So the lanes are not concerned. A key's name is sent after the change was made.

A connection over which nothing comes may be frozen: each second the server is asked, and if it has not
answered by the next second, the connection is given up. Then, as whenever it is lost, the listener is told
at once. Another one is opened, after pauses that grow.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

from redis.exceptions import ResponseError

from dal.cache.stores.base import Listener
from dal.cache.stores.redis.failures import translated
from dal.cache.stores.redis.wire import Wire, packed
from dal.cache.stores.url import StoreUrl
from dal.tasks import Background

HEARTBEAT = 1.0
"""Seconds between two questions whether the server is there."""

CONNECT_SECONDS = 2.0
"""How long it may take, at least, until the server has said that it tracks."""

_PAUSE, _LONGEST_PAUSE = 0.05, 3.0  # seconds between two attempts, about; each is twice as long as the last
_FAREWELL_SECONDS = 1.0
_STEPS = 16  # of the event loop, in which an answer is read that came while the loop stood still
_PING = packed("PING")

_log = logging.getLogger(__name__)


class RedisTracking:
    """Tells *listener* of changes of keys that begin with *prefixes*.

    Args:
        wire: A connection for it alone, of protocol 3.
        timeout: Seconds that a call may take.
    """

    def __init__(
        self, url: StoreUrl, wire: Wire, timeout: float, prefixes: Sequence[str], listener: Listener
    ) -> None:
        self._url = url
        self._wire = wire
        self._patience = max(CONNECT_SECONDS, timeout)
        words = [word for prefix in prefixes for word in ("PREFIX", prefix)]
        self._request = packed("CLIENT", "TRACKING", "ON", "BCAST", *words)
        self._listener = listener
        self._background = Background()
        self._task: asyncio.Task[None] | None = None
        self._pause = _PAUSE
        self._is_on = self._is_closed = self._is_answered = self._has_complained = False

    def start(self) -> None:
        """Begin, unless that was done."""
        if (self._task is None or self._task.done()) and not self._is_closed:
            self._task = self._background.start(self._run())

    async def close(self) -> None:
        """End the connection."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
        await self._background.join(_FAREWELL_SECONDS)

    async def _run(self) -> None:
        while True:
            try:
                await self._begin()
                await self._listen()
            except Exception as error:  # redis-py lets errors through that are not its own
                self._lost(str(translated(self._url, "CLIENT TRACKING", error)))
            finally:
                self._end()
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def _begin(self) -> None:
        async with asyncio.timeout(self._patience):
            await self._wire.open()
            await self._wire.send([self._request])
            reply = await self._wire.receive_or_push()
        if isinstance(reply, ResponseError):
            raise reply
        self._is_on = True
        self._listener.began()
        if self._has_complained:
            _log.warning("the cache at %s says again what is changed: copies are kept", self._url)
            self._has_complained = False

    async def _listen(self) -> None:
        heart = self._background.start(self._beat())
        try:
            while True:
                message = await self._wire.receive_or_push()
                if isinstance(message, ResponseError):
                    raise message
                if not isinstance(message, list):
                    self._is_answered = True
                    self._pause = _PAUSE
                elif message[0] == b"invalidate":
                    self._changed(message[1])
        finally:
            heart.cancel()

    def _changed(self, keys: Sequence[bytes] | None) -> None:
        """Pass on what was said: the names of keys, or, after a FLUSHDB, nothing in particular."""
        # A name that is no text is no key of ours, and becomes no other one's.
        names = None if keys is None else [key.decode("utf-8", "surrogateescape") for key in keys]
        self._listener.changed(names)

    async def _beat(self) -> None:
        try:
            while True:
                self._is_answered = False
                await self._wire.send([_PING])
                await asyncio.sleep(HEARTBEAT)
                for _ in range(_STEPS):
                    if self._is_answered:
                        break
                    await asyncio.sleep(0)
                else:
                    self._lost(f"the cache at {self._url} does not answer any more")
                    return
        except Exception as error:  # as above
            self._lost(str(translated(self._url, "PING", error)))

    def _lost(self, reason: str) -> None:
        self._end()
        if not self._has_complained:
            self._has_complained = True
            _log.warning("no copies are kept in this process for now: %s", reason)

    def _end(self) -> None:
        """Drop the connection; who listens to it gets an error."""
        if self._is_on:
            self._is_on = False
            self._listener.ended()
        self._wire.drop()
