"""Loads: `get_or_load`, from the look into the store to the value that is given back.

One flight for each key and process, one lease for each key among processes. A lease serves two ends: only its
holder loads, and only who still holds it may store, so that a deletion beats a load that began before it.
Where the store is away there is no lease, nothing is stored, and the bulkhead bounds the loads.

Each caller reads a value of its own from the bytes that were stored: a load gives what a later hit will give.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Literal, NamedTuple

from dal.cache import codec
from dal.cache.bulkheads import Bulkheads
from dal.cache.failures import Failures
from dal.cache.families import KeyFamily
from dal.cache.flights import Flight, Flights
from dal.cache.leases import RENEWAL, Lease
from dal.cache.reads import Found, Reader
from dal.cache.refreshes import EARLIEST, LoadTimes, is_due
from dal.cache.statistics import Statistics
from dal.cache.stores.base import Store
from dal.errors import CacheError, CacheOverloaded, CacheValueError, LoadTimeout
from dal.tasks import Background

State = Literal["hit", "miss", "stale", "unavailable"]

_FIRST_POLL, _LAST_POLL = 0.01, 0.25  # seconds between two looks at a lease that another process holds
_CANCELLATIONS = 3
_CANCELLATION_PATIENCE = 0.1

_log = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """A value and where it comes from.

    Attributes:
        state: ``hit``: it was there. ``miss``: it was loaded. ``stale``: it was there, is beyond its time,
            and its load fails. ``unavailable``: it was loaded and not stored, since the store is away.
    """

    value: Any
    state: State


class _Outcome(NamedTuple):
    """What a flight brings, to be read by each caller. None in its place: look into the store again.

    Attributes:
        data: The value as bytes; None if it cannot be stored.
        value: What the load returned, for what cannot be stored.
        is_for_all: Whether it is also for callers who joined after the load had begun: the lease was held to
            the end, so that no deletion came between, or there is no store that could tell.
    """

    data: bytes | None
    value: Any
    state: State
    is_for_all: bool


class _Failed(Exception):
    """A load raised *error*, of whatever kind: in a task of ours SystemExit would end the event loop."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.traceback = error.__traceback__

    def again(self) -> BaseException:
        """The error, to be raised by one caller of several."""
        return self.error.with_traceback(self.traceback)


class _Call(NamedTuple):
    """What to load. *store_is_away* is what the caller who began the flight has seen."""

    family: KeyFamily
    key: str
    loader: Callable[[], Awaitable[Any]]
    ttl: int
    store_is_away: bool


