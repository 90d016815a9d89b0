"""A process that writes what another one reads cached.

cached_query_worker.py DATABASE CACHE FILE STOP TIMES

For each line that it is sent it adds one to the counter TIMES times, and says each sum once its call has
returned. With STOP ``fence`` or ``lift`` it says so when the fence is set, or the change committed, and goes
no further.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from pydantic import BaseModel

from dal.cache import CacheManager, tables
from dal.database import DatabaseManager
from dal.queries import load_queries
from dal.settings import Settings

FENCE_SECONDS = 100.0


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(url: str, cache_url: str, file: str, stop: str, times: int) -> None:
    queries = load_queries(file, models={"Note": BaseModel})
    async with (
        CacheManager(cache_url) as cache,
        DatabaseManager(url, queries=queries, cache=cache, settings=Settings()) as db,
    ):
        if stop != "-":
            assert cache._parts is not None
            store: Any = cache._parts.store
            fence = store.fence

            async def stopped(*arguments: Any) -> None:
                if stop == "fence":
                    await fence(*arguments)
                say(stop)
                await asyncio.sleep(600)

            setattr(store, stop, stopped)
        say("ready")
        while await asyncio.to_thread(sys.stdin.readline):
            for _ in range(times):
                await db.execute(queries.add_one)
                say("sum", await db.outside().fetch_value("SELECT n FROM counter"))


if __name__ == "__main__":
    tables.FENCE_SECONDS = FENCE_SECONDS
    url, cache_url, file, stop, times = sys.argv[1:]
    asyncio.run(main(url, cache_url, file, stop, int(times)))
