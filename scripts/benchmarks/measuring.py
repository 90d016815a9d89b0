"""Rounds in turn: in each round everyone gets a slice of time, and the order changes from round to round.

Before each slice garbage is collected, within it the collector is off, for everyone alike.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.figures import percentile

T = TypeVar("T")
Operation = Callable[[], Awaitable[object]]

_WARM_SECONDS = 0.02
_WARM_CALLS = 3


@dataclass(frozen=True)
class Plan:
    """How long a case is measured.

    Attributes:
        rounds: For `dal` and the floor.
        peer_rounds: For the others.
        seconds: Of a slice.
        peer_seconds: Of a slice of the others.
        most: Calls that a slice may have.
    """

    rounds: int = 11
    peer_rounds: int = 3
    seconds: float = 0.04
    peer_seconds: float = 0.03
    most: int = 20_000


@dataclass
class Sample:
    """What was measured of one contender.

    Attributes:
        per_round: Seconds of a call, by the number of the round: the median of the calls made one after the
            other; of calls made at the same time, the elapsed time by their number.
        durations: Seconds of each call.
        p99_per_round: Seconds within which 99 of 100 calls of a round ended.
    """

    per_round: dict[int, float] = field(default_factory=dict)
    p99_per_round: dict[int, float] = field(default_factory=dict)
    durations: list[float] = field(default_factory=list)

    @property
    def us(self) -> float:
        """Microseconds of a call: the median of the rounds."""
        return statistics.median(self.per_round.values()) * 1e6

    @property
    def p99_us(self) -> float:
        """Microseconds within which 99 of 100 calls ended."""
        return percentile(self.durations, 0.99) * 1e6


@dataclass
class Entrant:
    """One who is measured: what it is called, a call, and whether it has every round."""

    name: str
    operation: Operation
    is_peer: bool = False
    sample: Sample = field(default_factory=Sample)


async def measure(
    entrants: Sequence[Entrant], plan: Plan, *, tasks: int = 1, advance: Callable[[], None] = lambda: None
) -> None:
    """Measure everyone in turn.

    Args:
        entrants: Their samples are filled.
        tasks: How many make calls at the same time.
        advance: Called after each round.
    """
    counts = {}
    for entrant in entrants:
        seconds = plan.peer_seconds if entrant.is_peer else plan.seconds
        counts[entrant.name] = await _count(entrant.operation, seconds, tasks, plan.most)
    with frozen():
        for number in range(plan.rounds):
            for entrant in in_turn(entrants, number):
                if entrant.is_peer and number >= plan.peer_rounds:
                    continue
                durations, elapsed = await _slice(entrant.operation, counts[entrant.name], tasks)
                entrant.sample.durations += durations
                entrant.sample.p99_per_round[number] = percentile(durations, 0.99)
                entrant.sample.per_round[number] = (
                    statistics.median(durations) if tasks == 1 else elapsed / len(durations)
                )
            advance()


def in_turn(entrants: Sequence[T], number: int) -> list[T]:
    """Return the order of a round: each begins once, and follows another each time."""
    start = number % len(entrants)
    order = [*entrants[start:], *entrants[:start]]
    return order[::-1] if number % 2 else order


async def _count(operation: Operation, seconds: float, tasks: int, most: int) -> int:
    """Warm up, and return how many calls of each task fill a slice."""
    calls = 0
    begun = time.perf_counter()
    while calls < _WARM_CALLS or time.perf_counter() - begun < _WARM_SECONDS:
        await asyncio.gather(*(operation() for _ in range(tasks)))
        calls += 1
        if time.perf_counter() - begun > seconds * 2:
            break
    each = (time.perf_counter() - begun) / calls
    least = 5 if tasks == 1 else 1
    return max(least, min(most // tasks, int(seconds / each)))


async def _slice(operation: Operation, count: int, tasks: int) -> tuple[list[float], float]:
    durations: list[float] = []
    clock = time.perf_counter

    async def calls() -> None:
        for _ in range(count):
            begun = clock()
            await operation()
            durations.append(clock() - begun)

    with collector_off():
        begun = clock()
        if tasks == 1:
            await calls()
        else:
            await asyncio.gather(*(calls() for _ in range(tasks)))
        elapsed = clock() - begun
    return durations, elapsed


@contextmanager
def frozen() -> Iterator[None]:
    """Keep what is there already out of every collection while the block runs, which makes them cheap."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def collector_off() -> Iterator[None]:
    """Collect garbage, then keep the collector off while the block runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
