"""The pool of connections: fair, bounded, whole after every way to leave, and never handing on what is dirty.

Its connections come from a driver that each test scripts, so that every step can be stopped or made to fail.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dal.engines import pool as module
from dal.engines.pool import Pool, PoolSettings
from dal.errors import CannotOpen, PoolTimeout, TooManyWaiters, UsageError
from tests.clock import Clock


class Line:
    """A connection of the scripted driver."""

    def __init__(self) -> None:
        self.usable = True
        self.open = True


class ScriptedDriver:
    """Opens lines, in no time unless a test puts something in the way."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.calls: Counter[str] = Counter()
        self.failures: list[Exception] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def open(self) -> Line:
        await self._pass("open")
        line = Line()
        self.lines.append(line)
        return line

    def is_open(self, line: Line) -> bool:
        return line.open

    def is_clean(self, line: Line) -> bool:
        return line.usable and line.open

    async def check(self, line: Line) -> None:
        await self._pass("check")

    async def reset(self, line: Line) -> None:
        await self._pass("reset")

    async def close(self, line: Line) -> None:
        await self._pass("close")
        line.open = False

    def abort(self, line: Line) -> None:
        line.open = False

    @property
    def open_lines(self) -> int:
        return sum(line.open for line in self.lines)

    async def _pass(self, step: str) -> None:
        self.calls[step] += 1
        if step in self.gates:
            await self.gates[step].wait()
        await asyncio.sleep(0)
        if self.failures and step == "open":
            raise self.failures.pop(0)


@pytest.fixture
def driver() -> ScriptedDriver:
    return ScriptedDriver()


@pytest.fixture
async def make(driver: ScriptedDriver) -> AsyncIterator[Callable[..., Pool[Line]]]:
    """Makes pools of the driver, closed in the end."""
    made: list[Pool[Line]] = []

    def make_pool(**settings: Any) -> Pool[Line]:
        made.append(Pool(driver, PoolSettings(**{"min_size": 0, "max_size": 2, **settings})))
        return made[-1]

    yield make_pool
    for gate in driver.gates.values():
        gate.set()
    for pool in made:
        await pool.close(0)
    assert driver.open_lines == 0


async def settled() -> None:
    """Let the pool's own tasks go on."""
    for _ in range(20):
        await asyncio.sleep(0)


def soon(seconds: float = 60) -> float:
    return asyncio.get_running_loop().time() + seconds


