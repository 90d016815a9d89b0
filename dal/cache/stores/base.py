"""What the cache asks of a store: bytes under keys, with a time to live.

A store knows nothing of families and codecs. Every store passes the same tests.
"""

from __future__ import annotations

from typing import Protocol

from dal.errors import CacheError


class WrongType(CacheError):
    """What lies under the key is of another type than the call needs."""


class Store(Protocol):
    """Bytes under keys. Times to live are whole seconds, 1 or more.

    Every method raises `CacheUnavailable` if the store does not answer in its time. A read or an increment
    raises `WrongType` if another kind of value lies there; writing replaces a value of any kind.
    """

    async def get(self, key: str, /) -> bytes | None:
        """Return the value, None if there is none."""
        ...

    async def set(self, key: str, value: bytes, ttl: int, /) -> None:
        """Store *value* for *ttl* seconds."""
        ...

    async def get_hash(self, key: str, /) -> dict[bytes, bytes] | None:
        """Return all fields of a hash, None if there is none."""
        ...

    async def set_hash(self, key: str, fields: dict[bytes, bytes], ttl: int, /) -> None:
        """Store a hash that has *fields*, one or more, and no others, at once."""
        ...

    async def delete(self, key: str, /) -> None:
        """Remove what lies under *key*, if anything."""
        ...

    async def increment(self, key: str, ttl: int, /) -> int:
        """Add one, from zero if there is nothing, and return the sum. Done once or not at all.

        *ttl* is set with the first increment, and where none is set; it is never prolonged.
        """
        ...

    async def close(self) -> None:
        """Release what is held. A closed store is not used again."""
        ...
