"""CacheManager: typed values under keys, in the process or on a Redis server.

The key's family decides how a value is stored and for how long. What cannot be read counts as a miss. A store
that is away is neither: every method then raises `CacheUnavailable`, and the caller decides what to do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dal.cache import codec
from dal.cache.families import FAMILIES, MAX_TTL, KeyFamilies, KeyFamily
from dal.cache.stores.base import Store, WrongType
from dal.cache.stores.memory import MemoryStore
from dal.cache.stores.url import StoreUrl
from dal.errors import CacheError, ConfigurationError, UsageError

if TYPE_CHECKING:
    from dal.settings import Settings

_log = logging.getLogger(__name__)


class CacheManager:
    """A cache of values under declared key families.

    Args:
        url: ``memory://`` (the default), ``redis://`` or ``rediss://``. What ``memory://`` holds lasts from
            connect to disconnect.
        families: The families whose keys are accepted.
        settings: Where the URL comes from if none is given.
        clock: Seconds that only go forward; for ``memory://``.

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
        self._store: Store | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"CacheManager({self._url})"

    async def connect(self) -> None:
        """Make the cache ready for this event loop; nothing happens if it is.

        No server is contacted: an application starts also while its cache is away.

        Raises:
            UsageError: It is connected in another event loop that still runs.
        """
        if self._store is not None and not self._left_behind():
            return
        self._store = self._open()
        self._loop = asyncio.get_running_loop()

    async def disconnect(self) -> None:
        """Close all connections; nothing happens if there are none. Calls still under way fail.

        Raises:
            UsageError: It is connected in another event loop that still runs.
        """
        if self._store is None:
            return
        left_behind = self._left_behind()
        store, self._store, self._loop = self._store, None, None
        if not left_behind:
            await store.close()

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
        """Return the value under *key*, None if there is none.

        A hash comes back as a dictionary, a counter as an integer, a stored model in its JSON form. What
        cannot be read (damaged, too large, of another kind) is a miss, and is logged without the key.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheUnavailable: The store did not answer.
        """
        store, family = self._use(key)
        try:
            if family.type == "hash":
                fields = await store.get_hash(key)
                return None if fields is None else codec.decode_fields(fields)
            data = await store.get(key)
            return None if data is None else await codec.decode(family, data)
        except (codec.Unreadable, WrongType) as error:
            _log.warning("key family %s: what lies under a key counts as a miss: %s", family.name, error)
            return None

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
        store, family = self._use(key)
        seconds = family.ttl if ttl is None else _checked_ttl(family, ttl)
        if family.type == "hash":
            await store.set_hash(key, codec.encode_fields(family, value), seconds)
        else:
            await store.set(key, await codec.encode(family, value), seconds)

    async def delete(self, key: str) -> None:
        """Remove what lies under *key*, if anything.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheUnavailable: The store did not answer; the old value may still be there.
        """
        store, _ = self._use(key)
        await store.delete(key)

    async def increment(self, key: str) -> int:
        """Add one to a counter, from zero if there is none, and return the sum.

        The family's time to live begins with the first increment; later ones do not prolong it.

        Raises:
            UnknownKeyFamily: *key* belongs to none.
            CacheError: The family is no counter, or what lies there is no integer, or the largest one.
            CacheUnavailable: The store did not answer. It is not asked again: the increment may have
                been counted, once.
        """
        store, family = self._use(key)
        if family.type != "counter":
            raise CacheError(f"key family {family.name} is a {family.type}; increment takes a counter")
        try:
            return await store.increment(key, family.ttl)
        except WrongType as error:
            raise CacheError(f"key family {family.name}: {error}") from None

    def _use(self, key: str) -> tuple[Store, KeyFamily]:
        if self._store is None:
            raise UsageError("the cache is not connected; call connect(), or use it in `async with`")
        if self._loop is not asyncio.get_running_loop():
            raise UsageError(_ANOTHER_LOOP)
        return self._store, self._families.of(key)

    def _left_behind(self) -> bool:
        """True if the event loop it was connected in has ended; refuse one that has not."""
        if self._loop is asyncio.get_running_loop():
            return False
        if self._loop is None or self._loop.is_closed():
            return True
        raise UsageError(_ANOTHER_LOOP)


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


def _checked_ttl(family: KeyFamily, ttl: int) -> int:
    if type(ttl) is not int or not 0 < ttl <= MAX_TTL:
        raise CacheError(
            f"key family {family.name}: ttl must be a whole number of seconds from 1 to {MAX_TTL}"
        )
    return ttl
