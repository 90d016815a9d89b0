"""Reading: what lies under a key, as a value, and for how long it is fresh.

A value stays in the store for its own time and then for as long as its family serves stale values. So it is
fresh while the store keeps it for longer than that, and nothing but the value itself is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from dal.cache import codec
from dal.cache.deletions import Deletions
from dal.cache.families import KeyFamily
from dal.cache.statistics import Statistics
from dal.cache.stores.base import Store, WrongType
from dal.errors import CacheUnavailable

_log = logging.getLogger(__name__)


class Found(NamedTuple):
    """What lies under a key.

    Attributes:
        fresh: Seconds that it stays fresh; zero or less if it is stale.
    """

    value: Any
    fresh: float


class Reader:
    """Reads values from *store*. What cannot be read counts as missing, and is logged without the key."""

    def __init__(self, store: Store, deletions: Deletions, statistics: Statistics) -> None:
        self._store = store
        self._deletions = deletions
        self._statistics = statistics

    async def find(self, family: KeyFamily, key: str) -> Found | None:
        """Return the single value under *key*, stale or not, None if there is none."""
        if self._deletions:
            await self._deletions.settle(key)
        try:
            found = await self._store.get_with_ttl(key)
            if found is None:
                return None
            return Found(await codec.decode(family, found[0]), found[1] - family.stale_for)
        except (codec.Unreadable, WrongType) as error:
            self.count_unreadable(family, error)
            return None

    async def get(self, family: KeyFamily, key: str) -> Any | None:
        """Return the fresh value under *key*, None if there is none."""
        statistics = self._statistics[family.name]
        try:
            value = await self._get(family, key)
        except CacheUnavailable:
            statistics.unavailable += 1
            raise
        if value is None:
            statistics.misses += 1
        else:
            statistics.hits += 1
        return value

    async def get_many(self, keys: Iterable[tuple[KeyFamily, str]]) -> dict[str, Any]:
        """Return the fresh value under each key that has one."""
        plain: list[tuple[KeyFamily, str]] = []  # what one command reads
        others: list[tuple[KeyFamily, str]] = []  # what takes one each
        for pair in keys:
            (others if pair[0].type == "hash" or pair[0].stale_for else plain).append(pair)
        if self._deletions:
            for _, key in plain:
                await self._deletions.settle(key)
        found: dict[str, Any]
        found, values = await asyncio.gather(
            self._get_plain(plain), asyncio.gather(*(self.get(family, key) for family, key in others))
        )
        found |= {key: value for (_, key), value in zip(others, values, strict=True) if value is not None}
        return found

    async def _get(self, family: KeyFamily, key: str) -> Any | None:
        if family.stale_for:
            found = await self.find(family, key)
            return found.value if found is not None and found.fresh > 0 else None
        if self._deletions:
            await self._deletions.settle(key)
        try:
            if family.type == "hash":
                fields = await self._store.get_hash(key)
                return None if fields is None else await codec.decode_fields(family, fields)
            data = await self._store.get(key)
            return None if data is None else await codec.decode(family, data)
        except (codec.Unreadable, WrongType) as error:
            self.count_unreadable(family, error)
            return None

    async def _get_plain(self, keys: list[tuple[KeyFamily, str]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for (family, key), data in zip(
            keys, await self._store.get_many([key for _, key in keys]), strict=True
        ):
            statistics = self._statistics[family.name]
            try:
                if data is not None:
                    found[key] = await codec.decode(family, data)
            except codec.Unreadable as error:
                self.count_unreadable(family, error)
            if key in found:
                statistics.hits += 1
            else:
                statistics.misses += 1
        return found

    def count_unreadable(self, family: KeyFamily, error: Exception) -> None:
        """Count a value that counts as a miss; the first of its family and reason is a line in the log."""
        self._statistics[family.name].unreadable += 1
        if self._statistics.is_new_reason(family.name, str(error)):
            _log.warning("key family %s: what lies under a key counts as a miss: %s", family.name, error)
