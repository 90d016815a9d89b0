"""Copies in the process: reads without a trip, and every way in which a copy has to go.

The servers are real, and so is the process that writes beside. Where a test is about what comes first, it
holds an answer or a message back until it says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from dal.cache import CacheManager, KeyFamilies, KeyFamily
from dal.cache.stores.redis import tracking
from dal.errors import CacheUnavailable, ConfigurationError
from tests.cache.conftest import Clock, MemoryBackend, store_of
from tests.cache.faults import FaultProxy
from tests.cache.near_families import (
    FAMILIES,
    NEAR,
    answer,
    copied,
    copies_of,
    near_cache,
    near_store,
    told,
    until,
)
from tests.clock import Clock as LoopClock
from tests.servers import RedisServer, missing, on_path

KEY, OTHER = "near:a", "near:b"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No slow machine is taken for a server that is frozen, but where that is the subject."""
    monkeypatch.setattr(tracking, "HEARTBEAT", 60.0)


@pytest.fixture
async def direct(any_server: RedisServer) -> AsyncIterator[Redis]:
    """A client that knows nothing of `dal`, on an empty server."""
    any_server.thaw()
    async with Redis(port=any_server.port) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def url(any_server: RedisServer, direct: Redis) -> str:
    return f"{any_server.url}?timeout=20"


@pytest.fixture
async def cache(url: str) -> AsyncIterator[CacheManager]:
    async with near_cache(url) as found:
        yield found


@pytest.fixture
async def other(url: str) -> AsyncIterator[CacheManager]:
    """What another process has."""
    async with CacheManager(url, families=FAMILIES) as found:
        yield found


@pytest.fixture
def proxy(any_server: RedisServer) -> Iterator[FaultProxy]:
    with FaultProxy(any_server.port) as found:
        yield found


class Messages:
    """What the server tells *cache*, held back until `deliver`."""

    def __init__(self, cache: CacheManager) -> None:
        copies: Any = copies_of(cache)
        self._tell = copies.changed
        self.held: list[Sequence[str] | None] = []
        copies.changed = self.held.append

    def deliver(self) -> None:
        """Tell what was held back."""
        for keys in self.held:
            self._tell(keys)
        self.held.clear()


class Answers:
    """The server's answers to reads of *cache*, held back from when they are there until `deliver`."""

    def __init__(self, cache: CacheManager) -> None:
        self._server: Any = near_store(cache)._store
        self._read = self._server.get_with_ttl
        self._delivered = asyncio.Event()
        self.are_there = asyncio.Event()
        vars(self._server)["get_with_ttl"] = self._held_back

    async def _held_back(self, key: str) -> Any:
        found = await self._read(key)
        self.are_there.set()
        await self._delivered.wait()
        return found

    def deliver(self) -> None:
        """Let all reads go on, also those to come."""
        del self._server.get_with_ttl
        self._delivered.set()


