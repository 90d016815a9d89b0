"""The cache over each of its stores, with what a test needs to look behind it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis

from dal.cache import FAMILIES, CacheManager, KeyFamilies
from dal.cache.near import NearStore
from dal.cache.stores.base import Store
from dal.cache.stores.memory import MemoryStore
from tests.cache.cached_query_worker import FENCE_SECONDS
from tests.engine_cases import EngineCase, Place
from tests.servers import RedisServer, ValkeyServer, missing

DAY = 86_400

PATIENT = 60.0  # seconds for an answer: a busy machine must not look like a server that is away
IMPATIENT = 0.2

# Steps of the event loop in which a call that has met its deadline tells its caller, with room to spare.
_LAST_STEPS = 50


@pytest.fixture(autouse=True)
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not look like a process that has lost its lease."""
    monkeypatch.setattr("dal.cache.leases.SECONDS", 60.0)


UNKNOWN_SECONDS = 6 * FENCE_SECONDS


@pytest.fixture
def long_fences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not look like a process that was killed."""
    monkeypatch.setattr("dal.cache.tables.FENCE_SECONDS", FENCE_SECONDS)
    monkeypatch.setattr("dal.cache.tables.UNKNOWN_SECONDS", UNKNOWN_SECONDS)


class Backend(Protocol):
    """A connected cache and a way around it."""

    cache: CacheManager

    async def put(self, key: str, value: bytes | dict[bytes, bytes]) -> None:
        """Store bytes, or a hash of bytes, as another program might have."""

    async def raw(self, key: str) -> bytes | None:
        """The bytes stored under a key."""

    async def elapse(self, seconds: int) -> None:
        """Let time pass."""


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def store_of(cache: CacheManager) -> Store:
    """The store of a connected cache."""
    assert cache._parts is not None
    return cache._parts.store


def _behind_copies(store: Any) -> Any:
    return store._store if isinstance(store, NearStore) else store


def set_patience(store: Any, seconds: float) -> None:
    """Let calls to a server that begin from now on wait so long for its answer."""
    store = _behind_copies(store)
    store._timeout = seconds
    if store._traffic is not None:
        store._traffic.breaker._timeout = seconds
        for lane in store._traffic._lanes:
            lane._timeout = seconds


@contextlib.contextmanager
def frozen(server: RedisServer, *caches: CacheManager) -> Iterator[None]:
    """A block in which *server* answers nothing, and *caches* soon give it up; before and after they wait."""
    for cache in caches:
        set_patience(store_of(cache), IMPATIENT)
    server.freeze()
    try:
        yield
    finally:
        server.thaw()
        for cache in caches:
            set_patience(store_of(cache), PATIENT)


async def until(happened: Callable[[], object]) -> None:
    """Wait until *happened* says so."""
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.001)


async def all_sent(store: Any) -> None:
    """Wait until every call of a store has been sent to its server, and one is not answered yet."""
    await asyncio.sleep(0)  # a call that was just begun is now in line
    lanes = _behind_copies(store)._lanes()._lanes
    await until(lambda: any(lane._sent for lane in lanes) and not any(lane._waiting for lane in lanes))


async def ended_in_time(seconds: float, *calls: Awaitable[object]) -> list[object]:
    """What each of *calls* returned or raised; all must have ended when their deadline has passed.

    That is told by the event loop's own order, not by a clock: a busy machine delays both alike.
    """
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)  # now they have begun
    await asyncio.sleep(seconds)
    for _ in range(_LAST_STEPS):
        await asyncio.sleep(0)
    late = [task for task in tasks if not task.done()]
    for task in late:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert not late, f"{len(late)} calls outlived their deadline"
    return list(results)


def sockets_to(port: int) -> set[str]:
    """This process's connections to *port*, by the numbers that the system gave to their sockets."""
    own = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # it may be closed meanwhile
            own.add(os.readlink(entry))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if int(words[2].rpartition(":")[2], 16) == port and f"socket:[{words[9]}]" in own:
                found.add(words[9])
    return found


def client_of(server: RedisServer, **options: Any) -> Redis:
    """A client of *server* that is not the cache's."""
    return Redis(port=server.port, socket_timeout=PATIENT, socket_connect_timeout=PATIENT, **options)


class MemoryBackend:
    def __init__(self, families: KeyFamilies = FAMILIES) -> None:
        self.clock = Clock()
        self.cache = CacheManager("memory://", families=families, clock=self.clock)

    @property
    def store(self) -> MemoryStore:
        store = store_of(self.cache)
        assert isinstance(store, MemoryStore)
        return store

    async def put(self, key: str, value: bytes | dict[bytes, bytes]) -> None:
        if isinstance(value, dict):
            fields = {name.decode(): item for name, item in value.items()}
            await self.store.set_hash(key, fields, DAY)
        else:
            await self.store.set(key, value, DAY)

    async def raw(self, key: str) -> bytes | None:
        return await self.store.get(key)

    async def elapse(self, seconds: int) -> None:
        self.clock.now += seconds


class RedisBackend:
    def __init__(self, server: RedisServer, families: KeyFamilies = FAMILIES) -> None:
        self.url = f"{server.url}?timeout={PATIENT}"
        self.cache = CacheManager(self.url, families=families)
        self.client = client_of(server)

    async def put(self, key: str, value: bytes | dict[bytes, bytes]) -> None:
        await self.client.delete(key)
        if isinstance(value, dict):
            fields: Any = value
            await self.client.hset(key, mapping=fields)
        else:
            await self.client.set(key, value)

    async def raw(self, key: str) -> bytes | None:
        value = await self.client.get(key)
        assert value is None or isinstance(value, bytes)
        return value

    async def elapse(self, seconds: int) -> None:
        """Bring the end of every key nearer: the server's clock cannot be turned."""
        async for key in self.client.scan_iter():
            left = await self.client.pttl(key)
            if left >= 0:
                await self.client.pexpire(key, max(left - seconds * 1000, 0))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for all tests; each finds it empty."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """One server for all tests; each finds it empty."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
async def memory() -> AsyncIterator[MemoryBackend]:
    backend = MemoryBackend()
    async with backend.cache:
        yield backend


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[RedisBackend]:
    backend = RedisBackend(redis_server)
    async with backend.cache, backend.client:
        await backend.client.flushall()
        yield backend


@pytest.fixture
async def valkey(valkey_server: ValkeyServer) -> AsyncIterator[RedisBackend]:
    backend = RedisBackend(valkey_server)
    async with backend.cache, backend.client:
        await backend.client.flushall()
        yield backend


@pytest.fixture(params=["memory", "redis", "valkey"])
def backend(request: pytest.FixtureRequest) -> Backend:
    found: Backend = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def cache(backend: Backend) -> CacheManager:
    return backend.cache


@pytest.fixture(params=["redis", "valkey"])
def any_server(request: pytest.FixtureRequest) -> RedisServer:
    """A server of each make."""
    found: RedisServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts, with its key in the same file."""
    if shutil.which("openssl") is None:
        missing("openssl is not on the PATH: apt-get install openssl")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=cache"
    command += " -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", file, "-out", f"{file}.crt"], check=True, capture_output=True
    )
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


@pytest.fixture(scope="session")
def places() -> Iterator[Callable[[EngineCase], Place]]:
    """Starts the server of an engine when its first test comes."""
    with ExitStack() as servers:
        started: dict[str, Place] = {}

        def of(case: EngineCase) -> Place:
            if case.name not in started:
                started[case.name] = servers.enter_context(case.open())
            return started[case.name]

        yield of
