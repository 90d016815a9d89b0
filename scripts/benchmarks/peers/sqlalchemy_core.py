"""SQLAlchemy's asynchronous Core: `text()` made once, so that its compiled form is cached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import greenlet  # noqa: F401  # where it is missing the engine opens, and fails at its first call
from pydantic import TypeAdapter
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks import work
from benchmarks.contender import CONNECTIONS, Contender
from benchmarks.places import Base
from benchmarks.work import BATCH, COLUMNS, Item, checksum

_one = TypeAdapter(Item).validate_python
_many = TypeAdapter(list[Item]).validate_python
_POINT = text(work.named(work.POINT, "item_id"))
_FROM = text(work.named(work.FROM, "first_id", "row_count"))
_INSERT = text(work.named(work.INSERT, *COLUMNS))
_UPDATE = text(work.named(work.UPDATE, "item_id", "quantity"))
_DRIVERS = {"sqlite": "aiosqlite", "postgresql": "asyncpg", "mysql": "asyncmy"}


def engine_for(base: Base) -> AsyncEngine:
    """Return an engine with as many connections as everyone has."""
    engine = create_async_engine(
        base.with_driver(_DRIVERS[base.engine]), pool_size=CONNECTIONS, max_overflow=0, pool_timeout=60
    )
    if base.engine == "sqlite":

        @event.listens_for(engine.sync_engine, "connect")
        def wait_for_locks(connection: Any, _: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout = 60000")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.close()

    return engine


class Core(Contender):
    """Connections of an `AsyncEngine`."""

    name = "SQLAlchemy Core"
    distribution = "sqlalchemy"
    is_lone_writer = True

    async def open(self, base: Base) -> None:
        self._engine = engine_for(base)

    async def close(self) -> None:
        await self._engine.dispose()

    async def synchronous(self) -> int:
        async with self._engine.connect() as connection:
            return int((await connection.execute(text("PRAGMA synchronous"))).scalar_one())

    async def point(self, item_id: int) -> Any:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_POINT, {"item_id": item_id})).mappings().one_or_none()
        return None if row is None else _one(dict(row))

    async def items(self, first: int, count: int) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            found = await connection.execute(_FROM, {"first_id": first, "row_count": count})
        return _many([dict(row) for row in found.mappings()])

    async def insert(self, row: Any) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(_INSERT, row)

    async def transaction(self, rows: Sequence[Any]) -> None:
        async with self._engine.begin() as connection:
            for row in rows:
                await connection.execute(_INSERT, row)

    async def update(self, item_id: int, quantity: int) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(_UPDATE, {"item_id": item_id, "quantity": quantity})

    async def bulk(self, rows: Sequence[Any]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(_INSERT, list(rows))

    async def stream(self, count: int) -> tuple[int, int]:
        number = total = 0
        async with self._engine.connect() as connection:
            options = {"yield_per": BATCH}
            params = {"first_id": 1, "row_count": count}
            async with connection.stream(_FROM, params, execution_options=options) as found:
                async for rows in found.mappings().partitions(BATCH):
                    some, sum_of_some = checksum(_many([dict(row) for row in rows]))
                    number, total = number + some, total + sum_of_some
        return number, total
