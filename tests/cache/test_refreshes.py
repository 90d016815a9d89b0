"""Values that are loaded anew before they end: nobody waits for a hot key after its first load."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from dal.cache import CacheManager, KeyFamilies, KeyFamily
from dal.cache.refreshes import EARLIEST, LATEST, LoadTimes, is_due
from tests.cache.conftest import Clock, store_of

TTL = 5
FAMILIES = KeyFamilies(
    [
        KeyFamily("hot", "hot:{id}", "string", "json", TTL, refresh_ahead=True),
        KeyFamily("cool", "cool:{id}", "string", "json", TTL),
    ]
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(clock: Clock) -> AsyncIterator[CacheManager]:
    async with CacheManager("memory://", families=FAMILIES, clock=clock) as cache:
        yield cache


class Slow:
    """A load that takes *seconds* of the clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self.loads = 0

    async def __call__(self) -> int:
        self.loads += 1
        number, end = self.loads, self._clock.now + self._seconds
        while self._clock.now < end:
            await asyncio.sleep(0)
        return number


def answered_at_once(call: Coroutine[Any, Any, Any]) -> bool:
    """Whether *call* ends without ever waiting; it is given up if it does not."""
    try:
        call.send(None)
    except StopIteration:
        return True
    call.close()
    return False


@pytest.mark.slow
@pytest.mark.parametrize("load_time", [0.02, 0.3])
async def test_hot_key_is_never_awaited(cache: CacheManager, clock: Clock, load_time: float) -> None:
    """A thousand requests a second for twenty times to live: none waits, with at most 1.3 loads for each."""
    source = Slow(clock, load_time)
    first = asyncio.create_task(cache.get_or_load("hot:a", source))
    while not first.done():
        clock.now += 0.001
        await asyncio.sleep(0)
    waited = 0
    for _ in range(20 * TTL * 1000):
        clock.now += 0.001
        waited += not answered_at_once(cache.get_or_load("hot:a", source))
        await asyncio.sleep(0)
    assert (waited, source.loads <= 1 + 1.3 * 20) == (0, True)
    assert source.loads >= 20
    counts = cache.stats()["hot"]
    assert (counts.hits, counts.refreshed) == (20 * TTL * 1000, source.loads - 1)


async def test_family_may_do_without(cache: CacheManager, clock: Clock) -> None:
    """Without refresh_ahead a value ends, and is loaded when it is asked for."""
    source = Slow(clock, 0)
    await cache.get_or_load("cool:a", source)
    clock.now += TTL - 0.1
    assert (await cache.get_or_load("cool:a", source)).state == "hit"
    assert cache.stats()["cool"].refreshed == 0
    clock.now += 0.2
    assert await cache.get_or_load("cool:a", source) == (2, "miss")


async def test_value_that_was_refreshed_meanwhile_is_not_loaded(cache: CacheManager, clock: Clock) -> None:
    """The background looks into the store again before it loads."""
    source = Slow(clock, 0)
    await cache.get_or_load("hot:a", source)
    clock.now += TTL * 0.96
    assert (await cache.get_or_load("hot:a", source)).state == "hit"
    await store_of(cache).set("hot:a", b"7", TTL)  # another process was faster
    for _ in range(20):
        await asyncio.sleep(0)
    assert (await cache.get_or_load("hot:a", source), source.loads) == ((7, "hit"), 1)


async def test_value_without_end_is_given_one(cache: CacheManager, clock: Clock) -> None:
    """What another program stored for ever is loaded anew in the background."""
    source = Slow(clock, 0)
    await store_of(cache).set("hot:a", b"7", math.inf)
    assert await cache.get_or_load("hot:a", source) == (7, "hit")
    for _ in range(20):
        await asyncio.sleep(0)
    assert await cache.get_or_load("hot:a", source) == (1, "hit")
    found = await store_of(cache).get_with_ttl("hot:a")
    assert found is not None
    assert found[1] <= TTL


def test_never_before_the_earliest_and_always_after_the_latest() -> None:
    """However long a load takes, the point lies between 70 and 95 per cent."""
    for load_time in (0.0, 0.001, 1.0, 1e9):
        for _ in range(100):
            assert not is_due(100 * (1 - EARLIEST) + 0.01, 100, load_time)
            assert is_due(100 * (1 - LATEST), 100, load_time)


def test_slow_loads_begin_earlier() -> None:
    """Between them chance decides, in favour of what takes long."""
    random.seed(1)
    quick, slow = ([is_due(20, 100, load_time) for _ in range(1000)].count(True) for load_time in (1, 20))
    assert quick < 10
    assert slow == pytest.approx(1000 * math.exp(-1), abs=80)


def test_average_follows_the_newest_loads() -> None:
    """A family whose loads have become slow is soon known to be."""
    times = LoadTimes()
    assert times.of("a") == 0
    times.add("a", 1)
    for _ in range(20):
        times.add("a", 5)
    assert times.of("a") == pytest.approx(5, abs=0.1)
    assert times.of("b") == 0
