"""The queue of deletions, where the store fails and works at chosen moments."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dal.cache import FAMILIES
from dal.cache.deletions import Deletions
from dal.cache.stores.memory import MemoryStore
from dal.cache.stores.redis.breaker import Breaker
from dal.cache.stores.redis.store import TIMEOUT
from dal.cache.tables import Tables
from dal.errors import CacheUnavailable
from dal.tasks import Background

FAMILY = FAMILIES["search_results"]
KEY = FAMILY.key(query_hash="a")


class Store(MemoryStore):
    """A store that is away when it is told to, and whose deletions can be held back."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def delete_with_leases(self, keys: Sequence[tuple[str, str]], /) -> None:
        if self.is_away:
            raise CacheUnavailable("away")
        await super().delete_with_leases(keys)
        self.asked.set()
        await self.open.wait()


async def test_what_is_queued_again_meanwhile_stays_queued() -> None:
    """A repetition that is under way does not speak for a deletion that came after it."""
    store, background = Store(), Background()
    deletions = Deletions(store, background)
    store.is_away = True
    with pytest.raises(CacheUnavailable):
        await deletions.delete([(FAMILY, KEY)])
    store.is_away = False
    store.open.clear()
    first = asyncio.create_task(deletions.settle(KEY))
    await store.asked.wait()  # the first deletion is done, its answer is under way
    await store.set(KEY, b"old", 60)  # by another process, before the write that the second one is for
    store.is_away = True
    with pytest.raises(CacheUnavailable):
        await deletions.delete([(FAMILY, KEY)])
    store.open.set()
    await first
    store.is_away = False
    assert len(deletions) == 1
    await deletions.settle(KEY)
    assert (await store.get(KEY), len(deletions)) == (None, 0)
    await background.join(5)


class _Selector(selectors.DefaultSelector):
    """Waits for no time, and says how long it should have waited."""

    asked = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.asked += timeout or 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of its timers: what is done in between takes none."""

    def __init__(self) -> None:
        self._waited = _Selector()
        super().__init__(self._waited)

    def time(self) -> float:
        return self._waited.asked


class _Outage(MemoryStore):
    """A store that is away until *back*, with the breaker and the timeout of the one on Redis.

    Others call it, too: where the breaker is open, one of them may be the one that finds out.
    """

    def __init__(self, back: float, fails_at_once: bool) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._back = back
        self._fails_at_once = fails_at_once
        self.breaker = Breaker("the store", TIMEOUT, self._loop.time, lambda: None)

    async def _reach(self) -> None:
        if self.breaker.is_open and not self.breaker.lets_a_probe_pass():
            raise CacheUnavailable("away")
        if self._loop.time() < self._back:
            await asyncio.sleep(0 if self._fails_at_once else min(TIMEOUT, self._back - self._loop.time()))
        if self._loop.time() < self._back:
            self.breaker.failed("away")
            raise CacheUnavailable("away")
        self.breaker.answered()

    async def get(self, key: str, /) -> bytes | None:
        await self._reach()
        return await super().get(key)

    async def delete_with_leases(self, keys: Sequence[tuple[str, str]], /) -> None:
        await self._reach()
        await super().delete_with_leases(keys)

    async def fence(self, keys: Sequence[str], token: str, ttl: float, /) -> None:
        await self._reach()

    async def lift(self, keys: Sequence[str], token: str, /) -> None:
        await self._reach()


async def _call(call: Callable[[], Awaitable[object]]) -> None:
    with contextlib.suppress(CacheUnavailable):
        await call()


@settings(deadline=None, max_examples=60)
@given(outage=st.floats(0.5, 20), traffic=st.sampled_from([0, 1, 20]), fails_at_once=st.booleans())
def test_done_within_a_second_of_the_return(outage: float, traffic: int, fails_at_once: bool) -> None:
    """However long the store was away, whoever else calls it, and whether it is silent or not there.

    Counted in the timers of the client: a busy machine makes no difference. Owed changes of tables as well.
    """

    async def go() -> None:
        loop, background = asyncio.get_running_loop(), Background()
        store = _Outage(outage, fails_at_once)
        deletions, tables = Deletions(store, background), Tables(store, background)

        async def others() -> None:
            while True:
                await _call(lambda: store.get("other"))
                await asyncio.sleep(1 / traffic)

        if traffic:
            background.start(others())
        await _call(lambda: deletions.delete([(FAMILY, KEY)]))
        async with tables.changing(["invoice"]):
            pass
        assert loop.time() < outage
        assert deletions
        assert tables._owed
        while deletions or tables._owed:
            await asyncio.sleep(0.001)
        assert outage <= loop.time() <= outage + 1
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await background.join(1)

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(go())
