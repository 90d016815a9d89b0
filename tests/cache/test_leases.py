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

from dal.cache import CacheManager
from dal.cache.families import LEASE_PREFIX
from dal.cache.leases import RENEWAL, SECONDS, Lease
from tests.cache.conftest import Backend, RedisBackend, store_of
from tests.cache.lease_worker import FAMILIES
from tests.servers import RedisServer

WORKER = Path(__file__).with_name("lease_worker.py")
ROOT = Path(__file__).parents[2]
KEY = "shared:a"


class Worker:
    """One process of lease_worker.py, and what it has printed."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def read_until(self, word: str) -> str:
        """Read its lines up to the one that begins with *word*."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while not (self.lines and self.lines[-1].startswith(word)):
                line = (await self.process.stdout.readline()).decode()
                assert line, f"a worker ended after {self.lines}"
                self.lines.append(line.strip())
        return self.lines[-1]

    def begin(self) -> None:
        """Let its callers begin."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    @property
    def loads(self) -> int:
        return self.lines.count("load")


@contextlib.asynccontextmanager
async def workers(
    url: str, seconds: float, *values: str, callers: int = 50, timeout: float = 10
) -> AsyncIterator[list[Worker]]:
    """A process for each of *values*, ready to begin."""
    started: list[Worker] = []
    try:
        for value in values:
            arguments = (str(WORKER), f"{url}?timeout={timeout}", str(callers), str(seconds), value)
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


def url_of(backend: RedisBackend) -> str:
    return f"redis://127.0.0.1:{backend.client.connection_pool.connection_kwargs['port']}"


@pytest.mark.slow
async def test_four_processes_load_once(shared: RedisBackend) -> None:
    """Fifty callers in each of four processes miss one key at a time: one load, and all get its value."""
    async with workers(url_of(shared), 0.5, "a", "b", "c", "d") as started:
        for worker in started:
            worker.begin()
        values = {await worker.read_until("values") for worker in started}
    assert (sum(worker.loads for worker in started), len(values)) == (1, 1)


@pytest.mark.slow
async def test_killed_holder_has_one_successor(shared: RedisBackend) -> None:
    """When the process that loads is killed, one of the others loads, soon after its lease has ended."""
    async with workers(url_of(shared), 1, "a", "b", "c", "d") as (first, *others):
        first.begin()
        await first.read_until("load")
        for worker in others:
            worker.begin()
        await asyncio.sleep(0.2)
        first.process.send_signal(signal.SIGKILL)
        values = {await worker.read_until("values") for worker in others}
    assert (first.loads, sum(worker.loads for worker in others), len(values)) == (1, 1, 1)


async def test_frozen_server_in_the_middle_costs_one_load_each(
    redis_server: RedisServer, redis: RedisBackend
) -> None:
    """When the server freezes while one loads and another waits, each loads once and has its value."""
    async with workers(redis_server.url, 1, "a", "b", callers=5, timeout=0.3) as (first, second):
        first.begin()
        await first.read_until("load")
        second.begin()
        await asyncio.sleep(0.3)
        redis_server.freeze()
        try:
            values = [await worker.read_until("values") for worker in (first, second)]
        finally:
            redis_server.thaw()
    assert (values, first.loads, second.loads) == (["values a", "values b"], 1, 1)


async def test_lease_is_renewed_while_a_load_goes_on(shared: RedisBackend) -> None:
    """A load may take longer than a lease lasts."""
    url = f"{url_of(shared)}?timeout=10"
    async with CacheManager(url, families=FAMILIES) as one, CacheManager(url, families=FAMILIES) as two:

        async def slowly() -> str:
            await asyncio.sleep(SECONDS + RENEWAL)
            return "slow"

        async def never() -> str:
            raise AssertionError("two loads at a time")

        first = asyncio.create_task(one.get_or_load(KEY, slowly))
        async with asyncio.timeout(10):
            while not await shared.client.exists(LEASE_PREFIX + KEY):
                await asyncio.sleep(0.01)
        assert await two.get_or_load(KEY, never) == ("slow", "hit")
        assert await first == ("slow", "miss")


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
    await backend.elapse(round(SECONDS) + 1)
    assert await two.take()
    assert (await one.is_held(), await one.store(b"1", 60)) == (False, False)
    await one.release()
    assert (await two.store(b"2", 60), await store.get("k")) == (True, b"2")
