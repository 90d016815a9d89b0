"""A server that is frozen, killed or full: every call ends in time, and all is whole once it is back."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    CannotOpen,
    ConnectionFailed,
    DatabaseError,
    OutcomeUnknown,
    TooManyConnections,
)
from dal.settings import DatabaseSettings, Settings
from tests.clock import Clock
from tests.conformance.pairs import ADD, BOTH, COUNT, TABLE, TORN, both_halves, by_block
from tests.engine_cases import Capability, EngineCase, needs
from tests.servers import DatabaseServer

pytestmark = needs(Capability.SERVER)


@pytest.fixture
async def db(own_url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A table whose rows come in pairs, on a server of the test's own."""
    async with DatabaseManager(own_url, settings=settings) as manager:
        await manager.execute(TABLE)
        yield manager


@asynccontextmanager
async def frozen(server: DatabaseServer, clock: Clock, *, tick: float = 0.01) -> AsyncIterator[None]:
    """A server that accepts, and says nothing.

    Meanwhile the loop's clock goes on by *tick* seconds whenever nothing else is left to do, so that what it
    shows does not depend on the machine.
    """
    await asyncio.to_thread(server.freeze)

    async def go_on() -> None:
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            clock.forward(tick)

    clock.stop()
    ticking = asyncio.create_task(go_on(), context=contextvars.Context())
    try:
        yield
    finally:
        ticking.cancel()
        clock.go_on()
        server.thaw()


async def failing(call: Awaitable[Any], *errors: type[BaseException]) -> float:
    """Return the seconds of the loop's clock that *call* takes to fail with one of *errors*."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(errors):
        await call
    return loop.time() - begun


async def block(db: DatabaseManager, timeout: float) -> None:
    async with db.transaction(timeout=timeout) as tx:
        await tx.fetch_value("SELECT 1")


async def streamed(db: DatabaseManager, timeout: float) -> None:
    async for _ in db.stream("SELECT 1", timeout=timeout):
        pass


async def limited(db: DatabaseManager, timeout: float) -> None:
    async with asyncio.timeout(timeout):
        await db.fetch_value("SELECT 1")


CALLS: dict[str, Callable[[DatabaseManager, float], Awaitable[Any]]] = {
    "execute": lambda db, limit: db.execute(BOTH, (1, 1), timeout=limit),
    "fetch_value": lambda db, limit: db.fetch_value("SELECT 1", timeout=limit),
    "execute_many": lambda db, limit: db.execute_many(ADD, [(1, 1), (2, 1)] * 20_000, timeout=limit),
    "execute_script": lambda db, limit: db.execute_script("INSERT INTO pair VALUES (1, 1)", timeout=limit),
    "execute_transaction": lambda db, limit: db.execute_transaction([(BOTH, (1, 1))], timeout=limit),
    "run_transaction": lambda db, limit: db.run_transaction(
        lambda tx: tx.fetch_value("SELECT 1"), retries=0, timeout=limit
    ),
    "transaction": block,
    "stream": streamed,
    "the caller's own timeout": limited,
}


async def test_every_call_to_a_frozen_server_ends_at_its_timeout(
    own_server: DatabaseServer, db: DatabaseManager, clock: Clock
) -> None:
    """More calls than connections, so that new ones cannot be opened either; then the server goes on."""
    async with frozen(own_server, clock):
        for call in CALLS.values():
            assert await failing(call(db, 0.15), TimeoutError) < 1
    assert await db.fetch_all(TORN, timeout=60) == []
    await by_block(db, 1)


async def test_callers_that_wait_for_a_frozen_server_all_end_in_time(
    own_server: DatabaseServer, db: DatabaseManager, clock: Clock
) -> None:
    """Many of them at once."""
    async with frozen(own_server, clock):
        calls = [failing(db.fetch_value(COUNT, timeout=0.3), DatabaseError) for _ in range(20)]
        assert max(await asyncio.gather(*calls)) < 1.3
    assert await db.fetch_value(COUNT, timeout=60) == 0


async def test_a_rollback_on_a_frozen_server_is_not_waited_for(
    own_server: DatabaseServer, db: DatabaseManager, clock: Clock
) -> None:
    """The block's own error comes out; what it wrote is gone once the server is back."""
    loop = asyncio.get_running_loop()
    begun = 0.0
    async with AsyncExitStack() as freezing:
        with pytest.raises(LookupError):
            async with db.transaction() as tx:
                await both_halves(tx, 1)
                await freezing.enter_async_context(frozen(own_server, clock))
                begun = loop.time()
                raise LookupError
        assert loop.time() - begun < 2
    assert await db.fetch_value(COUNT, timeout=60) == 0


async def test_a_commit_on_a_frozen_server_has_an_unknown_outcome(
    own_server: DatabaseServer, db: DatabaseManager, clock: Clock
) -> None:
    """At the timeout of the block; both rows are there afterwards, or none."""
    async with AsyncExitStack() as freezing:
        with pytest.raises(OutcomeUnknown):
            async with db.transaction(timeout=1000) as tx:
                await both_halves(tx, 1)
                await freezing.enter_async_context(frozen(own_server, clock, tick=10))
    assert await db.fetch_value(COUNT, timeout=60) in (0, 2)


