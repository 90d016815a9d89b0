"""The cache beside the same thing by hand: a dictionary, or the client of Redis, with gzip and JSON."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks.bars import Result
from benchmarks.cases import TASKS, Profile, WrongAnswer
from benchmarks.figures import ratios
from benchmarks.measuring import Entrant, Operation, measure
from dal.cache import FAMILIES, CacheManager

CASES = {
    "cache_get": 1,
    "cache_set": 1,
    "cache_get_64": TASKS,
    "cache_set_64": TASKS,
}
"""The cases, and how many tasks call at the same time."""

_KEYS = 500
_TTL = 600
_VALUE = {
    "hits": [{"id": n, "title": f"document {n}", "score": n / 7, "tags": ["a", "b"]} for n in range(20)]
}


# The fastest libraries that are installed, as `dal` takes them.
_gzip: Any = import_module("isal.igzip" if find_spec("isal") else "gzip")
_loads: Callable[[bytes], Any] = json.loads


def _dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


if find_spec("orjson"):
    from orjson import dumps as _dumps  # type: ignore[assignment]  # it takes more than the one above
    from orjson import loads as _loads


class Dictionary:
    """A dictionary with times at which entries end."""

    name = "a dictionary by hand"

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, bytes]] = {}

    async def get(self, key: str) -> Any:
        entry = self._entries.get(key)
        if entry is None or entry[0] < time.monotonic():
            return None
        return _loads(_gzip.decompress(entry[1]))

    async def set(self, key: str, value: Any) -> None:
        self._entries[key] = (time.monotonic() + _TTL, _gzip.compress(_dumps(value), 1))

    async def increment(self, key: str) -> int:
        """Count nothing, quickly."""
        return 0

    async def get_hash(self, key: str) -> dict[str, Any]:
        """Return no fields, quickly."""
        return {}


class Client:
    """redis-py's asynchronous client."""

    name = "redis-py by hand"

    def __init__(self, client: Any) -> None:
        self._client = client

    async def get(self, key: str) -> Any:
        data = await self._client.get(key)
        return None if data is None else _loads(_gzip.decompress(data))

    async def set(self, key: str, value: Any) -> None:
        await self._client.set(key, _gzip.compress(_dumps(value), 1), ex=_TTL)

    async def increment(self, key: str) -> int:
        """Count a call of the minute."""
        async with self._client.pipeline() as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, 60, nx=True)
            count: int = (await pipeline.execute())[0]
        return count

    async def get_hash(self, key: str) -> dict[str, Any]:
        """Return a hash, its values decoded."""
        fields = await self._client.hgetall(key)
        return {name.decode(): _loads(item) for name, item in fields.items()}

    async def close(self) -> None:
        await self._client.aclose()


def by_hand(url: str) -> Client:
    """Return redis-py's client, and the same codec; many callers wait for one of its connections."""
    from redis.asyncio import BlockingConnectionPool, Redis

    return Client(Redis(connection_pool=BlockingConnectionPool.from_url(url, max_connections=16)))


def document(size: int) -> dict[str, Any]:
    """Return results of a search that take about *size* bytes as JSON; the same ones for the same size."""
    chance = random.Random(size)
    hits: list[dict[str, Any]] = []
    while len(_dumps(hits)) < size:
        words = ["".join(chance.choices("etaoinshrdlu", k=chance.randrange(2, 10))) for _ in range(40)]
        hits.append({"id": len(hits), "score": chance.random(), "text": " ".join(words)})
    return {"hits": hits}


async def run_caches(
    engine: str, url: str, names: list[str], profile: Profile, loop: str, advance: Callable[[], None]
) -> list[Result]:
    """Check and time the cache at *url*."""
    async with AsyncExitStack() as stack:
        cache = await stack.enter_async_context(CacheManager(url))
        floor: Dictionary | Client
        if engine == "memory":
            floor = Dictionary()
        else:
            from redis.asyncio import BlockingConnectionPool, Redis

            client: Any = Redis(connection_pool=BlockingConnectionPool.from_url(url, max_connections=10))
            stack.push_async_callback(client.aclose)
            floor = Client(client)
        family = FAMILIES["search_results"]
        ours_keys = [family.key(query_hash=f"ours{n}") for n in range(_KEYS)]
        floor_keys = [family.key(query_hash=f"hand{n}") for n in range(_KEYS)]
        for mine, theirs in zip(ours_keys, floor_keys, strict=True):
            await cache.set(mine, _VALUE, _TTL)
            await floor.set(theirs, _VALUE)
        if await cache.get(ours_keys[-1]) != _VALUE or await floor.get(floor_keys[-1]) != _VALUE:
            raise WrongAnswer(f"the cache in {engine} did not give back what was stored")
        results = []
        for name in names:
            if name.startswith("cache_get"):
                pair = (_getting(cache.get, ours_keys), _getting(floor.get, floor_keys))
            else:
                pair = (_setting(cache.set, ours_keys), _setting(floor.set, floor_keys))
            ours, below = Entrant("dal", pair[0]), Entrant(floor.name, pair[1])
            await measure([ours, below], profile.plan, tasks=CASES[name])
            result = Result(name, engine, _KEYS, loop, ours.sample.us, p99_us=ours.sample.p99_us)
            result.floor, result.floor_us = floor.name, below.sample.us
            result.ratio = ratios(ours.sample.per_round, below.sample.per_round)
            results.append(result)
            advance()
        return results


def _getting(get: Callable[[str], Any], keys: list[str]) -> Operation:
    turn = in_rounds(keys)
    return lambda: get(turn())


def _setting(put: Callable[[str, Any], Any], keys: list[str]) -> Operation:
    turn = in_rounds(keys)
    return lambda: put(turn(), _VALUE)


def in_rounds(keys: list[str]) -> Callable[[], str]:
    """Return what gives the next of *keys* at each call, for ever."""
    position = -1

    def following() -> str:
        nonlocal position
        position = (position + 1) % len(keys)
        return keys[position]

    return following
