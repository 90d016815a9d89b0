"""asyncpg's own pool as it comes: a reset, which is a round trip, before a connection is lent again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
from pydantic import TypeAdapter

from benchmarks import work
from benchmarks.contender import CONNECTIONS, Contender
from benchmarks.places import Base
from benchmarks.work import BATCH, COLUMNS, Item, Record, checksum

_one = TypeAdapter(Item).validate_python
_many = TypeAdapter(list[Item]).validate_python
_POINT, _FROM, _INSERT, _UPDATE = (
    work.text(template, work.NUMBERED) for template in (work.POINT, work.FROM, work.INSERT, work.UPDATE)
)


class AsyncpgPool(Contender):
    """The pool of asyncpg."""

    name = "asyncpg pool"
    engines = frozenset({"postgresql"})
    distribution = "asyncpg"

    async def open(self, base: Base) -> None:
        self._pool: Any = await asyncpg.create_pool(base.url, min_size=CONNECTIONS, max_size=CONNECTIONS)

    async def close(self) -> None:
        await self._pool.close()

    def shaped(self, records: Sequence[Record]) -> Sequence[Any]:
        return [tuple(row) for row in records]

    async def point(self, item_id: int) -> Any:
        row = await self._pool.fetchrow(_POINT, item_id)
        return None if row is None else _one(dict(row))

    async def items(self, first: int, count: int) -> Sequence[Any]:
        return _many([dict(row) for row in await self._pool.fetch(_FROM, first, count)])

    async def insert(self, row: Any) -> None:
        await self._pool.execute(_INSERT, *row)

    async def transaction(self, rows: Sequence[Any]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            for row in rows:
                await connection.execute(_INSERT, *row)

    async def update(self, item_id: int, quantity: int) -> None:
        await self._pool.execute(_UPDATE, item_id, quantity)

    async def bulk(self, rows: Sequence[Any]) -> None:
        await self._pool.copy_records_to_table("written", records=rows, columns=COLUMNS)

    async def stream(self, count: int) -> tuple[int, int]:
        number = total = 0
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            cursor = await connection.cursor(_FROM, 1, count)
            while rows := await cursor.fetch(BATCH):
                some, sum_of_some = checksum(_many([dict(row) for row in rows]))
                number, total = number + some, total + sum_of_some
        return number, total
