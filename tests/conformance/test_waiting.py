"""Waiting for a connection, or for the writer: bounded, first come first served, and free to be left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    ConflictError,
    DalError,
    PoolTimeout,
    QueryTimeout,
    TooManyWaiters,
    UsageError,
    WaitError,
)
from dal.settings import DatabaseSettings, Settings
from dal.transaction import Transaction
from tests.clock import Clock
from tests.conformance.conftest import LetPass
from tests.conformance.steps import Steps
from tests.engine_cases import Capability, EngineCase, Place, needs

ADD = "INSERT INTO account (email) VALUES (:email)"
ONE_CONNECTION = Settings(database=DatabaseSettings(pool_size=1, max_overflow=0, max_waiting=20))
COUNT = "SELECT count(*) FROM account"


@asynccontextmanager
async def all_taken(db: DatabaseManager, case: EngineCase) -> AsyncIterator[asyncio.Event]:
    """Another task holds whatever a write needs, until the block is left or the event is set."""
    taken, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with AsyncExitStack() as blocks:
            for _ in range(case.blocks_at_once(db.settings.database)):
                await blocks.enter_async_context(db.outside().transaction())
            taken.set()
            await go.wait()

    holder = asyncio.ensure_future(hold())
    try:
        await taken.wait()
        yield go
    finally:
        go.set()
        await holder


async def until_waiting(db: DatabaseManager, calls: int) -> None:
    """Wait until so many *calls* are in line."""
    async with asyncio.timeout(60):
        while db._engine.connections.waiting < calls:
            await asyncio.sleep(0.001)


WRITES: dict[str, Callable[[DatabaseManager], Awaitable[Any]]] = {
    "execute": lambda db: db.execute(ADD, {"email": "x"}, timeout=0.1),
    "execute_many": lambda db: db.execute_many(ADD, [{"email": "x"}], timeout=0.1),
    "execute_script": lambda db: db.execute_script("DELETE FROM account", timeout=0.1),
    "execute_transaction": lambda db: db.execute_transaction([(ADD, {"email": "x"})], timeout=0.1),
    "fetch_one of a write": lambda db: db.fetch_one(
        ADD + " RETURNING account_id", {"email": "x"}, timeout=0.1
    ),
    "stream of a write": lambda db: anext(
        db.stream(ADD + " RETURNING account_id", {"email": "x"}, timeout=0.1)
    ),
    "transaction": lambda db: db.transaction(timeout=0.1).__aenter__(),
    "run_transaction": lambda db: db.run_transaction(
        lambda tx: tx.execute(ADD, {"email": "x"}), retries=0, timeout=0.1
    ),
}


@pytest.mark.parametrize("verb", WRITES)
async def test_waiting_ends_at_the_timeout(db: DatabaseManager, case: EngineCase, verb: str) -> None:
    """`PoolTimeout`, in time; nothing was sent, so it is worth another try, and later it works."""
    async with all_taken(db, case):
        begun = time.monotonic()
        with pytest.raises(PoolTimeout) as raised:
            await WRITES[verb](db)
        assert 0.09 < time.monotonic() - begun < 60
        assert (raised.value.sent, raised.value.retryable) == (False, True)
        assert isinstance(raised.value, TimeoutError)
    assert await db.fetch_value(COUNT) == 0
    await db.execute(ADD, {"email": "y"})


async def test_whoever_waits_is_served_in_the_order_of_arrival(url: str, case: EngineCase) -> None:
    """Blocks, one after the other on the one connection there is."""
    served: list[int] = []

    async def one(n: int) -> None:
        async with db.transaction() as tx:
            served.append(n)
            await tx.execute(ADD, {"email": f"{n}"})

    async with DatabaseManager(url, settings=ONE_CONNECTION) as db:
        await db.execute(case.account)
        async with all_taken(db, case) as go:
            tasks = []
            for n in range(20):
                tasks.append(asyncio.ensure_future(one(n)))
                await until_waiting(db, n + 1)
            go.set()
            await asyncio.gather(*tasks)
    assert served == list(range(20))


async def test_waiters_that_leave_keep_nobody_waiting(db: DatabaseManager, case: EngineCase) -> None:
    """Four of five are cancelled; the fifth is served."""
    async with all_taken(db, case) as go:
        tasks = [asyncio.ensure_future(db.execute(ADD, {"email": f"{n}"})) for n in range(5)]
        await until_waiting(db, 5)
        for task in tasks[:4]:
            task.cancel()
        go.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 4 + [int]
    assert await db.fetch_value(COUNT) == 1


async def test_a_served_waiter_that_leaves_at_once_loses_no_connection(
    db: DatabaseManager, case: EngineCase
) -> None:
    """Cancelled in the very moment in which its turn came, many times."""
    for _ in range(20):
        async with all_taken(db, case) as go:
            task = asyncio.ensure_future(db.execute(ADD, {"email": "x"}))
            await asyncio.sleep(0)
            go.set()
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        assert await db.execute("DELETE FROM account", timeout=60) in (0, 1)


async def test_a_full_line_refuses_further_waiters(url: str, case: EngineCase, clock: Clock) -> None:
    """At once, with `TooManyWaiters`; those in line are served."""
    async with DatabaseManager(url, settings=ONE_CONNECTION) as db:
        await db.execute(case.account)
        async with all_taken(db, case):
            tasks = [asyncio.ensure_future(db.execute(ADD, {"email": f"{n}"})) for n in range(20)]
            await until_waiting(db, 20)
            clock.stop()
            with pytest.raises(TooManyWaiters) as raised:
                await db.execute(ADD, {"email": "x"}, timeout=1)
            clock.go_on()
            assert isinstance(raised.value, WaitError)
            assert raised.value.sent is False
        assert await asyncio.gather(*tasks) == [1] * 20


async def test_connections_are_shared_fairly(db: DatabaseManager) -> None:
    """Forty tasks that always want one get about as many turns each."""
    turns = dict.fromkeys(range(40), 0)

    async def work(n: int) -> None:
        while sum(turns.values()) < 800:
            async with db.transaction(readonly=True) as tx:
                await tx.fetch_value("SELECT 1")
            turns[n] += 1

    await asyncio.gather(*(work(n) for n in turns))
    assert max(turns.values()) - min(turns.values()) <= 10


async def test_writers_wait_about_as_long_as_each_other(db: DatabaseManager) -> None:
    """Forty that always want to write: none is passed over again and again by those who came later."""
    turns = dict.fromkeys(range(40), 0)

    async def work(n: int) -> None:
        while sum(turns.values()) < 400:
            async with db.transaction() as tx:
                await tx.execute(ADD, {"email": f"{n} {turns[n]}"})
            turns[n] += 1

    results = await asyncio.gather(*(work(n) for n in turns), return_exceptions=True)
    assert all(result is None or isinstance(result, ConflictError) for result in results)
    counts = [turns[n] for n, result in enumerate(results) if result is None]
    assert min(counts) > 0
    assert max(counts) - min(counts) <= max(3, min(counts) // 2)


async def test_waiting_and_running_have_one_timeout_together(
    url: str, case: EngineCase, let_pass: LetPass, steps: Steps
) -> None:
    """The clock begins with the call: what it spent in line is taken from what it may take to run."""
    loop = asyncio.get_running_loop()
    async with DatabaseManager(url, settings=ONE_CONNECTION) as db:
        await db.execute_script(f"{case.account};")
        async with all_taken(db, case) as go:
            begun = loop.time()
            call = asyncio.ensure_future(
                db.fetch_all(
                    f"INSERT INTO account (email) SELECT 'x' FROM ({case.endless}) AS t RETURNING email",
                    timeout=1000,
                )
            )
            await until_waiting(db, 1)
            await let_pass(600)
            running = asyncio.Event()
            steps.at_text("INSERT", lambda _: loop.call_soon_threadsafe(running.set))
            go.set()
            async with asyncio.timeout(60):
                await running.wait()
            await let_pass(begun + 900 - loop.time())
            done, _ = await asyncio.wait([call], timeout=0.1)
            assert not done
            await let_pass(100)
            with pytest.raises(QueryTimeout):
                await asyncio.wait_for(call, 60)
        assert await db.fetch_value(COUNT) == 0


@pytest.mark.usefixtures("time_flies")
async def test_the_settings_timeout_is_that_of_every_call(
    url: str, case: EngineCase, clock: Clock, let_pass: LetPass
) -> None:
    """Unless it has one of its own; in a block it is that of each statement."""
    settings = Settings(database=DatabaseSettings(timeout=1000))
    async with DatabaseManager(url, settings=settings) as db:
        with pytest.raises(QueryTimeout):
            await db.fetch_value(case.endless)
        with pytest.raises(QueryTimeout):
            async with db.transaction() as tx:
                await tx.fetch_value(case.endless)
        call = asyncio.ensure_future(db.fetch_value(case.endless, timeout=7000))
        hour = clock.time() + 3600
        while clock.time() < hour:
            await asyncio.sleep(0.001)
        done, _ = await asyncio.wait([call], timeout=0.1)
        assert not done
        await let_pass(3600)
        with pytest.raises(QueryTimeout):
            await call
        async with db.transaction() as tx:
            for _ in range(3):
                await let_pass(600)
                await tx.fetch_value("SELECT 1")


async def test_a_slow_reader_of_a_stream_is_not_late(db: DatabaseManager, let_pass: LetPass) -> None:
    """The timeout is for each batch, and what the reader does with it is not counted."""
    await db.execute_many(ADD, [{"email": f"{n}"} for n in range(5)])
    seen = 0
    async for _ in db.stream("SELECT email FROM account", batch_size=1, timeout=1000):
        await let_pass(1500)
        seen += 1
    assert seen == 5


@needs(Capability.SERVER)
async def test_there_are_never_more_sessions_than_the_settings_say(
    db: DatabaseManager, place: Place, settings: Settings
) -> None:
    """However many calls come at once; those of the manager's ``database`` apart."""
    most, done = 0, asyncio.Event()

    async def look() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, await asyncio.to_thread(place.sessions))
            await asyncio.sleep(0.002)

    looking = asyncio.ensure_future(look())
    for _ in range(5):
        await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(60)))
    done.set()
    await looking
    most = max(most, place.sessions())
    assert 1 < most <= settings.database.pool_size + settings.database.max_overflow + 2


