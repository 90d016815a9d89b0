"""One connection of redis-py, driven by a lane: redis-py connects, logs in, and parses; time is the lane's.

The lane needs three things that redis-py's connections do not offer: replies without a timer and several
calls around each, a look at whether the server has hung up, and an end that waits for nobody. Tracking, which
has a connection of its own, needs the same, and what the server sends of itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Connection, SSLConnection
from redis.asyncio.retry import Retry  # redis.Retry is accepted too, and disables the retry settings
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

from dal.cache.stores.url import StoreUrl
from dal.errors import CacheError


class Wire(Connection):
    """A plain connection that one lane owns."""

    async def open(self) -> None:
        """Connect, log in, choose the database."""
        await self.connect()  # type: ignore[no-untyped-call]

    async def is_usable(self) -> bool:
        """True if it is open, the server has not hung up, and nothing came that nobody asked for."""
        parser: Any = self._parser  # the base class does not name what every parser has
        return self._reader is not None and not await parser.can_read()

    async def send(self, packed: Iterable[bytes]) -> None:
        """Write all of *packed*."""
        if self._writer is None:
            raise RedisConnectionError("the connection was dropped")
        self._writer.writelines(packed)
        await self._writer.drain()

    async def receive(self) -> Any:
        """Return the next reply; an error that the server answered is returned, not raised."""
        parser: Any = self._parser
        return await parser.read_response()

    async def receive_or_push(self) -> Any:
        """Return the next reply, or what the server sends of itself, a list; for protocol 3."""
        parser: Any = self._parser
        return await parser.read_response(push_request=True)

    def drop(self) -> None:
        """Close at once. Whoever waits for a reply gets an error."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            self._parser.on_disconnect()  # type: ignore[no-untyped-call]
            # close() would wait until the peer has taken what was written.
            writer.transport.abort()


class TlsWire(Wire, SSLConnection):
    """A connection over TLS that one lane owns."""

    async def open(self) -> None:
        """Connect, log in, choose the database."""
        if self.ssl_context.context is None:
            await asyncio.to_thread(self.ssl_context.get)  # reads the certificates that the machine trusts
        await super().open()


def tracking_wire(url: StoreUrl) -> Wire:
    """Return a connection, not yet open, over which the server may say what nobody asked for."""
    [wire] = wires(url, 1, protocol=3)
    parser: Any = wire._parser
    parser.set_invalidation_push_handler(_as_it_is)
    return wire


async def _as_it_is(message: list[Any]) -> list[Any]:
    return message


def wires(url: StoreUrl, count: int, *, protocol: int = 2) -> list[Wire]:
    """Return *count* connections, not yet open, to the server that *url* names."""
    settings: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "db": url.database,
        "username": url.username,
        "password": url.password,
        "socket_timeout": None,  # the lane has a deadline for everything
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "protocol": protocol,
        # https://github.com/redis/redis-py/issues/4252
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "driver_info": None,
        "decode_responses": False,
        "health_check_interval": 0,
    }
    if url.scheme != "rediss":
        return [Wire(**settings) for _ in range(count)]
    settings |= {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": url.options.get("cafile"),
    }
    secure = [TlsWire(**settings) for _ in range(count)]
    for wire in secure:
        wire.ssl_context = secure[0].ssl_context
    return list(secure)


def packed(*words: str | bytes | int) -> bytes:
    """Return a command as it is sent.

    Raises:
        CacheError: A word is no Unicode text.
    """
    try:
        pieces = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if type(word) is bytes else str(word).encode()
            pieces += (b"$%d\r\n" % len(data), data, b"\r\n")
    except UnicodeEncodeError:
        raise CacheError("the key holds a lone surrogate, which is no text") from None
    return b"".join(pieces)
