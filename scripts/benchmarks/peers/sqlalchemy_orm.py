"""SQLAlchemy's asynchronous ORM: a session for each piece of work, entities that come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.contender import Contender
from benchmarks.peers.sqlalchemy_core import engine_for
from benchmarks.places import Base
from benchmarks.work import BATCH


class _Entity(DeclarativeBase):
    pass


class _Columns:
    item_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    code: Mapped[str]
    name: Mapped[str]
    quantity: Mapped[int]
    price: Mapped[float]
    note: Mapped[str | None]


class ItemEntity(_Columns, _Entity):
    """A row of `item`."""

    __tablename__ = "item"


class WrittenEntity(_Columns, _Entity):
    """A row of `written`."""

    __tablename__ = "written"


class CountedEntity(_Columns, _Entity):
    """A row of `counted`."""

    __tablename__ = "counted"


class Orm(Contender):
    """An `AsyncSession` for each piece of work."""

    name = "SQLAlchemy ORM"
    distribution = "sqlalchemy"
    is_lone_writer = True

    async def open(self, base: Base) -> None:
        self._engine = engine_for(base)
        self._session = async_sessionmaker(self._engine, class_=AsyncSession, expire_on_commit=False)

    async def close(self) -> None:
        await self._engine.dispose()

    async def synchronous(self) -> int:
        async with self._engine.connect() as connection:
            return int((await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one())

    async def point(self, item_id: int) -> Any:
        async with self._session() as session:
            return await session.get(ItemEntity, item_id)

    async def items(self, first: int, count: int) -> Sequence[Any]:
        async with self._session() as session:
            return (await session.scalars(_items_from(first, count))).all()

    async def insert(self, row: Any) -> None:
        async with self._session() as session:
            session.add(WrittenEntity(**row))
            await session.commit()

    async def transaction(self, rows: Sequence[Any]) -> None:
        async with self._session() as session:
            session.add_all([WrittenEntity(**row) for row in rows])
            await session.commit()

    async def update(self, item_id: int, quantity: int) -> None:
        async with self._session() as session:
            await session.execute(
                update(CountedEntity)
                .where(CountedEntity.item_id == item_id)
                .values(quantity=quantity)
                .execution_options(synchronize_session=False)
            )
            await session.commit()

    async def bulk(self, rows: Sequence[Any]) -> None:
        async with self._session() as session:
            await session.execute(insert(WrittenEntity), list(rows))
            await session.commit()

    async def stream(self, count: int) -> tuple[int, int]:
        number = total = 0
        async with self._session() as session:
            statement = _items_from(1, count).execution_options(yield_per=BATCH)
            async for item in await session.stream_scalars(statement):
                number += 1
                total += item.quantity
        return number, total


def _items_from(first: int, count: int) -> Any:
    return select(ItemEntity).where(ItemEntity.item_id >= first).order_by(ItemEntity.item_id).limit(count)
