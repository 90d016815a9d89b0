"""One of several processes that want one key; it says when it loads, and when all callers have their value.

lease_worker.py URL CALLERS LOAD_SECONDS VALUE
"""

from __future__ import annotations

import asyncio
import sys

from dal.cache import CacheManager, KeyFamilies, KeyFamily

FAMILIES = KeyFamilies([KeyFamily("shared", "shared:{id}", "string", "json", 60, load_deadline=20)])


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def main(url: str, callers: int, seconds: float, value: str) -> None:
    async def load() -> str:
        say("load")
        await asyncio.sleep(seconds)
        return value

    async with CacheManager(url, families=FAMILIES) as cache:
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        loaded = await asyncio.gather(*(cache.get_or_load("shared:a", load) for _ in range(callers)))
        say("values", *sorted({found.value for found in loaded}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
