"""Flights: the loads under way in this process, one for each key.

A flight belongs to the cache, not to a caller. Callers wait for it, each as long as it likes; one that leaves
harms nobody. When the last one has left, the flight is cancelled, unless its family wants it finished.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from dal.cache.families import KeyFamily
from dal.errors import CacheUnavailable
from dal.tasks import Background

PATIENCE = 2.0
"""Seconds that a disconnect waits for flights to end, after it has cancelled them."""

_log = logging.getLogger(__name__)


class Flight:
    """One load of one key.

    Attributes:
        has_begun: Set once the flight has asked for the value. What was changed before is in its answer; who
            joins later may know of a change that is not.
        in_background: Whether nobody asked for it: it refreshes a value that is there.
    """

    def __init__(self, family: KeyFamily, *, in_background: bool) -> None:
        self.family = family
        self.in_background = in_background
        self.has_begun = False
        self.waiters = 0
        self.task: asyncio.Task[Any]


class Flights:
    """The flights under way."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._by_key: dict[str, Flight] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def find(self, key: str) -> Flight | None:
        """Return the flight that loads *key*, if there is one that may be joined."""
        return self._by_key.get(key)

    def start(
        self,
        family: KeyFamily,
        key: str,
        work: Callable[[Flight], Coroutine[Any, Any, Any]],
        *,
        in_background: bool = False,
    ) -> Flight:
        """Begin a flight for *key*, for which there is none; it does *work* in a clean context."""
        flight = Flight(family, in_background=in_background)

        async def fly() -> Any:
            try:
                return await work(flight)
            finally:
                self._detach(key, flight)

        flight.task = self._background.start(fly())
        self._by_key[key] = flight
        self._tasks.add(flight.task)
        flight.task.add_done_callback(self._tasks.discard)
        return flight

    async def wait(self, key: str, flight: Flight) -> Any:
        """Return what *flight* brings, or raise what it raises."""
        flight.waiters += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            flight.waiters -= 1
            if not (flight.waiters or flight.in_background or flight.family.finish_abandoned):
                self._detach(key, flight)
                flight.task.cancel()
        if flight.task.cancelled():
            raise CacheUnavailable(f"key family {flight.family.name}: the cache was disconnected in a load")
        return flight.task.result()

    def part_from(self, key: str) -> bool:
        """Let who comes from now on begin a new flight for *key*, and who waits have the old one's answer.

        Its lease is to be deleted too, so that it stores nothing. False if there is no flight.
        """
        return self._by_key.pop(key, None) is not None

    def part_from_prefix(self, prefix: str) -> None:
        """Part from the flight of every key that begins with *prefix*."""
        for key in [key for key in self._by_key if key.startswith(prefix)]:
            self.part_from(key)

    async def close(self) -> None:
        """Cancel all flights and wait, not for ever, until they have ended."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, still = await asyncio.wait(tasks, timeout=PATIENCE)
            if still:
                _log.error(
                    "%d loads go on although they were cancelled at the cache's disconnect", len(still)
                )

    def _detach(self, key: str, flight: Flight) -> None:
        if self._by_key.get(key) is flight:
            del self._by_key[key]
