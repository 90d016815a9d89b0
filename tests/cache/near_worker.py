"""A process that changes what another one has copies of: a line says what, and is answered once it is done.

near_worker.py URL

    set KEY NUMBER      delete KEY      invalidate FAMILY      load KEY NUMBER
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial

from dal.cache import CacheManager
from tests.cache.near_families import FAMILIES


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(url: str) -> None:
    async with CacheManager(url, families=FAMILIES) as cache:
        say("ready")
        while words := (await asyncio.to_thread(sys.stdin.readline)).split():
            match words:
                case ["set", key, number]:
                    await cache.set(key, int(number))
                case ["delete", key]:
                    await cache.delete(key)
                case ["invalidate", family]:
                    await cache.invalidate(family)
                case ["load", key, number]:
                    await cache.delete(key)
                    await cache.get_or_load(key, partial(_value, number))
            say("done")


async def _value(number: str) -> int:
    return int(number)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