class Requests:
    """What *cache* asks of the server by the methods *names*, held back until `send`."""

    def __init__(self, cache: CacheManager, *names: str) -> None:
        self._server = near_store(cache)._store
        self._sent = asyncio.Event()
        self.are_there = asyncio.Event()
        for name in names:
            vars(self._server)[name] = self._held_back(getattr(self._server, name))

    def _held_back(self, method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def held_back(*arguments: object) -> object:
            self.are_there.set()
            await self._sent.wait()
            return await method(*arguments)

        return held_back

    def send(self) -> None:
        """Let all of them go, also those to come."""
        self._sent.set()


async def _none() -> None:
    raise AssertionError("nothing is to be loaded")


class TestHits:
    """Where there is a copy no trip is made."""

    async def test_copy_answers_without_the_server(
        self, cache: CacheManager, direct: Redis, any_server: RedisServer
    ) -> None:
        """With the server frozen each kind of read gives the value, and it is counted."""
        await cache.set_many({KEY: 1, OTHER: [2], "packed:a": {"x": 3}})
        for key in (KEY, OTHER, "packed:a"):
            await copied(cache, key)
        before = cache.stats()
        any_server.freeze()
        try:
            assert await cache.get(KEY) == 1
            assert await cache.get("packed:a") == {"x": 3}
            assert await cache.get_many([OTHER, "packed:a", KEY]) == {
                KEY: 1,
                OTHER: [2],
                "packed:a": {"x": 3},
            }
            assert await cache.get_or_load(KEY, _none) == (1, "hit")
        finally:
            any_server.thaw()
        after = cache.stats()
        assert (after["near"].near - before["near"].near, after["near"].hits - before["near"].hits) == (4, 4)
        assert after["packed"].near - before["packed"].near == 2
        assert (after["near"].unavailable, after["far"].near) == (0, 0)

    async def test_callers_share_nothing(self, cache: CacheManager) -> None:
        """Each caller has a value of its own."""
        await cache.set(KEY, [1])
        (await copied(cache, KEY)).append(2)
        assert await cache.get(KEY) == [1]

    async def test_many_keys_of_all_kinds(self, cache: CacheManager, direct: Redis) -> None:
        """Copied, not copied, of another family, a hash, of a wrong type, missing: each comes as it is."""
        await cache.set_many({KEY: 1, OTHER: 2, "far:a": 3, "packed:a": 4})
        await cache.set("person:a", {"x": 5})
        await direct.hset("near:hash", "x", "1")
        await copied(cache, KEY)
        wanted = [OTHER, "near:hash", "far:a", "near:none", KEY, "person:a", "packed:a", KEY]
        expected = {KEY: 1, OTHER: 2, "far:a": 3, "packed:a": 4, "person:a": {"x": 5}}
        assert await cache.get_many(wanted) == expected
        assert await cache.get_many(wanted) == expected

    async def test_unreadable_copy_is_a_miss(self, cache: CacheManager, direct: Redis) -> None:
        """What cannot be read is a miss, from the server and from the copy alike."""
        await direct.set(KEY, b"{", ex=60)
        assert await cache.get(KEY) is None
        assert await copied(cache, KEY) is None

    async def test_nothing_is_tracked_unasked(self, url: str, direct: Redis) -> None:
        """Without a read of a family that asks there is no further connection."""
        async with CacheManager(url, families=FAMILIES) as cache:
            await cache.set("far:a", 1)
            await cache.set(KEY, 1)
            assert await cache.get_many(["far:a"]) == {"far:a": 1}
            assert not copies_of(cache).is_on
            flags = [client["flags"] for client in await direct.client_list()]
            assert not any("t" in each for each in flags)

    async def test_memory_has_no_copies(self) -> None:
        """What is in the process already is not copied."""
        backend = MemoryBackend(FAMILIES)
        async with backend.cache:
            await backend.cache.set(KEY, 1)
            assert (await backend.cache.get(KEY), backend.cache.stats()["near"].near) == (1, 0)
            assert store_of(backend.cache) is backend.store

    async def test_hot_key_is_copied_although_reads_overlap(self, cache: CacheManager) -> None:
        """A read that ends while others of the same key are under way adds its copy."""
        await cache.set(KEY, 1)
        answers = Answers(cache)
        slow = asyncio.create_task(cache.get(KEY))
        await answers.are_there.wait()
        late = asyncio.create_task(cache.get(KEY))
        answers.deliver()
        assert await cache.get(KEY) == 1
        assert copies_of(cache).find(KEY) is not None
        assert (await slow, await late) == (1, 1)
        assert copies_of(cache)._readings == {}


OWN: dict[str, Callable[[CacheManager], Awaitable[object]]] = {
    "set": lambda cache: cache.set(KEY, 2),
    "set_many": lambda cache: cache.set_many({OTHER: 5, KEY: 2}),
    "delete": lambda cache: cache.delete(KEY),
    "delete_many": lambda cache: cache.delete_many([OTHER, KEY]),
    "invalidate": lambda cache: cache.invalidate("near"),
}


class TestOwnChanges:
    """Who writes reads what it wrote, whatever the server says, and when."""

    @pytest.mark.parametrize("change", OWN.values(), ids=OWN)
    async def test_own_change_is_seen_at_once(
        self, cache: CacheManager, change: Callable[[CacheManager], Awaitable[object]]
    ) -> None:
        """No message has come, and the copy is gone when the call returns."""
        await cache.set(KEY, 1)
        await copied(cache, KEY)
        Messages(cache)
        await change(cache)
        assert await cache.get(KEY) == (2 if "set" in _name(change) else None)

    @pytest.mark.parametrize("change", OWN.values(), ids=OWN)
    async def test_read_under_way_does_not_bring_it_back(
        self, cache: CacheManager, change: Callable[[CacheManager], Awaitable[object]]
    ) -> None:
        """A read that saw the old value ends after the change: who reads next gets the new one."""
        await cache.set(KEY, 1)
        Messages(cache)
        answers = Answers(cache)
        read = asyncio.create_task(cache.get(KEY))
        await answers.are_there.wait()
        await change(cache)
        answers.deliver()
        assert await read == 1
        assert await cache.get(KEY) == (2 if "set" in _name(change) else None)

    @pytest.mark.parametrize("change", OWN.values(), ids=OWN)
    @pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "under way"])
    async def test_read_during_the_change(
        self,
        cache: CacheManager,
        change: Callable[[CacheManager], Awaitable[object]],
        is_kept: bool,
    ) -> None:
        """A read that saw the old value, begun while the change was on its way: it leaves no copy behind."""
        await cache.set(KEY, 1)
        Messages(cache)
        requests = Requests(cache, "set", "set_many", "delete_with_leases", "delete_prefix")
        changing = asyncio.ensure_future(change(cache))
        await requests.are_there.wait()
        answers = None if is_kept else Answers(cache)
        read = asyncio.create_task(cache.get(KEY))
        if answers is None:
            assert await read == 1
            assert copies_of(cache).find(KEY) is not None
        else:
            await answers.are_there.wait()
        requests.send()
        await changing
        if answers is not None:
            answers.deliver()
            assert await read == 1
        assert await cache.get(KEY) == (2 if "set" in _name(change) else None)

    async def test_load_takes_the_copy_out(self, cache: CacheManager, direct: Redis) -> None:
        """What a load has stored is read next, not a copy from before it."""
        await cache.set("hot:a", 1)
        await copied(cache, "hot:a")
        Messages(cache)
        await direct.pexpire("hot:a", 104_000)  # it is fresh for 4 of 100 seconds more: to be loaded anew
        copies_of(cache).forget(["hot:a"])
        assert (await cache.get_or_load("hot:a", _two)).value == 1
        await until(lambda: cache.stats()["hot"].loads == 1 and not _flights(cache))
        assert (await cache.get_or_load("hot:a", _none)).value == 2

    @pytest.mark.parametrize("steps", range(12))
    async def test_cancelled_write(self, cache: CacheManager, steps: int) -> None:
        """Wherever a write is cancelled, a later one of the same process is what is read."""
        await cache.set(KEY, 1)
        await copied(cache, KEY)
        task = asyncio.create_task(cache.set(KEY, 2))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await cache.set(KEY, 3)
        assert await cache.get(KEY) == 3

    async def test_deletion_that_fails(self, url: str, direct: Redis, any_server: RedisServer) -> None:
        """The server frozen: a deletion raises, and what was copied is served no more."""
        async with near_cache(url.replace("=20", "=0.2")) as cache:
            await answer(lambda: cache.set(KEY, 1))
            await copied(cache, KEY)
            any_server.freeze()
            try:
                with pytest.raises(CacheUnavailable):
                    await cache.delete(KEY)
                with pytest.raises(CacheUnavailable):
                    await cache.get(KEY)
            finally:
                any_server.thaw()
            assert await answer(lambda: cache.get(KEY)) is None


