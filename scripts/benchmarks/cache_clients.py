"""Those who keep bytes under keys: `dal`'s stores, other libraries, and a floor for each kind of store.

Each is used as its documentation says, with connections and time-outs of its own choice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

TTL = 600


class Client(Protocol):
    """Bytes under keys."""

    name: str

    async def get(self, key: str) -> bytes | None:
        """Return the value."""

    async def set(self, key: str, value: bytes) -> object:
        """Store *value* for `TTL` seconds."""

    async def close(self) -> None:
        """Release what is held."""


class Store:
    """A store of `dal`, without the manager that encodes and decodes."""

    name = "dal"

    def __init__(self, url: str) -> None:
        from dal.cache.stores.memory import MemoryStore
        from dal.cache.stores.redis import RedisStore
        from dal.cache.stores.url import StoreUrl

        parsed = StoreUrl.parse(url)
        store = MemoryStore() if parsed.scheme == "memory" else RedisStore(parsed)
        self.get = store.get
        self.close = store.close
        self._set = store.set

    async def set(self, key: str, value: bytes) -> None:
        await self._set(key, value, TTL)


class RedisPy:
    """redis-py's asynchronous client, with its defaults."""

    name = "redis-py"

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        redis: Any = import_module("redis.asyncio")
        self._client = redis.Redis(host=address.hostname, port=address.port)
        self.get = self._client.get
        self.close = self._client.aclose

    async def set(self, key: str, value: bytes) -> None:
        await self._client.set(key, value, ex=TTL)


class Cashews:
    """cashews, in memory or on Redis."""

    name = "cashews"

    def __init__(self, url: str) -> None:
        cashews: Any = import_module("cashews")
        self._cache = cashews.Cache()
        self._cache.setup("mem://" if url == "memory://" else url)
        self.get = self._cache.get
        self.close = self._cache.close

    async def set(self, key: str, value: bytes) -> None:
        await self._cache.set(key, value, expire=TTL)


class Aiocache:
    """aiocache, in memory or on Redis, with the serializer that leaves bytes alone."""

    name = "aiocache"

    def __init__(self, url: str) -> None:
        aiocache: Any = import_module("aiocache")
        serializers: Any = import_module("aiocache.serializers")
        if url == "memory://":
            self._cache = aiocache.SimpleMemoryCache()
        else:
            redis: Any = import_module("aiocache.backends.redis")
            address = urlsplit(url)
            self._cache = redis.RedisCache(
                endpoint=address.hostname,
                port=address.port,
                serializer=serializers.NullSerializer(encoding=None),
            )
        self.get = self._cache.get
        self.close = self._cache.close

    async def set(self, key: str, value: bytes) -> None:
        await self._cache.set(key, value, ttl=TTL)


class Dictionary:
    """A dictionary with times at which entries end."""

    name = "a dictionary"

    def __init__(self, url: str) -> None:
        self._entries: dict[str, tuple[float, bytes]] = {}

    async def get(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        return None if entry is None or entry[0] < time.monotonic() else entry[1]

    async def set(self, key: str, value: bytes) -> None:
        self._entries[key] = (time.monotonic() + TTL, value)

    async def close(self) -> None:
        self._entries.clear()


class RawSocket(asyncio.Protocol):
    """One socket that speaks the protocol: what is asked goes out at once, replies come in the same order."""

    name = "a raw socket"

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[bytes | None]] = deque()
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._future: Callable[[], asyncio.Future[bytes | None]] = asyncio.get_running_loop().create_future

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Return one that is connected."""
        address = urlsplit(url)
        _, client = await asyncio.get_running_loop().create_connection(
            cls, address.hostname or "", address.port or 6379
        )
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def get(self, key: str) -> bytes | None:
        return await self._ask(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key.encode()))

    async def set(self, key: str, value: bytes) -> None:
        head = b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n" % (len(key), key.encode(), len(value))
        await self._ask(head + value + b"\r\n$2\r\nEX\r\n$3\r\n%d\r\n" % TTL)

    async def close(self) -> None:
        assert self._transport is not None
        self._transport.close()
        await asyncio.sleep(0)

    def _ask(self, command: bytes) -> asyncio.Future[bytes | None]:
        assert self._transport is not None
        future = self._future()
        self._waiting.append(future)
        self._transport.write(command)
        return future

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        begin = 0
        while (line := buffer.find(b"\r\n", begin)) >= 0:
            end = line + 2
            value: bytes | None = None
            if buffer[begin] == ord("$") and (length := int(buffer[begin + 1 : line])) >= 0:
                end += length + 2
                if len(buffer) < end:
                    break
                value = bytes(buffer[line + 2 : end - 2])
            self._waiting.popleft().set_result(value)
            begin = end
        del buffer[:begin]
