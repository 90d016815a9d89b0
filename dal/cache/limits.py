"""Rate limits: counters with a limit, which say when they do not count for all.

A window begins with the first call and ends its family's time later. While the store is away a family may
count in this process alone: such a count is marked, bounded in its keys, and forgotten with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dal.cache.deletions import Deletions
from dal.cache.families import KeyFamily
from dal.cache.statistics import Statistics
from dal.cache.stores.base import Store, WrongType
from dal.cache.stores.memory import MemoryStore
from dal.errors import CacheError

MAX_LOCAL = 10_000
"""Counters kept in the process during an outage; beyond, the one that was used longest ago goes."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One call, counted.

    Attributes:
        count: Calls in this window, this one included.
        limit: How many are allowed.
        remaining: How many more are allowed.
        reset: Seconds until the window ends.
        degraded: True if only the calls to this process were counted, since the store is away.
    """

    count: int
    limit: int
    remaining: int
    reset: float
    degraded: bool

    @property
    def allowed(self) -> bool:
        """Whether this call is within the limit."""
        return self.count <= self.limit


class Limiter:
    """Counts calls in *store*, or here while it is away."""

    def __init__(
        self, store: Store, deletions: Deletions, statistics: Statistics, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._deletions = deletions
        self._statistics = statistics
        self._local = MemoryStore(max_entries=MAX_LOCAL, clock=clock)

    async def count(self, family: KeyFamily, key: str, limit: int) -> RateLimit:
        """Count one call under *key*; see `CacheManager.rate_limit`."""
        if family.type != "counter":
            raise CacheError(f"key family {family.name} is a {family.type}; rate_limit takes a counter")
        if type(limit) is not int or limit < 1:
            raise CacheError(f"key family {family.name}: a limit is a whole number, 1 or more")
        degraded = False
        try:
            await self._deletions.settle(key)
            count, left = await self._store.increment(key, family.ttl)
        except WrongType as error:
            raise CacheError(f"key family {family.name}: {error}") from None
        except CacheError:
            if family.outage != "count":
                raise
            degraded = True
            self._statistics[family.name].degraded += 1
            count, left = await self._local.increment(key, family.ttl)
        return RateLimit(count, limit, max(limit - count, 0), left, degraded)
