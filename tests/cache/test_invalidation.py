"""A deletion beats a load that began before it, in the process and between two."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dal.cache import FAMILIES, CacheManager
from dal.errors import CacheError, UnknownKeyFamily
from tests.cache.conftest import Backend, MemoryBackend, RedisBackend, store_of

FAMILY = FAMILIES["github_repo"]
KEY = FAMILY.key(owner="encode", repo="databases", path="README.md")


class Source:
    """A database of one row. A load reads it at once, and is then held back until `open`."""

    def __init__(self) -> None:
        self.version = 1
        self.loads = 0
        self.read = asyncio.Event()
        self.open = asyncio.Event()

    async def load(self) -> int:
        self.loads += 1
        version = self.version
        self.read.set()
        await self.open.wait()
        return version


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def other(backend: Backend) -> AsyncIterator[CacheManager]:
    """A second manager on the same store, as another process has one."""
    async with contextlib.AsyncExitStack() as stack:
        yield await second_manager(backend, stack)


async def second_manager(backend: Backend, stack: contextlib.AsyncExitStack) -> CacheManager:
    if isinstance(backend, RedisBackend):
        return await stack.enter_async_context(CacheManager(backend.url))
    assert isinstance(backend, MemoryBackend)
    cache = CacheManager("memory://", clock=backend.clock)
    cache._open = lambda: backend.store
    return await stack.enter_async_context(cache)


async def begun(cache: CacheManager, source: Source) -> asyncio.Task[Any]:
    """A caller whose load has read the database and is held back."""
    source.read.clear()
    caller = asyncio.create_task(cache.get_or_load(KEY, source.load))
    await source.read.wait()
    return caller


async def delete(cache: CacheManager) -> None:
    await cache.delete(KEY)


async def delete_many(cache: CacheManager) -> None:
    await cache.delete_many([KEY, "session:a"])


async def invalidate_family(cache: CacheManager) -> None:
    await cache.invalidate("github_repo")


async def invalidate_owner(cache: CacheManager) -> None:
    await cache.invalidate("github_repo", owner="encode")


every_deletion = pytest.mark.parametrize("forget", [delete, delete_many, invalidate_family, invalidate_owner])
whose = pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])


@every_deletion
@whose
async def test_load_that_began_before_is_not_stored(
    backend: Backend, other: CacheManager, source: Source, forget: Any, elsewhere: bool
) -> None:
    """load(v1) begins, v2 is written and the key deleted, the load ends: nobody reads v1 after that."""
    caller = await begun(backend.cache, source)
    source.version = 2
    await forget(other if elsewhere else backend.cache)
    source.open.set()
    assert (await caller).value == 1  # it began before the write
    for cache in (backend.cache, other):
        assert await cache.get(KEY) is None
    assert await other.get_or_load(KEY, source.load) == (2, "miss")
    assert await backend.cache.get_or_load(KEY, source.load) == (2, "hit")


@every_deletion
@whose
async def test_who_comes_after_it_gets_the_new_value(
    backend: Backend, other: CacheManager, source: Source, forget: Any, elsewhere: bool
) -> None:
    """A caller that comes after the deletion does not get what a load under way has read before."""
    early = await begun(backend.cache, source)
    source.version = 2
    await forget(other if elsewhere else backend.cache)
    late = asyncio.create_task(backend.cache.get_or_load(KEY, source.load))
    await asyncio.sleep(0.01)
    source.open.set()
    assert ((await early).value, (await late).value) == (1, 2)
    assert await backend.cache.get(KEY) in (2, None)


@whose
async def test_value_of_none_is_proven_too(
    backend: Backend, other: CacheManager, source: Source, elsewhere: bool
) -> None:
    """The same for a row that was not there: None is not stored, and not given to who comes later."""
    rows: list[int | None] = [None]

    async def load() -> int | None:
        row = rows[0]
        source.read.set()
        await source.open.wait()
        return row

    early = asyncio.create_task(backend.cache.get_or_load(KEY, load))
    await source.read.wait()
    rows[0] = 2
    await delete(other if elsewhere else backend.cache)
    late = asyncio.create_task(backend.cache.get_or_load(KEY, load))
    await asyncio.sleep(0.01)
    source.open.set()
    assert ((await early).value, (await late).value) == (None, 2)


async def test_who_comes_after_does_not_wait_for_the_old_load(backend: Backend, source: Source) -> None:
    """In the process of the deletion a new load begins at once."""
    early = await begun(backend.cache, source)
    source.version = 2
    await backend.cache.delete(KEY)

    async def load() -> int:
        return source.version

    assert await backend.cache.get_or_load(KEY, load) == (2, "miss")
    source.open.set()
    assert (await early).value == 1
    assert await backend.cache.get(KEY) == 2


async def test_set_beats_a_load_that_began_before(backend: Backend, source: Source) -> None:
    """What a set stored is not replaced by what this process loaded before."""
    caller = await begun(backend.cache, source)
    await backend.cache.set(KEY, 2)
    source.open.set()
    await caller
    assert await backend.cache.get(KEY) == 2


async def test_refresh_in_the_background_is_beaten_too(backend: Backend, source: Source) -> None:
    """A load ahead of time stores nothing after a deletion."""
    source.open.set()
    await backend.cache.get_or_load(KEY, source.load)
    source.open.clear()
    source.read.clear()
    await backend.elapse(round(FAMILY.ttl * 0.96))
    assert (await backend.cache.get_or_load(KEY, source.load)).state == "hit"
    await source.read.wait()
    source.version = 2
    await backend.cache.delete(KEY)
    source.open.set()
    assert await backend.cache.get_or_load(KEY, source.load) == (2, "miss")


async def test_invalidate_takes_leading_parts(backend: Backend) -> None:
    """Only the keys with these first parts go, whatever characters are in them."""
    cache = backend.cache
    parts = [("a", "x"), ("a", "y"), ("ab", "x"), ("a/", "x"), ("a*", "x"), ("*", "x"), ("", "x")]
    keys = {pair: FAMILY.key(owner=pair[0], repo=pair[1], path="p") for pair in parts if all(pair)}
    await cache.set_many(dict.fromkeys(keys.values(), 1) | {"config:system:1": 1})
    assert await cache.invalidate("github_repo", owner="a", repo="x") == 1
    assert await cache.invalidate("github_repo", owner="*") == 1
    assert await cache.invalidate("github_repo", owner="a") == 1
    left = await cache.get_many(keys.values())
    assert set(left) == {keys[pair] for pair in [("ab", "x"), ("a/", "x"), ("a*", "x")]}
    assert await cache.invalidate("github_repo") == 3
    assert await cache.get("config:system:1") == 1


@pytest.mark.parametrize(
    "parts",
    [{"repo": "a"}, {"owner": "a", "path": "p"}, {"owner": "a", "repo": "b", "path": "c"}, {"x": "a"}],
)
async def test_invalidate_refuses_other_parts(backend: Backend, parts: dict[str, str]) -> None:
    """Parts that are not the first ones, or are all of them, say what may be given."""
    with pytest.raises(CacheError, match="the leading parts of its keys are owner, repo; given were"):
        await backend.cache.invalidate("github_repo", **parts)


async def test_invalidate_of_an_unknown_family(backend: Backend) -> None:
    """A family that is not there is an error."""
    with pytest.raises(UnknownKeyFamily):
        await backend.cache.invalidate("github")


async def test_nothing_is_left_in_the_store(backend: Backend, source: Source) -> None:
    """After a load that lost its lease there is no lease and no value."""
    caller = await begun(backend.cache, source)
    await backend.cache.delete(KEY)
    source.open.set()
    await caller
    store = store_of(backend.cache)
    assert await store.get_many([KEY, f"lease:{KEY}"]) == [None, None]
