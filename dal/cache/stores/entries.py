"""Values in this process under keys, each for its time, bounded in entries and in bytes.

No call takes longer for how much is stored, `clear` and `remove_all_expired` apart: the least recently used
entries make room, and each call also looks at a few entries in turn and removes those that have expired.
Whoever calls it sees to it that no two calls run at a time.

An entry is a number, its slot, and stands in columns: lists and arrays. So there is no object for each entry
that Python's garbage collector would have to look at. One large dictionary of all keys would stop everything
whenever it is rebuilt (25 ms at 60,000 keys); many small ones don't.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from dal.errors import CacheValueError

MAX_ENTRIES = 100_000
MAX_BYTES = 64 * 1024 * 1024

ValueT = TypeVar("ValueT")

_OVERHEAD = 500  # bytes of Python objects around an entry
_STEPS = 4  # entries looked at in each call; more than the one that a call can add
_KEYS_IN_A_SHARD = 1000  # about
_MAX_SHARDS = 4096
_END = 0  # the slot that is no entry: after the newest one, and before the oldest


class Entries(Generic[ValueT]):
    """Entries by their key.

    Args:
        max_entries: How many are kept.
        max_bytes: How much memory they take, estimated.
        clock: Seconds that only go forward.
    """

    def __init__(self, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        shards = 1 << (min(max_entries // _KEYS_IN_A_SHARD, _MAX_SHARDS - 1)).bit_length()
        self._shards: tuple[dict[str, int], ...] = tuple({} for _ in range(shards))
        self._mask = shards - 1
        self._begin()

    def __len__(self) -> int:
        return len(self._keys) - 1 - len(self._free)

    def find(self, key: str) -> ValueT | None:
        """Return the value if it has not expired, as the one used last."""
        slot = self._find(key)
        if slot is None:
            return None
        value: ValueT = self._values[slot]
        return value

    def find_with_left(self, key: str) -> tuple[ValueT, float] | None:
        """Return what `find` does, and the seconds that it still has."""
        slot = self._find(key)
        return None if slot is None else (self._values[slot], self._expires[slot] - self._clock())

    def put(self, key: str, value: ValueT, size: int, ttl: float) -> None:
        """Keep *value*, of about *size* bytes, for *ttl* seconds in place of what lies under *key*.

        Raises:
            CacheValueError: It is larger than all entries together may be.
        """
        size += len(key) + _OVERHEAD
        if size > self._max_bytes:
            raise CacheValueError(f"the value takes {size} bytes; the whole store may take {self._max_bytes}")
        self._remove_some_expired()
        shard = self._shards[hash(key) & self._mask]
        slot = shard.get(key)
        if slot is None:
            slot = shard[key] = self._new_slot(key)
        else:
            self._unlink(slot)
            self.bytes -= self._sizes[slot]
        self._values[slot] = value
        self._expires[slot] = self._clock() + ttl
        self._sizes[slot] = size
        self._link(slot)
        self.bytes += size
        while self.bytes > self._max_bytes or len(self) > self._max_entries:
            self._remove(self._newer[_END])

    def replace(self, key: str, value: ValueT) -> None:
        """Put *value*, of the same size, in place of the one under *key*, for the time that is left."""
        slot = self._find(key)
        if slot is not None:
            self._values[slot] = value

    def touch(self, key: str, ttl: float) -> bool:
        """Let what lies under *key* live for *ttl* seconds from now; False if nothing does."""
        slot = self._find(key)
        if slot is None:
            return False
        self._expires[slot] = self._clock() + ttl
        return True

    def delete(self, key: str) -> bool:
        """Remove what lies under *key*; False if nothing does."""
        slot = self._find(key)
        if slot is None:
            return False
        self._remove(slot)
        return True

    def batches(self) -> Iterator[list[str]]:
        """All keys, about a thousand at a time; entries may come and go between two batches."""
        for shard in self._shards:
            yield list(shard)

    def remove_all_expired(self) -> int:
        """Look at every entry, remove those that have expired, and return how many there were."""
        now = self._clock()
        expired = [slot for shard in self._shards for slot in shard.values() if self._expires[slot] <= now]
        for slot in expired:
            self._remove(slot)
        return len(expired)

    def clear(self) -> None:
        """Remove everything."""
        for shard in self._shards:
            shard.clear()
        self._begin()

    def _begin(self) -> None:
        self._keys = [""]
        self._values: list[Any] = [None]  # None where there is no entry
        self._expires = array("d", [0])
        self._sizes = array("q", [0])
        # A ring from the least recently used entry to the one used last, through _END.
        self._older = array("q", [_END])
        self._newer = array("q", [_END])
        self._free: list[int] = []
        self._next = _END  # to be looked at; _END begins anew
        self.bytes = 0

    def _find(self, key: str) -> int | None:
        self._remove_some_expired()
        slot = self._shards[hash(key) & self._mask].get(key)
        if slot is None:
            return None
        if self._expires[slot] <= self._clock():
            self._remove(slot)
            return None
        if self._newer[slot] != _END:
            self._unlink(slot)
            self._link(slot)
        return slot

    def _new_slot(self, key: str) -> int:
        if self._free:
            slot = self._free.pop()
            self._keys[slot] = key
            return slot
        self._keys.append(key)
        self._values.append(None)
        for column in (self._sizes, self._older, self._newer):
            column.append(0)
        self._expires.append(0)
        return len(self._keys) - 1

    def _link(self, slot: int) -> None:
        """Make *slot* the one used last."""
        last = self._older[_END]
        self._older[slot], self._newer[slot] = last, _END
        self._newer[last] = self._older[_END] = slot

    def _unlink(self, slot: int) -> None:
        older, newer = self._older[slot], self._newer[slot]
        self._newer[older], self._older[newer] = newer, older
        if self._next == slot:
            self._next = newer

    def _remove(self, slot: int) -> None:
        self._unlink(slot)
        key = self._keys[slot]
        del self._shards[hash(key) & self._mask][key]
        self.bytes -= self._sizes[slot]
        self._keys[slot], self._values[slot] = "", None
        self._free.append(slot)

    def _remove_some_expired(self) -> None:
        """Look at the next few entries and remove those that have expired."""
        now, expires, newer = self._clock(), self._expires, self._newer
        for _ in range(min(_STEPS, len(self))):
            slot = self._next or newer[_END]  # once around
            self._next = newer[slot]
            if expires[slot] <= now:
                self._remove(slot)
