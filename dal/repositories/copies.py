"""Cached copies of what the database holds.

The database is the authority. A cache that is away, or that holds something else than it should, costs
time and never fails a caller; a copy that a write made stale is removed once the write is committed.
Inside a caller's transaction no copy is read or made, since nobody else may see its uncommitted state.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from dal.cache import CacheManager
from dal.errors import CacheError, CacheValueError
from dal.executor import Executor
from dal.transaction import Transaction

T = TypeVar("T")

_log = logging.getLogger(__name__)


class CachedCopies:
    """The copies that a repository keeps in a cache; without a cache there are none."""

    def __init__(self, cache: CacheManager | None, executor: Executor) -> None:
        self._cache = cache
        self._usable = None if isinstance(executor, Transaction) else cache

    async def get(self, key: str, kind: TypeAdapter[T]) -> T | None:
        """Return the copy under *key*, None if there is none that is valid."""
        if self._usable is None:
            return None
        try:
            value = await self._usable.get(key)
            return None if value is None else kind.validate_python(value)
        except CacheError as error:
            _log.warning("the cache cannot be read, the database answers: %s", error)
        except ValidationError as error:
            _log.warning("a cached copy is no valid %s and counts as a miss", error.title)
        return None

    async def put(
        self,
        key: str,
        kind: TypeAdapter[T],
        value: T,
        *,
        ttl: int | None = None,
        still_valid: Callable[[], Awaitable[bool]],
    ) -> None:
        """Keep a copy of *value* under *key*.

        Args:
            ttl: Seconds; None for the family's own.
            still_valid: Asked once the copy is there. A write that was committed after *value* was read
                may have looked for the copy too early; the answer False removes it.
        """
        if self._usable is None:
            return
        try:
            await self._usable.set(key, kind.dump_python(value, mode="json"), ttl)
        except CacheValueError as error:
            _log.warning("a copy does not fit the cache: %s", error)
        except CacheError as error:
            _log.warning("the cache cannot be written: %s", error)  # the copy may be there all the same
        if not await still_valid():
            await self._forget((key,))

    def forget_after(self, tx: Transaction, keys: Iterable[str]) -> None:
        """Remove the copies under *keys* as soon as *tx* is committed."""
        stale = tuple(keys)
        if self._cache is not None and stale:
            tx.after_commit(lambda: self._forget(stale))

    async def _forget(self, keys: Iterable[str]) -> None:
        if self._cache is None:
            return
        for key in keys:
            try:
                await self._cache.delete(key)
            except CacheError as error:
                _log.warning("a stale copy could not be removed and may be read until it expires: %s", error)