def _name(change: object) -> str:
    return next(name for name, each in OWN.items() if each is change)


def _flights(cache: CacheManager) -> int:
    assert cache._parts is not None
    return len(cache._parts.flights)


async def _two() -> int:
    return 2


Change = Callable[[Redis], Awaitable[object]]


async def _transaction(client: Redis) -> None:
    async with client.pipeline() as pipeline:
        pipeline.set(KEY, "2")
        pipeline.delete(KEY)
        await pipeline.execute()


CHANGES: dict[str, Change] = {
    "SET": lambda client: client.set(KEY, "2"),
    "DEL": lambda client: client.delete(KEY),
    "UNLINK": lambda client: client.unlink(KEY),
    "GETDEL": lambda client: client.getdel(KEY),
    "APPEND": lambda client: client.append(KEY, "0"),
    "PEXPIRE": lambda client: client.pexpire(KEY, 1),
    "EXPIREAT": lambda client: client.expireat(KEY, 1),
    "RENAME": lambda client: client.rename(KEY, "elsewhere"),
    "RENAME onto": lambda client: client.rename(OTHER, KEY),
    "COPY": lambda client: client.copy(OTHER, KEY, replace=True),
    "MOVE": lambda client: client.move(KEY, 7),
    "FLUSHDB": lambda client: client.flushdb(),
    "FLUSHALL ASYNC": lambda client: client.flushall(asynchronous=True),
    "script": lambda client: client.eval("redis.call('SET', KEYS[1], '2')", 1, KEY),
    "function of time": lambda client: client.set(KEY, "1", px=1),
    "transaction": _transaction,
}


