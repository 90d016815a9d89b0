"""`benchmark cache`: the cache beside other libraries, on the same bytes, in one run, as JSON.

Each record has `case`, `unit`, `ours`, `peer` (the one that the bar is about), `peers`, `floor`, `ratio`
(ours by the peer's), `bar` and `ok`; what was not measured is null. Everyone's answers are compared before
anything is timed.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from benchmarks import caches
from benchmarks.cache_clients import Aiocache, Cashews, Client, Dictionary, RawSocket, RedisPy, Store
from benchmarks.cases import TASKS, WrongAnswer
from benchmarks.figures import percentile, ratios
from benchmarks.measuring import Entrant, Plan, collector_off, frozen, in_turn, measure
from benchmarks.places import fault_proxy, redis_url
from dal.cache import FAMILIES, CacheManager, KeyFamilies, KeyFamily
from dal.cache.families import MAX_NEAR
from dal.errors import CacheUnavailable

_KEYS = [f"key:{number}" for number in range(500)]
_RATE = 1000  # calls a second where they come whether or not those before have ended
_DEADLINE = 0.05
_PATIENCE = 60  # seconds where nothing is measured, and the machine may be busy


@dataclass
class Record:
    """A case and what came out of it."""

    case: str
    unit: str
    ours: float | None = None
    peer: float | None = None
    peers: dict[str, float] = field(default_factory=dict)
    floor: float | None = None
    ratio: float | None = None
    bar: str | None = None
    ok: bool | None = None
    not_measured: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it with figures of five digits."""
        return {key: _short(value) for key, value in asdict(self).items()}

    def judge(self, bar: str, figure: float | None, is_met: Callable[[float], bool]) -> None:
        """Say whether *figure* is as it should be."""
        self.bar, self.ok = bar, None if figure is None else is_met(figure)


@dataclass(frozen=True)
class Lengths:
    """How long it all takes: slices of closed loops, and seconds of open ones."""

    plan: Plan
    rounds: int
    seconds: float
    silence: float


LENGTHS = {
    "quick": Lengths(Plan(rounds=7, peer_rounds=3, seconds=0.15, peer_seconds=0.1), 3, 2.0, 10.0),
    "full": Lengths(Plan(rounds=31, peer_rounds=9, seconds=0.4, peer_seconds=0.3), 7, 5.0, 10.0),
}


async def run(lengths: Lengths) -> list[Record]:
    """Measure everything."""
    with redis_url() as url:
        records = await _closed_loops("redis", url, lengths)
        records += await _near(url, lengths)
        records += await _mix(url, lengths)
        records += await _silence(urlsplit(url).port or 0, lengths)
    records += await _closed_loops("memory", "memory://", lengths)
    return records


async def _closed_loops(place: str, url: str, lengths: Lengths) -> list[Record]:
    async with AsyncExitStack() as stack:
        clients: list[Client] = [Store(f"{url}?timeout={_PATIENCE}" if place == "redis" else url)]
        clients.append(await RawSocket.connect(url) if place == "redis" else Dictionary(url))
        absent = []
        for kind in (RedisPy, Cashews, Aiocache) if place == "redis" else (Cashews, Aiocache):
            try:
                clients.append(kind(url))
            except ImportError:
                absent.append(kind.name)
        value = random.Random(1).randbytes(10_000)
        for client in clients:
            stack.push_async_callback(client.close)
            for key in _KEYS:
                await client.set(key, value)
            if await client.get(_KEYS[-1]) != value:
                raise WrongAnswer(f"{client.name} did not give back what was stored")
        records = []
        for verb in ("get", "set"):
            for tasks in (1, TASKS):
                entrants = [
                    Entrant(
                        client.name, _operation(client, verb, value), client.name in ("cashews", "aiocache")
                    )
                    for client in clients
                ]
                await measure(entrants, lengths.plan, tasks=tasks)
                records += _results(f"{place}_{verb}", entrants, tasks, absent)
        return records


def _operation(client: Client, verb: str, value: bytes) -> Callable[[], Awaitable[object]]:
    turn = caches.in_rounds(_KEYS)
    if verb == "get":
        return lambda: client.get(turn())
    return lambda: client.set(turn(), value)


