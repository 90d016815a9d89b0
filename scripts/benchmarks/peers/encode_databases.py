"""`databases` (encode), as its documentation shows it: a string, a mapping, a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import databases
from pydantic import TypeAdapter

from benchmarks import work
from benchmarks.contender import CONNECTIONS, Contender
from benchmarks.places import Base
from benchmarks.work import COLUMNS, Item

_one = TypeAdapter(Item).validate_python
_many = TypeAdapter(list[Item]).validate_python
_POINT = work.named(work.POINT, "item_id")
_FROM = work.named(work.FROM, "first_id", "row_count")
_INSERT = work.named(work.INSERT, *COLUMNS)
_UPDATE = work.named(work.UPDATE, "item_id", "quantity")
_DRIVERS = {"postgresql": "asyncpg", "mysql": "asyncmy"}


class Databases(Contender):
    """`databases.Database`."""

    name = "databases"
    distribution = "databases"
    is_lone_writer = True  # a connection for each call

    async def open(self, base: Base) -> None:
        if base.engine == "sqlite":
            self._db: Any = databases.Database(base.url, timeout=60)
        else:
            url = base.with_driver(_DRIVERS[base.engine])
            self._db = databases.Database(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
        await self._db.connect()

    async def close(self) -> None:
        await self._db.disconnect()

    async def synchronous(self) -> int:
        return int(await self._db.fetch_val("PRAGMA synchronous"))

    async def point(self, item_id: int) -> Any:
        row = await self._db.fetch_one(_POINT, {"item_id": item_id})
        return None if row is None else _one(dict(row._mapping))

    async def items(self, first: int, count: int) -> Sequence[Any]:
        rows = await self._db.fetch_all(_FROM, {"first_id": first, "row_count": count})
        return _many([dict(row._mapping) for row in rows])

    async def insert(self, row: Any) -> None:
        await self._db.execute(_INSERT, row)

    async def transaction(self, rows: Sequence[Any]) -> None:
        async with self._db.transaction():
            for row in rows:
                await self._db.execute(_INSERT, row)

    async def update(self, item_id: int, quantity: int) -> None:
        await self._db.execute(_UPDATE, {"item_id": item_id, "quantity": quantity})

    async def bulk(self, rows: Sequence[Any]) -> None:
        async with self._db.transaction():
            await self._db.execute_many(_INSERT, rows)

    async def stream(self, count: int) -> tuple[int, int]:
        number = total = 0
        async for row in self._db.iterate(_FROM, {"first_id": 1, "row_count": count}):
            number += 1
            total += _one(dict(row._mapping)).quantity
        return number, total
