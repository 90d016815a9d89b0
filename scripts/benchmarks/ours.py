"""`dal` itself, as any application uses it: named queries, models, the verbs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contender import CONNECTIONS, Contender
from benchmarks.places import Base
from benchmarks.work import Item
from dal import DatabaseManager, Settings, load_queries
from dal.settings import DatabaseSettings

QUERIES = load_queries(Path(__file__).with_name("queries.sql"), models=[Item])


class Ours(Contender):
    """`dal`."""

    name = "dal"
    distribution = "dal"

    async def open(self, base: Base) -> None:
        settings = Settings(database=DatabaseSettings(pool_size=CONNECTIONS, max_overflow=0))
        self._db = DatabaseManager(base.url, queries=QUERIES, settings=settings)
        await self._db.connect()

    async def close(self) -> None:
        await self._db.disconnect()

    async def synchronous(self) -> int:
        async with self._db.transaction() as tx:
            return int(await tx.fetch_value("PRAGMA synchronous"))

    async def point(self, item_id: int) -> Any:
        return await self._db.fetch_one(QUERIES.item_by_id, {"item_id": item_id})

    async def items(self, first: int, count: int) -> Sequence[Any]:
        return await self._db.fetch_all(QUERIES.items_from, {"first_id": first, "row_count": count})

    async def insert(self, row: Any) -> None:
        await self._db.execute(QUERIES.add_written, row)

    async def transaction(self, rows: Sequence[Any]) -> None:
        await self._db.execute_transaction([(QUERIES.add_written, row) for row in rows])

    async def update(self, item_id: int, quantity: int) -> None:
        await self._db.execute(QUERIES.set_quantity, {"item_id": item_id, "quantity": quantity})

    async def bulk(self, rows: Sequence[Any]) -> None:
        await self._db.execute_many(QUERIES.add_all_written, rows)

    async def stream(self, count: int) -> tuple[int, int]:
        number = total = 0
        params = {"first_id": 1, "row_count": count}
        async for item in self._db.stream(QUERIES.items_from, params):
            number += 1
            total += item.quantity
        return number, total
