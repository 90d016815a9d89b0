"""The state of each table that cached queries read: its generation, or the fences of those who change it.

A generation is a random token under the key of the table. Whoever changes the table puts a fence in its place
before COMMIT and lifts it after; the next reader begins a new generation. Tokens are never used twice, so
nothing that was stored under an earlier generation is found again, whatever the store loses or forgets.

Several may hold fences on one table; each fence ends by itself, so that a killed process leaves none.
A change that the store did not hear of is owed: it is repeated until the store has taken it. Until then
this process reads nothing that is cached of those tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import random
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from dal.cache.families import TABLE_PREFIX
from dal.cache.stores.base import FENCE, Store, WrongType
from dal.errors import CacheError, CacheUnavailable, DalError, DatabaseError, OutcomeUnknown, QueryTimeout
from dal.tasks import Background

FENCE_SECONDS = 10.0
"""How long a fence stands that is neither lifted nor renewed."""

UNKNOWN_SECONDS = 60.0
"""How long it stands when nobody knows what became of a COMMIT: the server may still be at it."""

GENERATION_SECONDS = 86_400.0
"""How long a generation lasts in which nothing is changed."""

_RENEWAL = FENCE_SECONDS / 4
_PAUSE = 0.25  # seconds between two attempts, about
_REMEMBERED = 1000  # sets of tables whose generations are remembered

_log = logging.getLogger(__name__)


class _Debt(NamedTuple):
    """A change that the store has not heard of.

    Attributes:
        number: Its own: what is owed anew while it is being settled stays owed.
        is_unknown: Whether it was committed is not known.
    """

    number: int
    is_unknown: bool


class Tables:
    """The states of tables in *store*."""

    def __init__(self, store: Store, background: Background) -> None:
        self._store = store
        self._background = background
        self._numbers = itertools.count()
        self._owed: dict[str, _Debt] = {}
        self._settling: asyncio.Task[None] | None = None
        self._remembered: dict[tuple[str, ...], tuple[str, ...]] = {}

    async def look(
        self,
        tables: tuple[str, ...],
        key_of: Callable[[tuple[str, ...]], str] | None = None,
        *,
        with_left: bool = False,
    ) -> tuple[tuple[str, ...] | None, tuple[bytes, float] | None]:
        """Return the generations of *tables*, and what lies under the key that *key_of* makes of them.

        It is one round trip if they are those that were seen last. No generations: one is being changed. No
        bytes: nothing lies there, or the generations are others, or there is no *key_of*.

        Args:
            with_left: Whether the seconds that the bytes still have are asked for; they are endless if not.

        Raises:
            CacheUnavailable: The store did not answer, or has not heard of a change.
        """
        if self._owed and not self._owed.keys().isdisjoint(tables):
            raise CacheUnavailable("the cache's store has not heard yet of a change of a table")
        expected = self._remembered.get(tables)
        keys = _keys(tables)
        if expected is None or key_of is None:
            return await self._generations(tables, keys, await self._store.get_many(keys)), None
        key = key_of(expected)
        found: tuple[bytes, float] | None
        if with_left:  # both at once; what is of a generation is so at any time
            states, found = await asyncio.gather(self._store.get_many(keys), self._find(key))
        else:
            *states, data = await self._store.get_many([*keys, key])
            found = None if data is None else (data, math.inf)
        generations = await self._generations(tables, keys, states)
        return generations, found if generations == expected else None

    async def _find(self, key: str) -> tuple[bytes, float] | None:
        try:
            return await self._store.get_with_ttl(key)
        except WrongType:
            return None

    async def _generations(
        self, tables: tuple[str, ...], keys: Sequence[str], states: Sequence[bytes | None]
    ) -> tuple[str, ...] | None:
        found = []
        for key, state in zip(keys, states, strict=True):
            if state is None:
                state = await self._begin(key)
            if state is None or state.startswith(FENCE):
                return None
            found.append(state.decode("latin-1"))
        generations = tuple(found)
        if len(self._remembered) >= _REMEMBERED and tables not in self._remembered:
            self._remembered.clear()
        self._remembered[tables] = generations
        return generations

    async def _begin(self, key: str) -> bytes | None:
        """Begin a generation, unless somebody else just did."""
        token = secrets.token_hex(8)
        if await self._store.acquire(key, token, GENERATION_SECONDS):
            return token.encode()
        return await self._store.get(key)

    @asynccontextmanager
    async def changing(self, tables: Iterable[str]) -> AsyncIterator[None]:
        """A block that commits a change of *tables*: nothing that was read before is served after it.

        A store that is away fails nobody: the database is the truth. The change is then owed.
        """
        names = tuple(sorted(tables))
        keys, token = _keys(names), secrets.token_hex(8)
        renewal: asyncio.Task[None] | None = None
        has_begun = False
        try:
            try:
                await self._store.fence(keys, token, FENCE_SECONDS)
                renewal = self._background.start(self._keep(keys, token))
            except CacheError as error:
                _log.warning("a change of %s is made without a fence: %s", ", ".join(names), error)
            has_begun = True
            yield
        except BaseException as error:
            is_unknown = has_begun and _is_unknown(error)
            await self._to_its_end(self._end(names, token, is_unknown=is_unknown), renewal)
            raise
        await self._to_its_end(self._end(names, token, is_unknown=False), renewal)

    async def _to_its_end(self, work: Coroutine[Any, Any, None], renewal: asyncio.Task[None] | None) -> None:
        """Do *work*, whether or not the caller is cancelled meanwhile."""
        if renewal is not None:
            renewal.cancel()
        await asyncio.shield(self._background.start(work))

    async def _end(self, tables: tuple[str, ...], token: str, *, is_unknown: bool) -> None:
        try:
            if is_unknown:
                await self._store.fence(_keys(tables), token, UNKNOWN_SECONDS)
            else:
                await self._store.lift(_keys(tables), token)
        except BaseException as error:
            for table in tables:
                known = self._owed.get(table)
                is_worse = is_unknown or (known is not None and known.is_unknown)
                self._owed[table] = _Debt(next(self._numbers), is_worse)
            if self._settling is None or self._settling.done():
                _log.warning("a change of %s did not reach the cache's store; it is repeated", tables)
                self._settling = self._background.start(self._repeat())
            if not isinstance(error, CacheError):
                raise

    async def _keep(self, keys: Sequence[str], token: str) -> None:
        while True:
            await asyncio.sleep(_RENEWAL)
            with contextlib.suppress(CacheError):
                await self._store.fence(keys, token, FENCE_SECONDS)

    async def _repeat(self) -> None:
        while self._owed:
            await asyncio.sleep(_PAUSE * random.uniform(0.5, 1.5))
            with contextlib.suppress(CacheError):
                await self._settle()
        _log.warning("all changes of tables have reached the cache's store")

    async def _settle(self) -> None:
        for table, debt in list(self._owed.items()):
            token = secrets.token_hex(8)
            if debt.is_unknown:
                await self._store.fence(_keys([table]), token, UNKNOWN_SECONDS)
            else:
                await self._store.lift(_keys([table]), token)
            if self._owed.get(table) == debt:
                del self._owed[table]

    async def close(self) -> None:
        """Try once more, and say in the log what was not done."""
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait([self._settling])
        with contextlib.suppress(CacheError):
            await self._settle()
        if self._owed:
            _log.error(
                "the cache was disconnected before its store heard of changes of %s", ", ".join(self._owed)
            )


def _keys(tables: Iterable[str]) -> list[str]:
    return [TABLE_PREFIX + table for table in tables]


def _is_unknown(error: BaseException) -> bool:
    """Whether what failed with *error* may have been committed, or may be later."""
    if not isinstance(error, DatabaseError):
        return not isinstance(error, DalError)
    if not error.sent:
        return False
    return isinstance(error, OutcomeUnknown | QueryTimeout) or error.code is None
