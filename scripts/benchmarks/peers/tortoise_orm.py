"""Tortoise ORM: its own entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tortoise import Tortoise as Manager
from tortoise import connections, fields
from tortoise.models import Model
from tortoise.transactions import in_transaction

from benchmarks.contender import CONNECTIONS, Contender, NotOffered
from benchmarks.places import Base


class _Columns(Model):  # type: ignore[misc]  # the package may be missing where types are checked
    item_id = fields.BigIntField(primary_key=True, generated=False)
    code = fields.TextField()
    name = fields.TextField()
    quantity = fields.IntField()
    price = fields.FloatField()
    note = fields.TextField(null=True)

    class Meta:
        abstract = True


class ItemModel(_Columns):
    """A row of `item`."""

    class Meta:
        table = "item"


class WrittenModel(_Columns):
    """A row of `written`."""

    class Meta:
        table = "written"


class CountedModel(_Columns):
    """A row of `counted`."""

    class Meta:
        table = "counted"


class Tortoise(Contender):
    """Models of Tortoise. It reads every row before it gives the first, so that it does not stream."""

    name = "Tortoise"
    distribution = "tortoise-orm"

    async def open(self, base: Base) -> None:
        self._name = base.engine  # texts are kept under the connection's name: one for each engine
        apps = {"models": {"models": [__name__], "default_connection": self._name}}
        await Manager.init(config={"connections": {self._name: _connection(base)}, "apps": apps})

    async def close(self) -> None:
        await connections.close_all()
        await Manager._reset_apps()

    async def synchronous(self) -> int:
        rows = await connections.get(self._name).execute_query_dict("PRAGMA synchronous")
        return int(rows[0]["synchronous"])

    async def point(self, item_id: int) -> Any:
        return await ItemModel.get_or_none(item_id=item_id)

    async def items(self, first: int, count: int) -> Sequence[Any]:
        found: Sequence[Any] = await ItemModel.filter(item_id__gte=first).order_by("item_id").limit(count)
        return found

    async def insert(self, row: Any) -> None:
        await WrittenModel.create(**row)

    async def transaction(self, rows: Sequence[Any]) -> None:
        async with in_transaction(self._name) as connection:
            for row in rows:
                await WrittenModel.create(**row, using_db=connection)

    async def update(self, item_id: int, quantity: int) -> None:
        await CountedModel.filter(item_id=item_id).update(quantity=quantity)

    async def bulk(self, rows: Sequence[Any]) -> None:
        async with in_transaction(self._name) as connection:
            await WrittenModel.bulk_create([WrittenModel(**row) for row in rows], using_db=connection)

    async def stream(self, count: int) -> tuple[int, int]:
        raise NotOffered("it reads every row before it gives the first")


def _connection(base: Base) -> dict[str, Any]:
    if base.engine == "sqlite":
        path = {"file_path": base.path, "synchronous": "FULL"}
        return {"engine": "tortoise.backends.sqlite", "credentials": path}
    engine = {"postgresql": "tortoise.backends.asyncpg", "mysql": "tortoise.backends.mysql"}[base.engine]
    limits = {"minsize": CONNECTIONS, "maxsize": CONNECTIONS}
    return {
        "engine": engine,
        "credentials": {**base.address, "password": "", "database": base.name, **limits},
    }
