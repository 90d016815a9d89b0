"""Whoever leaves as its turn comes, as its block begins, or in a statement, takes nothing along."""

from __future__ import annotations

import asyncio
from typing import Any

from dal.database import DatabaseManager
from dal.errors import UniqueViolation
from dal.settings import DatabaseSettings, Settings
from tests.engine_cases import EngineCase

ADD = "INSERT INTO account (email) VALUES (:email)"
ONE_CONNECTION = Settings(database=DatabaseSettings(pool_size=1, max_overflow=0))


def has_its_answer(task: asyncio.Task[Any]) -> bool:
    """True in the one step between the answer to what *task* waits for and its going on."""
    awaited = getattr(task, "_fut_waiter", None)
    return task.done() or (awaited is not None and awaited.done())


async def test_a_block_cancelled_in_the_step_of_its_turn_costs_nothing(url: str, case: EngineCase) -> None:
    """The only connection, or the writer, was given to it and is given to the next one."""
    async with DatabaseManager(url, settings=ONE_CONNECTION) as db:
        await db.execute(case.account)

        async def block(opened: asyncio.Event, go: asyncio.Event) -> None:
            async with db.transaction() as tx:
                opened.set()
                await go.wait()
                await tx.execute(ADD, {"email": "kept"})

        for n in range(5):
            opened, go = asyncio.Event(), asyncio.Event()
            first = asyncio.ensure_future(block(opened, go))
            await opened.wait()
            second = asyncio.ensure_future(block(asyncio.Event(), go))
            await asyncio.sleep(0)
            go.set()
            while not has_its_answer(second):
                await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait([first, second])
            assert first.exception() is None
            # On SQLite a caller goes on as it is answered: the second found the address taken.
            assert second.cancelled() or isinstance(second.exception(), UniqueViolation)
            assert await db.execute("DELETE FROM account", timeout=60) == 1, n


async def test_a_block_cancelled_as_it_begins_costs_nothing(url: str, case: EngineCase) -> None:
    """After every number of steps, on the only connection: the next write has it at once."""
    async with DatabaseManager(url, settings=ONE_CONNECTION) as db:
        await db.execute(case.account)

        async def block() -> None:
            async with db.transaction() as tx:
                await tx.execute(ADD, {"email": "a"})

        for steps in range(40):
            task = asyncio.ensure_future(block())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            # Cancelled before its COMMIT began it stored nothing, later the one row.
            assert await db.execute("DELETE FROM account", timeout=60) in (0, 1), steps


async def test_a_cancelled_statement_gives_its_connection_back(db: DatabaseManager, case: EngineCase) -> None:
    """Though it would never have ended by itself; more of them than there are connections."""
    for _ in range(7):
        task = asyncio.ensure_future(db.fetch_value(case.endless))
        await asyncio.wait([task], timeout=0.05)
        task.cancel()
        await asyncio.wait([task])
    assert await db.fetch_value("SELECT 1", timeout=60) == 1