class TestOthersChanges:
    """What others change is told, and seen."""

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    async def test_another_program(self, cache: CacheManager, direct: Redis, change: Change) -> None:
        """Whatever command changes a value, its copy goes, and the next read asks the server."""
        await cache.set_many({KEY: 1, OTHER: 5})
        await copied(cache, KEY)
        await change(direct)
        await until(lambda: copies_of(cache).find(KEY) is None)
        async with asyncio.timeout(60):
            while (now := await direct.get(KEY)) == b"1":  # until its time is over
                await asyncio.sleep(0.001)
        assert await cache.get(KEY) == (None if now is None else int(now))

    async def test_another_process(self, cache: CacheManager, url: str) -> None:
        """A process with a cache of its own sets, deletes, loads and invalidates."""
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.cache.near_worker", url),
            stdin=PIPE, stdout=PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            async with asyncio.timeout(120):
                assert await worker.stdout.readline() == b"ready\n"
                for command, value in (
                    (f"set {KEY} 2", 2),
                    (f"delete {KEY}", None),
                    (f"load {KEY} 3", 3),
                    ("invalidate near", None),
                ):
                    await cache.set(KEY, 1)
                    await copied(cache, KEY)
                    worker.stdin.write(f"{command}\n".encode())
                    assert await worker.stdout.readline() == b"done\n"
                    while (seen := await cache.get(KEY)) == 1:
                        await asyncio.sleep(0.001)
                    assert seen == value, command
        finally:
            worker.stdin.close()
            await worker.wait()
            worker._transport.close()  # type: ignore[attr-defined]  # or it is closed after its loop

    async def test_by_hand(self, cache: CacheManager, direct: Redis, any_server: RedisServer) -> None:
        """What somebody types into redis-cli is seen."""
        program = on_path("redis-cli") or on_path("valkey-cli")
        if program is None:
            missing("neither redis-cli nor valkey-cli is on the PATH: apt-get install redis-tools")
        await cache.set(KEY, 1)
        await copied(cache, KEY)
        words = [str(program), "-p", str(any_server.port), "SET", KEY, "2"]
        await asyncio.to_thread(subprocess.run, words, check=True, capture_output=True)
        await until(lambda: copies_of(cache).find(KEY) is None)
        assert await cache.get(KEY) == 2

    async def test_another_database(self, cache: CacheManager, any_server: RedisServer) -> None:
        """The same name in another database takes the copy away: too much rather than too little."""
        await cache.set(KEY, 1)
        await copied(cache, KEY)
        async with Redis(port=any_server.port, db=5) as elsewhere:
            await elsewhere.set(KEY, "2")
        await until(lambda: copies_of(cache).find(KEY) is None)
        assert await cache.get(KEY) == 1

    async def test_keys_that_are_no_text(self, cache: CacheManager, direct: Redis) -> None:
        """A name that is no UTF-8 harms nothing."""
        await cache.set(KEY, 1)
        await direct.set(b"near:\xff", b"1")
        await copied(cache, KEY)
        await direct.set(KEY, b"2")
        await until(lambda: copies_of(cache).find(KEY) is None)
        assert copies_of(cache).is_on

    async def test_a_burst_of_changes(self, cache: CacheManager, direct: Redis) -> None:
        """Fifty thousand messages in a row are taken, the last one too."""
        await cache.set(KEY, 1)
        await copied(cache, KEY)
        script = "for i = 1, 5000 do redis.call('SET', 'near:' .. i, i, 'EX', 60) end"
        for _ in range(10):
            await direct.eval(script, 0)
        await direct.set(KEY, b"2")
        await until(lambda: copies_of(cache).find(KEY) is None)
        assert await cache.get(KEY) == 2
        assert copies_of(cache).is_on


