"""What the cache asks of a store: bytes under keys, with a time to live.

A store knows nothing of families and codecs. Every store passes the same tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from dal.errors import CacheError

FENCE = b"!"
"""What lies under a key that is fenced begins with this."""


class WrongType(CacheError):
    """What lies under the key is of another type than the call needs."""


class Listener(Protocol):
    """Who is told which keys were changed. Nothing here waits."""

    def began(self) -> None:
        """From now on every change is told."""
        ...

    def changed(self, keys: Sequence[str] | None, /) -> None:
        """*keys* were changed, or removed; None: any may have been."""
        ...

    def ended(self) -> None:
        """Changes are not told any more, until it has `began` again."""
        ...


class Tracking(Protocol):
    """What tells a `Listener` of changes."""

    def start(self) -> None:
        """Begin, if that was not done. It ends when the store is closed."""
        ...


class Store(Protocol):
    """Bytes under keys. Times to live are seconds, above zero.

    Every method raises `CacheUnavailable` if the store does not answer in its time. A read or an increment
    raises `WrongType` if another kind of value lies there; `set` and `set_hash` replace a value of any kind.

    A lease is a token under a key of its own, for a time: who holds it may store what it loaded. Deleting it
    takes that right away, so that what was loaded before a change is not stored after it.
    """

    async def get(self, key: str, /) -> bytes | None:
        """Return the value, None if there is none."""
        ...

    async def get_with_ttl(self, key: str, /) -> tuple[bytes, float] | None:
        """Return the value and the seconds it still has (``math.inf``: no end), None if there is none."""
        ...

    async def get_many(self, keys: Sequence[str], /) -> list[bytes | None]:
        """Return the values in the order of *keys*; what is no single value counts as none."""
        ...

    async def set(self, key: str, data: bytes, ttl: float, /) -> None:
        """Store *data* for *ttl* seconds."""
        ...

    async def set_many(self, items: Sequence[tuple[str, bytes, float]], /) -> None:
        """Store each (key, data, ttl); not at once. An error may leave some stored."""
        ...

    async def delete(self, key: str, /) -> None:
        """Remove what lies under *key*, if anything."""
        ...

    async def delete_many(self, keys: Sequence[str], /) -> None:
        """Remove what lies under each of *keys*; not at once. An error may leave some."""
        ...

    async def delete_prefix(self, prefix: str, /) -> int:
        """Remove every key that begins with *prefix*, and return how many there were.

        A key that is stored meanwhile may stay.
        """
        ...

    async def increment(self, key: str, ttl: float, /) -> tuple[int, float]:
        """Add one, from zero if there is nothing; return the sum and the seconds left.

        Done once or not at all. *ttl* is set with the first increment, and where none is set; it is never
        prolonged.
        """
        ...

    async def get_hash(self, key: str, /) -> dict[str, bytes] | None:
        """Return all fields of a hash, None if there is none."""
        ...

    async def set_hash(self, key: str, fields: Mapping[str, bytes], ttl: float, /) -> None:
        """Store a hash that has *fields*, one or more, and no others, at once."""
        ...

    async def update_hash(self, key: str, fields: Mapping[str, bytes], ttl: float, /) -> None:
        """Store *fields*, one or more, beside those that are there, and begin the time to live anew, at once.

        Raises:
            WrongType: A single value lies under the key; it stays as it is.
        """
        ...

    async def touch(self, key: str, ttl: float, /) -> bool:
        """Begin the time to live anew; False if nothing lies under *key*."""
        ...

    async def acquire(self, key: str, token: str, ttl: float, /) -> bool:
        """Take the lease *key* for *ttl* seconds; False if somebody holds it."""
        ...

    async def set_if_held(self, lease_key: str, token: str, key: str, data: bytes, ttl: float, /) -> bool:
        """Store *data* under *key* and give the lease back, at once; False, and nothing, if not held."""
        ...

    async def release(self, lease_key: str, token: str, /) -> None:
        """Give the lease back if *token* still holds it."""
        ...

    async def delete_with_leases(self, keys: Sequence[tuple[str, str]], /) -> None:
        """Remove each (key, lease key), a pair at once, so that no load under way can store under it."""
        ...

    async def fence(self, keys: Sequence[str], token: str, ttl: float, /) -> None:
        """Put the fence *token* around each of *keys* for *ttl* seconds, beside others that are there.

        In place of what lies under a key it puts `FENCE` and a list of the fences that stand.
        """
        ...

    async def lift(self, keys: Sequence[str], token: str, /) -> None:
        """Take the fence *token* away, and those that have ended; remove each of *keys* that has none left.

        A key without a fence is removed too.
        """
        ...

    def track(self, prefixes: Sequence[str], listener: Listener, /) -> Tracking | None:
        """Return what tells *listener* which keys that begin with one of *prefixes* are changed, by whomever.

        None if what is stored lies in this process, where a copy of it would gain nothing. No prefix begins
        with another one.
        """
        ...

    async def close(self) -> None:
        """Release what is held. A closed store is not used again."""
        ...
