"""Values beyond their time, served while their load fails: for a bounded time, and with few attempts."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest

from dal.cache import FAMILIES, CacheManager
from tests.cache.conftest import Backend, Clock

FAMILY = FAMILIES["search_results"]
KEY = FAMILY.key(query_hash="a")
FINAL_MINUTE = FAMILY.ttl + FAMILY.stale_for - 60


class Failing:
    """A load that fails when it is told to."""

    def __init__(self) -> None:
        self.fails = False
        self.loads = 0

    async def __call__(self) -> dict[str, int]:
        self.loads += 1
        if self.fails:
            raise ConnectionError("the source is away")
        return {"load": self.loads}


@pytest.fixture
def source() -> Failing:
    return Failing()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def memory_cache(clock: Clock) -> AsyncIterator[CacheManager]:
    async with CacheManager("memory://", clock=clock) as cache:
        yield cache


async def background() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def test_failing_load_serves_the_last_value(backend: Backend, source: Failing) -> None:
    """Beyond its time a value is served as stale if its load raises, and `get` does not return it."""
    await backend.cache.get_or_load(KEY, source)
    source.fails = True
    await backend.elapse(FAMILY.ttl + 60)
    assert await backend.cache.get_or_load(KEY, source) == ({"load": 1}, "stale")
    assert await backend.cache.get(KEY) is None
    assert await backend.cache.get_many([KEY]) == {}
    assert backend.cache.stats()["search_results"].stale == 1


async def test_working_load_is_waited_for(backend: Backend, source: Failing) -> None:
    """A stale value is not served as long as a new one can be had."""
    await backend.cache.get_or_load(KEY, source)
    await backend.elapse(FAMILY.ttl + 60)
    assert await backend.cache.get_or_load(KEY, source) == ({"load": 2}, "miss")


async def test_error_comes_through_after_the_limit(backend: Backend, source: Failing) -> None:
    """Beyond its family's limit the value is gone, and the load's error is raised."""
    await backend.cache.get_or_load(KEY, source)
    source.fails = True
    await backend.elapse(FINAL_MINUTE)
    assert (await backend.cache.get_or_load(KEY, source)).state == "stale"
    await backend.elapse(120)
    with pytest.raises(ConnectionError, match="the source is away"):
        await backend.cache.get_or_load(KEY, source)


async def test_failing_load_is_tried_now_and_then(
    memory_cache: CacheManager, clock: Clock, source: Failing
) -> None:
    """Five minutes of ten requests a second: all see the value, at once, and the load is tried every 10 s."""
    await memory_cache.get_or_load(KEY, source)
    source.fails, source.loads = True, 0
    clock.now += FAMILY.ttl + 1
    for _ in range(3000):
        clock.now += 0.1
        assert await memory_cache.get_or_load(KEY, source) == ({"load": 1}, "stale")
        await background()
    assert 25 <= source.loads <= 300 / FAMILY.retry_after + 1


async def test_source_that_is_back_is_noticed(
    memory_cache: CacheManager, clock: Clock, source: Failing
) -> None:
    """The next attempt that goes well ends the stale time, in the background."""
    await memory_cache.get_or_load(KEY, source)
    source.fails = True
    clock.now += FAMILY.ttl + 1
    await memory_cache.get_or_load(KEY, source)
    source.fails = False
    clock.now += FAMILY.retry_after
    assert (await memory_cache.get_or_load(KEY, source)).state == "stale"
    await background()
    assert await memory_cache.get_or_load(KEY, source) == ({"load": 3}, "hit")


async def test_failing_refresh_is_tried_now_and_then(
    memory_cache: CacheManager, clock: Clock, source: Failing
) -> None:
    """A load ahead of time that fails costs nobody anything, and is not repeated at every read."""
    await memory_cache.get_or_load(KEY, source)
    source.fails, source.loads = True, 0
    clock.now += FAMILY.ttl * 0.96
    for _ in range(100):
        clock.now += 0.1
        assert await memory_cache.get_or_load(KEY, source) == ({"load": 1}, "hit")
        await background()
    assert source.loads == 1


async def test_deleted_value_is_not_served(backend: Backend, source: Failing) -> None:
    """What was deleted is not there to be served, however its load fails."""
    await backend.cache.get_or_load(KEY, source)
    source.fails = True
    await backend.elapse(FAMILY.ttl + 60)
    assert (await backend.cache.get_or_load(KEY, source)).state == "stale"
    await backend.cache.delete(KEY)
    with pytest.raises(ConnectionError):
        await backend.cache.get_or_load(KEY, source)


@pytest.mark.parametrize("family", ["session", "rate_limit"])
def test_sessions_and_counters_are_never_stale(family: str) -> None:
    """They are not kept beyond their time."""
    assert FAMILIES[family].stale_for == 0


async def test_stored_value_is_the_plain_value(backend: Backend, source: Failing) -> None:
    """Nothing but the value lies under the key: staleness is told by its time to live."""
    await backend.cache.get_or_load(KEY, source)
    assert json.loads(gzip.decompress(await backend.raw(KEY) or b"")) == {"load": 1}
