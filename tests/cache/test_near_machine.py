"""Any order of events around two managers with copies, beside a model of what each may read.

Both write, and so does a client that knows nothing of them. Answers to reads and messages of changes are held
back and delivered in any order, connections are lost, databases flushed, time passes. The model knows every
value that was ever there, and for each manager the oldest one that it may still read:

- its own last write, at once;
- whatever was there when it had been told of everything;
- whatever was there the longest time ago that its family allows.

What a manager reads is never older. A short run by default; DAL_CACHE_STEPS=10000 takes so many steps.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from redis.asyncio import Redis

from dal.cache import CacheManager
from dal.cache.stores.redis import tracking
from tests.cache.conftest import Clock
from tests.cache.near_families import FAMILIES, NEAR, copied, copies_of, near_store, told, until
from tests.cache.test_machine import STEPS, STEPS_IN_A_ROW
from tests.servers import RedisServer

T = TypeVar("T")

MANAGERS = st.integers(0, 1)
KEYS = st.sampled_from(["near:a", "near:b", "packed:a", "packed:b"])
ALL = ("near:a", "near:b", "packed:a", "packed:b")


@dataclass
class Read:
    """A read under way. It may bring what was there at *floor*, counted from the first value, or later."""

    key: str
    floor: int
    task: asyncio.Task[Any]


class Gate:
    """Holds an answer back, and says whether it is there."""

    def __init__(self) -> None:
        self.is_reached = False
        self.opened = asyncio.Event()


class Side:
    """A manager, what is held back from it, and what it may read.

    Attributes:
        floors: For each key the number of the oldest value that it may read.
    """

    def __init__(self, cache: CacheManager) -> None:
        self.cache = cache
        self.copies: Any = copies_of(cache)
        self.floors = dict.fromkeys(ALL, 0)
        self.reads: list[Read] = []
        self.messages: list[Sequence[str] | None] = []
        self.is_held_back = False
        self._slow: dict[asyncio.Task[Any], Gate] = {}
        server: Any = near_store(cache)._store
        self._tell, self._ended = self.copies.changed, self.copies.ended
        self._ask = server.get_with_ttl
        vars(self.copies).update(changed=self.changed, ended=self.ended)
        vars(server)["get_with_ttl"] = self.get_with_ttl

    def changed(self, keys: Sequence[str] | None) -> None:
        if self.is_held_back:
            self.messages.append(keys)
        else:
            self._tell(keys)

    def ended(self) -> None:
        self.messages.clear()
        self._ended()

    def deliver(self) -> None:
        """Tell what was held back."""
        self.is_held_back = False
        for keys in self.messages:
            self._tell(keys)
        self.messages.clear()

    async def get_with_ttl(self, key: str) -> Any:
        found = await self._ask(key)
        gate = self._slow.get(cast(Any, asyncio.current_task()))
        if gate is not None:
            gate.is_reached = True
            await gate.opened.wait()
        return found

    async def begin(self, key: str) -> None:
        """Begin a read whose answer is held back when it has come."""
        task = asyncio.create_task(self.cache.get(key))
        gate = self._slow[task] = Gate()
        self.reads.append(Read(key, self.floors[key], task))
        await until(lambda: task.done() or gate.is_reached)

    async def finish(self, read: Read) -> Any:
        """Deliver its answer."""
        self.reads.remove(read)
        self._slow.pop(read.task).opened.set()
        return await read.task


class Machine(RuleBasedStateMachine):
    """Two managers, a third client, and the model."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.numbers: Iterator[int] = itertools.count(1)
        self.values: dict[str, list[int | None]] = {key: [None] for key in ALL}
        self.run(self.begin(server))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(_in_time(work))

    async def begin(self, server: RedisServer) -> None:
        self.client = Redis(port=server.port)
        await self.client.flushall()
        url = f"{server.url}?timeout=20"
        caches = [CacheManager(url, families=FAMILIES, clock=self.clock) for _ in range(2)]
        for cache in caches:
            await cache.connect()
            await told(cache)
        self.sides = [Side(cache) for cache in caches]

    def teardown(self) -> None:
        self.run(self.end())
        self.runner.close()

    async def end(self) -> None:
        for side in self.sides:
            for read in list(side.reads):
                self.check(read, await side.finish(read))
            await self.tell_all(side)
            for key in ALL:
                assert await side.cache.get(key) == self.values[key][-1]
            await side.cache.disconnect()
        await self.client.aclose()

    def wrote(self, key: str, value: int | None, side: Side | None = None) -> None:
        """*value* is there from now on, and *side* wrote it."""
        self.values[key].append(value)
        if side is not None:
            side.floors[key] = self.newest(key)

    def newest(self, key: str) -> int:
        return len(self.values[key]) - 1

    def check(self, read: Read, value: Any) -> None:
        assert value in self.values[read.key][read.floor :], (read.key, self.values[read.key], read.floor)

    async def tell_all(self, side: Side) -> None:
        """Have *side* told of all that was changed until now."""
        side.deliver()
        await told(side.cache)
        # What is told comes in the order of the changes.
        await self.client.set("near:mark", b"1", ex=600)
        await copied(side.cache, "near:mark")
        await self.client.set("near:mark", b"2", ex=600)
        await until(lambda: side.copies.find("near:mark") is None)
        for key in ALL:
            side.floors[key] = self.newest(key)

    @rule(number=MANAGERS, key=KEYS)
    def set_one(self, number: int, key: str) -> None:
        value = next(self.numbers)
        self.run(self.sides[number].cache.set(key, value))
        self.wrote(key, value, self.sides[number])

    @rule(number=MANAGERS, keys=st.sets(KEYS, min_size=1))
    def set_many(self, number: int, keys: set[str]) -> None:
        values = {key: next(self.numbers) for key in sorted(keys)}
        self.run(self.sides[number].cache.set_many(values))
        for key, value in values.items():
            self.wrote(key, value, self.sides[number])

    @rule(number=MANAGERS, keys=st.sets(KEYS, min_size=1))
    def delete_many(self, number: int, keys: set[str]) -> None:
        self.run(self.sides[number].cache.delete_many(sorted(keys)))
        for key in keys:
            self.wrote(key, None, self.sides[number])

    @rule(number=MANAGERS, family=st.sampled_from(["near", "packed"]))
    def invalidate(self, number: int, family: str) -> None:
        self.run(self.sides[number].cache.invalidate(family))
        for key in ALL:
            if key.startswith(family):
                self.wrote(key, None, self.sides[number])

    @rule(number=MANAGERS, key=KEYS)
    def get(self, number: int, key: str) -> None:
        side = self.sides[number]
        value = self.run(side.cache.get(key))
        assert value in self.values[key][side.floors[key] :]

    @rule(number=MANAGERS, keys=st.lists(KEYS, min_size=1))
    def get_many(self, number: int, keys: list[str]) -> None:
        side = self.sides[number]
        found = self.run(side.cache.get_many(keys))
        for key in keys:
            assert found.get(key) in self.values[key][side.floors[key] :]

    @rule(number=MANAGERS, key=KEYS)
    def get_or_load(self, number: int, key: str) -> None:
        side, floor = self.sides[number], self.sides[number].floors[key]

        async def load() -> int:
            self.values[key].append(next(self.numbers))
            side.floors[key] = self.newest(key)
            value = self.values[key][-1]
            assert value is not None
            return value

        loaded = self.run(side.cache.get_or_load(key, load))
        assert loaded.value in self.values[key][floor:]
        assert (loaded.state == "miss") == (side.floors[key] != floor)

    @rule(key=KEYS, remove=st.booleans())
    def write_elsewhere(self, key: str, remove: bool) -> None:
        value = None if remove else next(self.numbers)
        if value is None:
            self.run(_call(self.client.delete(key)))
        elif key.startswith("near"):
            self.run(_call(self.client.set(key, str(value), ex=600)))
        else:  # plain JSON is read, too
            self.run(_call(self.client.set(key, str(value), ex=1200)))
        self.wrote(key, value)

    @rule()
    def flush(self) -> None:
        self.run(_call(self.client.flushdb()))
        for key in ALL:
            self.wrote(key, None)

    @rule(number=MANAGERS, key=KEYS)
    def begin_read(self, number: int, key: str) -> None:
        self.run(self.sides[number].begin(key))

    @precondition(lambda self: any(side.reads for side in self.sides))
    @rule(data=st.data())
    def finish_read(self, data: st.DataObject) -> None:
        side = data.draw(st.sampled_from([side for side in self.sides if side.reads]))
        read = data.draw(st.sampled_from(side.reads))
        self.check(read, self.run(side.finish(read)))

    @rule(number=MANAGERS)
    def hold_messages_back(self, number: int) -> None:
        self.sides[number].is_held_back = True

    @rule(number=MANAGERS)
    def tell_of_everything(self, number: int) -> None:
        self.run(self.tell_all(self.sides[number]))

    @rule()
    def lose_connections(self) -> None:
        self.run(_call(self.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")))  # type: ignore[no-untyped-call]

    @rule()
    def grow_old(self) -> None:
        """Copies are then too old; what is read was there now, or later."""
        self.clock.now += NEAR
        for side in self.sides:
            for key in ALL:
                side.floors[key] = self.newest(key)


async def _in_time(work: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(120):
        return await work


async def _call(awaitable: Any) -> None:
    await awaitable


@pytest.mark.timeout(3600 if STEPS > 1000 else 300)
def test_no_order_of_events_shows_an_older_value(
    any_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On each server."""
    monkeypatch.setattr(tracking, "HEARTBEAT", 60.0)
    run_state_machine_as_test(
        cast(Any, lambda: Machine(any_server)),
        settings=settings(
            max_examples=max(STEPS // STEPS_IN_A_ROW, 1),
            stateful_step_count=STEPS_IN_A_ROW,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
