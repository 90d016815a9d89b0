"""The store inside the process: its bounds, and that no call does more for what is stored."""

from __future__ import annotations

import asyncio
import gc
import statistics
import tracemalloc
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from dal.cache import CacheManager
from dal.cache.stores.memory import MemoryStore
from dal.errors import CacheError
from tests.cache.conftest import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def kept(store: MemoryStore, keys: list[str]) -> AsyncIterator[str]:
    for key in keys:
        if await store.get(key) is not None:
            yield key


async def test_least_recently_used_entry_makes_room(clock: Clock) -> None:
    """Beyond max_entries the entry that was used longest ago goes."""
    store = MemoryStore(max_entries=3, clock=clock)
    for key in "abc":
        await store.set(key, b"", 60)
    await store.get("a")
    await store.set("d", b"", 60)
    assert [key async for key in kept(store, list("abcd"))] == ["a", "c", "d"]


async def test_bytes_are_bounded(clock: Clock) -> None:
    """Beyond max_bytes entries go until the new one fits."""
    store = MemoryStore(max_bytes=12_000, clock=clock)
    for key in "abcd":
        await store.set(key, bytes(2_000), 60)
    await store.set("e", bytes(4_000), 60)
    assert [key async for key in kept(store, list("abcde"))] == ["c", "d", "e"]


async def test_value_larger_than_the_store_is_refused(clock: Clock) -> None:
    """A value that can never fit raises and drives nothing out."""
    store = MemoryStore(max_bytes=10_000, clock=clock)
    await store.set("a", b"1", 60)
    with pytest.raises(CacheError, match="the whole store may take 10000"):
        await store.set("b", bytes(10_000), 60)
    assert await store.get("a") == b"1"


async def test_memory_stays_near_its_bound() -> None:
    """What the process really takes is about max_bytes, for small and for larger values."""
    for size in (10, 2_000):
        tracemalloc.start()
        store = MemoryStore(max_bytes=4 * 1024 * 1024)
        for number in range(20_000):
            await store.set(f"search:results:{number}", bytes(size) + b"%d" % number, 60)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await store.close()
        assert taken < 5 * 1024 * 1024


async def test_expired_entries_are_removed_without_being_asked_for(clock: Clock) -> None:
    """Entries that have expired go, a few in each call, so that they don't pile up."""
    store = MemoryStore(clock=clock)
    for number in range(1000):
        await store.set(str(number), b"", 60)
    clock.now += 61
    for _ in range(300):
        await store.get("other")
    assert len(store._entries) == 0


async def test_expired_entries_go_among_living_ones(clock: Clock) -> None:
    """Entries that live longer don't keep the others from being found."""
    store = MemoryStore(clock=clock)
    for number in range(1000):
        await store.set(str(number), b"", 600 if number % 2 else 60)
    clock.now += 61
    for _ in range(300):
        await store.get("other")
    assert len(store._entries) == 500


async def test_no_call_stalls_when_all_entries_expire(clock: Clock) -> None:
    """A hundred thousand entries that expire at once are removed by many calls, a few by each."""
    store = MemoryStore(clock=clock)
    for number in range(100_000):
        await store.set(str(number), b"", 60)
    clock.now += 61
    left = [len(store._entries)]
    while left[-1]:
        await store.get("other")
        left.append(len(store._entries))
    assert {before - after for before, after in pairwise(left)} <= set(range(1, 11))


async def test_overwritten_and_deleted_entries_give_their_bytes_back(clock: Clock) -> None:
    """The account of bytes ends at zero."""
    store = MemoryStore(clock=clock)
    for _ in range(10):
        await store.set("a", bytes(100), 60)
        await store.set_hash("a", {"x": bytes(50)}, 60)
    await store.delete("a")
    assert store._entries.bytes == 0


async def test_entry_ends_at_the_end_of_its_time(clock: Clock) -> None:
    """An entry of 60 seconds is there before 60 seconds have passed, and not after."""
    store = MemoryStore(clock=clock)
    await store.set("a", b"", 60)
    clock.now += 59.999
    before = await store.get("a")
    clock.now += 0.001
    assert (before, await store.get("a")) == (b"", None)


async def test_disconnect_forgets() -> None:
    """What memory:// holds ends with the connection."""
    cache = CacheManager("memory://")
    async with cache:
        await cache.set("session:a", {"a": 1})
    async with cache:
        assert await cache.get("session:a") is None


async def test_bounds_come_from_the_url() -> None:
    """max_entries is an option of the URL."""
    async with CacheManager("memory://?max_entries=1&max_bytes=100000") as cache:
        await cache.set("config:system:1", 1)
        await cache.set("config:system:2", 2)
        assert await cache.get("config:system:1") is None


def test_cache_of_an_ended_event_loop_can_be_connected_again() -> None:
    """A loop that ended without disconnect leaves a cache that another loop can connect."""
    cache = CacheManager("memory://")
    asyncio.run(cache.connect())

    async def again() -> int | None:
        async with cache:
            return await cache.increment("rate_limit:api:::1")

    assert asyncio.run(again()) == 1


async def test_no_set_does_much_at_its_bound() -> None:
    """Three times what 64 MB hold, in values of 1 kB: each set removes a few.

    Nor do they leave much to the garbage collector, or a table that takes long when it is rebuilt to grow.
    """
    gc.collect()
    objects = len(gc.get_objects())
    store = MemoryStore()
    value, most = bytes(1000), 0
    for number in range(120_000):
        before = len(store._entries)
        await store.set(f"search:results:{number}", value + b"%d" % number, 60)
        most = max(most, before - len(store._entries))
    assert most <= 4
    assert store._entries.bytes <= 64 * 1024 * 1024
    assert len(store._entries) > 40_000
    assert max(map(len, store._entries._shards)) < 4_000
    assert len(gc.get_objects()) - objects < 10_000


async def test_removal_by_prefix_lets_others_go_on(clock: Clock) -> None:
    """While many keys are looked at, other tasks have their turn."""
    store = MemoryStore(clock=clock)
    for number in range(50_000):
        await store.set(f"p:{number}", b"", 60)
    removal = asyncio.create_task(store.delete_prefix("p:"))
    turns = 0
    while not removal.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await removal, turns > 20) == (50_000, True)


async def test_callers_have_fair_turns() -> None:
    """Of 64 tasks on one store none sees ten times as many others end as usual."""
    ended = 0
    overtaken = []
    async with CacheManager("memory://") as cache:
        keys = [f"search:results:{number}" for number in range(64)]
        await cache.set_many({key: {"text": "x" * 2000} for key in keys})

        async def caller(number: int) -> None:
            nonlocal ended
            for _ in range(200):
                begun = ended
                await cache.get(keys[number])
                await asyncio.sleep(0)
                overtaken.append(ended - begun)
                ended += 1

        await asyncio.gather(*(caller(number) for number in range(64)))
    assert max(overtaken) <= 10 * statistics.median(overtaken)
