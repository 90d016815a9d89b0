"""One load for several processes: leases, on real servers and between real processes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dal.cache import CacheManager, leases
from dal.cache.families import LEASE_PREFIX
from dal.cache.leases import Lease
from tests.cache.conftest import Backend, RedisBackend, store_of
from tests.cache.lease_worker import FAMILIES, LEASE_SECONDS
from tests.servers import RedisServer

WORKER = Path(__file__).with_name("lease_worker.py")
ROOT = Path(__file__).parents[2]
KEY = "shared:a"

pytestmark = pytest.mark.timeout(600)


class Worker:
    """One process of lease_worker.py, and what it has printed."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def read_until(self, word: str) -> str:
        """Read its lines up to the one that begins with *word*."""
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            while not (self.lines and self.lines[-1].startswith(word)):
                line = (await self.process.stdout.readline()).decode()
                assert line, f"a worker ended after {self.lines}"
                self.lines.append(line.strip())
        return self.lines[-1]

    def tell(self, line: str) -> None:
        """Send it a line of those that lease_worker.py explains."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    @property
    def loads(self) -> int:
        return self.lines.count("load")


@contextlib.asynccontextmanager
async def workers(url: str, *values: str, callers: int = 50) -> AsyncIterator[list[Worker]]:
    """A process for each of *values*, ready to begin."""
    started: list[Worker] = []
    try:
        for value in values:
            arguments = (str(WORKER), url, str(callers), value)
            started.append(
                Worker(
                    await asyncio.create_subprocess_exec(
                        sys.executable, *arguments, stdin=PIPE, stdout=PIPE, env={"PYTHONPATH": str(ROOT)}
                    )
                )
            )
        for worker in started:
            await worker.read_until("ready")
        yield started
    finally:
        for worker in started:
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
            await worker.process.wait()
            worker.process._transport.close()  # type: ignore[attr-defined]  # or it is closed after its loop


@pytest.fixture(params=["redis", "valkey"])
def shared(request: pytest.FixtureRequest) -> RedisBackend:
    found: RedisBackend = request.getfixturevalue(request.param)
    return found


async def attempts(backend: RedisBackend) -> int:
    """How often the lease was wanted since the server's statistics were reset."""
    stats = await backend.client.info("commandstats")
    return int(stats.get("cmdstat_set", {"calls": 0})["calls"])


async def wait_for_attempts(backend: RedisBackend, number: int) -> None:
    async with asyncio.timeout(60):
        while await attempts(backend) < number:
            await asyncio.sleep(0.01)


async def left_of_the_lease(backend: RedisBackend) -> float:
    return int(await backend.client.pttl(LEASE_PREFIX + KEY)) / 1000


@pytest.mark.slow
async def test_four_processes_load_once(shared: RedisBackend) -> None:
    """Fifty callers in each of four processes miss one key at a time: one load, and all get its value."""
    async with workers(shared.url, "a", "b", "c", "d") as started:
        await shared.client.config_resetstat()
        for worker in started:
            worker.tell("begin")
        await wait_for_attempts(shared, 4)
        for worker in started:
            worker.tell("go on")
        values = {await worker.read_until("values") for worker in started}
    assert (sum(worker.loads for worker in started), len(values)) == (1, 1)


@pytest.mark.slow
async def test_killed_holder_has_one_successor(shared: RedisBackend) -> None:
    """When the process that loads is killed, one of the others loads once its lease has ended."""
    async with workers(shared.url, "a", "b", "c", "d") as (first, *others):
        await shared.client.config_resetstat()
        first.tell("begin")
        await first.read_until("load")
        for worker in others:
            worker.tell("begin")
            worker.tell("go on")
        await wait_for_attempts(shared, 4)
        first.process.send_signal(signal.SIGKILL)
        await first.process.wait()
        assert 0 < await left_of_the_lease(shared) <= LEASE_SECONDS
        await shared.elapse(round(LEASE_SECONDS))
        values = {await worker.read_until("values") for worker in others}
    assert (first.loads, sum(worker.loads for worker in others), len(values)) == (1, 1, 1)


async def test_frozen_server_in_the_middle_costs_one_load_each(
    redis_server: RedisServer, redis: RedisBackend
) -> None:
    """When the server freezes while one loads and another waits, each loads once and has its value."""
    async with workers(redis.url, "a", "b", callers=5) as (first, second):
        await redis.client.config_resetstat()
        first.tell("begin")
        await first.read_until("load")
        second.tell("begin")
        await wait_for_attempts(redis, 2)
        for worker in (first, second):
            worker.tell("impatient")
            await worker.read_until("impatient")
        redis_server.freeze()
        try:
            await second.read_until("load")
            for worker in (first, second):
                worker.tell("go on")
            values = [await worker.read_until("values") for worker in (first, second)]
        finally:
            redis_server.thaw()
    assert (values, first.loads, second.loads) == (["values a", "values b"], 1, 1)


async def test_lease_is_renewed_while_a_load_goes_on(
    shared: RedisBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load may take longer than a lease lasts."""
    for module in ("leases", "loads"):
        monkeypatch.setattr(f"dal.cache.{module}.RENEWAL", 0.01)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> str:
        begun.set()
        await go_on.wait()
        return "slow"

    async def never() -> str:
        raise AssertionError("two loads at a time")

    async with (
        CacheManager(shared.url, families=FAMILIES) as one,
        CacheManager(shared.url, families=FAMILIES) as two,
    ):
        first = asyncio.create_task(one.get_or_load(KEY, slowly))
        await begun.wait()
        second = asyncio.create_task(two.get_or_load(KEY, never))
        for _ in range(3):
            await shared.elapse(40)
            async with asyncio.timeout(60):
                while await left_of_the_lease(shared) < 25:
                    await asyncio.sleep(0.01)
        go_on.set()
        assert await first == ("slow", "miss")
        assert await second == ("slow", "hit")


async def test_nothing_but_the_value_is_left(backend: Backend) -> None:
    """After a load, good or bad, its lease is gone."""

    async def load() -> int:
        return 1

    async def fail() -> int:
        raise ValueError

    await backend.cache.get_or_load("config:system:1", load)
    with pytest.raises(ValueError, match=r"^$"):
        await backend.cache.get_or_load("config:system:2", fail)
    leases = [await backend.raw(f"{LEASE_PREFIX}config:system:{n}") for n in (1, 2)]
    assert leases == [None, None]


async def test_holder_that_was_too_slow_stores_nothing(backend: Backend) -> None:
    """Who lost its lease to somebody else does not store, and does not drop the other's lease."""
    store = store_of(backend.cache)
    one, two = Lease(store, "k"), Lease(store, "k")
    assert await one.take()
    await backend.elapse(round(leases.SECONDS) + 1)
    assert await two.take()
    assert (await one.is_held(), await one.store(b"1", 60)) == (False, False)
    await one.release()
    assert (await two.store(b"2", 60), await store.get("k")) == (True, b"2")