@pytest.mark.parametrize("kind", ["reads", "writes", "blocks", "read-only blocks", "streams"])
async def test_far_more_calls_than_connections_all_end(db: DatabaseManager, kind: str) -> None:
    """A hundred at once."""

    async def call(n: int) -> None:
        if kind == "reads":
            await db.fetch_value(COUNT)
        elif kind == "writes":
            await db.execute(ADD, {"email": f"{n}"})
        elif kind == "streams":
            async for _ in db.stream("SELECT 1 AS a UNION ALL SELECT 2", batch_size=1):
                pass
        else:
            async with db.transaction(readonly=kind.startswith("read")) as tx:
                await tx.fetch_value("SELECT 1")

    await asyncio.gather(*(call(n) for n in range(100)))
    assert await db.fetch_value(COUNT) == (100 if kind == "writes" else 0)


async def test_concurrent_writes_lose_nothing(db: DatabaseManager) -> None:
    """Each is acknowledged once it is kept."""
    results = await asyncio.gather(*(db.execute(ADD, {"email": f"{n}"}) for n in range(200)))
    assert sum(results) == await db.fetch_value(COUNT) == 200


async def test_one_call_that_fails_costs_the_others_nothing(db: DatabaseManager) -> None:
    """Among writes that run at the same time."""
    results = await asyncio.gather(
        *(db.execute(ADD, {"email": f"{n // 2}"}) for n in range(40)), return_exceptions=True
    )
    assert sum(result == 1 for result in results) == await db.fetch_value(COUNT) == 20


