"""The cache over each of its stores, with what a test needs to look behind it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis

from dal.cache import FAMILIES, CacheManager, KeyFamilies
from dal.cache.stores.base import Store
from dal.cache.stores.memory import MemoryStore
from tests.engine_cases import EngineCase, Place
from tests.servers import RedisServer, ValkeyServer, missing

DAY = 86_400


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
        # A busy machine must not look like a server that is away.
        self.cache = CacheManager(f"{server.url}?timeout=10", families=families)
        self.client = Redis(port=server.port)

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
