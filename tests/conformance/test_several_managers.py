"""Several managers on one database, as several processes have them."""

from __future__ import annotations

import asyncio

from dal.database import DatabaseManager
from dal.settings import Settings

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"


async def test_a_write_waits_for_the_block_of_another_manager(
    db: DatabaseManager, url: str, settings: Settings
) -> None:
    """Where it has to wait at all: by a verb and by a block, none fails because the other writes."""

    async def block(manager: DatabaseManager) -> int:
        async with manager.transaction() as tx:
            return await tx.execute(ADD, {"email": "c"})

    async with DatabaseManager(url, settings=settings) as other:
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            waiting = [
                asyncio.ensure_future(other.execute(ADD, {"email": "b"})),
                asyncio.ensure_future(block(other)),
            ]
            await asyncio.wait(waiting, timeout=0.1)
        assert await asyncio.gather(*waiting) == [1, 1]
    assert await db.fetch_value(COUNT) == 3