@needs(Capability.CONCURRENT_WRITERS)
async def test_writes_of_several_blocks_run_at_the_same_time(db: DatabaseManager) -> None:
    """None waits for another's end while they touch different rows."""
    both = asyncio.Barrier(2)

    async def work(n: int) -> None:
        async with db.transaction(isolation="read committed") as tx:
            await tx.execute(ADD, {"email": f"{n}"})
            async with asyncio.timeout(60):
                await both.wait()

    await asyncio.gather(work(1), work(2))
    assert await db.fetch_value(COUNT) == 2


@pytest.fixture
def little_patience(case: EngineCase, patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disconnect waits a moment, not seconds, for what runs, and for whoever does not come back."""
    monkeypatch.setattr("dal.engines.pool._FAREWELL_SECONDS", 2.0)
    monkeypatch.setattr(f"dal.engines.{case.dialect}.engine._DISCONNECT_SECONDS", 0.2)


@pytest.mark.usefixtures("little_patience")
async def test_disconnect_ends_what_waits_and_what_runs(
    url: str, case: EngineCase, settings: Settings
) -> None:
    """In bounded time, with errors of ours; a block that is open is undone."""
    db = DatabaseManager(url, settings=settings)
    await db.connect()
    await db.execute(case.account)
    opened = asyncio.Event()

    async def block() -> None:
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            opened.set()
            await tx.fetch_value(case.endless, timeout=600)

    running = asyncio.ensure_future(block())
    await opened.wait()
    async with asyncio.timeout(60):
        await db.disconnect()
    (result,) = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(result, DalError)
    async with db:
        assert await db.fetch_value(COUNT) == 0


@pytest.mark.usefixtures("little_patience")
async def test_a_block_left_open_by_a_disconnect_says_so(
    url: str, case: EngineCase, settings: Settings
) -> None:
    """Its verbs raise, and nothing of it is kept."""
    db = DatabaseManager(url, settings=settings)
    await db.connect()
    await db.execute(case.account)
    block = db.transaction()
    tx: Transaction = await block.__aenter__()
    await tx.execute(ADD, {"email": "a"})
    await db.disconnect()
    with pytest.raises(DalError):
        await tx.execute(ADD, {"email": "b"})
    with pytest.raises((DalError, UsageError)):
        await block.__aexit__(None, None, None)
    async with db:
        assert await db.fetch_value(COUNT) == 0
