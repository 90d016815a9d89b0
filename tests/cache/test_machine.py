"""Any sequence of calls of two managers on one store, beside a model of what they must return.

Values are set, read, deleted, counted and expire; loads begin, are held back, fail and end in any order among
writes and deletions. The model knows the newest version of each row: a read never returns what was deleted
before it began.

A short run by default; DAL_CACHE_STEPS=10000 takes so many steps on each store.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from dal.cache import CacheManager, KeyFamilies, KeyFamily
from tests.cache.conftest import Backend, MemoryBackend, RedisBackend, store_of
from tests.servers import RedisServer, ValkeyServer

T = TypeVar("T")

STEPS = int(os.environ.get("DAL_CACHE_STEPS", "600"))
STEPS_IN_A_ROW = 50

# Time passes in hundreds of seconds and ends between them, so that a slow run makes no difference.
TTL = 450
FAMILIES = KeyFamilies(
    [
        KeyFamily(
            "row", "row:{id}", "string", "json", TTL, refresh_ahead=True, stale_for=300, load_deadline=600
        ),
        KeyFamily("value", "value:{id}", "string", "gzip", TTL, stale_for=200),
        KeyFamily("plain", "plain:{id}", "string", "json", TTL),
        KeyFamily("count", "count:{id}", "counter", "integer", TTL),
        KeyFamily("person", "person:{id}", "hash", "json", TTL),
    ]
)
ROWS = st.sampled_from(["row:a", "row:b", "row:c"])
VALUES = st.sampled_from(["value:a", "value:b", "plain:a", "plain:b"])
COUNTERS = st.sampled_from(["count:a", "count:b"])
PERSONS = st.sampled_from(["person:a", "person:b"])
TTLS = st.sampled_from([None, 150, 250, 750])
MANAGERS = st.integers(0, 1)
NUMBERS = st.integers(-5, 5)
FIELDS = st.dictionaries(st.sampled_from("xyz"), NUMBERS, min_size=1)


class SourceFailed(Exception):
    """What a load raises when it is told to."""


@dataclass
class Kept:
    """What the model has under a key."""

    value: Any
    ends: float


@dataclass
class Caller:
    """A call of get_or_load under way. It must bring *version* or a newer one."""

    key: str
    version: int
    task: asyncio.Task[Any]


class Machine(RuleBasedStateMachine):
    """Two managers, one store, and the model."""

    def __init__(self, new_backend: Callable[[], Backend]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = 0.0
        self.kept: dict[str, Kept] = {}
        self.versions = {"row:a": 1, "row:b": 1, "row:c": 1}
        self.callers: list[Caller] = []
        self.failing = False
        self.run(self.begin(new_backend))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def begin(self, new_backend: Callable[[], Backend]) -> None:
        self.gates = {key: asyncio.Event() for key in self.versions}
        self.backend = new_backend()
        await self.backend.cache.connect()
        if isinstance(self.backend, RedisBackend):
            await self.backend.client.flushall()
            other = CacheManager(self.backend.url, families=FAMILIES)
        else:
            store = store_of(self.backend.cache)
            assert isinstance(self.backend, MemoryBackend)
            other = CacheManager("memory://", families=FAMILIES, clock=self.backend.clock)
            other._open = lambda: store
        await other.connect()
        self.caches = [self.backend.cache, other]

    def teardown(self) -> None:
        self.run(self.end())
        self.runner.close()

    async def end(self) -> None:
        for key in self.gates:
            await self.finish(key)
        for cache in self.caches:
            await cache.disconnect()
        if isinstance(self.backend, RedisBackend):
            await self.backend.client.aclose()

    def expected(self, key: str) -> Any:
        kept = self.kept.get(key)
        return kept.value if kept is not None and kept.ends > self.now else None

    # Plain values, counters and hashes: the model says exactly what is there.

    @rule(number=MANAGERS, key=VALUES, value=NUMBERS, ttl=TTLS)
    def set(self, number: int, key: str, value: int, ttl: int | None) -> None:
        self.run(self.caches[number].set(key, value, ttl))
        self.kept[key] = Kept(value, self.now + (ttl or TTL))

    @rule(number=MANAGERS, values=st.dictionaries(VALUES, NUMBERS), ttl=TTLS)
    def set_many(self, number: int, values: dict[str, int], ttl: int | None) -> None:
        self.run(self.caches[number].set_many(values, ttl))
        self.kept |= {key: Kept(value, self.now + (ttl or TTL)) for key, value in values.items()}

    @rule(number=MANAGERS, key=VALUES | COUNTERS | PERSONS)
    def get(self, number: int, key: str) -> None:
        assert self.run(self.caches[number].get(key)) == self.expected(key)

    @rule(number=MANAGERS, keys=st.lists(VALUES | COUNTERS | PERSONS))
    def get_many(self, number: int, keys: list[str]) -> None:
        expected = {key: self.expected(key) for key in keys if self.expected(key) is not None}
        assert self.run(self.caches[number].get_many(keys)) == expected

    @rule(number=MANAGERS, keys=st.lists(VALUES | COUNTERS | PERSONS, min_size=1))
    def delete_many(self, number: int, keys: list[str]) -> None:
        self.run(self.caches[number].delete_many(keys))
        for key in keys:
            self.kept.pop(key, None)

    @rule(number=MANAGERS, family=st.sampled_from(["value", "plain", "count", "person"]))
    def invalidate(self, number: int, family: str) -> None:
        mine = [key for key in self.kept if key.startswith(f"{family}:")]
        # A value that is kept for its stale time counts, too: it is there.
        assert self.run(self.caches[number].invalidate(family)) >= sum(
            self.expected(key) is not None for key in mine
        )
        for key in mine:
            del self.kept[key]

    @rule(number=MANAGERS, key=COUNTERS)
    def increment(self, number: int, key: str) -> None:
        before = self.expected(key)
        count = self.run(self.caches[number].increment(key))
        assert count == (before or 0) + 1
        self.kept[key] = Kept(count, self.kept[key].ends if before else self.now + TTL)

    @rule(number=MANAGERS, key=COUNTERS, limit=st.integers(1, 5))
    def rate_limit(self, number: int, key: str, limit: int) -> None:
        before = self.expected(key)
        call = self.run(self.caches[number].rate_limit(key, limit))
        ends = self.kept[key].ends if before else self.now + TTL
        self.kept[key] = Kept((before or 0) + 1, ends)
        assert (call.count, call.allowed, call.degraded) == ((before or 0) + 1, (before or 0) < limit, False)
        assert call.reset == pytest.approx(ends - self.now, abs=49)

    @rule(number=MANAGERS, key=PERSONS, fields=FIELDS)
    def session_set(self, number: int, key: str, fields: dict[str, int]) -> None:
        self.run(self.caches[number].session_set(key, fields))
        self.kept[key] = Kept({**(self.expected(key) or {}), **fields}, self.now + TTL)

    @rule(number=MANAGERS, key=PERSONS)
    def session_get(self, number: int, key: str) -> None:
        expected = self.expected(key)
        assert self.run(self.caches[number].session_get(key)) == expected
        if expected is not None:
            self.kept[key].ends = self.now + TTL

    @rule(number=MANAGERS, key=PERSONS)
    def session_touch(self, number: int, key: str) -> None:
        expected = self.expected(key)
        assert self.run(self.caches[number].session_touch(key)) is (expected is not None)
        if expected is not None:
            self.kept[key].ends = self.now + TTL

    # Rows: the model says which versions a reader may still see.

    async def load(self, key: str) -> int:
        version = self.versions[key]
        await self.gates[key].wait()
        if self.failing:
            raise SourceFailed
        return version

    @rule(number=MANAGERS, key=ROWS)
    def begin_load(self, number: int, key: str) -> None:
        async def begin() -> None:
            call = self.caches[number].get_or_load(key, lambda: self.load(key))
            self.callers.append(Caller(key, self.versions[key], asyncio.create_task(call)))
            await self.settle()

        self.run(begin())

    @precondition(lambda self: self.callers)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        caller = data.draw(st.sampled_from(self.callers))
        self.callers.remove(caller)

        async def leave() -> None:
            caller.task.cancel()
            await asyncio.wait([caller.task])

        self.run(leave())

    @rule(key=ROWS, failing=st.booleans())
    def finish_loads(self, key: str, failing: bool) -> None:
        self.failing = failing
        self.run(self.finish(key))

    async def finish(self, key: str) -> None:
        self.gates[key].set()
        mine = [caller for caller in self.callers if caller.key == key]
        self.callers = [caller for caller in self.callers if caller.key != key]
        async with asyncio.timeout(100):
            for caller in mine:
                try:
                    loaded = await caller.task
                except SourceFailed:
                    continue
                assert caller.version <= loaded.value <= self.versions[key], loaded.state
        await self.settle()
        self.gates[key].clear()

    @rule(number=MANAGERS, key=ROWS, whole_family=st.booleans())
    def write(self, number: int, key: str, whole_family: bool) -> None:
        """Change a row, then delete what shows it: this is where its call returns to the writer."""
        self.versions[key] += 1
        cache = self.caches[number]
        self.run(cache.invalidate("row") if whole_family else cache.delete(key))

    @rule(number=MANAGERS, key=ROWS)
    def read(self, number: int, key: str) -> None:
        """No read returns a version before the last deletion."""
        assert self.run(self.caches[number].get(key)) in (None, self.versions[key])

    @rule(seconds=st.sampled_from([100, 200, 500]))
    def elapse(self, seconds: int) -> None:
        self.run(self.backend.elapse(seconds))
        self.now += seconds

    async def settle(self) -> None:
        """Let what was begun come to where it waits."""
        for _ in range(20):
            await asyncio.sleep(0)
        if isinstance(self.backend, RedisBackend):
            await asyncio.sleep(0.002)


def run_machine(new_backend: Callable[[], Backend]) -> None:
    run_state_machine_as_test(
        cast(Any, lambda: Machine(new_backend)),
        settings=settings(
            max_examples=max(STEPS // STEPS_IN_A_ROW, 1),
            stateful_step_count=STEPS_IN_A_ROW,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


@pytest.mark.timeout(3600)
def test_memory_behaves_as_the_model() -> None:
    """Two managers in one process."""
    run_machine(lambda: MemoryBackend(FAMILIES))


@pytest.mark.timeout(3600)
def test_redis_behaves_as_the_model(redis_server: RedisServer) -> None:
    """Two managers, as two processes have them, on Redis."""
    run_machine(lambda: RedisBackend(redis_server, FAMILIES))


@pytest.mark.timeout(3600)
def test_valkey_behaves_as_the_model(valkey_server: ValkeyServer) -> None:
    """Two managers, as two processes have them, on Valkey."""
    run_machine(lambda: RedisBackend(valkey_server, FAMILIES))
