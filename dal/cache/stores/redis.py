"""The cache on a Redis or Valkey server (7 or later): the only module that imports redis.

One deadline covers a whole operation: waiting for a connection, connecting, sending, and the answer.
Nothing is ever repeated: an increment whose answer was lost may have been counted. Every error of the
library becomes `CacheUnavailable`, or `CacheError` where the server answered that it will not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any, TypeVar

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry  # redis.Retry is accepted too, and disables the retry settings
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    DataError,
    InvalidResponse,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig

from dal.cache.stores.base import WrongType
from dal.cache.stores.url import StoreUrl
from dal.errors import CacheError, CacheUnavailable

T = TypeVar("T")

TIMEOUT = 0.25
CONNECTIONS = 16

# One script, so that no counter is ever left without an end. The sum is read back as text: a number
# from Lua is a float. After an INCR that fails nothing else runs, which MULTI does not promise.
_INCREMENT = """
redis.call('INCR', KEYS[1])
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return redis.call('GET', KEYS[1])
"""

_UNABLE = (ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError)
# What a server answers may quote the key, the value or the login: it is neither shown nor chained.
_QUOTING = (ResponseError, AuthenticationError, InvalidResponse, DataError)
_WRONG_TYPE = ("WRONGTYPE", "value is not an integer", "increment or decrement would overflow")


class RedisStore:
    """A `Store` on the server that *url* names. Connections are opened when they are needed."""

    def __init__(self, url: StoreUrl) -> None:
        self._url = url
        self._timeout: float = url.options.get("timeout", TIMEOUT)
        # redis-py's own waiting pool lets a caller wait for as long as others are faster.
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._pool = ConnectionPool(
            max_connections=CONNECTIONS + 2, **_connection_settings(url, self._timeout)
        )
        self._client = Redis(connection_pool=self._pool)

    def __repr__(self) -> str:
        return f"RedisStore({self._url})"

    async def get(self, key: str, /) -> bytes | None:
        value: bytes | None = await self._command("GET", key)
        return value

    async def set(self, key: str, value: bytes, ttl: int, /) -> None:
        await self._command("SET", key, value, "EX", ttl)

    async def get_hash(self, key: str, /) -> dict[bytes, bytes] | None:
        fields: dict[bytes, bytes] = await self._command("HGETALL", key)
        return fields or None

    async def set_hash(self, key: str, fields: dict[bytes, bytes], ttl: int, /) -> None:
        async def replace() -> None:
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.execute_command("DEL", key)
                pipeline.execute_command("HSET", key, *chain.from_iterable(fields.items()))
                pipeline.execute_command("EXPIRE", key, ttl)
                await pipeline.execute()

        await self._call("HSET", replace)

    async def delete(self, key: str, /) -> None:
        await self._command("UNLINK", key)

    async def increment(self, key: str, ttl: int, /) -> int:
        return int(await self._command("EVAL", _INCREMENT, 1, key, ttl))

    async def close(self) -> None:
        # Nobody waits for a server that does not answer the goodbye.
        with contextlib.suppress(Exception):
            await self._pool.aclose()

    async def _command(self, name: str, *arguments: str | bytes | int) -> Any:
        return await self._call(
            name,
            lambda: self._client.execute_command(name, *arguments),  # type: ignore[no-untyped-call]
        )

    async def _call(self, name: str, command: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                return await command()
        except TimeoutError:
            raise CacheUnavailable(
                f"the cache at {self._url} did not answer {name} within {self._timeout:g} s"
            ) from None
        except Exception as error:  # redis-py lets errors through that are not its own
            raise self._translated(name, error) from (None if isinstance(error, _QUOTING) else error)

    def _translated(self, name: str, error: Exception) -> CacheError:
        what = type(error).__name__
        if isinstance(error, AuthenticationError):
            return CacheUnavailable(f"the cache at {self._url} refused the login; check user and password")
        if isinstance(error, RedisTimeoutError):
            return CacheUnavailable(f"the cache at {self._url} did not answer {name} in time")
        if isinstance(error, RedisConnectionError | OSError):
            return CacheUnavailable(f"the cache at {self._url} cannot be reached for {name} ({what})")
        if isinstance(error, _UNABLE) or str(error).startswith("MISCONF"):
            return CacheUnavailable(f"the cache at {self._url} cannot do {name} now ({what})")
        if isinstance(error, ResponseError) and str(error).startswith(_WRONG_TYPE):
            return WrongType(f"the cache cannot do {name}: another kind of value lies under the key")
        if isinstance(error, ResponseError | DataError):
            return CacheError(f"the cache at {self._url} refused {name} ({what})")
        return CacheUnavailable(f"the connection to the cache at {self._url} broke in {name} ({what})")


def _connection_settings(url: StoreUrl, timeout: float) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "connection_class": Connection,
        "host": url.host,
        "port": url.port,
        "db": url.database,
        "username": url.username,
        "password": url.password,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        # With them on, a connection that the server closed while idle is not noticed before it is used:
        # https://github.com/redis/redis-py/issues/4252
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "driver_info": None,
        "decode_responses": False,
        "health_check_interval": 0,
    }
    if url.scheme == "rediss":
        settings |= {
            "connection_class": SSLConnection,
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": url.options.get("cafile"),
        }
    return settings
