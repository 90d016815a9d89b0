"""One of several processes that want one key; it says when it loads, and when all callers have their value.

lease_worker.py URL CALLERS VALUE

It begins at the line ``begin`` and ends its load at the line ``go on``. From the line ``impatient`` on, which
it repeats, it gives up a server that does not answer soon.
"""

from __future__ import annotations

import asyncio
import sys

from dal.cache import CacheManager, KeyFamilies, KeyFamily, leases

LEASE_SECONDS = 60.0  # a busy machine must not look like a process that was killed
FAMILIES = KeyFamilies([KeyFamily("shared", "shared:{id}", "string", "json", 6000, load_deadline=600)])


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def main(url: str, callers: int, value: str) -> None:
    from tests.cache.conftest import IMPATIENT, set_patience, store_of

    begun, go_on = asyncio.Event(), asyncio.Event()

    async def load() -> str:
        say("load")
        await go_on.wait()
        return value

    async def obey(cache: CacheManager) -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            match line.strip():
                case "begin":
                    begun.set()
                case "go on":
                    go_on.set()
                case "impatient":
                    set_patience(store_of(cache), IMPATIENT)
                    say("impatient")

    async with CacheManager(url, families=FAMILIES) as cache:
        obeying = asyncio.create_task(obey(cache))
        say("ready")
        await begun.wait()
        loaded = await asyncio.gather(*(cache.get_or_load("shared:a", load) for _ in range(callers)))
        say("values", *sorted({found.value for found in loaded}))
        await obeying


if __name__ == "__main__":
    leases.SECONDS = LEASE_SECONDS
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