def _results(case: str, entrants: Sequence[Entrant], tasks: int, absent: list[str]) -> list[Record]:
    ours, floor, *others = entrants
    peer = next((other for other in others if not other.is_peer), None)
    figure = _calls_per_second if tasks > 1 else _p50
    speed = Record(f"{case}_{tasks}", "calls/s" if tasks > 1 else "us", not_measured=absent)
    tail = Record(f"{case}_{tasks}_p99", "us", not_measured=absent)
    for record, measure_of in ((speed, figure), (tail, _p99)):
        record.ours, record.floor = measure_of(ours), measure_of(floor)
        record.peers = {other.name: measure_of(other) for other in others}
        if peer is not None:
            record.peer = measure_of(peer)
    if peer is not None:
        spread = ratios(ours.sample.per_round, peer.sample.per_round)
        tails = ratios(ours.sample.p99_per_round, peer.sample.p99_per_round)
        assert spread is not None
        assert tails is not None
        speed.ratio = 1 / spread.median if tasks > 1 else spread.median
        tail.ratio = tails.median
    if case == "redis_get" and tasks == 1:
        speed.judge("ratio <= 1.8", speed.ratio, lambda ratio: ratio <= 1.8)
    if case.startswith("redis") and tasks > 1:
        speed.judge("ratio >= 2.5", speed.ratio, lambda ratio: ratio >= 2.5)
        tail.judge("ratio <= 0.5", tail.ratio, lambda ratio: ratio <= 0.5)
    return [speed, tail]


def _p50(entrant: Entrant) -> float:
    return entrant.sample.us


def _p99(entrant: Entrant) -> float:
    return statistics.median(entrant.sample.p99_per_round.values()) * 1e6


def _calls_per_second(entrant: Entrant) -> float:
    return 1 / statistics.median(entrant.sample.per_round.values())


async def _near(url: str, lengths: Lengths) -> list[Record]:
    """A value of 10 kB, decoded, of which this process has a copy, and one for which the server is asked."""
    near, far = [
        KeyFamily(name, name + ":{number}", "string", "gzip", 600, near=seconds)
        for name, seconds in (("near", MAX_NEAR), ("far", 0))
    ]
    document = caches.document(10_000)
    records = []
    async with CacheManager(f"{url}?timeout=10", families=KeyFamilies([near, far])) as cache:
        keys = {family: [family.key(number=str(n)) for n in range(50)] for family in (near, far)}
        for key in (*keys[near], *keys[far]):
            await cache.set(key, document)
        while cache.stats()["near"].near < len(keys[near]):
            if await cache.get_many(keys[near]) != dict.fromkeys(keys[near], document):
                raise WrongAnswer("a copy is not what was stored")
        for tasks in (1, TASKS):
            copied, asked = [
                Entrant(name, _reading(cache, keys[family]))
                for name, family in (("dal", near), ("without copies", far))
            ]
            await measure([copied, asked], lengths.plan, tasks=tasks)
            record = Record(f"near_get_{tasks}", "calls/s" if tasks > 1 else "us")
            figure = _calls_per_second if tasks > 1 else _p50
            record.ours, record.peer = figure(copied), figure(asked)
            record.peers = {asked.name: record.peer}
            record.ratio = record.ours / record.peer
            records.append(record)
    return records


def _reading(cache: CacheManager, keys: list[str]) -> Callable[[], Awaitable[object]]:
    turn = caches.in_rounds(keys)
    return lambda: cache.get(turn())


