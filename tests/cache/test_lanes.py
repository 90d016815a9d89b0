"""Lanes to a Redis or Valkey server: cancellation, deadlines, outages, counters, fairness, lost connections.

The faults come from a proxy in a process of its own, or from signals to the server.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import select
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from dal.cache import CacheManager
from dal.cache.stores.redis import RedisStore
from dal.cache.stores.redis.breaker import LONGEST_PAUSE, PAUSE
from dal.cache.stores.redis.store import LARGE
from dal.cache.stores.url import StoreUrl
from dal.errors import CacheUnavailable
from tests.cache import conftest
from tests.cache.conftest import Clock, all_sent, client_of, ended_in_time, set_patience, sockets_to, until
from tests.cache.faults import FaultProxy
from tests.servers import RedisServer

pytestmark = pytest.mark.timeout(600)  # some wait for a minute where the machine is busy

LANES = 3
PATIENT = f"?timeout={conftest.PATIENT}"
SOON = 0.05  # seconds; only where no answer is to come
IMPATIENT = f"?timeout={SOON}"

Call = Callable[[RedisStore], Awaitable[object]]

CALLS: dict[str, Call] = {
    "get": lambda store: store.get("a"),
    "get_with_ttl": lambda store: store.get_with_ttl("a"),
    "get_many": lambda store: store.get_many(["a", "b", "c"]),
    "set": lambda store: store.set("a", b"a", 60),
    "set_many": lambda store: store.set_many([("a", b"a", 60), ("b", b"b", 60)]),
    "set large": lambda store: store.set("large", bytes(LARGE), 60),
    "delete": lambda store: store.delete("other"),
    "delete_many": lambda store: store.delete_many(["x", "y", "z"]),
    "delete_prefix": lambda store: store.delete_prefix("other:"),
    "increment": lambda store: store.increment("count", 60),
    "get_hash": lambda store: store.get_hash("hash"),
    "set_hash": lambda store: store.set_hash("hash", {"a": b"1"}, 60),
    "update_hash": lambda store: store.update_hash("hash", {"a": b"1"}, 60),
    "touch": lambda store: store.touch("hash", 60),
    "acquire": lambda store: store.acquire("lease", "mine", 60),
    "set_if_held": lambda store: store.set_if_held("lease", "mine", "other", b"x", 60),
    "release": lambda store: store.release("lease", "mine"),
    "delete_with_leases": lambda store: store.delete_with_leases([("other", "lease")]),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
READS = [CALLS[name] for name in ("get", "get_with_ttl", "get_many", "get_hash")]


@pytest.fixture
async def direct(any_server: RedisServer) -> AsyncIterator[Redis]:
    """A client of the server that the proxy does not disturb."""
    any_server.thaw()
    async with client_of(any_server) as client:
        await client.flushall()
        yield client


@pytest.fixture
def proxy(any_server: RedisServer) -> Iterator[FaultProxy]:
    with FaultProxy(any_server.port) as found:
        yield found


class Opened:
    """Stores that are closed at the end of the test."""

    def __init__(self) -> None:
        self._stores: list[RedisStore] = []

    def __call__(self, url: str) -> RedisStore:
        store = RedisStore(StoreUrl.parse(url))
        self._stores.append(store)
        return store

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    stores = Opened()
    yield stores
    await stores.close()


async def connections(client: Redis) -> int:
    """How many connections the server has ever accepted."""
    stats = await client.info("stats")
    return int(stats["total_connections_received"])


async def alone(client: Redis) -> None:
    """Wait until the server has closed all other connections."""
    async with asyncio.timeout(60):
        while len(await client.client_list()) > 1:
            await asyncio.sleep(0.01)


class TestCancellation:
    """A caller never owns a socket."""

    async def test_storm_costs_no_connection_and_mixes_no_reply(
        self, opened: Opened, direct: Redis, proxy: FaultProxy
    ) -> None:
        """Of 64 tasks half are cancelled at a random moment, 10,000 times, with replies on their way."""
        store = opened(f"{proxy.url}{PATIENT}")
        names = [f"key {number}" for number in range(64)]
        await store.set_many([(name, name.encode(), 600) for name in names])
        await store.increment("count", 600)
        await store.set("large", bytes(LARGE), 600)
        proxy.tell("delay 0.002")
        before = await connections(direct)
        cancelled = completed = 0
        loop = asyncio.get_running_loop()

        async def caller(number: int) -> None:
            nonlocal cancelled, completed
            chance = random.Random(number)
            while cancelled < 10_000:
                name = chance.choice(names)
                call = asyncio.ensure_future(store.get(name))
                if chance.random() < 0.5:
                    loop.call_later(chance.random() * 0.008, call.cancel)
                try:
                    assert await call == name.encode()
                    completed += 1
                except asyncio.CancelledError:
                    cancelled += 1

        await asyncio.gather(*(caller(number) for number in range(64)))
        assert completed > 5_000
        assert await store.get(names[0]) == names[0].encode()
        assert await connections(direct) - before == 0, "the lanes were open before"

    @every_call
    async def test_cancelled_at_each_step_of_the_loop(
        self, opened: Opened, direct: Redis, any_server: RedisServer, call: Call
    ) -> None:
        """Wherever a call is cancelled, the next ones get their own replies over the same connections."""
        store = opened(f"{any_server.url}{PATIENT}")
        await store.set_many([("a", b"a", 600), ("b", b"b", 600), ("large", bytes(LARGE), 600)])
        before = await connections(direct)
        was_cancelled = set()
        for steps in range(40):
            task = asyncio.ensure_future(call(store))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            was_cancelled.add(task.cancelled())
            a, b, c = await asyncio.gather(store.get("a"), store.get("b"), store.get("c"))
            assert (a, b, c) == (b"a", b"b", None)
        assert True in was_cancelled
        assert await connections(direct) - before <= LANES

    async def test_cancelled_write_does_not_overtake_what_comes_later(
        self, opened: Opened, direct: Redis, any_server: RedisServer
    ) -> None:
        """A value whose set was cancelled on its way is gone after a delete."""
        store = opened(f"{any_server.url}{PATIENT}")
        for steps in range(200):
            key = f"key {steps}"
            writes = [asyncio.ensure_future(store.set(key, b"old", 600)) for _ in range(3)]
            for _ in range(steps % 10):
                await asyncio.sleep(0)
            for task in writes:
                task.cancel()
            await store.delete(key)
            assert await store.get(key) is None
            await asyncio.wait(writes)
        assert await direct.dbsize() == 0

    async def test_pumps_that_somebody_cancelled_are_replaced(
        self, opened: Opened, any_server: RedisServer
    ) -> None:
        """Code that cancels all tasks of the process takes no lane out of service."""
        store = opened(f"{any_server.url}{PATIENT}")
        await store.set("a", b"a", 600)
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.wait(others)
        assert await store.get("a") == b"a"


FAULTS = ("freeze", "stall 3", "drip", "blackhole")


class TestDeadline:
    """One deadline covers the whole of a call."""

    @pytest.mark.parametrize("fault", [*FAULTS, "SIGSTOP"])
    @pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
    async def test_no_call_outlives_it(
        self,
        opened: Opened,
        direct: Redis,
        proxy: FaultProxy,
        any_server: RedisServer,
        fault: str,
        warm: bool,
    ) -> None:
        """Frozen, half a reply, a byte a second, connections that do not come about: each ends in time."""
        await direct.set("a", bytes(1000), ex=600)
        await direct.hset("hash", "a", "1")
        stores = [opened(f"{proxy.url}{PATIENT}") for _ in CALLS]
        for store in stores:
            if warm:
                await _answered(store)
            set_patience(store, SOON)
        if fault == "SIGSTOP":
            any_server.freeze()
        else:
            proxy.tell(fault)
            if fault == "blackhole" and warm:
                proxy.tell("drop")
        try:
            for store, call in zip(stores, CALLS.values(), strict=True):
                [result] = await ended_in_time(SOON, call(store))
                assert isinstance(result, CacheUnavailable)
        finally:
            any_server.thaw()
            proxy.tell("clear")

    async def test_unanswered_batch_is_not_read_later(
        self, opened: Opened, direct: Redis, proxy: FaultProxy
    ) -> None:
        """After a freeze nobody gets a reply that was for somebody else."""
        store = opened(f"{proxy.url}{PATIENT}")
        for name in "abc":
            await direct.set(name, name)
        await _answered(store)
        proxy.tell("freeze")
        set_patience(store, SOON)
        with pytest.raises(CacheUnavailable):
            await store.get("a")
        set_patience(store, conftest.PATIENT)
        proxy.tell("thaw")
        for name in "bcba" * 5:
            assert await store.get(name) == name.encode()

    async def test_connections_that_died_without_a_word_are_replaced(
        self, opened: Opened, direct: Redis, proxy: FaultProxy
    ) -> None:
        """Where nothing comes over the old connections, but new ones work, the lanes soon have new ones."""
        store = opened(f"{proxy.url}{PATIENT}")
        await _answered(store)
        await direct.set("a", b"a")
        proxy.tell("mute")
        set_patience(store, SOON)
        with pytest.raises(CacheUnavailable, match="did not answer"):
            await store.get("a")
        set_patience(store, conftest.PATIENT)
        assert await store.get("a") == b"a"

    @pytest.mark.parametrize("late", [0.002, 60])
    async def test_a_loop_that_stood_still_is_no_reason_to_fail(
        self,
        opened: Opened,
        direct: Redis,
        any_server: RedisServer,
        monkeypatch: pytest.MonkeyPatch,
        late: float,
    ) -> None:
        """Replies that came while other code held the loop are taken, though the deadline has passed."""
        store = opened(f"{any_server.url}{PATIENT}")
        await _answered(store)
        await direct.set("a", b"a")
        call = asyncio.ensure_future(store.get("a"))
        lane: Any = store._lanes().of("a", {})
        while not lane._sent:
            await asyncio.sleep(0)
        # Here other code holds the loop, until the reply has come and the deadline has passed.
        assert select.select([lane._wire._writer.get_extra_info("socket")], [], [], 60)[0]
        now = lane.deadline + late
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        assert not call.done()
        assert await call == b"a"

    @pytest.mark.parametrize("late", [0.002, 60])
    async def test_lateness_is_not_told_as_a_lost_connection(
        self, opened: Opened, direct: Redis, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, late: float
    ) -> None:
        """However late the loop itself is, a caller learns that the server did not answer."""
        store = opened(f"{proxy.url}{PATIENT}")
        await _answered(store)
        proxy.tell("freeze")
        call = asyncio.ensure_future(store.set("a", b"a", 60))
        await all_sent(store)
        lane: Any = store._lanes().of("a", {})
        now = lane.deadline + late
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        with pytest.raises(CacheUnavailable, match="did not answer SET within"):
            await call
        monkeypatch.undo()
        proxy.tell("thaw")

    async def test_a_full_line_turns_callers_away(
        self, opened: Opened, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who comes when too many wait fails at once."""
        monkeypatch.setattr("dal.cache.stores.redis.lanes.MAX_WAITING", 10)
        store = opened(f"{proxy.url}{IMPATIENT}")
        proxy.tell("freeze")
        results = await asyncio.gather(*(store.get("a") for _ in range(12)), return_exceptions=True)
        assert sum("wait for the cache" in str(result) for result in results) == 2
        proxy.tell("thaw")

    async def test_no_part_of_a_call_is_left_alone(
        self,
        opened: Opened,
        proxy: FaultProxy,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A call of several commands, some turned away and some late, has one error and hides none."""
        monkeypatch.setattr("dal.cache.stores.redis.lanes.MAX_WAITING", 10)
        gc.collect()  # what tests before this one left
        caplog.clear()
        store = opened(f"{proxy.url}{IMPATIENT}")
        proxy.tell("freeze")
        for _ in range(3):
            with pytest.raises(CacheUnavailable):
                await store.set_many([(f"key {number}", b"x", 60) for number in range(50)])
            with pytest.raises(CacheUnavailable):
                await store.get_many([f"key {number}" for number in range(50)])
        proxy.tell("thaw")
        gc.collect()
        await asyncio.sleep(0)
        assert "never retrieved" not in caplog.text


class TestFairness:
    """Nobody waits for long because others are faster."""

    async def test_no_caller_is_overtaken_by_many(
        self, opened: Opened, direct: Redis, any_server: RedisServer
    ) -> None:
        """Of 64 tasks at saturation, no call sees ten times as many others end as the median call does."""
        store = opened(f"{any_server.url}{PATIENT}")
        await store.set_many([(f"key {number}", bytes(10_000), 600) for number in range(50)])
        ended = 0
        overtaken = []

        async def caller(number: int) -> None:
            nonlocal ended
            for turn in range(150):
                begun = ended
                await store.get(f"key {(number + turn) % 50}")
                overtaken.append(ended - begun)
                ended += 1

        await asyncio.gather(*(caller(number) for number in range(64)))
        assert max(overtaken) <= 10 * statistics.median(overtaken)

    async def test_large_values_have_a_lane_of_their_own(
        self, opened: Opened, direct: Redis, any_server: RedisServer
    ) -> None:
        """Where large values were stored or read, they and only they go over the third connection."""
        reader, writer = opened(f"{any_server.url}{PATIENT}"), opened(f"{any_server.url}{PATIENT}")
        for number in range(50):
            await writer.set(f"small {number}", b"x", 600)
        before = await connections(direct)
        await writer.set("large", bytes(LARGE), 600)
        assert await connections(direct) == before + 1
        for number in range(50):
            await reader.get(f"small {number}")
        assert await connections(direct) == before + 3
        assert await reader.get("large") == bytes(LARGE)
        assert await connections(direct) == before + 3, "nobody knows yet how large it is"
        assert await reader.get("large") == bytes(LARGE)
        assert await connections(direct) == before + 4


class TestBreaker:
    """An outage is cheap."""

    async def test_without_a_server_calls_soon_fail_at_once(
        self, opened: Opened, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where nobody listens, a store comes up, and after five failures no connection is tried."""
        caplog.set_level(logging.INFO, "dal")
        with FaultProxy(1) as proxy:
            proxy.tell("refuse")
            store = opened(f"{proxy.url}{PATIENT}")
            breaker = store._lanes().breaker
            clock = breaker._clock = Clock()  # all within a moment, however long it takes
            for _ in range(5):
                with pytest.raises(CacheUnavailable, match="cannot be reached"):
                    await store.get("a")
            with pytest.raises(CacheUnavailable, match="calls fail at once until it answers"):
                store.get("a").send(None)  # it does not wait at all
            clock.now += 1.5 * PAUSE
            with pytest.raises(CacheUnavailable, match="cannot be reached"):
                await store.get("a")
        assert len([record for record in caplog.records if record.name.startswith("dal.")]) == 1

    @pytest.mark.slow
    async def test_silence_under_load(
        self, opened: Opened, direct: Redis, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
    ) -> None:
        """At 1,000 calls a second few wait, and the processor has less to do than in health."""
        caplog.set_level(logging.INFO, "dal")
        store = opened(f"{proxy.url}{PATIENT}")
        await direct.set("a", bytes(1000))
        healthy = Load(store)
        await healthy.run(3000)
        assert healthy.failed == 0
        caplog.clear()
        proxy.tell("freeze")
        set_patience(store, SOON)
        await Load(store).run(1000)  # until it opens all wait, more of them on a busy machine
        frozen = Load(store)
        await frozen.run(4000)
        set_patience(store, conftest.PATIENT)
        proxy.tell("thaw")
        async with asyncio.timeout(60):
            while await _failed(store):
                await asyncio.sleep(0.005)
        assert (frozen.failed, frozen.failed_at_once + frozen.waited) == (4000, 4000)
        assert frozen.waited <= frozen.duration / (LONGEST_PAUSE / 2 + SOON) + 5
        assert frozen.processor / frozen.failed < healthy.processor / 3000
        said = [record.getMessage() for record in caplog.records if record.name.startswith("dal.")]
        assert ["calls fail at once" in said[0], "answers again" in said[1], len(said)] == [True, True, 2]


class Load:
    """A thousand reads a second, whether or not those before have ended.

    Attributes:
        failed_at_once: How many were not even tried.
        waited: How many others failed.
        duration: Seconds that it took.
        processor: Seconds of a processor that were used.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self.failed = self.failed_at_once = self.waited = 0
        self.duration = self.processor = 0.0

    async def run(self, reads: int) -> None:
        """Begin so many *reads*, and wait for them."""
        begun, used = time.perf_counter(), time.process_time()
        tasks: set[asyncio.Task[None]] = set()
        for number in range(reads):
            due = begun + number / 1000
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            task = asyncio.create_task(self._call())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        self.duration = time.perf_counter() - begun
        self.processor = time.process_time() - used

    async def _call(self) -> None:
        try:
            await self._store.get("a")
        except CacheUnavailable as error:
            self.failed += 1
            if "calls fail at once" in str(error):
                self.failed_at_once += 1
            else:
                self.waited += 1


class TestCounters:
    """A count is exact, or the caller is told that it may not be."""

    @pytest.mark.parametrize("command", ["cut-requests", "cut"])
    async def test_connection_lost_after_any_byte(
        self, opened: Opened, direct: Redis, proxy: FaultProxy, command: str
    ) -> None:
        """Counted once or not at all, and never without an end; whoever is told a sum was counted."""
        store = opened(f"{proxy.url}{PATIENT}")
        expected = 0
        outcomes = set()
        for length in range(1, 400 if command == "cut-requests" else 40):
            await store.close()
            proxy.tell(f"{command} {length}")
            try:
                told: int | None = (await store.increment("count", 6000))[0]
            except CacheUnavailable:
                told = None
                await alone(direct)  # the server has dealt with what reached it
            proxy.tell("clear")
            value = await direct.get("count")
            count = int(value or 0)
            assert count in (expected, expected + 1)
            assert told is None or told == count == expected + 1
            if value is not None:
                assert 0 < await direct.pttl("count") <= 6_000_000
            outcomes.add((told is not None, count - expected))
            expected = count
        assert (True, 1) in outcomes, "it never went well"
        assert ((False, 0) if command == "cut-requests" else (False, 1)) in outcomes, "it never went wrong"

    async def test_lost_reply_counts_once(self, opened: Opened, direct: Redis, proxy: FaultProxy) -> None:
        """An increment whose reply was lost is not sent again."""
        store = opened(f"{proxy.url}{PATIENT}")
        await store.increment("count", 60)
        proxy.tell("cut 1")
        with pytest.raises(CacheUnavailable):
            await store.increment("count", 60)
        assert await direct.get("count") == b"2"

    async def test_a_thousand_at_once(self, opened: Opened, direct: Redis, any_server: RedisServer) -> None:
        """Each of a thousand concurrent increments has a sum of its own, and the time that is left."""
        store = opened(f"{any_server.url}{PATIENT}")
        results = await asyncio.gather(*(store.increment("count", 60) for _ in range(1000)))
        assert sorted(total for total, _ in results) == list(range(1, 1001))
        assert all(0 < left <= 60 for _, left in results)

    async def test_counter_without_an_end_is_given_one(
        self, opened: Opened, direct: Redis, any_server: RedisServer
    ) -> None:
        """A counter that another program left without an end gets one, and the sum goes on."""
        await direct.set("count", 5)
        assert await opened(f"{any_server.url}{PATIENT}").increment("count", 60) == (6, 60.0)
        assert 0 < await direct.pttl("count") <= 60_000


class TestConnections:
    """Connections come and go unseen."""

    async def test_closed_while_idle(self, opened: Opened, direct: Redis, any_server: RedisServer) -> None:
        """Connections that the server closed are replaced before anything is sent, also for writes."""
        store = opened(f"{any_server.url}{PATIENT}")
        for round_ in range(5):
            await asyncio.gather(*(store.set(f"key {number}", b"x", 600) for number in range(8)))
            await direct.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
            await alone(direct)
            if round_ % 2:
                assert (
                    await asyncio.gather(*(store.get(f"key {number}") for number in range(8))) == [b"x"] * 8
                )
            else:
                await asyncio.gather(*(store.increment(f"count {number}", 60) for number in range(8)))

    async def test_closed_by_the_servers_own_timeout(
        self, opened: Opened, direct: Redis, any_server: RedisServer
    ) -> None:
        """A server that closes what is idle causes no error."""
        store = opened(f"{any_server.url}{PATIENT}")
        await store.set("a", b"a", 600)
        await direct.config_set("timeout", 1)
        try:
            await alone(direct)
        finally:
            await direct.config_set("timeout", 0)
        assert await store.increment("count", 60) == (1, 60.0)

    async def test_lost_under_way_is_repeated_for_reads(
        self, opened: Opened, direct: Redis, proxy: FaultProxy
    ) -> None:
        """Reads whose connection was lost go once more over a fresh one."""
        store = opened(f"{proxy.url}{PATIENT}")
        await store.set_many([("a", b"a", 600), ("b", b"b", 600), ("c", b"c", 600)])
        await store.set_hash("hash", {"a": b"1"}, 600)
        proxy.tell("freeze")
        calls = asyncio.gather(*(call(store) for call in READS))
        await all_sent(store)
        proxy.tell("drop")
        proxy.tell("thaw")
        value, with_ttl, many, fields = await calls
        assert (value, many, fields) == (b"a", [b"a", b"b", b"c"], {"a": b"1"})
        assert isinstance(with_ttl, tuple)

    async def test_a_read_is_repeated_once(self, opened: Opened, direct: Redis, proxy: FaultProxy) -> None:
        """A read that loses its second connection too has failed."""
        store = opened(f"{proxy.url}{PATIENT}")
        await store.get("a")
        proxy.tell("freeze")
        call = asyncio.ensure_future(store.get("a"))
        await all_sent(store)
        lane: Any = store._lanes().of("a", {})
        [command] = lane._sent
        proxy.tell("drop")
        await until(lambda: not command.repeatable and lane._sent)
        proxy.tell("drop")
        proxy.tell("thaw")
        with pytest.raises(CacheUnavailable):
            await call

    async def test_restarted_server(self, opened: Opened) -> None:
        """A server that was restarted while nobody called is used as before."""
        with RedisServer() as server:
            store = opened(f"{server.url}{PATIENT}")
            await store.set("a", b"a", 600)
            server.restart()
            assert await asyncio.gather(*(store.get("a") for _ in range(8))) == [None] * 8
            await store.set("a", b"b", 600)
            assert await store.get("a") == b"b"

    async def test_server_that_lost_its_place_is_left(
        self, opened: Opened, direct: Redis, any_server: RedisServer
    ) -> None:
        """Where a write is refused because the server is a replica now, the next call connects anew."""
        store = opened(f"{any_server.url}{PATIENT}")
        await store.set("a", b"a", 600)
        before = await connections(direct)
        await direct.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
        try:
            with pytest.raises(CacheUnavailable, match="cannot do SET now"):
                await store.set("a", b"b", 600)
            assert await store.get("a") == b"a"
        finally:
            await direct.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]
        await store.set("a", b"b", 600)
        assert await connections(direct) == before + 1

    async def test_replies_that_nobody_asked_for_are_given_to_nobody(self, opened: Opened) -> None:
        """A connection on which more came than was asked for is not used again."""

        connected = ended = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connected, ended
            connected += 1
            while await reader.read(1000):
                writer.write(b"$1\r\na\r\n$1\r\nb\r\n")
            writer.close()
            ended += 1

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            store = opened(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}{PATIENT}")
            assert [await store.get("key") for _ in range(10)] == [b"a"] * 10
            await store.close()
            await until(lambda: ended == connected)
            await asyncio.sleep(0)  # the last one's task

    @pytest.mark.parametrize("state", ["healthy", "frozen", "frozen in a large write"])
    async def test_close_leaves_nothing(
        self, opened: Opened, direct: Redis, any_server: RedisServer, state: str
    ) -> None:
        """No task, no connection, no warning remains, and whoever waits is told."""
        await direct.ping()
        gc.collect()  # what tests before this one left
        before = sockets_to(any_server.port)
        tasks = asyncio.all_tasks()
        store = opened(f"{any_server.url}{PATIENT}")
        await store.set_many([(f"key {number}", b"x", 600) for number in range(10)])
        if state != "healthy":
            any_server.freeze()
        data = bytes(8 * 1024 * 1024) if state == "frozen in a large write" else b"x"
        call = asyncio.ensure_future(store.set("a", data, 600))
        try:
            if state == "healthy":
                await asyncio.wait([call])
            else:
                await all_sent(store)
            async with asyncio.timeout(60):
                await store.close()
                [result] = await asyncio.gather(call, return_exceptions=True)
        finally:
            any_server.thaw()
        assert result is None if state == "healthy" else isinstance(result, CacheUnavailable)
        assert asyncio.all_tasks() == tasks
        gc.collect()
        assert sockets_to(any_server.port) == before

    @pytest.mark.parametrize("program", ["loops", "fork", "fork of a manager", "exit"])
    def test_programs(self, any_server: RedisServer, program: str) -> None:
        """A second event loop, a forked process, an exit without close: each works, without a warning."""
        done = subprocess.run(
            [sys.executable, "-W", "error", __file__, program, f"{any_server.url}{PATIENT}"],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
        assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["ok"], "")

    async def test_memory_does_not_grow_in_an_outage(self, opened: Opened, proxy: FaultProxy) -> None:
        """Thousands of calls that fail leave nothing behind."""
        store = opened(f"{proxy.url}?timeout=0.01")
        proxy.tell("freeze")
        tracemalloc.start()
        try:
            sizes = []
            for _ in range(4):
                for _ in range(2000):
                    await _failed(store)
                    await asyncio.sleep(0)
                await asyncio.sleep(0.1)
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
            proxy.tell("thaw")
        assert sizes[-1] - sizes[1] < 50_000


async def _failed(store: RedisStore) -> bool:
    try:
        await store.get("a")
    except CacheUnavailable:
        return True
    return False


async def _answered(store: RedisStore) -> None:
    """Ask on every lane until each has answered."""
    await store.set("large", bytes(LARGE), 60)
    for key in ("large", *map(str, range(20))):
        await store.get(key)


def _loops(url: str) -> None:
    store = RedisStore(StoreUrl.parse(url))

    async def use(close: bool) -> None:
        await store.set("a", b"a", 60)
        assert await asyncio.gather(*(store.get("a") for _ in range(20))) == [b"a"] * 20
        if close:
            await store.close()

    asyncio.run(use(False))
    asyncio.run(use(False))
    asyncio.run(use(True))


def _fork(url: str) -> None:
    store = RedisStore(StoreUrl.parse(url))

    async def use() -> None:
        for number in range(20):
            await store.set(f"key {number}", b"%d" % number, 60)
            assert await store.get(f"key {number}") == b"%d" % number
        gc.collect()  # in the child, what it has of its parent's connections

    async def main() -> None:
        await use()
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(use())
                asyncio.run(store.close())
            except BaseException:
                os._exit(1)
            os._exit(0)
        for _ in range(10):  # both at the same time
            await use()
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert status == 0
        await use()
        await store.close()

    asyncio.run(main())


def _fork_manager(url: str) -> None:
    cache = CacheManager(url)

    async def use(times: int) -> None:
        await cache.connect()
        for number in range(times):
            await cache.set("config:system:1", number)
            assert await cache.get("config:system:1") is not None

    async def main() -> None:
        await use(5)
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(use(20))
            except BaseException:
                os._exit(1)
            os._exit(0)
        await use(20)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert status == 0
        await use(5)
        await cache.disconnect()

    asyncio.run(main())


def _exit(url: str) -> None:
    asyncio.run(RedisStore(StoreUrl.parse(url)).set("a", b"a", 60))


if __name__ == "__main__":
    programs = {"loops": _loops, "fork": _fork, "fork of a manager": _fork_manager, "exit": _exit}
    programs[sys.argv[1]](sys.argv[2])
    sys.stdout.write("ok\n")
