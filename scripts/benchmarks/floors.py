"""The bare drivers, written by hand as well as possible: what no layer above them can beat by much.

Connections are held and statements prepared once; rows become the same model by one call of a
`TypeAdapter`. Nothing is checked, no timeout is kept, nothing survives a broken connection.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from benchmarks import work
from benchmarks.contender import CONNECTIONS, Contender
from benchmarks.places import Base
from benchmarks.work import BATCH, COLUMNS, Item, Record, checksum

_one = TypeAdapter(Item).validate_python
_many = TypeAdapter(list[Item]).validate_python


def _model(row: Sequence[Any] | None) -> Item | None:
    return None if row is None else _one(dict(zip(COLUMNS, row, strict=False)))


def _models(rows: Sequence[Sequence[Any]]) -> list[Item]:
    return _many([dict(zip(COLUMNS, row, strict=False)) for row in rows])


class _AsTuples(Contender):
    """A driver, which takes tuples."""

    def shaped(self, records: Sequence[Record]) -> Sequence[Any]:
        return [tuple(row) for row in records]


class Free:
    """Held connections, the one used last first; those who find none wait in line."""

    def __init__(self) -> None:
        self._free: list[Any] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()

    async def take(self) -> Any:
        if self._free:
            return self._free.pop()
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return await waiter

    def give(self, connection: Any) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(connection)
        else:
            self._free.append(connection)

    def all(self) -> list[Any]:
        return self._free


class Aiosqlite(_AsTuples):
    """aiosqlite with one hop into its thread per call; sqlite3 keeps the statements prepared."""

    name = "aiosqlite by hand"
    engines = frozenset({"sqlite"})
    distribution = "aiosqlite"

    _point = work.text(work.POINT, work.QMARK)
    _from = work.text(work.FROM, work.QMARK)
    _insert = work.text(work.INSERT, work.QMARK)
    _update = work.text(work.UPDATE, work.QMARK)  # its values: quantity, item_id

    async def open(self, base: Base) -> None:
        import aiosqlite

        self._connection: Any = await aiosqlite.connect(base.path, isolation_level=None, timeout=60)
        await self._connection.execute("PRAGMA synchronous = FULL")
        self._raw: sqlite3.Connection = self._connection._conn
        # A private name: the public calls take two or three hops.
        self._hop: Any = self._connection._execute

    async def close(self) -> None:
        await self._connection.close()

    async def synchronous(self) -> int:
        return int((await self._hop(self._fetch_one, "PRAGMA synchronous", ()))[0])

    async def point(self, item_id: int) -> Any:
        return _model(await self._hop(self._fetch_one, self._point, (item_id,)))

    def _fetch_one(self, text: str, params: tuple[Any, ...]) -> Any:
        return self._raw.execute(text, params).fetchone()

    async def items(self, first: int, count: int) -> Sequence[Any]:
        return _models(await self._hop(self._fetch_all, self._from, (first, count)))

    def _fetch_all(self, text: str, params: tuple[Any, ...]) -> Any:
        return self._raw.execute(text, params).fetchall()

    async def insert(self, row: Any) -> None:
        await self._hop(self._raw.execute, self._insert, row)

    async def transaction(self, rows: Sequence[Any]) -> None:
        await self._hop(self._write_all, rows)

    def _write_all(self, rows: Sequence[Any]) -> None:
        self._raw.execute("BEGIN IMMEDIATE")
        for row in rows:
            self._raw.execute(self._insert, row)
        self._raw.execute("COMMIT")

    async def update(self, item_id: int, quantity: int) -> None:
        await self._hop(self._raw.execute, self._update, (quantity, item_id))

    async def bulk(self, rows: Sequence[Any]) -> None:
        await self._hop(self._write_many, rows)

    def _write_many(self, rows: Sequence[Any]) -> None:
        self._raw.execute("BEGIN IMMEDIATE")
        self._raw.executemany(self._insert, rows)
        self._raw.execute("COMMIT")

    async def stream(self, count: int) -> tuple[int, int]:
        number = total = 0
        cursor = await self._hop(self._raw.execute, self._from, (1, count))
        while rows := await self._hop(cursor.fetchmany, BATCH):
            some, sum_of_some = checksum(_models(rows))
            number, total = number + some, total + sum_of_some
        return number, total


class AiosqliteExecute(Aiosqlite):
    """aiosqlite by its public calls alone: a hop for the statement, for its rows, and for its end."""

    name = "aiosqlite"

    async def point(self, item_id: int) -> Any:
        async with self._connection.execute(self._point, (item_id,)) as cursor:
            return _model(await cursor.fetchone())

    async def items(self, first: int, count: int) -> Sequence[Any]:
        return _models(list(await self._connection.execute_fetchall(self._from, (first, count))))

    async def insert(self, row: Any) -> None:
        await self._connection.execute(self._insert, row)

    async def transaction(self, rows: Sequence[Any]) -> None:
        await self._connection.execute("BEGIN IMMEDIATE")
        for row in rows:
            await self._connection.execute(self._insert, row)
        await self._connection.commit()

    async def update(self, item_id: int, quantity: int) -> None:
        await self._connection.execute(self._update, (quantity, item_id))

    async def bulk(self, rows: Sequence[Any]) -> None:
        await self._connection.execute("BEGIN IMMEDIATE")
        await self._connection.executemany(self._insert, rows)
        await self._connection.commit()

    async def stream(self, count: int) -> tuple[int, int]:
        number = total = 0
        async with self._connection.execute(self._from, (1, count)) as cursor:
            while rows := await cursor.fetchmany(BATCH):
                some, sum_of_some = checksum(_models(list(rows)))
                number, total = number + some, total + sum_of_some
        return number, total


class Asyncpg(_AsTuples):
    """asyncpg on held connections, each with its statements prepared."""

    name = "asyncpg by hand"
    engines = frozenset({"postgresql"})
    distribution = "asyncpg"

    _texts = tuple(work.text(t, work.NUMBERED) for t in (work.POINT, work.FROM, work.INSERT, work.UPDATE))

    async def open(self, base: Base) -> None:
        import asyncpg

        self._held = Free()
        for _ in range(CONNECTIONS):
            connection = await asyncpg.connect(base.url)
            held = (connection, *[await connection.prepare(text) for text in self._texts])
            await connection.execute("SELECT 1")  # ends the transaction that preparing has begun
            self._held.give(held)

    async def close(self) -> None:
        for connection, *_ in self._held.all():
            await connection.close()

    async def point(self, item_id: int) -> Any:
        held = await self._held.take()
        row = await held[1].fetchrow(item_id)
        self._held.give(held)
        return None if row is None else _one(dict(row))

    async def items(self, first: int, count: int) -> Sequence[Any]:
        held = await self._held.take()
        rows = await held[2].fetch(first, count)
        self._held.give(held)
        return _many([dict(row) for row in rows])

    async def insert(self, row: Any) -> None:
        held = await self._held.take()
        await held[3].fetch(*row)
        self._held.give(held)

    async def transaction(self, rows: Sequence[Any]) -> None:
        held = await self._held.take()
        await held[0].execute("BEGIN")
        for row in rows:
            await held[3].fetch(*row)
        await held[0].execute("COMMIT")
        self._held.give(held)

    async def update(self, item_id: int, quantity: int) -> None:
        held = await self._held.take()
        await held[4].fetch(item_id, quantity)
        self._held.give(held)

    async def bulk(self, rows: Sequence[Any]) -> None:
        held = await self._held.take()
        await held[0].copy_records_to_table("written", records=rows, columns=COLUMNS)
        self._held.give(held)

    async def stream(self, count: int) -> tuple[int, int]:
        number = total = 0
        held = await self._held.take()
        async with held[0].transaction(readonly=True):
            cursor = await held[2].cursor(1, count)
            while rows := await cursor.fetch(BATCH):
                some, sum_of_some = checksum(_many([dict(row) for row in rows]))
                number, total = number + some, total + sum_of_some
        self._held.give(held)
        return number, total


class Asyncmy(_AsTuples):
    """asyncmy on held connections, each with its cursor."""

    name = "asyncmy by hand"
    engines = frozenset({"mysql"})
    distribution = "asyncmy"

    _point, _from, _insert = (work.text(t, work.FORMAT) for t in (work.POINT, work.FROM, work.INSERT))
    _update = "UPDATE counted SET quantity = %s WHERE item_id = %s"

    async def open(self, base: Base) -> None:
        import asyncmy

        self._held = Free()
        for _ in range(CONNECTIONS):
            connection = await asyncmy.connect(db=base.name, autocommit=True, **base.address)
            self._held.give((connection, connection.cursor()))

    async def close(self) -> None:
        for connection, cursor in self._held.all():
            await cursor.close()
            await connection.ensure_closed()

    async def point(self, item_id: int) -> Any:
        held = await self._held.take()
        await held[1].execute(self._point, (item_id,))
        row = await held[1].fetchone()
        self._held.give(held)
        return _model(row)

    async def items(self, first: int, count: int) -> Sequence[Any]:
        held = await self._held.take()
        await held[1].execute(self._from, (first, count))
        rows = await held[1].fetchall()
        self._held.give(held)
        return _models(rows)

    async def insert(self, row: Any) -> None:
        held = await self._held.take()
        await held[1].execute(self._insert, row)
        self._held.give(held)

    async def transaction(self, rows: Sequence[Any]) -> None:
        held = await self._held.take()
        await held[0].begin()
        for row in rows:
            await held[1].execute(self._insert, row)
        await held[0].commit()
        self._held.give(held)

    async def update(self, item_id: int, quantity: int) -> None:
        held = await self._held.take()
        await held[1].execute(self._update, (quantity, item_id))
        self._held.give(held)

    async def bulk(self, rows: Sequence[Any]) -> None:
        held = await self._held.take()
        await held[0].begin()
        await held[1].executemany(self._insert, rows)  # it makes inserts of many rows
        await held[0].commit()
        self._held.give(held)

    async def stream(self, count: int) -> tuple[int, int]:
        from asyncmy.cursors import SSCursor

        number = total = 0
        held = await self._held.take()
        async with held[0].cursor(SSCursor) as cursor:
            await cursor.execute(self._from, (1, count))
            while rows := await cursor.fetchmany(BATCH):
                some, sum_of_some = checksum(_models(rows))
                number, total = number + some, total + sum_of_some
        self._held.give(held)
        return number, total


FLOORS: dict[str, type[Contender]] = {"sqlite": Aiosqlite, "postgresql": Asyncpg, "mysql": Asyncmy}
