"""The cache over each of its stores, with what a test needs to look behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis

from dal.cache import CacheManager
from dal.cache.stores.memory import MemoryStore
from tests.servers import RedisServer


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


class MemoryBackend:
    def __init__(self) -> None:
        self.clock = Clock()
        self.cache = CacheManager("memory://", clock=self.clock)

    @property
    def store(self) -> MemoryStore:
        assert isinstance(self.cache._store, MemoryStore)
        return self.cache._store

    async def put(self, key: str, value: bytes | dict[bytes, bytes]) -> None:
        if isinstance(value, dict):
            await self.store.set_hash(key, value, 60)
        else:
            await self.store.set(key, value, 60)

    async def raw(self, key: str) -> bytes | None:
        return await self.store.get(key)

    async def elapse(self, seconds: int) -> None:
        self.clock.now += seconds


class RedisBackend:
    def __init__(self, server: RedisServer) -> None:
        # A busy machine must not look like a server that is away.
        self.cache = CacheManager(f"{server.url}?timeout=10")
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


@pytest.fixture(params=["memory", "redis"])
def backend(request: pytest.FixtureRequest) -> Backend:
    found: Backend = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def cache(backend: Backend) -> CacheManager:
    return backend.cache
