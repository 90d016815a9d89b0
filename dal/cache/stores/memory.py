"""The cache inside the process: bounded in entries and in bytes, with the semantics of Redis.

Bytes are stored, so that nothing is shared with the caller. Everything but the removal by prefix happens
between two awaits, so no lock is needed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence

from dal.cache.stores.base import FENCE, Listener, WrongType
from dal.cache.stores.entries import MAX_BYTES, MAX_ENTRIES, Entries

Value = bytes | dict[str, bytes]

_FIELD_OVERHEAD = 150  # bytes of Python objects around a field of a hash
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_LARGEST = 2**63 - 1


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
        self._entries: Entries[Value] = Entries(max_entries, max_bytes, clock)
        self._clock = clock

    async def get(self, key: str, /) -> bytes | None:
        value = self._entries.find(key)
        return None if value is None else _data(value)

    async def get_with_ttl(self, key: str, /) -> tuple[bytes, float] | None:
        found = self._entries.find_with_left(key)
        return None if found is None else (_data(found[0]), found[1])

    async def get_many(self, keys: Sequence[str], /) -> list[bytes | None]:
        values = (self._entries.find(key) for key in keys)
        return [value if isinstance(value, bytes) else None for value in values]

    async def set(self, key: str, data: bytes, ttl: float, /) -> None:
        self._entries.put(key, data, len(data), ttl)

    async def set_many(self, items: Sequence[tuple[str, bytes, float]], /) -> None:
        for key, data, ttl in items:
            self._entries.put(key, data, len(data), ttl)

    async def delete(self, key: str, /) -> None:
        self._entries.delete(key)

    async def delete_many(self, keys: Sequence[str], /) -> None:
        for key in keys:
            self._entries.delete(key)

    async def delete_prefix(self, prefix: str, /) -> int:
        removed = 0
        for keys in self._entries.batches():
            for key in keys:
                removed += key.startswith(prefix) and self._entries.delete(key)
            await asyncio.sleep(0)
        return removed

    async def increment(self, key: str, ttl: float, /) -> tuple[int, float]:
        found = self._entries.find_with_left(key)
        if found is None:
            await self.set(key, b"1", ttl)
            return 1, ttl
        count = _integer(found[0]) + 1
        if count > _LARGEST:
            raise WrongType("the counter is at its largest value")
        # A digit more than before takes a byte more; the estimate need not follow.
        self._entries.replace(key, b"%d" % count)
        return count, found[1]

    async def get_hash(self, key: str, /) -> dict[str, bytes] | None:
        value = self._entries.find(key)
        return None if value is None else dict(_fields(value))

    async def set_hash(self, key: str, fields: Mapping[str, bytes], ttl: float, /) -> None:
        size = sum(len(name.encode()) + len(item) + _FIELD_OVERHEAD for name, item in fields.items())
        self._entries.put(key, dict(fields), size, ttl)

    async def update_hash(self, key: str, fields: Mapping[str, bytes], ttl: float, /) -> None:
        value = self._entries.find(key)
        await self.set_hash(key, {**({} if value is None else _fields(value)), **fields}, ttl)

    async def touch(self, key: str, ttl: float, /) -> bool:
        return self._entries.touch(key, ttl)

    async def acquire(self, key: str, token: str, ttl: float, /) -> bool:
        if self._entries.find(key) is not None:
            return False
        await self.set(key, token.encode(), ttl)
        return True

    async def set_if_held(self, lease_key: str, token: str, key: str, data: bytes, ttl: float, /) -> bool:
        if not self._holds(lease_key, token):
            return False
        self._entries.delete(lease_key)
        await self.set(key, data, ttl)
        return True

    async def release(self, lease_key: str, token: str, /) -> None:
        if self._holds(lease_key, token):
            self._entries.delete(lease_key)

    async def delete_with_leases(self, keys: Sequence[tuple[str, str]], /) -> None:
        for key, lease_key in keys:
            self._entries.delete(lease_key)
            self._entries.delete(key)

    async def fence(self, keys: Sequence[str], token: str, ttl: float, /) -> None:
        for key in keys:
            self._put_fences(key, {**self._fences(key), token: self._clock() + ttl})

    async def lift(self, keys: Sequence[str], token: str, /) -> None:
        for key in keys:
            fences = self._fences(key)
            fences.pop(token, None)
            self._put_fences(key, fences)

    def track(self, prefixes: Sequence[str], listener: Listener, /) -> None:
        return None

    async def close(self) -> None:
        self._entries.clear()

    def _holds(self, lease_key: str, token: str) -> bool:
        return self._entries.find(lease_key) == token.encode()

    def _fences(self, key: str) -> dict[str, float]:
        """The fences around *key* that have not ended, and when each will."""
        state = self._entries.find(key)
        if not isinstance(state, bytes) or not state.startswith(FENCE):
            return {}
        pairs = (fence.split("@") for fence in state[len(FENCE) :].decode().split())
        now = self._clock()
        return {token: float(end) for token, end in pairs if float(end) > now}

    def _put_fences(self, key: str, fences: Mapping[str, float]) -> None:
        if not fences:
            self._entries.delete(key)
            return
        state = FENCE + " ".join(f"{token}@{end!r}" for token, end in fences.items()).encode()
        self._entries.put(key, state, len(state), max(fences.values()) - self._clock())


def _data(value: Value) -> bytes:
    if isinstance(value, dict):
        raise WrongType("a hash lies under the key, not a single value")
    return value


def _fields(value: Value) -> dict[str, bytes]:
    if not isinstance(value, dict):
        raise WrongType("a single value lies under the key, not a hash")
    return value


def _integer(value: Value) -> int:
    if isinstance(value, dict) or _INTEGER.fullmatch(value) is None or int(value) > _LARGEST:
        raise WrongType("no integer lies under the key")
    return int(value)
