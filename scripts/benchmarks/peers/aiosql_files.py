"""aiosql: named queries, run on a held aiosqlite connection or on asyncpg's pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiosql
from pydantic import TypeAdapter

from benchmarks import work
from benchmarks.contender import CONNECTIONS, Contender, NotOffered
from benchmarks.places import Base
from benchmarks.work import BATCH, COLUMNS, Item, checksum

_one = TypeAdapter(Item).validate_python
_many = TypeAdapter(list[Item]).validate_python

_FILE = f"""
-- name: item_by_id(item_id)^
{work.named(work.POINT, "item_id")};

-- name: items_from(first_id, row_count)
{work.named(work.FROM, "first_id", "row_count")};

-- name: add_written({", ".join(COLUMNS)})!
{work.named(work.INSERT, *COLUMNS)};

-- name: add_all_written({", ".join(COLUMNS)})*!
{work.named(work.INSERT, *COLUMNS)};

-- name: set_quantity(item_id, quantity)!
{work.named(work.UPDATE, "item_id", "quantity")};
"""


class Aiosql(Contender):
    """Functions made by aiosql. It has no asynchronous driver for MariaDB."""

    name = "aiosql"
    engines = frozenset({"sqlite", "postgresql"})
    distribution = "aiosql"

    async def open(self, base: Base) -> None:
        self._is_sqlite = base.engine == "sqlite"
        if self._is_sqlite:
            import aiosqlite

            self._connection: Any = await aiosqlite.connect(base.path, isolation_level=None, timeout=60)
            await self._connection.execute("PRAGMA synchronous = FULL")
        else:
            import asyncpg

            self._connection = await asyncpg.create_pool(base.url, min_size=CONNECTIONS, max_size=CONNECTIONS)
        self._queries: Any = aiosql.from_str(_FILE, "aiosqlite" if self._is_sqlite else "asyncpg")

    async def close(self) -> None:
        await self._connection.close()

    async def synchronous(self) -> int:
        async with self._connection.execute("PRAGMA synchronous") as cursor:
            return int((await cursor.fetchone())[0])

    async def point(self, item_id: int) -> Any:
        row = await self._queries.item_by_id(self._connection, item_id=item_id)
        return None if row is None else _one(self._mapping(row))

    def _mapping(self, row: Any) -> dict[str, Any]:
        return dict(zip(COLUMNS, row, strict=False)) if self._is_sqlite else dict(row)

    async def items(self, first: int, count: int) -> Sequence[Any]:
        rows = self._queries.items_from(self._connection, first_id=first, row_count=count)
        return _many([self._mapping(row) async for row in rows])

    async def insert(self, row: Any) -> None:
        await self._queries.add_written(self._connection, **row)

    async def transaction(self, rows: Sequence[Any]) -> None:
        if self._is_sqlite:
            await self._connection.execute("BEGIN IMMEDIATE")
            for row in rows:
                await self._queries.add_written(self._connection, **row)
            await self._connection.commit()
            return
        async with self._connection.acquire() as connection, connection.transaction():
            for row in rows:
                await self._queries.add_written(connection, **row)

    async def update(self, item_id: int, quantity: int) -> None:
        await self._queries.set_quantity(self._connection, item_id=item_id, quantity=quantity)

    async def bulk(self, rows: Sequence[Any]) -> None:
        if self._is_sqlite:
            await self._connection.execute("BEGIN IMMEDIATE")
            await self._queries.add_all_written(self._connection, rows)
            await self._connection.commit()
        else:
            await self._queries.add_all_written(self._connection, rows)

    async def stream(self, count: int) -> tuple[int, int]:
        if not self._is_sqlite:
            raise NotOffered("its cursor on asyncpg has to be driven by asyncpg's own calls")
        number = total = 0
        asked = self._queries.items_from_cursor(self._connection, first_id=1, row_count=count)
        async with asked as cursor:
            while rows := await cursor.fetchmany(BATCH):
                some, sum_of_some = checksum(_many([self._mapping(row) for row in rows]))
                number, total = number + some, total + sum_of_some
        return number, total
