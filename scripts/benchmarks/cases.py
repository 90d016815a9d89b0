"""The cases on a database: what is checked first, then timed.

Everyone's answer is compared with the rows that it must hold, and what everyone wrote with what it was
given. A peer that answers wrongly, or not at all, is named as not measured; if `dal` or the floor does,
the benchmark ends.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks import work
from benchmarks.bars import Result
from benchmarks.contender import Contender, NotOffered
from benchmarks.figures import ratios
from benchmarks.floors import FLOORS
from benchmarks.measuring import (
    Entrant,
    Operation,
    Plan,
    Sample,
    collector_off,
    frozen,
    in_turn,
    measure,
)
from benchmarks.memory import stream_growth
from benchmarks.ours import Ours
from benchmarks.peers import PEERS, peer
from benchmarks.places import Base

TASKS = 64
_FULL = 2
_CHECK_SECONDS = 60.0
_KEYS = 20_000  # random ones, drawn before the clock runs
_SUPPLY = 1_000  # rows made ahead


class WrongAnswer(Exception):
    """A contender did not do the work."""


@dataclass(frozen=True)
class Profile:
    """How much is measured.

    Attributes:
        sizes: Rows of the tables, the smallest first; peers are measured on the first and, where 64 tasks
            read, on the second.
        bulk: Rows that are inserted at once by `dal` and the floor; *peer_bulk* by the others.
        stream: Rows of a timed stream, *peer_stream* of the others; *memory_stream* for the memory.
        processes: Rounds of import and start-up.
    """

    sizes: tuple[int, ...]
    plan: Plan
    long: Plan
    bulk: int = 100_000
    peer_bulk: int = 2_000
    stream: int = 100_000
    peer_stream: int = 5_000
    memory_stream: int = 1_000_000
    processes: int = 5


PROFILES = {
    "quick": Profile((10_000, 1_000_000), Plan(), Plan(rounds=5, peer_rounds=2)),
    "full": Profile(
        (10_000, 1_000_000, 10_000_000),
        Plan(rounds=25, peer_rounds=9, seconds=0.2, peer_seconds=0.1),
        Plan(rounds=9, peer_rounds=3),
        peer_bulk=20_000,
        stream=1_000_000,
        peer_stream=50_000,
        processes=15,
    ),
}


@dataclass
class Stage:
    """A database, and those who work on it.

    Attributes:
        asked: The peers that were asked for.
        missing: Who cannot take part on this engine, and why.
    """

    base: Base
    profile: Profile
    loop: str
    asked: frozenset[str]
    contenders: list[Contender] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._fresh = itertools.count(1)
        chance = random.Random(20)
        self._keys = itertools.cycle([chance.randint(1, self.base.rows) for _ in range(_KEYS)])

    async def enter(self, stack: AsyncExitStack) -> None:
        """Open everyone who can take part."""
        for name in ("dal", "floor", *PEERS):
            if name in PEERS and name not in self.asked:
                continue
            try:
                kind = self._kind(name)
                if self.base.engine not in kind.engines:
                    continue
                contender = kind()
                async with asyncio.timeout(
                    _CHECK_SECONDS
                ):  # not a task of its own: a library may keep its context
                    await self._opened(contender, stack)
            except ImportError as error:
                self.missing[name] = f"{error.name} is not installed"
            except Exception as error:
                if name not in PEERS:
                    raise
                self.missing[name] = f"it did not open: {_said(error)}"
            else:
                self.contenders.append(contender)
                self.locks[contender.name] = asyncio.Lock()

    def _kind(self, name: str) -> type[Contender]:
        if name == "dal":
            return Ours
        return FLOORS[self.base.engine] if name == "floor" else peer(name)

    async def _opened(self, contender: Contender, stack: AsyncExitStack) -> None:
        await contender.open(self.base)
        stack.push_async_callback(contender.close)
        if self.base.engine == "sqlite" and await contender.synchronous() != _FULL:
            raise WrongAnswer("it does not write with synchronous=FULL")

    def key(self) -> int:
        """The number of a row that is there."""
        return next(self._keys)

    def fresh(self, count: int = 1) -> list[work.Record]:
        """Rows that nobody has inserted."""
        return [work.record(next(self._fresh)) for _ in range(count)]

    def supply(self, contender: Contender) -> Callable[[], Any]:
        """Return what gives a fresh row at each call, in the shape that the contender takes."""
        ready: list[Any] = []

        def following() -> Any:
            if not ready:
                ready.extend(contender.shaped(self.fresh(_SUPPLY)))
            return ready.pop()

        return following

    def writes(self, contender: Contender, operation: Operation) -> Operation:
        """Return *operation* such that writers who would lock each other out stand in line."""
        if not (contender.is_lone_writer and self.base.engine == "sqlite"):
            return operation
        lock = self.locks[contender.name]

        async def in_line() -> None:
            async with lock:
                await operation()

        return in_line


Make = Callable[[Stage, Contender], Operation]


def _point(stage: Stage, contender: Contender) -> Operation:
    return lambda: contender.point(stage.key())


def _rows(count: int, stage: Stage, contender: Contender) -> Operation:
    last = max(1, stage.base.rows - count)
    return lambda: contender.items(stage.key() % last + 1, count)


def _insert(stage: Stage, contender: Contender) -> Operation:
    row = stage.supply(contender)
    return stage.writes(contender, lambda: contender.insert(row()))


def _transaction(stage: Stage, contender: Contender) -> Operation:
    row = stage.supply(contender)
    return stage.writes(contender, lambda: contender.transaction([row() for _ in range(10)]))


def _mixed(stage: Stage, contender: Contender) -> Operation:
    turn = itertools.count()
    update = stage.writes(
        contender, lambda: contender.update(stage.key() % work.COUNTED + 1, stage.key() % 1000)
    )
    return lambda: update() if next(turn) % 10 == 9 else contender.point(stage.key())


Check = Callable[[Stage, Contender], Awaitable[None]]


async def _check_point(stage: Stage, contender: Contender) -> None:
    for number in (1, 5, stage.base.rows):
        _same(work.plain(await contender.point(number)), work.record(number))
    if await contender.point(stage.base.rows + 1) is not None:
        raise WrongAnswer("it found a row that is not there")


async def _check_rows(count: int, stage: Stage, contender: Contender) -> None:
    found = await contender.items(3, count)
    last = min(stage.base.rows, 2 + count)
    _same([work.plain(item) for item in found], [work.record(number) for number in range(3, last + 1)])


async def _check_insert(stage: Stage, contender: Contender) -> None:
    [new] = stage.fresh()
    await contender.insert(contender.shaped([new])[0])
    _same(await asyncio.to_thread(stage.base.record, new.item_id), new)


async def _check_transaction(stage: Stage, contender: Contender) -> None:
    new = stage.fresh(10)
    await contender.transaction(contender.shaped(new))
    for row in (new[0], new[-1]):
        _same(await asyncio.to_thread(stage.base.record, row.item_id), row)


async def _check_mixed(stage: Stage, contender: Contender) -> None:
    await _check_point(stage, contender)
    quantity = stage.key()
    await contender.update(7, quantity)
    found = await asyncio.to_thread(stage.base.run, "SELECT quantity FROM counted WHERE item_id = 7")
    _same(found[0][0], quantity)


def _same(found: Any, expected: Any) -> None:
    if found != expected:
        raise WrongAnswer("its answer is not the expected one")


@dataclass(frozen=True)
class Case:
    """One kind of work.

    Attributes:
        rows_written: Rows that a call inserts; whether all of them are there is checked at the end.
        sizes: On which of the profile's sizes it runs, None for all.
        peer_sizes: On which of them peers take part.
    """

    name: str
    make: Make
    check: Check
    tasks: int = 1
    rows_written: int = 0
    sizes: tuple[int, ...] | None = (0,)
    peer_sizes: tuple[int, ...] = (0,)


CASES = (
    Case("point_read", _point, _check_point, sizes=None),
    Case("rows_100", partial(_rows, 100), partial(_check_rows, 100)),
    Case("rows_1000", partial(_rows, 1000), partial(_check_rows, 1000)),
    Case("insert", _insert, _check_insert, rows_written=1),
    Case("transaction_10", _transaction, _check_transaction, rows_written=10),
    Case("writers_64", _insert, _check_insert, TASKS, rows_written=1),
    Case("mixed_90_10", _mixed, _check_mixed, TASKS),
    Case("readers_64", _point, _check_point, TASKS, sizes=(1, 2), peer_sizes=(1,)),
)


async def run_case(stage: Stage, case: Case, *, with_peers: bool) -> Result:
    """Check and time a case."""
    missing = dict(stage.missing)
    able = [c for c in stage.contenders if with_peers or c.name in ("dal", FLOORS[stage.base.engine].name)]
    await asyncio.to_thread(stage.base.empty)
    entrants: list[Entrant] = []
    calls: dict[str, int] = {}
    for contender in able:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await case.check(stage, contender)
        except Exception as error:
            _refuse(stage, contender, error, missing)
            continue
        operation = case.make(stage, contender)
        if case.rows_written:
            operation = _counted(operation, contender.name, calls)
        entrants.append(Entrant(contender.name, operation, _is_peer(contender, stage)))
    await asyncio.to_thread(stage.base.empty)
    await measure(entrants, stage.profile.plan, tasks=case.tasks)
    if case.rows_written:
        count, _ = await asyncio.to_thread(stage.base.written)
        if count != sum(calls.values()) * case.rows_written:
            raise WrongAnswer(f"{case.name} on {stage.base.engine}: what was acknowledged is not all there")
    result = _result(stage, case.name, stage.base.rows, entrants, missing)
    if not with_peers:
        result.asked = frozenset()
    return result


def _counted(operation: Operation, name: str, calls: dict[str, int]) -> Operation:
    async def call() -> None:
        await operation()
        calls[name] = calls.get(name, 0) + 1

    return call


def _is_peer(contender: Contender, stage: Stage) -> bool:
    # aiosqlite by its public calls is what two targets compare with: it gets every round.
    return contender.name not in ("dal", FLOORS[stage.base.engine].name, "aiosqlite")


def _refuse(stage: Stage, contender: Contender, error: Exception, missing: dict[str, str]) -> None:
    if contender.name == "dal" or contender.name == FLOORS[stage.base.engine].name:
        raise WrongAnswer(f"{contender.name} on {stage.base.engine}: {_said(error)}") from error
    missing[contender.name] = _said(error)


def _said(error: Exception) -> str:
    text = str(error).split("\n")[0][:120]
    return text if isinstance(error, (NotOffered, WrongAnswer)) else f"{type(error).__name__}: {text}"


def _result(
    stage: Stage, case: str, rows: int, entrants: Sequence[Entrant], missing: dict[str, str]
) -> Result:
    samples = {entrant.name: entrant.sample for entrant in entrants}
    ours = samples.pop("dal")
    floor = FLOORS[stage.base.engine].name
    below = samples.pop(floor)
    result = Result(case, stage.base.engine, rows, stage.loop, ours.us, missing=missing, asked=stage.asked)
    result.p99_us = ours.p99_us
    result.floor, result.floor_us = floor, below.us
    result.ratio = ratios(ours.per_round, below.per_round)
    compare(result, ours, samples)
    return result


def compare(result: Result, ours: Sample, peers: dict[str, Sample]) -> None:
    """Put the peers into *result*."""
    for name, sample in peers.items():
        result.peers[name] = sample.us
        found = ratios(sample.per_round, ours.per_round)
        if found is not None:
            result.peer_ratios[name] = found


async def run_bulk(stage: Stage) -> Result:
    """Check and time an insert of many rows; figures are for a row."""

    async def insert(contender: Contender, count: int) -> Operation:
        records = stage.fresh(count)
        rows = contender.shaped(records)
        await asyncio.to_thread(stage.base.empty)

        async def operation() -> None:
            await contender.bulk(rows)

        return operation

    async def check(contender: Contender, count: int) -> None:
        found, _ = await asyncio.to_thread(stage.base.written)
        _same(found, count)

    profile = stage.profile
    return await _run_long(stage, "bulk_insert", profile.bulk, profile.peer_bulk, insert, check)


async def run_stream(stage: Stage) -> Result:
    """Check and time a stream; figures are for a row. Then see how much memory a long one takes."""

    async def stream(contender: Contender, count: int) -> Operation:
        expected = work.expected_checksum(count)

        async def operation() -> None:
            _same(await contender.stream(count), expected)

        return operation

    async def check(contender: Contender, count: int) -> None:
        """It is checked as it is read."""

    size = stage.base.rows
    count, peer_count = min(size, stage.profile.stream), min(size, stage.profile.peer_stream)
    result = await _run_long(stage, "stream", count, peer_count, stream, check)
    rows = min(size, stage.profile.memory_stream)
    result.facts["memory_rows"] = rows
    try:
        result.facts["memory"] = await asyncio.to_thread(stream_growth, stage.base.url, rows)
    except OSError as error:
        result.missing["memory"] = str(error)
    return result


async def _run_long(
    stage: Stage,
    case: str,
    count: int,
    peer_count: int,
    prepare: Callable[[Contender, int], Awaitable[Operation]],
    check: Callable[[Contender, int], Awaitable[None]],
) -> Result:
    """Time what takes so long that a call is a slice."""
    missing = dict(stage.missing)
    everyone = {contender.name: contender for contender in stage.contenders}
    entrants = [
        Entrant(contender.name, _nothing, _is_long_peer(contender, stage)) for contender in stage.contenders
    ]
    plan = stage.profile.long
    with frozen():
        for number in range(-1, plan.rounds):  # the first is for warming up
            for entrant in in_turn(entrants, number):
                if entrant.name in missing or (entrant.is_peer and number >= plan.peer_rounds):
                    continue
                contender, rows = (
                    everyone[entrant.name],
                    peer_count if entrant.is_peer or number < 0 else count,
                )
                try:
                    operation = await prepare(contender, rows)
                    async with asyncio.timeout(_CHECK_SECONDS * 5):
                        elapsed = await _timed(operation)
                    await check(contender, rows)
                except Exception as error:
                    _refuse(stage, contender, error, missing)
                    continue
                if number >= 0:
                    entrant.sample.per_round[number] = elapsed / rows
                    entrant.sample.durations.append(elapsed / rows)
    measured = [entrant for entrant in entrants if entrant.sample.per_round]
    result = _result(stage, case, count, measured, missing)
    result.p99_us = None
    result.facts["peer_rows"] = peer_count
    await asyncio.to_thread(stage.base.empty)
    return result


def _is_long_peer(contender: Contender, stage: Stage) -> bool:
    return contender.name not in ("dal", FLOORS[stage.base.engine].name)


async def _nothing() -> None:
    pass


async def _timed(operation: Operation) -> float:
    clock = asyncio.get_running_loop().time
    with collector_off():
        begun = clock()
        await operation()
        return clock() - begun


async def run_growth(bases: Sequence[Base], profile: Profile, loop: str) -> Result:
    """Time point reads of `dal` on each of *bases*, the smallest first, in turn."""
    async with AsyncExitStack() as stack:
        entrants = []
        for base in bases:
            stage = Stage(base, profile, loop, frozenset())
            contender = Ours()
            await contender.open(base)
            stack.push_async_callback(contender.close)
            await _check_point(stage, contender)
            entrants.append(Entrant(f"{base.rows}", _point(stage, contender)))
        await measure(entrants, profile.plan)
    small, large = entrants[0].sample, entrants[-1].sample
    result = Result("growth", bases[-1].engine, bases[-1].rows, loop, large.us, large.p99_us)
    found = ratios(large.per_round, small.per_round)
    assert found is not None, "both had every round"
    result.facts |= {"growth": found.median, "growth_spread": [found.low, found.high]}
    result.facts["us_by_rows"] = {entrant.name: round(entrant.sample.us, 2) for entrant in entrants}
    return result
