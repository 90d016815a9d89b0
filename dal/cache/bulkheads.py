"""The bulkhead: while the store is away, only a few loads of a family run at a time.

The rest waits in line for a moment and is then turned away: an outage of the cache must not become one of
what stands behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from dal.cache.families import KeyFamily
from dal.errors import CacheOverloaded

PATIENCE = 1.0
"""Seconds that a load waits for its turn."""


class Bulkheads:
    """The turns of each family."""

    def __init__(self) -> None:
        self._turns: dict[str, asyncio.Semaphore] = {}

    @contextlib.asynccontextmanager
    async def turn(self, family: KeyFamily) -> AsyncIterator[None]:
        """A block in which one load of *family* may run.

        Raises:
            CacheOverloaded: None of those under way has ended in time.
        """
        turns = self._turns.setdefault(family.name, asyncio.Semaphore(family.bulkhead))
        try:
            async with asyncio.timeout(PATIENCE):
                await turns.acquire()
        except TimeoutError:
            raise CacheOverloaded(
                f"key family {family.name}: the cache is away, and {family.bulkhead} loads are under way;"
                " none of them ended in time for another one"
            ) from None
        try:
            yield
        finally:
            turns.release()
