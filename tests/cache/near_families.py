"""Families whose values are copied into the process, and what tests need to look at the copies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from dal.cache import CacheManager, KeyFamilies, KeyFamily
from dal.cache.near import Copies, NearStore
from dal.errors import CacheUnavailable
from tests.cache.conftest import Clock, store_of

T = TypeVar("T")

NEAR = 30  # seconds

FAMILIES = KeyFamilies(
    [
        KeyFamily("near", "near:{id}", "string", "json", 600, near=NEAR),
        KeyFamily("packed", "packed:{id}", "string", "gzip", 600, near=NEAR, stale_for=600),
        KeyFamily("hot", "hot:{id}", "string", "json", 100, near=NEAR, stale_for=100, refresh_ahead=True),
        KeyFamily("far", "far:{id}", "string", "json", 600),
        KeyFamily("person", "person:{id}", "hash", "json", 600),
    ]
)


def near_store(cache: CacheManager) -> NearStore:
    """What has the copies of a connected cache."""
    store = store_of(cache)
    assert isinstance(store, NearStore)
    return store


def copies_of(cache: CacheManager) -> Copies:
    """The copies of a connected cache."""
    return near_store(cache)._copies


async def until(condition: Callable[[], bool]) -> None:
    """Return when *condition* holds; a minute is for ever."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


async def answer(call: Callable[[], Awaitable[T]]) -> T:
    """The first answer of *call*, which may be unavailable for a while."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except CacheUnavailable:
                await asyncio.sleep(0.01)


async def told(cache: CacheManager) -> None:
    """Return when changes are told."""
    await answer(lambda: cache.get("near:told"))
    await until(lambda: copies_of(cache).is_on)


async def copied(cache: CacheManager, key: str) -> Any:
    """Read *key* until there is a copy of what lies under it, and return its value."""
    async with asyncio.timeout(60):
        while copies_of(cache).find(key) is None:
            await answer(lambda: cache.get(key))
    return await cache.get(key)


@contextlib.asynccontextmanager
async def near_cache(url: str, clock: Clock | None = None) -> AsyncIterator[CacheManager]:
    """A cache on a server that tells it of changes; its *clock* stands still."""
    async with CacheManager(url, families=FAMILIES, clock=clock or Clock()) as cache:
        await told(cache)
        yield cache