@pytest.mark.parametrize("where", ["in a statement", "between two statements"])
async def test_whoever_is_cancelled_is_free_from_a_frozen_server(
    own_server: DatabaseServer, db: DatabaseManager, case: EngineCase, clock: Clock, where: str
) -> None:
    """As `CancelledError`; at once, or within the second that a rollback is waited for."""
    ready = asyncio.Event()

    async def work() -> None:
        async with db.transaction() as tx:
            await both_halves(tx, 1)
            ready.set()
            await (tx.fetch_value(case.endless) if where == "in a statement" else asyncio.sleep(60))

    task = asyncio.ensure_future(work())
    await ready.wait()
    await asyncio.sleep(0.05)
    async with frozen(own_server, clock):
        begun = clock.time()
        task.cancel()
        await asyncio.wait([task])
        assert clock.time() - begun < (0.5 if where == "in a statement" else 2)
    assert task.cancelled()
    assert await db.fetch_value(COUNT, timeout=60) == 0


async def test_disconnect_from_a_frozen_server_is_bounded(
    own_server: DatabaseServer,
    own_url: str,
    case: EngineCase,
    settings: Settings,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With connections that are idle, and one in a call."""
    monkeypatch.setattr(f"dal.engines.{case.dialect}.engine._DISCONNECT_SECONDS", 0.2)
    db = DatabaseManager(own_url, settings=settings)
    await db.connect()
    await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(5)))
    call = asyncio.ensure_future(db.fetch_value(case.endless))
    await asyncio.sleep(0.1)
    async with frozen(own_server, clock):
        begun = clock.time()
        await db.disconnect()
        assert clock.time() - begun < 5
        with pytest.raises(ConnectionFailed):
            await call


async def test_connecting_to_a_frozen_server_is_bounded(
    own_server: DatabaseServer,
    own_url: str,
    case: EngineCase,
    settings: Settings,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It accepts the connection, and never says more; a second try, once it goes on, succeeds."""
    monkeypatch.setattr(case["open seconds"], 0.3)
    db = DatabaseManager(own_url, settings=settings)
    async with frozen(own_server, clock):
        assert await failing(db.connect(), CannotOpen) < 3
    monkeypatch.setattr(case["open seconds"], 60)
    async with db:
        assert await db.fetch_value("SELECT 1") == 1


async def test_tasks_recover_by_themselves_after_the_server_was_killed(
    own_server: DatabaseServer, db: DatabaseManager, clock: Clock
) -> None:
    """Errors of ours only while it is away; what was acknowledged is there, and nothing twice."""
    acknowledged: set[int] = set()
    unknown: set[int] = set()
    back = asyncio.Event()
    after = [0] * 10

    async def work(worker: int) -> None:
        number = worker * 1_000_000
        while after[worker] < 10:
            number += 1
            try:
                await (db.execute(BOTH, (number, number), timeout=5) if number % 2 else by_block(db, number))
            except DatabaseError as error:
                if error.sent:
                    unknown.add(number)
                await asyncio.sleep(0.02)
            else:
                acknowledged.add(number)
                after[worker] += back.is_set()

    tasks = [asyncio.create_task(work(worker)) for worker in range(10)]
    await asyncio.sleep(0.3)
    await asyncio.to_thread(own_server.kill)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(own_server.restart)
    back.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)
    rows = await db.fetch_all("SELECT ident, count(*) FROM pair GROUP BY ident")
    assert {count for _, count in rows} == {2}
    assert acknowledged <= {ident for ident, _ in rows} <= acknowledged | unknown


async def test_a_killed_server_frees_those_who_wait_for_it(
    own_server: DatabaseServer, db: DatabaseManager, case: EngineCase
) -> None:
    """In a statement, in a block, and in line: each ends in an error of ours, long before its timeout."""
    tasks = [asyncio.ensure_future(db.fetch_value(case.endless, timeout=600)) for _ in range(10)]
    await asyncio.sleep(0.1)
    await asyncio.to_thread(own_server.kill)
    async with asyncio.timeout(60):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, ConnectionFailed) for result in results), results
    await asyncio.to_thread(own_server.restart)
    async with asyncio.timeout(60):
        while True:
            try:
                assert await db.fetch_value(COUNT) == 0
                break
            except ConnectionFailed:
                await asyncio.sleep(0.02)


async def test_a_server_that_is_full_says_so(
    own_server: DatabaseServer, own_url: str, case: EngineCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`TooManyConnections`, worth another try and not sent; calls on connections that are open go on."""
    monkeypatch.setattr(case["open seconds"], 100)
    refused = asyncio.Event()

    async def hold(db: DatabaseManager) -> None:
        """Keeps a connection until another call was refused one."""
        try:
            async with db.transaction():
                await refused.wait()
        except DatabaseError:
            refused.set()
            raise

    more_than_the_server_takes = 100
    large = Settings(database=DatabaseSettings(pool_size=more_than_the_server_takes))
    async with DatabaseManager(own_url, settings=large) as db:
        results = await asyncio.gather(
            *(hold(db) for _ in range(more_than_the_server_takes)), return_exceptions=True
        )
        errors = [result for result in results if isinstance(result, DatabaseError)]
        assert 0 < len(errors) < more_than_the_server_takes
        assert {type(error) for error in errors} == {TooManyConnections}
        assert all(error.retryable and not error.sent for error in errors)
        assert await db.fetch_value("SELECT 1") == 1
