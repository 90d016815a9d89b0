"""Who takes part: a library, or a driver by hand, that does the work in its own best way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from benchmarks.places import Base
from benchmarks.work import Record

CONNECTIONS = 10
"""Connections to a server that everyone may have."""


class NotOffered(Exception):
    """A contender has no way to do a case; the message says why."""


class Contender(ABC):
    """One who does the work. What it cannot do raises `NotOffered`.

    Attributes:
        name: What tables call it.
        engines: Where it takes part.
        distribution: The package whose version is reported.
        is_lone_writer: On SQLite its writers lock each other out, so that they have to queue.
    """

    name: ClassVar[str]
    engines: ClassVar[frozenset[str]] = frozenset({"sqlite", "postgresql", "mysql"})
    distribution: ClassVar[str]
    is_lone_writer: ClassVar[bool] = False

    @abstractmethod
    async def open(self, base: Base) -> None:
        """Connect, prepare, keep: whatever an application does once."""

    @abstractmethod
    async def close(self) -> None:
        """Give everything back."""

    async def synchronous(self) -> int:
        """Return SQLite's setting on the connection that writes: 2 is FULL."""
        raise NotOffered("it cannot be asked how safe its writes are")

    def shaped(self, records: Sequence[Record]) -> Sequence[Any]:
        """Return rows as this contender takes them; not timed."""
        return [row._asdict() for row in records]

    async def point(self, item_id: int) -> Any:
        """Return the item with this key."""
        raise NotOffered("no way to read one row")

    async def items(self, first: int, count: int) -> Sequence[Any]:
        """Return *count* items from *first* on."""
        raise NotOffered("no way to read many rows")

    async def insert(self, row: Any) -> None:
        """Insert a row, and return when it is safe."""
        raise NotOffered("no way to insert")

    async def transaction(self, rows: Sequence[Any]) -> None:
        """Insert *rows*, one statement each, in one transaction."""
        raise NotOffered("no way to run a transaction")

    async def update(self, item_id: int, quantity: int) -> None:
        """Set a quantity in `counted`."""
        raise NotOffered("no way to update")

    async def bulk(self, rows: Sequence[Any]) -> None:
        """Insert many rows, all or none."""
        raise NotOffered("no way to insert many rows")

    async def stream(self, count: int) -> tuple[int, int]:
        """Read *count* items from the first on, a few at a time, and return their `checksum`."""
        raise NotOffered("no way to stream")