@pytest.fixture
def own_clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock for the loop and for the pool, which stands still unless the test puts it forward."""
    monkeypatch.setattr(module, "monotonic", clock.time)
    clock.stop()
    return clock


async def test_the_connection_used_last_is_used_next(make: Callable[..., Pool[Line]]) -> None:
    """One caller at a time needs one connection."""
    pool = make()
    first = await pool.acquire(None)
    pool.release(first, clean=True)
    assert await pool.acquire(None) is first
    assert (pool.size, pool.lent) == (1, 1)
    pool.release(first, clean=True)


async def test_those_in_line_are_served_in_their_order(make: Callable[..., Pool[Line]]) -> None:
    """First come, first served; nobody who comes later gets in between."""
    pool = make(max_size=1)
    held = await pool.acquire(None)
    order: list[int] = []

    async def use(number: int) -> None:
        line = await pool.acquire(None)
        order.append(number)
        await asyncio.sleep(0)
        pool.release(line, clean=number % 2 == 0)

    tasks = [asyncio.ensure_future(use(number)) for number in range(20)]
    await settled()
    pool.release(held, clean=True)
    await asyncio.gather(*tasks)
    assert order == list(range(20))


async def test_a_hundred_workers_get_equal_shares(make: Callable[..., Pool[Line]]) -> None:
    """The one served most often is served at most twice as often as the one served least."""
    pool = make(max_size=5)
    counts: Counter[int] = Counter()

    async def work(number: int) -> None:
        while counts.total() < 2000:
            line = await pool.acquire(None)
            counts[number] += 1
            await asyncio.sleep(0.001)
            pool.release(line, clean=True)

    await asyncio.gather(*(work(number) for number in range(100)))
    assert max(counts.values()) <= 2 * min(counts[number] for number in range(100))


async def test_waiting_ends_at_the_deadline(make: Callable[..., Pool[Line]]) -> None:
    """A typed error that says that nothing was sent, and the next in line is served."""
    pool = make(max_size=1)
    held = await pool.acquire(None)
    late = asyncio.ensure_future(pool.acquire(soon(0.02)))
    patient = asyncio.ensure_future(pool.acquire(None))
    with pytest.raises(PoolTimeout) as raised:
        await late
    assert raised.value.sent is False
    assert pool.waiting == 1
    pool.release(held, clean=True)
    assert await patient is held
    pool.release(held, clean=True)


async def test_four_of_five_waiters_are_cancelled(make: Callable[..., Pool[Line]]) -> None:
    """The fifth is served."""
    pool = make(max_size=1)
    held = await pool.acquire(None)
    tasks = [asyncio.ensure_future(pool.acquire(None)) for _ in range(5)]
    await settled()
    for task in tasks[:4]:
        task.cancel()
    await settled()
    pool.release(held, clean=True)
    assert await tasks[4] is held
    pool.release(held, clean=True)
    assert (pool.lent, pool.waiting) == (0, 0)


@pytest.mark.parametrize("turns", range(8))
async def test_a_waiter_cancelled_after_any_number_of_turns_costs_no_connection(
    make: Callable[..., Pool[Line]], turns: int
) -> None:
    """Before, in and after the very step in which it is served."""
    pool = make(max_size=1)
    held = await pool.acquire(None)
    task = asyncio.ensure_future(pool.acquire(None))
    await settled()
    pool.release(held, clean=True)
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        pool.release(task.result(), clean=True)
    task.cancel()
    await asyncio.wait([task])
    assert pool.lent == 0
    pool.release(await pool.acquire(soon()), clean=True)


async def test_a_caller_who_leaves_while_a_connection_is_opened_breaks_nothing(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver
) -> None:
    """The opening goes on, and the next caller gets what it brings."""
    pool = make()
    driver.gates["open"] = asyncio.Event()
    task = asyncio.ensure_future(pool.acquire(None))
    await settled()
    task.cancel()
    await settled()
    driver.gates["open"].set()
    await settled()
    assert (len(driver.lines), pool.size, pool.lent) == (1, 1, 0)


async def test_the_line_has_an_end(make: Callable[..., Pool[Line]]) -> None:
    """Beyond it callers are refused at once; one who left makes room."""
    pool = make(max_size=1, max_waiting=2)
    held = await pool.acquire(None)
    waiting = [asyncio.ensure_future(pool.acquire(None)) for _ in range(2)]
    await settled()
    with pytest.raises(TooManyWaiters):
        await pool.acquire(None)
    waiting[0].cancel()
    await settled()
    third = asyncio.ensure_future(pool.acquire(None))
    await settled()
    assert not third.done()
    pool.release(held, clean=True)
    pool.release(await waiting[1], clean=True)
    pool.release(await third, clean=True)


async def test_a_failed_opening_is_told_to_each_who_waits(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver
) -> None:
    """More callers than connections: none is forgotten, and the pool works once the server does."""
    pool = make(max_size=2)
    driver.failures = [CannotOpen("down") for _ in range(5)]
    results = await asyncio.gather(*(pool.acquire(soon()) for _ in range(6)), return_exceptions=True)
    assert [type(result) for result in results].count(CannotOpen) == 5
    (line,) = (result for result in results if isinstance(result, Line))
    pool.release(line, clean=True)
    assert pool.size == 1


async def test_a_dead_idle_connection_is_replaced_without_a_word(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver
) -> None:
    """Also when all of them are dead."""
    pool = make(max_size=3)
    lines = [await pool.acquire(None) for _ in range(3)]
    for line in lines:
        pool.release(line, clean=True)
        line.open = False
    fresh = await pool.acquire(soon())
    assert fresh not in lines
    pool.release(fresh, clean=True)


async def test_one_in_a_transaction_is_discarded_not_reset(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver
) -> None:
    """Whatever its user says."""
    pool = make()
    line = await pool.acquire(None)
    line.usable = False
    pool.release(line, clean=True)
    await settled()
    assert (driver.calls["reset"], line.open, pool.size) == (0, False, 0)


async def test_a_reset_is_not_awaited_and_comes_before_the_next_use(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver
) -> None:
    """A call that left a state behind gives back at once; the next one waits for the reset."""
    pool = make(max_size=1)
    driver.gates["reset"] = asyncio.Event()
    line = await pool.acquire(None)
    pool.release(line, clean=False)
    task = asyncio.ensure_future(pool.acquire(None))
    await settled()
    assert not task.done()
    driver.gates["reset"].set()
    assert await task is line
    pool.release(line, clean=True)
    assert driver.calls["reset"] == 1


async def test_a_reset_that_hangs_costs_the_connection(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bounded time, and whoever waited for it gets another."""
    monkeypatch.setattr(module, "_CLEANUP_SECONDS", 0.02)
    pool = make(max_size=1)
    driver.gates["reset"] = asyncio.Event()
    line = await pool.acquire(None)
    pool.release(line, clean=False)
    other = await pool.acquire(soon())
    assert other is not line
    assert not line.open
    pool.release(other, clean=True)


