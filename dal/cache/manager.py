"""CacheManager: typed values under keys, in the process or on a Redis server.

The key's family decides how a value is stored and for how long. What cannot be read counts as a miss. A store
that is away is neither: `CacheUnavailable` is raised, unless the family says what to do without it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dal.cache import codec, near
from dal.cache.deletions import Deletions
from dal.cache.failures import Failures
from dal.cache.families import FAMILIES, LEASE_PREFIX, MAX_TTL, MIN_TTL, KeyFamilies, KeyFamily, is_ttl
from dal.cache.flights import Flights
from dal.cache.limits import Limiter, RateLimit
from dal.cache.loads import Loaded, Loads
from dal.cache.reads import Reader
from dal.cache.sessions import Sessions
from dal.cache.statistics import FamilyStatistics, Statistics
from dal.cache.stores.base import Store, WrongType
from dal.cache.stores.memory import MemoryStore
from dal.cache.stores.url import StoreUrl
from dal.cache.tables import Tables
from dal.errors import CacheError, ConfigurationError, UsageError
from dal.tasks import Background

if TYPE_CHECKING:
    from dal.settings import Settings


class CacheManager:
    """A cache of values under declared key families.

    Args:
        url: ``memory://`` (the default), ``redis://`` or ``rediss://``. What ``memory://`` holds lasts from
            connect to disconnect.
        families: The families whose keys are accepted.
        settings: Where the URL comes from if none is given.
        clock: Seconds that only go forward: for ``memory://``, and for what is measured in this process.

    Raises:
        ConfigurationError: The URL is wrong, or the redis package is missing.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        families: KeyFamilies = FAMILIES,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if url is None:
            url = settings.cache.url.get_secret_value() if settings else "memory://"
        self._url = StoreUrl.parse(url)
        self._families = families
        self._open = _opener(self._url, clock)
        self._clock = clock
        self._parts: _Parts | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"CacheManager({self._url})"

    async def connect(self) -> None:
        """Make the cache ready for this event loop; nothing happens if it is.

        No server is contacted: an application starts also while its cache is away.

        Raises:
            UsageError: It is connected in another event loop that still runs.
        """
        if self._parts is not None and not self._left_behind():
            return
        self._parts = _Parts(self._open(), self._families, self._clock, self._url)
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()

    async def disconnect(self) -> None:
        """Close all connections; nothing happens if there are none. Calls still under way fail, loads too.

        Raises:
            UsageError: It is connected in another event loop that still runs.
        """
        if self._parts is None:
            return
        left_behind = self._left_behind()
        parts, self._parts, self._loop = self._parts, None, None
        if not left_behind:
            await parts.close()

    async def __aenter__(self) -> CacheManager:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()

    async def get(self, key: str) -> Any | None:
        """Return the value under *key*, None if there is none that is fresh.

        A hash comes back as a dictionary, a counter as an integer, a stored model in its JSON form unless its
        family declares the model. What cannot be read (damaged, too large, of another kind) is a miss, and
        is logged without the key.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheUnavailable: The store did not answer.
        """
        parts, family = self._use(key)
        return await parts.reader.get(family, key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the value under each of *keys* that has one, as `get` does.

        Raises:
            UnknownKeyFamily: One of them belongs to none.
            CacheUnavailable: The store did not answer.
        """
        wanted = list(dict.fromkeys(keys))
        parts = self._connected()
        return await parts.reader.get_many([(self._families.of(key), key) for key in wanted])

    async def get_or_load(
        self, key: str, loader: Callable[[], Awaitable[Any]], ttl: int | None = None
    ) -> Loaded:
        """Return the value under *key*, or else what *loader* brings, which is then stored.

        ``value, state = await cache.get_or_load(key, loader)``; the state says whether it was there
        (``hit``), was loaded (``miss``), is beyond its time because its load fails (``stale``), or was
        loaded and not stored because the store is away (``unavailable``).

        However many callers want the key, in however many processes, one load runs. It belongs to the cache:
        a caller who is cancelled harms nobody else, and *loader* sees nothing of a caller's context. It is
        cancelled after its family's deadline, or when nobody waits for it any more. Where the family
        says so, a value is loaded anew in the background before it ends, and a stale one is served while
        its load fails. A value that was loaded before a `delete` began is never stored after it.

        Args:
            key: A key of a family that holds single values.
            loader: Called without arguments. What it returns comes back as a later hit would give it. None,
                and what does not fit the family, is returned as it is and not stored.
            ttl: Seconds that it is fresh; None for the family's own.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            LoadTimeout: The load took longer than its family allows.
            CacheOverloaded: The store is away, and too many loads of the family are under way.
            CacheUnavailable: The store is away, and the family says that nothing is to be loaded then.
            Exception: Whatever *loader* raised, if there is no stale value to serve.
        """
        parts, family = self._use(key)
        if family.type != "string":
            raise CacheError(f"key family {family.name} is a {family.type}; get_or_load takes single values")
        return await parts.loads.get_or_load(family, key, loader, _seconds(family, ttl))

    async def set(self, key: str, value: Any, ttl: int | None = None) -> None:
        """Store *value* under *key*, whatever was there.

        Args:
            key: A key of a family; `KeyFamily.key` builds it.
            value: What JSON has, or a Pydantic model. For a hash a dictionary or a model, which replaces
                all fields; for a counter an integer to go on from.
            ttl: Seconds that it is kept; None for the family's own.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheValueError: *value* does not fit the family, is no strict JSON, or is too large.
            CacheUnavailable: The store did not answer; the value may be stored all the same.
        """
        parts, family = self._use(key)
        seconds = _seconds(family, ttl)
        if family.type == "hash":
            fields = await codec.encode_fields(family, value)
            await parts.deletions.settle(key)
            await parts.store.set_hash(key, fields, seconds)
            return
        data = await codec.encode(family, value)
        await parts.forget_loads(key)
        await parts.store.set(key, data, seconds + family.stale_for)

    async def set_many(self, values: Mapping[str, Any], ttl: int | None = None) -> None:
        """Store each value under its key, as `set` does. Nothing is stored if one of them is refused.

        Raises:
            UnknownKeyFamily: A key belongs to none.
            CacheError: A family is a hash.
            CacheValueError: A value does not fit its family, is no strict JSON, or is too large.
            CacheUnavailable: The store did not answer; some values may be stored all the same.
        """
        parts = self._connected()
        items = []
        for key, value in values.items():
            family = self._families.of(key)
            if family.type == "hash":
                raise CacheError(f"key family {family.name} is a hash; set_many takes single values")
            seconds = _seconds(family, ttl) + family.stale_for
            items.append((key, await codec.encode(family, value), seconds))
        for key in values:
            await parts.forget_loads(key)
        await parts.store.set_many(items)

    async def delete(self, key: str) -> None:
        """Remove what lies under *key*, if anything. No load that is under way stores what it read before.

        Other processes that keep copies, as the family's `near` says, drop theirs when the server tells them.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheUnavailable: The store did not answer; others may still read the old value. This process
                does not, and repeats the deletion until it is done.
        """
        await self.delete_many((key,))

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Remove what lies under *keys*, as `delete` does.

        Raises:
            UnknownKeyFamily: One of them belongs to none; nothing is removed.
            CacheUnavailable: The store did not answer; as with `delete`.
        """
        parts = self._connected()
        pairs = [(self._families.of(key), key) for key in keys]
        for _, key in pairs:
            parts.flights.part_from(key)
            parts.failures.forget(key)
        await parts.deletions.delete(pairs)

    async def invalidate(self, family: str, **parts: str) -> int:
        """Remove all keys of *family*, or those with these leading parts; return how many there were.

        ``await cache.invalidate("github_repo", owner="encode")``. Loads under way are kept from storing, as
        by `delete`. A server is asked for all its keys: this is for a change that many keys show.

        Raises:
            UnknownKeyFamily: There is no such family.
            CacheError: *parts* are not the first ones of its pattern.
            CacheUnavailable: The store did not answer; as with `delete`.
        """
        inner = self._connected()
        named = self._families[family]
        prefix = named.leading(**parts)
        inner.flights.part_from_prefix(prefix)
        inner.failures.forget_prefix(prefix)
        return await inner.deletions.delete_prefix(named, prefix)

    async def increment(self, key: str) -> int:
        """Add one to a counter, from zero if there is none, and return the sum.

        The family's time to live begins with the first increment; later ones do not prolong it.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheError: The family is no counter, or what lies there is no integer, or the largest one.
            CacheUnavailable: The store did not answer. It is not asked again: the increment may have
                been counted, once.
        """
        parts, family = self._use(key)
        if family.type != "counter":
            raise CacheError(f"key family {family.name} is a {family.type}; increment takes a counter")
        await parts.deletions.settle(key)
        try:
            return (await parts.store.increment(key, family.ttl))[0]
        except WrongType as error:
            raise CacheError(f"key family {family.name}: {error}") from None

    async def rate_limit(self, key: str, limit: int) -> RateLimit:
        """Count one call under *key* and say how it stands to *limit* calls in the family's time to live.

        While the store is away a family with the outage policy ``count`` counts in this process alone, and
        says so: `RateLimit.degraded`.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheError: The family is no counter, or *limit* is no whole number from 1.
            CacheUnavailable: The store did not answer, and the family does not count by itself.
        """
        parts, family = self._use(key)
        return await parts.limiter.count(family, key, limit)

    async def session_get(self, key: str) -> Any | None:
        """Return the session under *key*, None if there is none, and let its time to live begin anew.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheError: The family is no hash.
            CacheUnavailable: The store did not answer. That is not the same as no session.
        """
        parts, family = self._use(key)
        return await parts.sessions.get(family, key)

    async def session_set(self, key: str, fields: Mapping[str, Any]) -> None:
        """Set *fields* of the session under *key*, keep its others, and let its time to live begin anew.

        A session that is not there begins, with these fields alone. `set` replaces all fields.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheError: The family is no hash.
            CacheValueError: *fields* are none, or hold what is no strict JSON.
            CacheUnavailable: The store did not answer; the fields may be set all the same.
        """
        parts, family = self._use(key)
        await parts.sessions.set(family, key, fields)

    async def session_touch(self, key: str) -> bool:
        """Let the time to live of the session under *key* begin anew; False if there is no session.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheError: The family is no hash.
            CacheUnavailable: The store did not answer.
        """
        parts, family = self._use(key)
        return await parts.sessions.touch(family, key)

    def stats(self) -> dict[str, FamilyStatistics]:
        """Return what was done since `connect`, by the name of the family."""
        return self._connected().statistics.snapshot()

    def _connected(self) -> _Parts:
        if self._parts is None:
            raise UsageError("the cache is not connected; call connect(), or use it in `async with`")
        if self._loop is not asyncio.get_running_loop():
            raise UsageError(_ANOTHER_LOOP)
        return self._parts

    def _use(self, key: str) -> tuple[_Parts, KeyFamily]:
        return self._connected(), self._families.of(key)

    def _left_behind(self) -> bool:
        """True if its event loop has ended, or is the parent process's; refuse one that goes on."""
        if self._loop is asyncio.get_running_loop():
            return False
        if self._loop is None or self._loop.is_closed() or self._process != os.getpid():
            return True
        raise UsageError(_ANOTHER_LOOP)


class _Parts:
    """What works together from connect to disconnect."""

    def __init__(
        self, server: Store, families: KeyFamilies, clock: Callable[[], float], url: StoreUrl
    ) -> None:
        self.statistics = Statistics(family.name for family in families)
        self.store = store = near.in_front_of(
            *(server, families, self.statistics, clock),
            max_entries=url.options.get("near_entries", near.MAX_ENTRIES),
            max_bytes=url.options.get("near_bytes", near.MAX_BYTES),
        )
        self.failures = Failures(clock)
        self._background = Background()
        self.deletions = Deletions(store, self._background)
        self.tables = Tables(store, self._background)
        self.flights = Flights(self._background)
        self.reader = Reader(store, self.deletions, self.statistics)
        self.sessions = Sessions(store, self.reader, self.deletions)
        self.limiter = Limiter(store, self.deletions, self.statistics, clock)
        server_reader = Reader(server, self.deletions, self.statistics)
        self.loads = Loads(
            *(store, self.reader, server_reader, self.flights, self.failures, self.statistics),
            background=self._background,
            clock=clock,
        )

    async def forget_loads(self, key: str) -> None:
        """Make *key* ready to be set: nothing that was begun before will change it."""
        self.failures.forget(key)
        if self.deletions:
            await self.deletions.settle(key)
        if self.flights.part_from(key):
            await self.store.delete(LEASE_PREFIX + key)

    async def close(self) -> None:
        """End all loads and close the store."""
        await self.flights.close()
        await self.deletions.close()
        await self.tables.close()
        await self.store.close()


_ANOTHER_LOOP = "the cache is connected in another event loop; give each loop a CacheManager of its own"


def _opener(url: StoreUrl, clock: Callable[[], float]) -> Callable[[], Store]:
    if url.scheme == "memory":
        return lambda: MemoryStore(**url.options, clock=clock)
    try:
        from dal.cache.stores.redis import RedisStore
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise ConfigurationError(
            f"a cache at {url.scheme}:// needs the redis package: pip install dal[redis]"
        ) from None
    return lambda: RedisStore(url)


def _seconds(family: KeyFamily, ttl: int | None) -> int:
    if ttl is None:
        return family.ttl
    if not is_ttl(ttl):
        raise CacheError(
            f"key family {family.name}: ttl must be a whole number of seconds from {MIN_TTL} to {MAX_TTL}"
        )
    return ttl
