"""A cache for code that does not await, called from whatever thread.

    from dal.cache.synchronous import cache

    cache.set("rate:USD/EUR", Decimal("0.85"), ttl_seconds=60)
    rate = cache.get("rate:USD/EUR")

It lies in this process alone; what processes share is for `CacheManager`. Keys are free, without families.
A value may be whatever pickle takes, and is kept as its bytes: `get` gives a copy of its own to each
caller, so that no thread sees what another one does to it, and memory is bounded in bytes.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from dal.cache.families import MAX_TTL, MIN_TTL, is_ttl
from dal.cache.stores.entries import MAX_BYTES, MAX_ENTRIES, Entries
from dal.errors import CacheError, CacheValueError

DEFAULT_TTL = 300


class SynchronousCache:
    """Values in this process, each for its time.

    Args:
        max_entries: How many are kept; beyond, the one that was used longest ago goes.
        max_bytes: How much memory they take, estimated.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries: Entries[bytes] = Entries(max_entries, max_bytes, clock)
        self._lock = Lock()

    def set(self, key: str, value: Any, ttl_seconds: int = DEFAULT_TTL) -> None:
        """Keep *value* under *key*, in place of what is there.

        Raises:
            CacheError: The time is no whole number of seconds, or out of bounds.
            CacheValueError: The value cannot be pickled, or is too large.
        """
        if not is_ttl(ttl_seconds):
            raise CacheError(f"ttl_seconds must be a whole number of seconds from {MIN_TTL} to {MAX_TTL}")
        try:
            data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, AttributeError, RecursionError, TypeError) as error:
            raise CacheValueError(f"a value of type {type(value).__name__} cannot be pickled") from error
        with self._lock:
            self._entries.put(key, data, len(data), ttl_seconds)

    def get(self, key: str) -> Any | None:
        """Return the value under *key*, None if there is none or its time is over."""
        with self._lock:
            data = self._entries.find(key)
        # The bytes are this process's own: nobody else could put a pickle there.
        return None if data is None else pickle.loads(data)

    def delete(self, key: str) -> None:
        """Remove what lies under *key*, if anything."""
        with self._lock:
            self._entries.delete(key)

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._entries.clear()

    def cleanup_expired(self) -> int:
        """Remove all values whose time is over, and return how many there were.

        Nobody has to call it: every other call removes a few of them.
        """
        with self._lock:
            return self._entries.remove_all_expired()


cache = SynchronousCache()
"""The cache of this process."""
