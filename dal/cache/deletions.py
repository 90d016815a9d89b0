"""Deletions that reach the store, sooner or later.

A deletion that the store did not answer is queued and repeated until it is done. Until then its keys are not
trusted: each call that wants one repeats the deletion first, and fails if that fails. So this process
never serves what it was told to forget. The queue is bounded: beyond, whole families are deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import Sequence
from typing import NamedTuple

from dal.cache.families import LEASE_PREFIX, KeyFamily
from dal.cache.stores.base import Store
from dal.errors import CacheError
from dal.tasks import Background

MAX_KEYS = 10_000
"""Queued keys; beyond, the families that they belong to are queued as a whole in place of them."""

MAX_PREFIXES = 100
"""The same for queued prefixes."""

_PAUSE = 0.25  # seconds between two attempts, about
_KEYS_AT_A_TIME = 500

_log = logging.getLogger(__name__)


class _Queued(NamedTuple):
    """A deletion that is to be repeated.

    Attributes:
        number: Its own. What is queued again while it is being repeated is another one, and stays queued.
        prefix: What all keys of its family begin with.
    """

    number: int
    prefix: str


class Deletions:
    """The way of every deletion to *store*."""

    def __init__(self, store: Store, background: Background) -> None:
        self._store = store
        self._background = background
        self._numbers = itertools.count()
        self._keys: dict[str, _Queued] = {}
        self._prefixes: dict[str, _Queued] = {}
        self._replay: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many keys and prefixes are queued."""
        return len(self._keys) + len(self._prefixes)

    async def delete(self, keys: Sequence[tuple[KeyFamily, str]]) -> None:
        """Remove *keys*, each with its family, and let no load under way store them.

        Raises:
            CacheError: It is not known to be done. It is queued.
        """
        try:
            await self._delete([key for _, key in keys])
        except BaseException:  # who is cancelled does not learn whether it was done either
            for family, key in keys:
                self._keys[key] = _Queued(next(self._numbers), family.prefix)
            if len(self._keys) > MAX_KEYS:
                self._prefixes |= self._whole_families(self._keys)
                self._keys.clear()
            self._begin_replay()
            raise

    async def delete_prefix(self, family: KeyFamily, prefix: str) -> int:
        """Remove all keys of *family* that begin with *prefix*, as `delete` does, and return their number.

        Raises:
            CacheError: It is not known to be done. It is queued.
        """
        try:
            return await self._delete_prefix(prefix)
        except BaseException:
            self._prefixes[prefix] = _Queued(next(self._numbers), family.prefix)
            if len(self._prefixes) > MAX_PREFIXES:
                self._prefixes = self._whole_families(self._prefixes)
            self._begin_replay()
            raise

    async def settle(self, key: str) -> None:
        """Do what is queued for *key*, so that what lies there can be trusted.

        Raises:
            CacheError: It could not be done.
        """
        for prefix, queued in list(self._prefixes.items()):
            if key.startswith(prefix):
                await self._delete_prefix(prefix)
                _drop(self._prefixes, prefix, queued)
        if key in self._keys:
            await self._replay_keys([key])

    async def close(self) -> None:
        """Try once more, and say in the log what was not done."""
        if self._replay is not None:
            self._replay.cancel()
            await asyncio.wait([self._replay])
        with contextlib.suppress(CacheError):
            await self._replay_all()
        if len(self):
            _log.error("the cache was disconnected before %d queued deletions reached its store", len(self))

    def _whole_families(self, queue: dict[str, _Queued]) -> dict[str, _Queued]:
        return {queued.prefix: _Queued(next(self._numbers), queued.prefix) for queued in queue.values()}

    def _begin_replay(self) -> None:
        if self._replay is None or self._replay.done():
            _log.warning("a deletion did not reach the cache's store; it is repeated until it does")
            self._replay = self._background.start(self._repeat())

    async def _repeat(self) -> None:
        while len(self):
            await asyncio.sleep(_PAUSE * random.uniform(0.5, 1.5))
            with contextlib.suppress(CacheError):
                await self._replay_all()
        _log.warning("all queued deletions have reached the cache's store")

    async def _replay_all(self) -> None:
        for prefix, queued in list(self._prefixes.items()):
            await self._delete_prefix(prefix)
            _drop(self._prefixes, prefix, queued)
        keys = list(self._keys)
        for start in range(0, len(keys), _KEYS_AT_A_TIME):
            await self._replay_keys(keys[start : start + _KEYS_AT_A_TIME])

    async def _replay_keys(self, keys: Sequence[str]) -> None:
        known = {key: self._keys[key] for key in keys if key in self._keys}
        await self._delete(list(known))
        for key, queued in known.items():
            _drop(self._keys, key, queued)

    async def _delete(self, keys: Sequence[str]) -> None:
        await self._store.delete_with_leases([(key, LEASE_PREFIX + key) for key in keys])

    async def _delete_prefix(self, prefix: str) -> int:
        # First the leases: what is stored before its lease goes is found by the second step.
        await self._store.delete_prefix(LEASE_PREFIX + prefix)
        return await self._store.delete_prefix(prefix)


def _drop(queue: dict[str, _Queued], name: str, done: _Queued) -> None:
    if queue.get(name) == done:
        del queue[name]