async def test_finish_runs_its_work_then_resets(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver
) -> None:
    """And the task that it returns ends with the work, not with the reset."""
    pool = make(max_size=1)
    driver.gates["reset"] = asyncio.Event()
    seen = []

    async def work() -> None:
        seen.append("work")

    line = await pool.acquire(None)
    await pool.finish(line, work())
    assert seen == ["work"]
    driver.gates["reset"].set()
    assert await pool.acquire(soon()) is line
    pool.release(line, clean=True)


async def test_finish_discards_if_its_work_fails(make: Callable[..., Pool[Line]]) -> None:
    """The error goes to the log; who finishes has one of its own."""
    pool = make(max_size=1)

    async def work() -> None:
        raise LookupError

    line = await pool.acquire(None)
    await pool.finish(line, work())
    await settled()
    assert not line.open


async def test_an_idle_connection_is_checked_before_it_is_lent(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver, own_clock: Clock
) -> None:
    """Only one of them, and only after its time."""
    pool = make(check_after=10, max_size=3)
    for line in [await pool.acquire(None) for _ in range(3)]:
        pool.release(line, clean=True)
    own_clock.forward(11)
    line = await pool.acquire(None)
    assert driver.calls["check"] == 1
    pool.release(line, clean=True)
    pool.release(await pool.acquire(None), clean=True)
    assert driver.calls["check"] == 1


async def test_a_check_that_hangs_costs_the_connection(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets a new one."""
    monkeypatch.setattr(module, "_CLEANUP_SECONDS", 0.02)
    driver.gates["check"] = asyncio.Event()
    pool = make(check_after=0)
    line = await pool.acquire(None)
    pool.release(line, clean=True)
    other = await pool.acquire(soon())
    assert other is not line
    pool.release(other, clean=True)


async def test_a_connection_is_replaced_after_its_lifetime(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver, own_clock: Clock
) -> None:
    """Give or take a tenth."""
    pool = make(max_lifetime=100)
    line = await pool.acquire(None)
    pool.release(line, clean=True)
    own_clock.forward(89)
    assert await pool.acquire(None) is line
    own_clock.forward(22)
    pool.release(line, clean=True)
    await settled()
    assert not line.open


async def test_the_least_size_is_kept_up(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a discard, and after openings that failed."""
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.005)
    pool = make(min_size=3, max_size=5)
    await pool.open()
    await settled()
    assert pool.size == 3
    driver.failures = [CannotOpen("down"), CannotOpen("down")]
    for line in [await pool.acquire(None) for _ in range(3)]:
        pool.discard(line)
    async with asyncio.timeout(60):
        while driver.open_lines < 3 or driver.failures:
            await asyncio.sleep(0.005)
    assert pool.size == 3


async def test_idle_connections_beyond_those_kept_are_closed(make: Callable[..., Pool[Line]]) -> None:
    """After a burst the pool shrinks again."""
    pool = make(min_size=1, max_size=6, kept=2, max_idle=0.02)
    await pool.open()
    for line in [await pool.acquire(None) for _ in range(6)]:
        pool.release(line, clean=True)
    assert pool.size == 6
    async with asyncio.timeout(60):
        while pool.size > 2:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    assert pool.size == 2