class TestOrder:
    """The answer and the message come over two connections, in either order."""

    async def test_message_before_the_answer(self, cache: CacheManager, direct: Redis) -> None:
        """Changed and told while an old answer is on its way: it is given to who asked, and not kept."""
        await cache.set(KEY, 1)
        answers = Answers(cache)
        read = asyncio.create_task(cache.get(KEY))
        await answers.are_there.wait()
        await direct.set(KEY, b"2")
        await until(lambda: KEY not in copies_of(cache)._readings)
        answers.deliver()
        assert await read == 1
        assert await cache.get(KEY) == 2

    async def test_answer_before_the_message(self, cache: CacheManager, direct: Redis) -> None:
        """An old answer is kept, and goes with the message."""
        await cache.set(KEY, 1)
        messages = Messages(cache)
        await direct.set(OTHER, b"1")
        await until(lambda: [OTHER] in messages.held)
        messages.held.clear()  # those of what this process did
        await copied(cache, KEY)
        await direct.set(KEY, b"2")
        await until(lambda: bool(messages.held))
        assert await cache.get(KEY) == 1
        messages.deliver()
        assert await cache.get(KEY) == 2

    async def test_late_message_takes_a_new_copy(self, cache: CacheManager, direct: Redis) -> None:
        """A message of a change that the copy has already takes it away all the same, and nothing else."""
        messages = Messages(cache)
        await cache.set(OTHER, 5)
        await direct.set(KEY, b"2")
        assert (await copied(cache, KEY), await copied(cache, OTHER)) == (2, 5)
        await until(lambda: [KEY] in messages.held)
        messages.held.remove([OTHER])
        messages.deliver()
        assert (copies_of(cache).find(KEY), copies_of(cache).find(OTHER) is None) == (None, False)
        assert await cache.get(KEY) == 2

    @pytest.mark.parametrize("event", ["FLUSHDB", "lost", "lost and told again"])
    async def test_everything_goes_while_the_answer_is_on_its_way(
        self, cache: CacheManager, direct: Redis, event: str
    ) -> None:
        """An answer from before the whole was given up is not kept, also when changes are told again."""
        await cache.set(KEY, 1)
        answers = Answers(cache)
        read = asyncio.create_task(cache.get(KEY))
        await answers.are_there.wait()
        copies = copies_of(cache)
        if event == "FLUSHDB":
            await direct.flushdb()
            await until(lambda: not copies._readings)
        else:
            await kill_tracking(direct)
            await until(lambda: not copies._readings)
            if event == "lost and told again":
                await until(lambda: copies.is_on)
        answers.deliver()
        assert await read == 1
        assert copies.find(KEY) is None

    async def test_read_that_began_before_changes_were_told(self, url: str, other: CacheManager) -> None:
        """An answer that was asked for before is not kept, although they are told when it comes."""
        await other.set(KEY, 1)
        async with CacheManager(url, families=FAMILIES) as cache:
            answers = Answers(cache)
            read = asyncio.create_task(cache.get(KEY))
            await answers.are_there.wait()
            await until(lambda: copies_of(cache).is_on)
            answers.deliver()
            assert (await read, copies_of(cache).find(KEY)) == (1, None)

    async def test_refresh_asks_the_server(self, cache: CacheManager, direct: Redis) -> None:
        """A value that another process has loaded anew is not loaded again, though the copy is old."""
        await cache.set("hot:a", 1)
        await direct.pexpire("hot:a", 104_000)
        messages = Messages(cache)
        await copied(cache, "hot:a")
        await direct.set("hot:a", b"2", ex=200)
        await until(lambda: ["hot:a"] in messages.held)
        assert (await cache.get_or_load("hot:a", _none)).value == 1
        await until(lambda: not _flights(cache))
        assert (cache.stats()["hot"].refreshed, cache.stats()["hot"].loads) == (1, 0)
        messages.deliver()
        assert (await cache.get_or_load("hot:a", _none)).value == 2