async def _mix(url: str, lengths: Lengths) -> list[Record]:
    """A thousand calls a second that come when they come.

    60 % reads of 10 kB and 20 % of 100 kB, decoded; 10 % writes of 10 kB, encoded; 8 % increments; 2 %
    sessions. Time counts from when a call was due. The floor is a dictionary with the same codec: what the
    machine and the codec take.
    """
    document = caches.document(10_000)
    large = caches.document(100_000)
    search, limit = FAMILIES["search_results"], FAMILIES["rate_limit"]
    session = FAMILIES["session"].key(session_id="a")
    async with AsyncExitStack() as stack:
        cache = await stack.enter_async_context(CacheManager(f"{url}?timeout={_DEADLINE}"))
        by_hand = caches.by_hand(url)
        stack.push_async_callback(by_hand.close)
        async with CacheManager(f"{url}?timeout={_PATIENCE}") as patient:
            for number in range(50):
                await patient.set(search.key(query_hash=f"small{number}"), document)
                await patient.set(search.key(query_hash=f"large{number}"), large)
            await patient.set(session, {f"field{number}": number for number in range(10)})
        counter = limit.key(ip_address="127.0.0.1")

        def call(of: Any, chance: random.Random) -> tuple[bool, Callable[[], Awaitable[object]]]:
            share, number = chance.random(), chance.randrange(50)
            small = search.key(query_hash=f"small{number}")
            if share < 0.6:
                return True, lambda: of.get(small)
            if share < 0.8:
                return True, lambda: of.get(search.key(query_hash=f"large{number}"))
            if share < 0.9:
                return False, lambda: of.set(small, document)
            if share < 0.98:
                return False, lambda: of.increment(counter)
            return False, lambda: of.get(session) if of is cache else of.get_hash(session)

        alone = caches.Dictionary()
        for number in range(50):
            await alone.set(search.key(query_hash=f"small{number}"), document)
            await alone.set(search.key(query_hash=f"large{number}"), large)
        entrants: list[Any] = [cache, by_hand, alone]
        p99: dict[Any, list[float]] = {of: [] for of in entrants}
        errors = 0
        with frozen():
            for number in range(lengths.rounds):
                for of in in_turn(entrants, number):
                    chance = random.Random(number)
                    load = _Load(partial(call, of, chance), chance)
                    with collector_off():
                        await load.run(lengths.seconds)
                    p99[of].append(percentile(load.seconds, 0.99) * 1e3)
                    if of is cache:
                        errors += load.failures
    record = Record("redis_get_in_the_mix_p99", "ms")
    record.ours, record.peer, record.floor = (statistics.median(p99[of]) for of in entrants)
    record.peers = {by_hand.name: record.peer}
    record.ratio = record.ours / record.peer
    record.judge("ours < 10", record.ours, lambda ms: ms < 10)
    failed = Record("redis_mix_errors", "calls", ours=float(errors))
    return [record, failed]


async def _silence(port: int, lengths: Lengths) -> list[Record]:
    """A server that goes silent for a while under a thousand reads a second, and what a healthy one costs."""
    with fault_proxy(port) as proxy:
        async with CacheManager(f"{proxy.url}?timeout={_DEADLINE}") as cache:
            key = FAMILIES["search_results"].key(query_hash="silence")
            async with CacheManager(f"{proxy.url}?timeout={_PATIENCE}") as patient:
                await patient.set(key, caches.document(1000))
            chance = random.Random(1)
            healthy, silent = (_Load(lambda: (True, lambda: cache.get(key)), chance) for _ in range(2))
            await healthy.run(lengths.silence / 2)
            proxy.tell("freeze")
            await silent.run(lengths.silence)
            proxy.tell("thaw")
            begun = time.perf_counter()
            while True:
                try:
                    await cache.get(key)
                    break
                except CacheUnavailable:
                    await asyncio.sleep(0.005)
            recovery = time.perf_counter() - begun
    beyond = Record("redis_silent_beyond_the_deadline", "ms", ours=(max(silent.inside) - _DEADLINE) * 1e3)
    beyond.judge("ours <= 15", beyond.ours, lambda ms: ms <= 15)
    processor = Record("redis_silent_processor", "share", ours=silent.processor, peer=healthy.processor)
    processor.ratio = silent.processor / healthy.processor
    processor.judge("ratio <= 1", processor.ratio, lambda ratio: ratio <= 1)
    back = Record("redis_silent_recovery", "s", ours=recovery)
    back.judge("ours <= 1", recovery, lambda seconds: seconds <= 1)
    return [beyond, processor, back]


class _Load:
    """Calls that come at random, `_RATE` a second, whether or not those before have ended.

    Attributes:
        seconds: From when each read was due to its end; `inside` from its beginning, of each call.
        failures: How many calls raised an error.
        processor: The share of a processor that was used.
    """

    def __init__(
        self, call: Callable[[], tuple[bool, Callable[[], Awaitable[object]]]], chance: random.Random
    ) -> None:
        self._call = call
        self._chance = chance
        self.seconds: list[float] = []
        self.inside: list[float] = []
        self.failures = 0
        self.processor = 0.0

    async def run(self, seconds: float) -> None:
        """Go on for *seconds*."""
        tasks: set[asyncio.Task[None]] = set()
        begun, used = time.perf_counter(), time.process_time()
        due = begun
        while due < begun + seconds:
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            is_read, call = self._call()
            task = asyncio.create_task(self._one(due, is_read, call))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            due += self._chance.expovariate(_RATE)
        await asyncio.gather(*tasks)
        self.processor = (time.process_time() - used) / (time.perf_counter() - begun)

    async def _one(self, due: float, is_read: bool, call: Callable[[], Awaitable[object]]) -> None:
        begun = time.perf_counter()
        try:
            await call()
        except Exception:
            self.failures += 1
        ended = time.perf_counter()
        self.inside.append(ended - begun)
        if is_read:
            self.seconds.append(ended - due)


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value
