"""The commands of a `Store` in the words of Redis, and which lane carries each.

The commands of a key go over one lane, in order: what a cancelled call has sent already is done before what
comes later. Large values have a lane of their own, so that small ones do not wait behind them.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import weakref
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from dal.cache.stores.base import Listener, WrongType
from dal.cache.stores.redis.breaker import Breaker
from dal.cache.stores.redis.lanes import Command, Lane
from dal.cache.stores.redis.tracking import RedisTracking
from dal.cache.stores.redis.wire import packed, tracking_wire, wires
from dal.cache.stores.url import StoreUrl
from dal.engines.deadlines import Deadlines
from dal.errors import CacheUnavailable
from dal.tasks import Background

TIMEOUT = 0.05
LARGE = 64 * 1024  # bytes from which a value goes over the lane for large ones

_SMALL_LANES = 2
_KEYS_KEPT = 1024  # keys whose values were large when they were last seen
_SCANNED = 1000  # keys that the server looks at in one step
_TOGETHER = 500  # keys that one command names
_FAREWELL_SECONDS = 1.0

# In each script what fails comes first, so that nothing is half done. A sum is read back as text: a number
# from Lua is a float.
_INCREMENT = """
redis.call('INCR', KEYS[1])
local total, left = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
if left < 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    left = tonumber(ARGV[1])
end
return {total, left}
"""
_UPDATE_HASH = """
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""
_SET_IF_HELD = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[1])
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
# By the server's clock: the processes' own may differ.
_FENCES = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs(KEYS) do
    local fences, last = {}, 0
    local function keep(token, finish)
        fences[#fences + 1] = token .. '@' .. string.format('%d', finish)
        last = math.max(last, finish)
    end
    local state = redis.call('GET', key)
    if state and string.sub(state, 1, 1) == '!' then
        for token, finish in string.gmatch(string.sub(state, 2), '(%S+)@(%d+)') do
            if token ~= ARGV[1] and tonumber(finish) > now then keep(token, tonumber(finish)) end
        end
    end
    if ARGV[2] ~= '0' then keep(ARGV[1], now + tonumber(ARGV[2])) end
    if last == 0 then
        redis.call('DEL', key)
    else
        redis.call('SET', key, '!' .. table.concat(fences, ' '), 'PXAT', string.format('%d', last))
    end
end
"""


class RedisStore:
    """A `Store` on the server that *url* names. Connections are opened when they are needed.

    It works in whatever event loop calls it, also in a forked process, with connections of that loop's own.
    """

    def __init__(self, url: StoreUrl) -> None:
        self._url = url
        self._timeout: float = url.options.get("timeout", TIMEOUT)
        self._large: dict[str, None] = {}  # the key that was seen large first comes first
        self._traffic: _Traffic | None = None
        self._trackings: list[RedisTracking] = []

    def __repr__(self) -> str:
        return f"RedisStore({self._url})"

    async def get(self, key: str, /) -> bytes | None:
        value: bytes | None = await self._send(key, "GET", packed("GET", key), repeatable=True).future
        if value is not None and len(value) >= LARGE:
            self._remember(key)
        return value

    async def get_with_ttl(self, key: str, /) -> tuple[bytes, float] | None:
        both = packed("GET", key) + packed("PTTL", key)
        value, left = await self._send(key, "GET", both, replies=2, repeatable=True).future
        if value is None or left == -2:  # it may end between the two
            return None
        if len(value) >= LARGE:
            self._remember(key)
        return value, math.inf if left == -1 else left / 1000

    async def get_many(self, keys: Sequence[str], /) -> list[bytes | None]:
        groups = self._by_lane(keys)
        commands = [(lane, "MGET", packed("MGET", *group)) for lane, group in groups]
        found: dict[str, bytes | None] = {}
        for (_, group), values in zip(groups, await _all(commands, repeatable=True), strict=True):
            found |= zip(group, values, strict=True)
        return [found[key] for key in keys]

    async def set(self, key: str, data: bytes, ttl: float, /) -> None:
        if len(data) >= LARGE:
            self._remember(key)
        await self._send(key, "SET", packed("SET", key, data, "PX", _milliseconds(ttl))).future

    async def set_many(self, items: Sequence[tuple[str, bytes, float]], /) -> None:
        for key, data, _ in items:
            if len(data) >= LARGE:
                self._remember(key)
        lanes = self._lanes()
        await _all(
            [
                (lanes.of(key, self._large), "SET", packed("SET", key, data, "PX", _milliseconds(ttl)))
                for key, data, ttl in items
            ]
        )

    async def delete(self, key: str, /) -> None:
        await self._send(key, "UNLINK", packed("UNLINK", key)).future

    async def delete_many(self, keys: Sequence[str], /) -> None:
        await _all([(lane, "UNLINK", packed("UNLINK", *group)) for lane, group in self._by_lane(keys)])

    async def delete_prefix(self, prefix: str, /) -> int:
        """Remove every key that begins with *prefix*; the timeout holds for each step of the search."""
        pattern = re.sub(r"([*?\[\]^\\-])", r"\\\1", prefix) + "*"
        cursor = b"0"
        removed = 0
        while True:
            scan = packed("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED)
            cursor, found = await self._lanes().large.submit("SCAN", scan, repeatable=True).future
            for start in range(0, len(found), _TOGETHER):
                unlink = packed("UNLINK", *found[start : start + _TOGETHER])
                removed += await self._lanes().large.submit("UNLINK", unlink).future
            if cursor == b"0":
                return removed

    async def increment(self, key: str, ttl: float, /) -> tuple[int, float]:
        script = packed("EVAL", _INCREMENT, 1, key, _milliseconds(ttl))
        total, left = await self._send(key, "EVAL", script).future
        return int(total), left / 1000

    async def get_hash(self, key: str, /) -> dict[str, bytes] | None:
        flat = await self._send(key, "HGETALL", packed("HGETALL", key), repeatable=True).future
        try:
            return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)} or None
        except UnicodeDecodeError:
            raise WrongType("the hash has a field whose name is no text") from None

    async def set_hash(self, key: str, fields: Mapping[str, bytes], ttl: float, /) -> None:
        transaction = (
            packed("MULTI"),
            packed("DEL", key),
            packed("HSET", key, *_flat(fields)),
            packed("PEXPIRE", key, _milliseconds(ttl)),
            packed("EXEC"),
        )
        await self._send(key, "HSET", b"".join(transaction), replies=len(transaction)).future

    async def update_hash(self, key: str, fields: Mapping[str, bytes], ttl: float, /) -> None:
        script = packed("EVAL", _UPDATE_HASH, 1, key, _milliseconds(ttl), *_flat(fields))
        await self._send(key, "HSET", script).future

    async def touch(self, key: str, ttl: float, /) -> bool:
        command = packed("PEXPIRE", key, _milliseconds(ttl))
        return bool(await self._send(key, "PEXPIRE", command).future)

    async def acquire(self, key: str, token: str, ttl: float, /) -> bool:
        command = packed("SET", key, token, "NX", "PX", _milliseconds(ttl))
        return await self._send(key, "SET", command).future is not None

    async def set_if_held(self, lease_key: str, token: str, key: str, data: bytes, ttl: float, /) -> bool:
        if len(data) >= LARGE:
            self._remember(key)
        script = packed("EVAL", _SET_IF_HELD, 2, lease_key, key, token, data, _milliseconds(ttl))
        return bool(await self._send(key, "EVAL", script).future)

    async def release(self, lease_key: str, token: str, /) -> None:
        await self._send(lease_key, "EVAL", packed("EVAL", _RELEASE, 1, lease_key, token)).future

    async def fence(self, keys: Sequence[str], token: str, ttl: float, /) -> None:
        script = packed("EVAL", _FENCES, len(keys), *keys, token, _milliseconds(ttl))
        await self._send(keys[0], "EVAL", script).future

    async def lift(self, keys: Sequence[str], token: str, /) -> None:
        await self._send(keys[0], "EVAL", packed("EVAL", _FENCES, len(keys), *keys, token, 0)).future

    async def delete_with_leases(self, keys: Sequence[tuple[str, str]], /) -> None:
        leases = dict(keys)
        commands = []
        for lane, group in self._by_lane(leases):
            pairs = chain.from_iterable((key, leases[key]) for key in group)
            commands.append((lane, "UNLINK", packed("UNLINK", *pairs)))
        await _all(commands)

    def track(self, prefixes: Sequence[str], listener: Listener, /) -> RedisTracking:
        tracking = RedisTracking(self._url, tracking_wire(self._url), self._timeout, prefixes, listener)
        self._trackings.append(tracking)
        _living.add(tracking)
        return tracking

    async def close(self) -> None:
        for tracking in self._trackings:
            await tracking.close()
        traffic, self._traffic = self._traffic, None
        if traffic is not None and traffic.loop is asyncio.get_running_loop():
            await traffic.close()

    def _send(
        self, key: str, name: str, data: bytes, *, replies: int = 1, repeatable: bool = False
    ) -> Command:
        return self._lanes().of(key, self._large).submit(name, data, replies=replies, repeatable=repeatable)

    def _lanes(self) -> _Traffic:
        """Return the lanes of this event loop.

        Raises:
            CacheUnavailable: The server is away, and it is not this call that finds out whether it still is.
        """
        traffic = self._traffic
        if traffic is None or traffic.loop is not asyncio.get_running_loop():
            traffic = self._traffic = _Traffic(self._url, self._timeout)
        breaker = traffic.breaker
        if breaker.is_open and not breaker.lets_a_probe_pass():
            raise traffic.away()
        return traffic

    def _by_lane(self, keys: Iterable[str]) -> list[tuple[Lane, list[str]]]:
        """Return *keys*, each once, by the lane that carries them, some hundred at a time."""
        lanes = self._lanes()
        groups: dict[Lane, list[str]] = {}
        for key in dict.fromkeys(keys):
            groups.setdefault(lanes.of(key, self._large), []).append(key)
        return [
            (lane, group[start : start + _TOGETHER])
            for lane, group in groups.items()
            for start in range(0, len(group), _TOGETHER)
        ]

    def _remember(self, key: str) -> None:
        self._large.setdefault(key)
        if len(self._large) > _KEYS_KEPT:
            del self._large[next(iter(self._large))]


class _Traffic:
    """The lanes of one event loop."""

    def __init__(self, url: StoreUrl, timeout: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.breaker = Breaker(f"the cache at {url}", timeout, self.loop.time, self._give_up)
        self._url = url
        self._deadlines = Deadlines(self.loop)
        self._background = Background()
        lanes = [
            Lane(url, wire, timeout, self.breaker, self._deadlines, self._background)
            for wire in wires(url, _SMALL_LANES + 1)
        ]
        *self._small, self.large = lanes
        _living.add(self)

    def of(self, key: str, large: Mapping[str, None]) -> Lane:
        """Return the lane of *key*."""
        return self.large if key in large else self._small[hash(key) % _SMALL_LANES]

    def away(self) -> CacheUnavailable:
        """Return the error of a call that is not even tried."""
        return CacheUnavailable(
            f"the cache at {self._url} is away; calls fail at once until it answers ({self.breaker.reason})"
        )

    async def close(self) -> None:
        """Fail what is under way, and end the pumps and connections."""
        for lane in self._lanes:
            lane.stop()
        await self._background.join(_FAREWELL_SECONDS)
        self._deadlines.close()

    def _give_up(self) -> None:
        for lane in self._lanes:
            lane.give_up(self.away)

    @property
    def _lanes(self) -> tuple[Lane, ...]:
        return (*self._small, self.large)


_living: weakref.WeakSet[_Traffic | RedisTracking] = weakref.WeakSet()
_of_the_parent: list[_Traffic | RedisTracking] = []


def _after_fork() -> None:
    """A forked process shares its parent's sockets and selector: what it closed would be closed there."""
    _of_the_parent.extend(_living)


os.register_at_fork(after_in_child=_after_fork)


def _milliseconds(ttl: float) -> int:
    return max(1, math.ceil(ttl * 1000))


def _flat(fields: Mapping[str, bytes]) -> list[str | bytes]:
    return [word for pair in fields.items() for word in pair]


async def _all(commands: Sequence[tuple[Lane, str, bytes]], *, repeatable: bool = False) -> list[Any]:
    """Return the replies to all *commands*; raise the first error once all have ended."""
    sent = [lane.submit(name, data, repeatable=repeatable).future for lane, name, data in commands]
    replies = await asyncio.gather(*sent, return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
    return replies
