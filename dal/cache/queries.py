"""Cached queries: what ``-- cache:``, ``-- reads:`` and ``-- writes:`` in a query's header do.

The promise, for all processes with one database and one store: once a write's call has returned, no read that
begins later returns what was there before it. How it is kept:

- An answer lies under a key made of the database, the text, its arguments and the generation of each table
  that the query reads (`dal.cache.tables`). It is looked for together with the generations, in one trip.
- A reader takes the generations before it loads, and stores under them alone. A write that comes between
  makes new ones, under which that answer is never looked for. Flights, leases, refreshing and stale answers
  are those of `get_or_load`, under the same key: who joins a load joins one of his own generation.
- A writer fences its tables right before COMMIT. The fence takes the place of the generation, so the old one
  is gone before anybody can see the change. Whoever finds a fence asks the database and stores nothing. After
  COMMIT, before the call returns, the fence is lifted, and the next reader begins a new generation.
- A transaction that is rolled back never had a fence, and what a savepoint undid does not count as written.
- Outcome unknown (the answer to COMMIT was lost, a single statement was cancelled): the fence stands for
  `UNKNOWN_SECONDS` more. That of a killed process ends after `FENCE_SECONDS`; the generation from before is
  gone in any case.
- A family's copies in this process (`dal.cache.near`) hold answers, never generations, which the store is
  asked for at each read. So an answer is copied under a key that is not looked for after a write, and the
  promise holds whether or not anybody is told of the write.
- A store that is away: reads go to the database, as their family says. Writes go through without a fence, and
  are owed: repeated until the store has taken them. This process reads no cached answer of those tables until
  then. Others, if they reach the store, may read old answers for so long: as a rule less than half a second
  after it is back, but up to the answer's time to live if the writing process ends before.
- A store that goes back in time, by a restart from an old snapshot or a failover to a late replica, brings
  back old generations with their answers. Keep nothing of it on disk, or empty it when it restarts.

Nothing parses SQL here. What a query reads and writes stands in its header; `dal.checks.tables` proves it. A
write without a header, as a text given as a string, or one that passes `dal` by, changes no generation.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from dal.cache import codec
from dal.cache.families import KeyFamily, is_ttl
from dal.cache.manager import CacheManager
from dal.cache.reads import Found
from dal.engines.base import Call, Want
from dal.errors import CacheError, ConfigurationError, QueryTimeout
from dal.queries import Query

T = TypeVar("T")

# Told apart by their repr. A query with other arguments is not cached.
_PLAIN = frozenset((type(None), bool, int, float, str, bytes, datetime, date, time, timedelta, Decimal, UUID))


class CachedQueries:
    """The answers to the queries on one database that *cache* keeps."""

    def __init__(self, cache: CacheManager, queries: Iterable[Query[Any]]) -> None:
        self._cache = cache
        self._families: dict[tuple[Query[Any], Want], KeyFamily] = {}
        self._place = ""
        for query in queries:
            if query.cache is not None:
                self._family(query, "all")

    def connect(self, place: str) -> None:
        """Learn which database it is: by a text that says the same in each process, and of no other one."""
        self._place = place

    async def fetch(
        self,
        query: Query[Any],
        call: Call,
        want: Want,
        load: Callable[[], Awaitable[list[Any]]],
        deadline: float | None,
    ) -> list[Any]:
        """Return the answer to *query*, from the cache or from *load*.

        Raises:
            QueryTimeout: The deadline passed. The load goes on for others who want the same.
            LoadTimeout: The load took longer than the family allows.
            CacheOverloaded: The store is away, and too many loads of the family are under way.
            CacheUnavailable: The store is away, and the family says that nothing is to be loaded then.
        """
        late = asyncio.timeout_at(deadline)
        try:
            async with late:
                return await self._fetch(query, call, want, load)
        except TimeoutError:
            if not late.expired():
                raise
            raise QueryTimeout("the timeout passed before a cached answer was loaded") from None

    async def _fetch(
        self, query: Query[Any], call: Call, want: Want, load: Callable[[], Awaitable[list[Any]]]
    ) -> list[Any]:
        assert query.cache is not None
        family = self._family(query, want)
        if not _is_plain(call.args):
            return await load()
        parts = self._cache._connected()
        beginning = hashlib.sha256(repr((self._place, query.name, want, call.sql, call.args)).encode())

        def key_of(generations: tuple[str, ...]) -> str:
            digest = beginning.copy()
            digest.update(repr(generations).encode())
            return family.key(**{family.parts[0]: digest.hexdigest()})

        try:
            generations, kept = await parts.tables.look(
                query.reads,
                key_of if not parts.deletions else None,  # what is queued for the key comes first
                with_left=family.refresh_ahead or bool(family.stale_for),
            )
        except CacheError:
            parts.statistics[family.name].unavailable += 1
            if family.outage != "load":
                raise
            async with parts.loads.turn(family):
                return await load()
        if generations is None:
            return await load()
        key, ttl = key_of(generations), query.cache.ttl or family.ttl
        if kept is not None and (fresh := kept[1] - family.stale_for) > 0:
            try:
                answer: list[Any] = await codec.decode(family, kept[0])
            except codec.Unreadable:
                pass  # `get_or_load` counts it
            else:
                parts.loads.hit(family, key, load, ttl, Found(answer, fresh))
                return answer
        loaded = await parts.loads.get_or_load(family, key, load, ttl)
        rows: list[Any] = loaded.value
        return rows

    def changing(self, tables: frozenset[str]) -> AbstractAsyncContextManager[None]:
        """Return a block that commits a change of *tables*.

        Raises:
            UsageError: The cache is not connected.
        """
        return self._cache._connected().tables.changing(tables)

    async def change(self, tables: frozenset[str], work: Callable[[], Awaitable[T]]) -> T:
        """Return what *work*, which commits a change of *tables*, brings."""
        async with self.changing(tables):
            return await work()

    def _family(self, query: Query[Any], want: Want) -> KeyFamily:
        """The family of *query*, with the model of its answers."""
        known = self._families.get((query, want))
        if known is not None:
            return known
        assert query.cache is not None
        named = self._cache._families[query.cache.family]
        if named.type != "string" or len(named.parts) != 1:
            raise ConfigurationError(
                f"query {query.name} ({query.source}): its key family {named.name} is to hold single values,"
                " under a key of one part"
            )
        if query.cache.ttl is not None and not is_ttl(query.cache.ttl):
            raise ConfigurationError(f"query {query.name} ({query.source}): its ttl is too long")
        family = replace(named, model=list[query.returns])  # type: ignore[name-defined]
        return self._families.setdefault((query, want), family)


def _is_plain(values: Iterable[Any]) -> bool:
    return all(
        type(value) in _PLAIN or (type(value) in (list, tuple) and _is_plain(value)) for value in values
    )
