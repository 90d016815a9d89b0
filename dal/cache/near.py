"""Copies of a server's values in this process, for families that ask for them: reads without a trip.

    KeyFamily("config_system", "config:system:{version}", "string", "json", 300, near=30)

The server says which keys were changed, by whomever, on a connection of its own (`Store.track`), and those
copies go. A write through this manager takes its copy out itself, before its call returns. While the server
cannot say, there are no copies. No copy is older than its family's `near` seconds, counted from before its
value was asked for, or outlives its value's own time.

Why no copy is older than what the server has said. The server does one thing after the other: say a read sees
the value at R, and a change is made at C and told at T, later than C. A read is written down here before it
is sent, and its value is kept only if it still stands there when the answer has come; what is told strikes
out all reads of its key, and takes the copy away.

- C before R: the answer has the new value already. Whether T comes before or after it does not matter.
- R before C: the answer is old. T is later than C, so later than R, so later than when the read was written
  down: T cannot have been received before. If it is received before the answer, the read is struck out and
  nothing is kept; if after, the copy is taken away. That the two come over different connections, in either
  order, changes nothing.
- The server must have been telling since before R: a read is written down only while it does, and the end of
  that strikes out all reads and takes all copies away. Nothing of before is kept when it begins anew.

So between C and T other processes may read the value from before, as over a slow connection. Not told: that
two databases were swapped (SWAPDB), and what happens on another server to which new connections lead while
the old one goes on answering. There the age of the copies is the bound.

A write here strikes out when it has ended, however it ended and before its call returns: a read that began
until then may have seen the old value. If it is done on the server later than that, the server tells of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dal.cache.families import KeyFamily
from dal.cache.statistics import Statistics
from dal.cache.stores.base import Listener, Store, Tracking, WrongType
from dal.cache.stores.entries import Entries
from dal.errors import CacheValueError

MAX_ENTRIES = 10_000
MAX_BYTES = 16 * 1024 * 1024


def in_front_of(
    store: Store,
    families: Iterable[KeyFamily],
    statistics: Statistics,
    clock: Callable[[], float],
    *,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int = MAX_BYTES,
) -> Store:
    """Return *store* with copies in front of it; as it is if no family asks, or if it is in this process."""
    asking = {family.prefix: family for family in families if family.near}
    if not asking:
        return store
    copies = Copies(max_entries, max_bytes, clock)
    tracking = store.track(tuple(asking), copies)
    return store if tracking is None else NearStore(store, copies, tracking, asking, statistics)


class Reading:
    """A read of *key* under way, which began at *begun*."""

    __slots__ = ("begun", "key")

    def __init__(self, key: str, begun: float) -> None:
        self.key = key
        self.begun = begun


class Copies:
    """The copies, and the reads under way that may add to them; a `Listener`.

    Args:
        max_entries: How many copies are kept.
        max_bytes: How much memory they take, estimated.
        clock: Seconds that only go forward.

    Attributes:
        is_on: Whether changes are told; without that nothing is kept.
    """

    def __init__(self, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        # A copy and when its value ends; the entry itself may end sooner.
        self._entries: Entries[tuple[bytes, float]] = Entries(max_entries, max_bytes, clock)
        self._readings: dict[str, set[Reading]] = {}
        self._clock = clock
        self.is_on = False

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str) -> tuple[bytes, float] | None:
        """Return the copy under *key* and the seconds that its value still has, None if there is none."""
        copy = self._entries.find(key)
        return None if copy is None else (copy[0], copy[1] - self._clock())

    def begin(self, key: str) -> Reading:
        """Write down a read that is about to be sent."""
        reading = Reading(key, self._clock())
        if self.is_on:
            self._readings.setdefault(key, set()).add(reading)
        return reading

    def keep(self, reading: Reading, data: bytes, left: float, seconds: float) -> None:
        """Keep what *reading* has brought for *seconds* from its beginning, unless it was struck out.

        The value had *left* seconds when it was read: as many, or more.
        """
        if reading not in self._readings.get(reading.key, ()):
            return
        ends = reading.begun + seconds
        now = self._clock()
        if ends > now:
            with contextlib.suppress(CacheValueError):  # larger than all copies together may be
                self._entries.put(reading.key, (data, reading.begun + left), len(data), ends - now)

    def end(self, reading: Reading) -> None:
        """Forget *reading*, whatever it has brought."""
        others = self._readings.get(reading.key)
        if others is not None:
            others.discard(reading)
            if not others:
                del self._readings[reading.key]

    def forget(self, keys: Iterable[str]) -> None:
        """Take away the copies of *keys*, and let no read under way add one."""
        for key in keys:
            self._entries.delete(key)
            self._readings.pop(key, None)

    def forget_all(self) -> None:
        """Do what `forget` does with all keys."""
        self._entries.clear()
        self._readings.clear()

    def began(self) -> None:
        self.is_on = True

    def changed(self, keys: Sequence[str] | None) -> None:
        if keys is None:
            self.forget_all()
        else:
            self.forget(keys)

    def ended(self) -> None:
        self.is_on = False
        self.forget_all()


class NearStore:
    """A `Store` that answers from *copies* where it can, and from *store* else.

    Every change of a key goes through it. What is not about single values is passed on as it is: keys of the
    families *asking* for copies, by prefix, hold nothing else.
    """

    def __init__(
        self,
        store: Store,
        copies: Copies,
        tracking: Tracking,
        asking: Mapping[str, KeyFamily],
        statistics: Statistics,
    ) -> None:
        self._store = store
        self._copies = copies
        self._tracking = tracking
        self._asking = asking
        self._prefixes = tuple(asking)
        self._statistics = statistics

    def get(self, key: str, /) -> Coroutine[Any, Any, bytes | None]:
        return self._value(key) if key.startswith(self._prefixes) else self._store.get(key)

    def get_with_ttl(self, key: str, /) -> Coroutine[Any, Any, tuple[bytes, float] | None]:
        return self._read(key) if key.startswith(self._prefixes) else self._store.get_with_ttl(key)

    async def get_many(self, keys: Sequence[str], /) -> list[bytes | None]:
        near = [key for key in dict.fromkeys(keys) if key.startswith(self._prefixes)]
        if not near:
            return await self._store.get_many(keys)
        others = [key for key in keys if not key.startswith(self._prefixes)]
        found: dict[str, bytes | None]
        found, values = await asyncio.gather(self._others(others), self._each(near))
        found |= values
        return [found[key] for key in keys]

    async def set(self, key: str, data: bytes, ttl: float, /) -> None:
        with self._changing((key,)):
            await self._store.set(key, data, ttl)

    async def set_many(self, items: Sequence[tuple[str, bytes, float]], /) -> None:
        with self._changing([key for key, _, _ in items]):
            await self._store.set_many(items)

    async def delete(self, key: str, /) -> None:
        with self._changing((key,)):
            await self._store.delete(key)

    async def delete_many(self, keys: Sequence[str], /) -> None:
        with self._changing(keys):
            await self._store.delete_many(keys)

    async def delete_prefix(self, prefix: str, /) -> int:
        if not prefix.startswith(self._prefixes):
            return await self._store.delete_prefix(prefix)
        try:
            return await self._store.delete_prefix(prefix)
        finally:
            self._copies.forget_all()

    async def set_if_held(self, lease_key: str, token: str, key: str, data: bytes, ttl: float, /) -> bool:
        with self._changing((key,)):
            return await self._store.set_if_held(lease_key, token, key, data, ttl)

    async def delete_with_leases(self, keys: Sequence[tuple[str, str]], /) -> None:
        with self._changing([key for key, _ in keys]):
            await self._store.delete_with_leases(keys)

    def increment(self, key: str, ttl: float, /) -> Coroutine[Any, Any, tuple[int, float]]:
        return self._store.increment(key, ttl)

    def get_hash(self, key: str, /) -> Coroutine[Any, Any, dict[str, bytes] | None]:
        return self._store.get_hash(key)

    def set_hash(self, key: str, fields: Mapping[str, bytes], ttl: float, /) -> Coroutine[Any, Any, None]:
        return self._store.set_hash(key, fields, ttl)

    def update_hash(self, key: str, fields: Mapping[str, bytes], ttl: float, /) -> Coroutine[Any, Any, None]:
        return self._store.update_hash(key, fields, ttl)

    def touch(self, key: str, ttl: float, /) -> Coroutine[Any, Any, bool]:
        return self._store.touch(key, ttl)

    def acquire(self, key: str, token: str, ttl: float, /) -> Coroutine[Any, Any, bool]:
        return self._store.acquire(key, token, ttl)

    def release(self, lease_key: str, token: str, /) -> Coroutine[Any, Any, None]:
        return self._store.release(lease_key, token)

    def fence(self, keys: Sequence[str], token: str, ttl: float, /) -> Coroutine[Any, Any, None]:
        return self._store.fence(keys, token, ttl)

    def lift(self, keys: Sequence[str], token: str, /) -> Coroutine[Any, Any, None]:
        return self._store.lift(keys, token)

    def track(self, prefixes: Sequence[str], listener: Listener, /) -> Tracking | None:
        return self._store.track(prefixes, listener)

    def close(self) -> Coroutine[Any, Any, None]:
        return self._store.close()

    async def _value(self, key: str) -> bytes | None:
        found = await self._read(key)
        return None if found is None else found[0]

    async def _read(self, key: str) -> tuple[bytes, float] | None:
        copies = self._copies
        family = self._family(key)
        found = copies.find(key)
        if found is not None:
            self._statistics[family.name].near += 1
            return found
        self._tracking.start()
        reading = copies.begin(key)
        try:
            found = await self._store.get_with_ttl(key)
            if found is not None:
                # A copy is for what is fresh. What is stale is looked at where others may have made it new.
                copies.keep(reading, found[0], found[1], min(family.near, found[1] - family.stale_for))
            return found
        finally:
            copies.end(reading)

    async def _others(self, keys: Sequence[str]) -> dict[str, bytes | None]:
        return dict(zip(keys, await self._store.get_many(keys), strict=True)) if keys else {}

    async def _each(self, keys: Sequence[str]) -> dict[str, bytes | None]:
        return dict(zip(keys, await asyncio.gather(*map(self._single, keys)), strict=True))

    async def _single(self, key: str) -> bytes | None:
        try:
            return await self._value(key)
        except WrongType:
            return None

    @contextlib.contextmanager
    def _changing(self, keys: Sequence[str]) -> Iterator[None]:
        """A block that changes what lies under *keys*."""
        try:
            yield
        finally:
            self._copies.forget(key for key in keys if key.startswith(self._prefixes))

    def _family(self, key: str) -> KeyFamily:
        return next(family for prefix, family in self._asking.items() if key.startswith(prefix))