async def test_there_are_never_more_than_the_largest_size(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver
) -> None:
    """Whatever comes back clean, dirty or broken."""
    pool = make(max_size=3)
    most = 0

    async def use(number: int) -> None:
        nonlocal most
        line = await pool.acquire(None)
        most = max(most, pool.size)
        await asyncio.sleep(0)
        if number % 3 == 0:
            pool.discard(line)
        else:
            pool.release(line, clean=number % 3 == 1)

    await asyncio.gather(*(use(number) for number in range(200)))
    assert most <= 3
    assert pool.lent == 0


async def test_close_turns_away_those_in_line(make: Callable[..., Pool[Line]]) -> None:
    """With an error that says why; later ones too."""
    pool = make(max_size=1)
    held = await pool.acquire(None)
    waiting = asyncio.ensure_future(pool.acquire(None))
    await settled()
    closing = asyncio.ensure_future(pool.close(1))
    with pytest.raises(UsageError, match="disconnected"):
        await waiting
    pool.release(held, clean=True)
    await closing
    with pytest.raises(UsageError, match="disconnected"):
        await pool.acquire(None)


async def test_close_aborts_what_is_not_given_back_in_time(
    make: Callable[..., Pool[Line]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for ever for a user who never comes back."""
    monkeypatch.setattr(module, "_FAREWELL_SECONDS", 0.02)
    pool = make()
    line = await pool.acquire(None)
    async with asyncio.timeout(60):
        await pool.close(0.02)
    assert not line.open
    pool.discard(line)  # its user comes back after all


async def test_close_does_not_wait_for_an_opening(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver, own_clock: Clock
) -> None:
    """A server that never answers holds up no disconnect."""
    pool = make()
    driver.gates["open"] = asyncio.Event()
    waiting = asyncio.ensure_future(pool.acquire(None))
    await settled()
    await pool.close(1)  # while no time passes
    with pytest.raises(UsageError):
        await waiting


async def test_close_ends_an_opening_that_has_not_begun(make: Callable[..., Pool[Line]]) -> None:
    """A task that is cancelled before its first step runs nothing of what would end it."""
    pool = make()
    waiter = asyncio.ensure_future(pool.acquire(None))
    async with asyncio.timeout(60):
        while not pool.size:
            await asyncio.sleep(0)
        await pool.close(0)
    with pytest.raises(UsageError):
        await waiter


async def test_a_farewell_that_hangs_is_cut_off(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket is closed all the same."""
    monkeypatch.setattr(module, "_FAREWELL_SECONDS", 0.02)
    driver.gates["close"] = asyncio.Event()
    pool = make()
    line = await pool.acquire(None)
    pool.release(line, clean=True)
    async with asyncio.timeout(60):
        await pool.close(1)
    assert not line.open


async def test_a_pool_that_is_dropped_is_collected(driver: ScriptedDriver) -> None:
    """Its timer does not keep it alive."""
    pool: Pool[Line] = Pool(driver, PoolSettings(min_size=1))
    await pool.open()
    await settled()
    gone = weakref.ref(pool)
    pool.abort()
    del pool
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("step", ["open", "reset", "check", "close"])
async def test_callers_cancelled_at_random_lose_nothing(
    make: Callable[..., Pool[Line]], driver: ScriptedDriver, step: str
) -> None:
    """After each of 300 cancellations, at every turn of the loop, the pool is whole."""
    pool = make(max_size=2, check_after=0 if step == "check" else 30)

    async def use(number: int) -> None:
        line = await pool.acquire(None)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pool.discard(line)
            raise
        pool.release(line, clean=number % 2 == 0)

    for number in range(300):
        tasks = [asyncio.ensure_future(use(number)) for _ in range(4)]
        for _ in range(number % 15):
            await asyncio.sleep(0)
        for task in tasks[number % 2 :: 2]:
            task.cancel()
        await asyncio.wait(tasks)
        assert (pool.lent, pool.waiting) == (0, 0)
    assert pool.size <= 2