async def kill_tracking(direct: Redis) -> None:
    """Close the connections of all others at the server."""
    await direct.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]


class TestLostConnection:
    """Without the connection there are no copies, and nobody else notices."""

    async def test_lost(self, cache: CacheManager, direct: Redis, caplog: pytest.LogCaptureFixture) -> None:
        """Closed by the server: all copies go at once, reads go on, copies come again; the log says so."""
        caplog.set_level(logging.INFO, tracking.__name__)
        await cache.set(KEY, 1)
        await copied(cache, KEY)
        await kill_tracking(direct)
        await until(lambda: not copies_of(cache))
        assert await cache.get(KEY) == 1
        await copied(cache, KEY)
        said = [record.getMessage() for record in caplog.records]
        assert [line.startswith("no copies are kept") for line in said] == [True, False]
        assert said[1].endswith("says again what is changed: copies are kept")

    async def test_server_is_gone(self, proxy: FaultProxy, direct: Redis) -> None:
        """As long as no connection comes about nothing is served that was copied; then all is as before."""
        async with near_cache(f"{proxy.url}?timeout=20") as cache:
            await cache.set(KEY, 1)
            await copied(cache, KEY)
            proxy.tell("refuse")
            proxy.tell("drop")
            await direct.set(KEY, b"2")
            await until(lambda: not copies_of(cache).is_on)
            with pytest.raises(CacheUnavailable):
                await cache.get(KEY)
            proxy.tell("listen")
            assert await answer(lambda: cache.get(KEY)) == 2
            assert await copied(cache, KEY) == 2

    @pytest.mark.parametrize("fault", ["mute", "freeze"])
    async def test_frozen(
        self, proxy: FaultProxy, direct: Redis, monkeypatch: pytest.MonkeyPatch, fault: str
    ) -> None:
        """Where nothing comes and nothing is closed, the copies go long before they are too old.

        The clock of the copies stands still, so it is not their age that ends them.
        """
        monkeypatch.setattr(tracking, "HEARTBEAT", 0.3)
        async with near_cache(f"{proxy.url}?timeout=0.5") as cache:
            await answer(lambda: cache.set(KEY, 1))
            await copied(cache, KEY)
            proxy.tell(fault)
            await direct.set(KEY, b"2")
            await until(lambda: not copies_of(cache))
            proxy.tell("clear")
            assert await answer(lambda: cache.get(KEY)) == 2
            monkeypatch.setattr(tracking, "HEARTBEAT", 60.0)
            assert await copied(cache, KEY) == 2

    async def test_quiet_connection_is_kept(self, url: str, direct: Redis, clock: LoopClock) -> None:
        """A server that answers keeps the connection, however little is changed, over many beats."""
        async with near_cache(url) as cache:
            beating: Any = near_store(cache)._tracking
            connected = (await direct.info("stats"))["total_connections_received"]
            for _ in range(20):
                await until(lambda: beating._is_answered)
                asked = (await direct.info("commandstats"))["cmdstat_ping"]["calls"]
                clock.forward(tracking.HEARTBEAT)
                async with asyncio.timeout(60):
                    while (await direct.info("commandstats"))["cmdstat_ping"]["calls"] == asked:
                        await asyncio.sleep(0.001)
            assert copies_of(cache).is_on
            assert (await direct.info("stats"))["total_connections_received"] == connected

    async def test_loop_that_stood_still(
        self, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An answer that came while other code held the loop for longer than a beat is taken."""
        monkeypatch.setattr(tracking, "HEARTBEAT", 0.3)
        async with near_cache(url) as cache:
            caplog.set_level(logging.INFO, tracking.__name__)
            for _ in range(40):
                time.sleep(0.1)  # noqa: ASYNC251  # what the test is about
                await asyncio.sleep(0)
            assert copies_of(cache).is_on
            assert not caplog.records

    async def test_no_copy_is_older_than_its_family_allows(self, proxy: FaultProxy, direct: Redis) -> None:
        """A frozen connection that nobody has noticed yet: the old value is served up to the bound only."""
        clock = Clock()
        async with near_cache(f"{proxy.url}?timeout=0.5", clock) as cache:
            await answer(lambda: cache.set(KEY, 1))
            await copied(cache, KEY)
            proxy.tell("mute")
            await direct.set(KEY, b"2")
            clock.now += NEAR - 0.1
            assert await cache.get(KEY) == 1
            clock.now += 0.1
            assert await answer(lambda: cache.get(KEY)) == 2

    async def test_age_counts_from_when_it_was_asked_for(self, url: str, direct: Redis) -> None:
        """An answer that took its time is as old as the question."""
        clock = Clock()
        async with near_cache(url, clock) as cache:
            await cache.set(KEY, 1)
            answers = Answers(cache)
            read = asyncio.create_task(cache.get(KEY))
            await answers.are_there.wait()
            clock.now += NEAR - 1
            answers.deliver()
            assert await read == 1
            assert copies_of(cache).find(KEY) is not None
            clock.now += 1
            assert copies_of(cache).find(KEY) is None

    async def test_copy_ends_with_its_value(self, url: str, direct: Redis) -> None:
        """A copy does not outlive what it is a copy of, nor the time in which that is fresh."""
        clock = Clock()
        async with near_cache(url, clock) as cache:
            await cache.set(KEY, 1, ttl=10)
            await cache.set("packed:a", 2, ttl=10)
            await copied(cache, KEY)
            await copied(cache, "packed:a")
            clock.now += 10
            assert (copies_of(cache).find(KEY), copies_of(cache).find("packed:a")) == (None, None)

    async def test_everybody_was_cancelled(self, cache: CacheManager) -> None:
        """Code that cancels all tasks of the process takes the copies away; the next read begins anew."""
        await cache.set(KEY, 1)
        await copied(cache, KEY)
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.wait(others)
        assert not copies_of(cache)
        assert await copied(cache, KEY) == 1


async def pings(direct: Redis) -> int:
    """How often the server was asked whether it is there."""
    stats = await direct.info("commandstats")
    return int(stats.get("cmdstat_ping", {}).get("calls", 0))


class TestBounds:
    """The copies take no more room than they may."""

    @pytest.mark.parametrize(("option", "most"), [("near_entries=10", 10), ("near_bytes=80000", 7)])
    async def test_bounds(self, url: str, option: str, most: int) -> None:
        """Beyond the entries or bytes that the URL allows, the copy that was used longest ago goes."""
        keys = [f"near:{number}" for number in range(100)]
        async with near_cache(f"{url}&{option}") as cache:
            await cache.set_many(dict.fromkeys(keys, "x" * 10_000))
            for key in keys:
                await copied(cache, key)
            assert len(copies_of(cache)) == most
            assert copies_of(cache).find(keys[-1]) is not None

    async def test_what_is_larger_than_all_is_not_copied(self, url: str) -> None:
        """A value that does not fit is read from the server each time."""
        async with near_cache(f"{url}&near_bytes=8000") as cache:
            await cache.set(KEY, "x" * 10_000)
            for _ in range(3):
                assert await cache.get(KEY) == "x" * 10_000
            assert len(copies_of(cache)) == 0

    @pytest.mark.parametrize("near", [-1, NEAR + 0.1, float("nan"), float("inf"), True, "30", None])
    def test_wrong_seconds(self, near: Any) -> None:
        """Nobody may ask for more than the bound, or for what is no number."""
        with pytest.raises(ConfigurationError, match="key family x: near must be 0 to 30 seconds"):
            KeyFamily("x", "x:{id}", "string", "json", 60, near=near)

    @pytest.mark.parametrize(("type", "codec"), [("counter", "integer"), ("hash", "json")])
    def test_wrong_type(self, type: Any, codec: Any) -> None:
        """Of a counter and of a session there are no copies."""
        with pytest.raises(ConfigurationError, match="no copy is kept"):
            KeyFamily("x", "x:{id}", type, codec, 60, near=1)


class TestServers:
    """Logins, TLS, databases."""

    async def test_user_and_database(self, any_server: RedisServer, direct: Redis) -> None:
        """As a user with a password, in another database."""
        await acl(direct, "near-user", "on", ">p%w", "~*", "+@all")
        async with (
            near_cache(f"redis://near-user:p%25w@127.0.0.1:{any_server.port}/9?timeout=20") as cache,
            Redis(port=any_server.port, db=9) as client,
        ):
            await cache.set(KEY, 1)
            await copied(cache, KEY)
            await client.set(KEY, b"2")
            await until(lambda: copies_of(cache).find(KEY) is None)
            assert await cache.get(KEY) == 2

    async def test_user_who_may_not(
        self, any_server: RedisServer, direct: Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where the server does not allow it, there are no copies, all else works, and the log says why."""
        await acl(direct, "no-tracker", "on", ">s3cr3t", "~*", "+@all", "-client|tracking")
        url = f"redis://no-tracker:s3cr3t@127.0.0.1:{any_server.port}?timeout=20"
        with caplog.at_level(logging.WARNING, tracking.__name__):
            async with CacheManager(url, families=FAMILIES) as cache:
                await cache.set(KEY, 1)
                assert await cache.get(KEY) == 1
                await until(lambda: bool(caplog.records))
                assert await cache.get(KEY) == 1
                assert not copies_of(cache)
        [said] = [record.getMessage() for record in caplog.records]
        assert "refused CLIENT TRACKING" in said
        assert "s3cr3t" not in said

    async def test_tls(self, certificate: Path) -> None:
        """Over TLS, with a certificate that is checked."""
        with RedisServer(certificate=certificate) as server:
            url = f"{server.url}?timeout=20&cafile={certificate}"
            async with near_cache(url) as cache, CacheManager(url, families=FAMILIES) as other:
                await cache.set(KEY, 1)
                await copied(cache, KEY)
                await other.set(KEY, 2)
                await until(lambda: copies_of(cache).find(KEY) is None)
                assert await cache.get(KEY) == 2
                server.kill()
                await until(lambda: not copies_of(cache).is_on)

    @pytest.mark.parametrize("state", ["healthy", "frozen", "refused"])
    async def test_disconnect_leaves_nothing(
        self, proxy: FaultProxy, any_server: RedisServer, direct: Redis, state: str
    ) -> None:
        """No task and no socket remain, whatever the server does."""
        gc.collect()
        tasks, files = asyncio.all_tasks(), len(os.listdir("/proc/self/fd"))
        async with near_cache(f"{proxy.url}?timeout=0.5") as cache:
            await answer(lambda: cache.set(KEY, 1))
            await copied(cache, KEY)
            if state == "frozen":
                proxy.tell("freeze")
            elif state == "refused":
                proxy.tell("refuse")
                proxy.tell("drop")
                await until(lambda: not copies_of(cache).is_on)
            copies = copies_of(cache)
        assert not copies.is_on
        assert not copies
        assert asyncio.all_tasks() == tasks
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == files
        proxy.tell("clear")

    async def test_nothing_begins_after_disconnect(self, url: str) -> None:
        """A read that was about to begin when the cache was disconnected opens no connection."""
        async with near_cache(url) as cache:
            store = near_store(cache)
        tasks = asyncio.all_tasks()
        store._tracking.start()
        assert asyncio.all_tasks() == tasks


async def acl(direct: Redis, *words: str) -> None:
    await direct.execute_command("ACL", "SETUSER", *words)  # type: ignore[no-untyped-call]


async def test_two_managers_are_two(url: str, direct: Redis) -> None:
    """Two caches of one process each have copies of their own, and each is told."""
    async with contextlib.AsyncExitStack() as stack:
        caches = [await stack.enter_async_context(near_cache(url)) for _ in range(2)]
        await caches[0].set(KEY, 1)
        for cache in caches:
            await told(cache)
            await copied(cache, KEY)
        await caches[0].set(KEY, 2)
        await until(lambda: copies_of(caches[1]).find(KEY) is None)
        assert [await cache.get(KEY) for cache in caches] == [2, 2]


def test_overlap_of_the_table_is_refused() -> None:
    """Prefixes of which one begins with another, which the server would refuse, cannot be declared."""
    with pytest.raises(ConfigurationError):
        KeyFamilies([*FAMILIES, KeyFamily("nearer", "near:er:{id}", "string", "json", 60, near=1)])
