"""The cache inside the process: bounded in entries and in bytes, with the semantics of Redis.

Bytes are stored, so that nothing is shared with the caller. No call takes longer for how much is stored: the
least recently used entries make room, and each call also looks at a few entries in turn and removes those
that have expired. Everything happens between two awaits, so no lock is needed.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from dal.cache.stores.base import WrongType
from dal.errors import CacheValueError

MAX_ENTRIES = 100_000
MAX_BYTES = 64 * 1024 * 1024

_OVERHEAD = 500  # bytes of Python objects around an entry
_FIELD_OVERHEAD = 150  # and around a field of a hash
_STEPS = 4  # entries looked at in each call; more than the one that a call can add
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_LARGEST = 2**63 - 1


@dataclass(slots=True)
class _Entry:
    value: bytes | dict[bytes, bytes]
    expires: float
    size: int


class MemoryStore:
    """A `Store` in this process.

    Args:
        max_entries: How many entries are kept.
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
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # the least recently used first
        self._rounds: OrderedDict[str, None] = OrderedDict()  # the same keys, the next to be looked at first
        self._bytes = 0

    async def get(self, key: str, /) -> bytes | None:
        entry = self._find(key)
        if entry is None:
            return None
        if isinstance(entry.value, dict):
            raise WrongType("a hash lies under the key, not a single value")
        return entry.value

    async def set(self, key: str, value: bytes, ttl: int, /) -> None:
        self._put(key, value, len(value), ttl)

    async def get_hash(self, key: str, /) -> dict[bytes, bytes] | None:
        entry = self._find(key)
        if entry is None:
            return None
        if not isinstance(entry.value, dict):
            raise WrongType("a single value lies under the key, not a hash")
        return dict(entry.value)

    async def set_hash(self, key: str, fields: dict[bytes, bytes], ttl: int, /) -> None:
        size = sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in fields.items())
        self._put(key, dict(fields), size, ttl)

    async def delete(self, key: str, /) -> None:
        self._remove_expired()
        self._remove(key)

    async def increment(self, key: str, ttl: int, /) -> int:
        entry = self._find(key)
        if entry is None:
            await self.set(key, b"1", ttl)
            return 1
        count = _integer(entry.value) + 1
        if count > _LARGEST:
            raise WrongType("the counter is at its largest value")
        # A digit more than before takes a byte more; the estimate need not follow.
        entry.value = b"%d" % count
        return count

    async def close(self) -> None:
        self._entries.clear()
        self._rounds.clear()
        self._bytes = 0

    def _find(self, key: str) -> _Entry | None:
        """Return the entry if it has not expired, as the one used last."""
        self._remove_expired()
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires <= self._clock():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def _put(self, key: str, value: bytes | dict[bytes, bytes], size: int, ttl: int) -> None:
        size += len(key) + _OVERHEAD
        if size > self._max_bytes:
            raise CacheValueError(f"the value takes {size} bytes; the whole store may take {self._max_bytes}")
        self._remove_expired()
        self._remove(key)
        self._entries[key] = _Entry(value, self._clock() + ttl, size)
        self._rounds[key] = None
        self._bytes += size
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            del self._rounds[key]
            self._bytes -= entry.size

    def _remove_expired(self) -> None:
        """Look at the next few entries and remove those that have expired."""
        now = self._clock()
        for _ in range(min(_STEPS, len(self._rounds))):
            key = next(iter(self._rounds))
            if self._entries[key].expires <= now:
                self._remove(key)
            else:
                self._rounds.move_to_end(key)


def _integer(value: bytes | dict[bytes, bytes]) -> int:
    if isinstance(value, dict) or _INTEGER.fullmatch(value) is None or int(value) > _LARGEST:
        raise WrongType("no integer lies under the key")
    return int(value)
