"""SQLSpec: a session of its pool for each piece of work, rows to models by its ``schema_type``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlspec import SQLSpec

from benchmarks import work
from benchmarks.contender import CONNECTIONS, Contender
from benchmarks.places import Base
from benchmarks.work import Item, Record

_TEMPLATES = (work.POINT, work.FROM, work.INSERT)


class SqlSpec(Contender):
    """Sessions of `SQLSpec`."""

    name = "SQLSpec"
    distribution = "sqlspec"
    is_lone_writer = True

    async def open(self, base: Base) -> None:
        markers = {"sqlite": work.QMARK, "postgresql": work.NUMBERED, "mysql": work.FORMAT}[base.engine]
        self._point, self._from, self._insert = (work.text(template, markers) for template in _TEMPLATES)
        self._update = work.named(work.UPDATE, "item_id", "quantity")
        self._spec = SQLSpec()
        self._config: Any = self._spec.add_config(_config(base))

    async def close(self) -> None:
        await self._config.close_pool()

    def shaped(self, records: Sequence[Record]) -> Sequence[Any]:
        return [tuple(row) for row in records]

    def _session(self) -> Any:
        return self._spec.provide_session(self._config)

    async def synchronous(self) -> int:
        async with self._session() as session:
            return int(await session.select_value("PRAGMA synchronous"))

    async def point(self, item_id: int) -> Any:
        async with self._session() as session:
            return await session.select_one_or_none(self._point, item_id, schema_type=Item)

    async def items(self, first: int, count: int) -> Sequence[Any]:
        async with self._session() as session:
            found: Sequence[Any] = await session.select(self._from, first, count, schema_type=Item)
            return found

    async def insert(self, row: Any) -> None:
        async with self._session() as session:
            await session.execute(self._insert, *row)
            await session.commit()

    async def transaction(self, rows: Sequence[Any]) -> None:
        async with self._session() as session:
            await session.begin()
            for row in rows:
                await session.execute(self._insert, *row)
            await session.commit()

    async def update(self, item_id: int, quantity: int) -> None:
        async with self._session() as session:
            await session.execute(self._update, {"item_id": item_id, "quantity": quantity})
            await session.commit()

    async def bulk(self, rows: Sequence[Any]) -> None:
        async with self._session() as session:
            await session.begin()
            await session.execute_many(self._insert, rows)
            await session.commit()

    async def stream(self, count: int) -> tuple[int, int]:
        number = total = 0
        async with self._session() as session:
            stream = session.select_stream(
                self._from, 1, count, schema_type=Item, chunk_size=work.BATCH, native_only=True
            )
            async with stream:
                async for item in stream:
                    number += 1
                    total += item.quantity
        return number, total


def _config(base: Base) -> Any:
    if base.engine == "sqlite":
        from sqlspec.adapters.aiosqlite import AiosqliteConfig

        return AiosqliteConfig(
            connection_config={"database": base.path, "pool_size": CONNECTIONS, "timeout": 60},
            driver_features={"on_connection_create": _full},
        )
    limits = {"min_size": CONNECTIONS, "max_size": CONNECTIONS}
    if base.engine == "postgresql":
        from sqlspec.adapters.asyncpg import AsyncpgConfig

        return AsyncpgConfig(connection_config={"dsn": base.url, **limits})
    from sqlspec.adapters.asyncmy import AsyncmyConfig

    pool = {"minsize": CONNECTIONS, "maxsize": CONNECTIONS}
    return AsyncmyConfig(connection_config={"database": base.name, **base.address, **pool})


async def _full(connection: Any) -> None:
    """Undo what SQLSpec sets for speed: it writes with ``synchronous=NORMAL``."""
    await connection.execute("PRAGMA synchronous = FULL")