class Loads:
    """Loads values that *reader* does not find, and stores them in *store*.

    *server_reader* passes by the copies in this process: who is about to load wants to know what others did.
    """

    def __init__(
        self,
        store: Store,
        reader: Reader,
        server_reader: Reader,
        flights: Flights,
        failures: Failures,
        statistics: Statistics,
        background: Background,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._reader = reader
        self._server_reader = server_reader
        self._flights = flights
        self._failures = failures
        self._statistics = statistics
        self._background = background
        self._clock = clock
        self._bulkheads = Bulkheads()
        self._load_times = LoadTimes()

    async def get_or_load(
        self, family: KeyFamily, key: str, loader: Callable[[], Awaitable[Any]], ttl: int
    ) -> Loaded:
        """See `CacheManager.get_or_load`."""
        statistics = self._statistics[family.name]
        while True:
            found, is_away = await self._find(family, key)
            call = _Call(family, key, loader, ttl, is_away)
            if found is not None and found.fresh > 0:
                self.hit(family, key, loader, ttl, found)
                return Loaded(found.value, "hit")
            failure = self._failures.find(key)
            if failure is not None and found is not None:
                if failure.age >= family.retry_after:
                    self._refresh(call)
                statistics.stale += 1
                return Loaded(found.value, "stale")
            if failure is not None and failure.age < family.errors_for:
                raise failure.error.with_traceback(None)
            flight = self._flights.find(key)
            came_late = flight is not None and flight.has_begun
            if flight is None:
                statistics.misses += 1
                flight = self._flights.start(family, key, partial(self._fly, call=call))
            else:
                statistics.joined += 1
            try:
                outcome: _Outcome | None = await self._flights.wait(key, flight)
            except _Failed as failed:
                if found is None or not isinstance(failed.error, Exception):
                    raise failed.again() from None
                statistics.stale += 1
                return Loaded(found.value, "stale")
            if outcome is None or (came_late and not outcome.is_for_all):
                continue
            return Loaded(await self._own_value(family, outcome), outcome.state)

    def hit(
        self, family: KeyFamily, key: str, loader: Callable[[], Awaitable[Any]], ttl: int, found: Found
    ) -> None:
        """Count a read that *found* a fresh value, and load it anew in the background if it is time to."""
        self._statistics[family.name].hits += 1
        if family.refresh_ahead:
            self._refresh_if_due(_Call(family, key, loader, ttl, False), found)

    async def _own_value(self, family: KeyFamily, outcome: _Outcome) -> Any:
        """A value for one caller, as a hit will give it; as it was loaded if no hit ever can."""
        if outcome.data is None:
            return outcome.value
        try:
            return await codec.decode(family, outcome.data)
        except codec.Unreadable as error:
            self._reader.count_unreadable(family, error)
            return outcome.value

    def turn(self, family: KeyFamily) -> AbstractAsyncContextManager[None]:
        """A block in which one load of *family* may run while the store is away; see `Bulkheads.turn`."""
        return self._bulkheads.turn(family)

    async def _find(self, family: KeyFamily, key: str) -> tuple[Found | None, bool]:
        """What lies under *key*, and whether the store is away."""
        try:
            return await self._reader.find(family, key), False
        except CacheError:
            self._statistics[family.name].unavailable += 1
            if family.outage != "load":
                raise
            return None, True

    def _refresh_if_due(self, call: _Call, found: Found) -> None:
        family = call.family
        if not is_due(found.fresh, call.ttl, self._load_times.of(family.name)):
            return
        failure = self._failures.find(call.key)
        if failure is None or failure.age >= family.retry_after:
            self._refresh(call)

    def _refresh(self, call: _Call) -> None:
        """Load in the background, unless a load is under way."""
        if self._flights.find(call.key) is None:
            self._statistics[call.family.name].refreshed += 1
            work = partial(self._fly_in_background, call=call)
            self._flights.start(call.family, call.key, work, in_background=True)

    async def _fly_in_background(self, flight: Flight, call: _Call) -> _Outcome | None:
        try:
            return await self._fly(flight, call)
        except _Failed as failed:
            name = type(failed.error).__name__
            _log.warning("key family %s: a load ahead of time failed: %s", call.family.name, name)
            raise

    async def _fly(self, flight: Flight, call: _Call) -> _Outcome | None:
        if call.store_is_away:
            return await self._load_in_turn(flight, call)
        lease = Lease(self._store, call.key)
        try:
            try:
                is_ours = await self._take(flight, call, lease)
                if is_ours is None:
                    return None
                flight.has_begun = True
                if self._is_fresh_enough(flight, call, await self._server_reader.find(call.family, call.key)):
                    return None
            except CacheError as error:
                if call.family.outage != "load":
                    raise _Failed(error) from None
                return await self._load_in_turn(flight, call)
            value = await self._load(call, lease if is_ours else None)
            return await self._store_value(call, lease if is_ours else None, value)
        finally:
            await lease.release()

    async def _take(self, flight: Flight, call: _Call, lease: Lease) -> bool | None:
        """Take the lease. None if a look into the store is better, False if it is held for too long."""
        if await lease.take():
            return True
        if flight.in_background:
            return None
        loop = asyncio.get_running_loop()
        end = loop.time() + call.family.load_deadline
        pause = _FIRST_POLL
        while loop.time() < end:
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 1.5, _LAST_POLL)
            flight.has_begun = True
            if self._is_fresh_enough(flight, call, await self._server_reader.find(call.family, call.key)):
                return None
            if await lease.take():
                return True
        return False

    def _is_fresh_enough(self, flight: Flight, call: _Call, found: Found | None) -> bool:
        if found is None:
            return False
        if flight.in_background:
            return (1 - EARLIEST) * call.ttl < found.fresh < math.inf
        return found.fresh > 0

    async def _load_in_turn(self, flight: Flight, call: _Call) -> _Outcome:
        """Load without a store."""
        try:
            async with self._bulkheads.turn(call.family):
                flight.has_begun = True
                value = await self._load(call, None)
        except CacheOverloaded as error:
            self._statistics[call.family.name].overloaded += 1
            raise _Failed(error) from None
        return _Outcome(await self._encoded(call.family, value), value, "unavailable", is_for_all=True)

    async def _store_value(self, call: _Call, lease: Lease | None, value: Any) -> _Outcome:
        data = await self._encoded(call.family, value)
        is_for_all = False
        try:
            if lease is not None:
                if data is None:
                    is_for_all = await lease.is_held()
                else:
                    is_for_all = await lease.store(data, call.ttl + call.family.stale_for)
        except CacheValueError as error:
            _log.warning("%s", error)
        except CacheError:
            return _Outcome(data, value, "unavailable", is_for_all=False)
        return _Outcome(data, value, "miss", is_for_all)

    async def _encoded(self, family: KeyFamily, value: Any) -> bytes | None:
        """The bytes to store; None if *value* is None, or cannot be stored."""
        if value is None:
            return None
        try:
            return await codec.encode(family, value)
        except CacheValueError as error:
            _log.warning("what was loaded is not stored: %s", error)
            return None

    async def _load(self, call: _Call, lease: Lease | None) -> Any:
        """Return what the loader returns; raise `_Failed` if it does not, or not in time."""
        statistics = self._statistics[call.family.name]
        statistics.loads += 1
        begin = self._clock()
        try:
            value = await self._within_deadline(call, lease)
        except _Failed as failed:
            statistics.failed += 1
            if isinstance(failed.error, Exception):
                self._failures.add(call.key, failed.error)
            raise
        self._load_times.add(call.family.name, self._clock() - begin)
        self._failures.forget(call.key)
        return value

    async def _within_deadline(self, call: _Call, lease: Lease | None) -> Any:
        family, deadline = call.family, call.family.load_deadline
        task = self._background.start(_without_errors(call.loader))
        renewal: asyncio.Task[None] | None = None
        try:
            await asyncio.wait([task], timeout=min(RENEWAL, deadline))
            if not task.done() and deadline > RENEWAL:
                if lease is not None:
                    renewal = self._background.start(lease.keep())
                await asyncio.wait([task], timeout=deadline - RENEWAL)
            if not task.done():
                raise _Failed(
                    LoadTimeout(
                        f"key family {family.name}: a load took longer than {deadline:g} s and was cancelled"
                    )
                )
        finally:
            if renewal is not None:
                renewal.cancel()
            await _end(task, family)
        if task.cancelled():
            raise _Failed(
                CacheError(f"key family {family.name}: a load was cancelled by what it was waiting for")
            )
        value, error = task.result()
        if error is not None:
            raise _Failed(error)
        return value


async def _without_errors(loader: Callable[[], Awaitable[Any]]) -> tuple[Any, BaseException | None]:
    try:
        return await loader(), None
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return None, error


async def _end(task: asyncio.Task[Any], family: KeyFamily) -> None:
    """Cancel *task*, again if it does not hear, and leave it alone if it will not hear at all."""
    for _ in range(_CANCELLATIONS):
        if task.done():
            return
        task.cancel()
        await asyncio.wait([task], timeout=_CANCELLATION_PATIENCE)
    if not task.done():
        _log.error("key family %s: a load goes on although it was cancelled", family.name)
