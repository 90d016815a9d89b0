"""Rows that come in pairs, each way to write one, and how to see that nothing is half there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from dal.database import DatabaseManager
from dal.transaction import Transaction
from tests.engine_cases import Place

TABLE = "CREATE TABLE pair (half INTEGER, ident INTEGER)"
ADD = "INSERT INTO pair (half, ident) VALUES (?, ?)"
BOTH = "INSERT INTO pair (half, ident) VALUES (1, ?), (2, ?)"
TORN = "SELECT ident FROM pair GROUP BY ident HAVING sum(half) * 2 <> count(*) * 3"
COUNT = "SELECT count(*) FROM pair"


async def both_halves(tx: Transaction, ident: int) -> None:
    await tx.execute(ADD, (1, ident))
    await tx.execute(ADD, (2, ident))


async def by_block(db: DatabaseManager, ident: int) -> None:
    async with db.transaction() as tx:
        await both_halves(tx, ident)


async def by_nested_block(db: DatabaseManager, ident: int) -> None:
    async with db.transaction() as tx, tx.transaction() as inner:
        await both_halves(inner, ident)


async def by_read_only_block(db: DatabaseManager, ident: int) -> None:
    async with db.transaction(readonly=True) as tx:
        await tx.fetch_all("SELECT half FROM pair")
        await tx.fetch_value(COUNT)


async def by_stream(db: DatabaseManager, ident: int) -> None:
    async with aclosing(db.stream("SELECT 1 AS a UNION ALL SELECT 2", batch_size=1)) as rows:
        async for _ in rows:
            break
    await db.execute_many(ADD, [(1, ident), (2, ident)])


VERBS: dict[str, Callable[[DatabaseManager, int], Awaitable[Any]]] = {
    "execute": lambda db, n: db.execute(BOTH, (n, n)),
    "fetch_one": lambda db, n: db.fetch_one("SELECT half FROM pair WHERE ident = ? AND half = 1", (n,)),
    "fetch_all": lambda db, n: db.fetch_all("SELECT half FROM pair WHERE ident = ?", (n,)),
    "fetch_all of a write": lambda db, n: db.fetch_all(BOTH + " RETURNING half", (n, n)),
    "execute_many": lambda db, n: db.execute_many(ADD, [(1, n), (2, n)]),
    "execute_script": lambda db, n: db.execute_script(
        f"INSERT INTO pair VALUES (1, {n}); INSERT INTO pair VALUES (2, {n});"
    ),
    "execute_transaction": lambda db, n: db.execute_transaction([(ADD, (1, n)), (ADD, (2, n))]),
    "transaction": by_block,
    "nested transaction": by_nested_block,
    "read-only transaction": by_read_only_block,
    "run_transaction": lambda db, n: db.run_transaction(lambda tx: both_halves(tx, n)),
    "stream": by_stream,
}


async def quiet(db: DatabaseManager, place: Place) -> None:
    """Wait until no call is under way, nothing is open, and no connection is opened or cleaned behind."""
    pool: Any = getattr(db._engine, "_pool", None)
    end = time.monotonic() + 60
    while True:
        left = {
            "on the server": place.busy(),
            "in use": db._engine.connections.in_use,
            "waiting": db._engine.connections.waiting,
            "being cleaned": getattr(pool, "_busy", 0),
            "being opened": len(getattr(pool, "_openings", ())),
        }
        if not any(left.values()):
            return
        assert time.monotonic() < end, f"still under way: {left}"
        await asyncio.sleep(0.005)


async def assert_whole(db: DatabaseManager, place: Place) -> None:
    """No connection is lost, nothing runs or is open any more, no pair is torn, every next call works."""
    async with asyncio.timeout(110):
        await by_block(db, -1)
        await quiet(db, place)
        assert await db.fetch_all(TORN) == []
        await asyncio.gather(*(by_read_only_block(db, 0) for _ in range(10)))
        await quiet(db, place)
