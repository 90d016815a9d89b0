"""Any order of reads and writes of two managers, held up at every step to the store: no read is out of date.

Each call to the store waits before it begins and after it is done, until the machine lets it go on. So
Hypothesis chooses how readers, writers, their fences and their loads overtake one another, and shows the
shortest order that breaks the promise.

A short run by default; DAL_CACHE_STEPS=10000 takes so many steps on each store and engine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from redis import Redis

from dal.database import DatabaseManager
from dal.errors import ConflictError
from tests.cache.conftest import PATIENT, store_of
from tests.cache.pairs import PLAIN, WAYS, Pair, pair_on
from tests.cache.test_machine import STEPS
from tests.engine_cases import MARIADB, POSTGRESQL_18, SQLITE, EngineCase, Place

T = TypeVar("T")

STEPS_IN_A_ROW = 40
MANAGERS = st.sampled_from(["writer", "reader"])
CALLS = ("get_many", "get", "get_with_ttl", "acquire", "set_if_held", "release", "fence", "lift")
MOST = 4  # writes, and reads of a manager, under way: fewer than it has connections


class Holds:
    """Where calls to the stores wait."""

    def __init__(self, pair: Pair) -> None:
        self.waiting: list[asyncio.Future[None]] = []
        self.is_open = True
        for store in {id(store): store for store in map(store_of, (pair.cache, pair.other_cache))}.values():
            for name in CALLS:
                setattr(store, name, self._held(getattr(store, name)))

    def _held(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def held(*arguments: Any) -> Any:
            await self._wait()
            result = await method(*arguments)
            await self._wait()
            return result

        return held

    async def _wait(self) -> None:
        if not self.is_open:
            turn = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            await turn

    def release(self, turn: asyncio.Future[None]) -> None:
        self.waiting.remove(turn)
        if not turn.done():  # its caller may have been cancelled
            turn.set_result(None)


class Machine(RuleBasedStateMachine):
    """What readers may see: no less than had been written when they began, and no more than was begun."""

    def __init__(self, runner: asyncio.Runner, pair: Pair, holds: Holds) -> None:
        super().__init__()
        self.runner = runner
        self.pair = pair
        self.holds = holds
        self.returned = self.begun = self.run(self.truth())
        self.reading: list[asyncio.Task[None]] = []
        self.writing: list[asyncio.Task[None]] = []
        holds.is_open = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def truth(self) -> int:
        value = await self.pair.reader.fetch_value("SELECT n FROM counter")
        assert isinstance(value, int)
        return value

    async def read(self, db: DatabaseManager) -> None:
        least = self.returned
        value = await db.fetch_value(self.pair.queries.counter)
        assert least <= value <= self.begun

    async def write(self, db: DatabaseManager, way: str) -> None:
        self.begun += 1
        try:
            await WAYS[way](db, self.pair.queries)
        except ConflictError:  # transactions side by side: nothing was changed
            self.begun -= 1
        else:
            self.returned += 1

    # What is drawn depends on nothing that came before it. A rule that has nothing to do does nothing.

    @rule(manager=MANAGERS)
    def begin_to_read(self, manager: str) -> None:
        if len(self.reading) < MOST:
            self.run(self.begin(self.reading, self.read(getattr(self.pair, manager))))

    @rule(manager=MANAGERS, way=st.sampled_from(["execute", "block", "savepoint", "execute_transaction"]))
    def begin_to_write(self, manager: str, way: str) -> None:
        if len(self.writing) < MOST:
            self.run(self.begin(self.writing, self.write(getattr(self.pair, manager), way)))

    @rule(which=st.integers(0, 4 * MOST), steps=st.integers(1, 6))
    def let_one_go_on(self, which: int, steps: int) -> None:
        """The one that was held first, or any after it, for some steps."""

        async def go_on() -> None:
            for _ in range(steps):
                if self.holds.waiting:
                    self.holds.release(self.holds.waiting[which % len(self.holds.waiting)])
                    await self.settle()

        self.run(go_on())

    @rule()
    def let_all_end(self) -> None:
        self.run(self.end())

    async def begin(self, tasks: list[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        tasks.append(asyncio.create_task(work))
        await self.settle()

    async def settle(self) -> None:
        """Let what was released come to where it is held again, and look at what has ended."""
        for _ in range(10):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)  # the database's and the server's part
        for tasks in (self.reading, self.writing):
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                await task

    async def end(self) -> None:
        self.holds.is_open = True
        async with asyncio.timeout(60):
            while self.reading or self.writing:
                while self.holds.waiting:
                    self.holds.release(self.holds.waiting[0])
                await self.settle()
        await self.read(self.pair.reader)
        await self.read(self.pair.writer)
        assert await self.truth() == self.returned
        self.holds.is_open = False

    def teardown(self) -> None:
        try:
            self.run(self.end())
        finally:
            self.holds.is_open = True
            self.run(self.abandon())

    async def abandon(self) -> None:
        for task in (*self.reading, *self.writing):
            task.cancel()
        while self.holds.waiting:
            self.holds.release(self.holds.waiting[0])
            await asyncio.sleep(0)
        await asyncio.gather(*self.reading, *self.writing, return_exceptions=True)


pytestmark = pytest.mark.usefixtures("long_fences")

CASES = [
    ("memory", SQLITE),
    ("redis", SQLITE),
    ("valkey", SQLITE),
    ("redis", POSTGRESQL_18),
    ("redis", MARIADB),
]


@pytest.mark.timeout(3600 if STEPS > 1000 else 300)
@pytest.mark.parametrize("family", ["plain", "aged"])
@pytest.mark.parametrize(("store", "case"), CASES, ids=lambda value: getattr(value, "name", value))
def test_no_order_of_events_breaks_the_promise(
    request: pytest.FixtureRequest,
    places: Callable[[EngineCase], Place],
    tmp_path: Path,
    store: str,
    case: EngineCase,
    family: str,
) -> None:
    """What had been written when a read began is in its answer, on every store and engine."""
    cache_url = "memory://"
    if store != "memory":
        server = request.getfixturevalue(f"{store}_server")
        cache_url = f"{server.url}?timeout={PATIENT}"
        with Redis(port=server.port) as client:
            client.flushall()
    url = places(case).empty(tmp_path)
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        pair = runner.run(
            stack.enter_async_context(
                pair_on(url, cache_url, tmp_path, family=family, families=PLAIN, case=case)
            )
        )
        try:
            holds = Holds(pair)
            run_state_machine_as_test(
                cast(Any, lambda: Machine(runner, pair, holds)),
                settings=settings(
                    max_examples=max(STEPS // STEPS_IN_A_ROW, 1),
                    stateful_step_count=STEPS_IN_A_ROW,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    print_blob=True,
                ),
            )
        finally:
            runner.run(stack.aclose())
