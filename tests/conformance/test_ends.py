"""How it all ends: disconnecting at any moment, other loops and threads, and processes that just stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import DalError, UsageError
from dal.settings import Settings
from tests.clock import Clock
from tests.engine_cases import EngineCase, Place
from tests.reliability.processes import Program, started

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"

BEGIN = """
import asyncio, signal, sys
from dal.database import DatabaseManager
from dal.settings import Settings

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background ignore it
db = DatabaseManager(sys.argv[1], settings=Settings())
slow = sys.argv[2]
ADD = "INSERT INTO account (email) VALUES ('late')"

def ready():
    print("ready", flush=True)

async def tick():
    # SIGINT is seen when the loop wakes up, and may come just before it falls asleep.
    while True:
        await asyncio.sleep(0.05)

async def main():
    global kept
    await db.connect()
"""
CONNECTED = """
    await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(5)))
    ready()
"""
BLOCK = """
    async with db.transaction() as tx:
        await tx.execute(ADD)
        ready()
        {}
"""
BLOCK_LEFT_OPEN = """
    kept = db.transaction()
    tx = await kept.__aenter__()
    await tx.execute(ADD)
    ready()
"""
STREAM_LEFT_OPEN = """
    kept = db.stream("SELECT 1 AS a UNION ALL SELECT 2", batch_size=1)
    await anext(kept)
    ready()
"""
CALLS_PENDING = """
    kept = [asyncio.create_task(db.fetch_value(slow)) for _ in range(3)]
    await asyncio.sleep(0.1)
    ready()
"""
TIMED_OUT = """
    while True:  # an answer that came at the same time is no timeout
        try:
            await db.fetch_value(slow, timeout=0.1)
        except TimeoutError:
            break
    ready()
"""
PATIENCE = 60.0  # seconds; an end that waits for something takes for ever


@pytest.fixture
async def table(url: str, case: EngineCase, settings: Settings) -> str:
    """The URL of a database with the table ``account``, to which nobody is connected."""
    async with DatabaseManager(url, settings=settings) as db:
        await db.execute(case.account)
    return url


@contextmanager
def script(text: str, url: str, case: EngineCase) -> Iterator[Program]:
    """Give a running script that has come as far as ``ready()``."""
    with started("-c", f"{BEGIN}{text}\nasyncio.run(main())\n", url, case["slow"]) as running:
        assert running.line() == "ready"
        yield running


async def assert_nothing_kept(url: str, place: Place) -> None:
    """The row that the script wrote is not there, and nobody holds a lock."""
    async with asyncio.timeout(60):
        while place.busy():
            await asyncio.sleep(0.01)
    async with DatabaseManager(url, settings=Settings()) as db:
        assert await db.fetch_value(COUNT) == 0
        await db.execute(ADD, {"email": "late"}, timeout=60)


@pytest.mark.parametrize(
    "text",
    [CONNECTED, BLOCK_LEFT_OPEN, CALLS_PENDING, TIMED_OUT],
    ids=["connected", "block open", "calls pending", "timed out"],
)
async def test_a_process_that_never_disconnects_ends(
    table: str, place: Place, case: EngineCase, text: str
) -> None:
    """With 0, in silence; what was open is undone."""
    with script(text, table, case) as running:
        assert running.end(timeout=PATIENCE) == (0, [], "")
    await assert_nothing_kept(table, place)


async def test_a_process_that_leaves_a_stream_open_ends(table: str, place: Place, case: EngineCase) -> None:
    """With 0, though the loop may complain that it closes the stream for somebody else."""
    with script(STREAM_LEFT_OPEN, table, case) as running:
        assert running.end(timeout=PATIENCE)[:2] == (0, [])
    await assert_nothing_kept(table, place)


async def test_a_process_that_raises_in_a_block_ends(table: str, place: Place, case: EngineCase) -> None:
    """With 1; the one traceback that it prints is its own."""
    with script(BLOCK.format("raise ValueError('its own')"), table, case) as running:
        code, _, errors = running.end(timeout=PATIENCE)
    assert (code, errors.count("Traceback"), errors.splitlines()[-1]) == (1, 1, "ValueError: its own")
    await assert_nothing_kept(table, place)


async def test_a_process_that_exits_in_a_block_ends(table: str, place: Place, case: EngineCase) -> None:
    """With the code that it gave to sys.exit, in silence."""
    with script(BLOCK.format("sys.exit(7)"), table, case) as running:
        assert running.end(timeout=PATIENCE) == (7, [], "")
    await assert_nothing_kept(table, place)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_a_process_that_gets_a_signal_in_a_block_ends(
    table: str, place: Place, case: EngineCase, number: signal.Signals
) -> None:
    """By the signal, and its block is undone."""
    with script(BLOCK.format("await tick()"), table, case) as running:
        running.send(number)
        code, _, errors = running.end(timeout=PATIENCE)
    assert (code, errors.splitlines()[-1:]) == (
        -number,
        ["KeyboardInterrupt"] if number == signal.SIGINT else [],
    )
    await assert_nothing_kept(table, place)


async def test_a_call_from_another_thread_is_refused(db: DatabaseManager) -> None:
    """Its loop is another one; the manager goes on working in its own."""
    errors: list[BaseException] = []

    def work() -> None:
        async def call() -> None:
            for verb in (db.fetch_value, db.execute, db.execute_script):
                try:
                    await verb("SELECT 1")
                except DalError as error:
                    errors.append(error)

        asyncio.run(call())

    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert [type(error) for error in errors] == [UsageError] * 3
    assert await db.fetch_value("SELECT 1") == 1


def test_one_manager_serves_one_loop_after_the_other(url: str, case: EngineCase, settings: Settings) -> None:
    """Where it was disconnected in between."""
    db = DatabaseManager(url, settings=settings)

    async def use(n: int) -> Any:
        async with db:
            if not n:
                await db.execute(case.account)
            await db.execute(ADD, {"email": f"{n}"})
            return await db.fetch_value(COUNT)

    assert [asyncio.run(use(n)) for n in range(3)] == [1, 2, 3]


async def test_managers_on_one_database_see_each_others_commits(
    db: DatabaseManager, url: str, settings: Settings
) -> None:
    """And nothing else of each other, blocks of their own included."""
    async with DatabaseManager(url, settings=settings) as other:
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            assert await other.fetch_value(COUNT) == 0
        assert await other.fetch_value(COUNT) == 1
        await other.execute(ADD, {"email": "b"})
        assert await db.fetch_value(COUNT) == 2


async def test_a_second_disconnect_does_nothing(url: str, settings: Settings) -> None:
    """One after the other, or at once."""
    db = DatabaseManager(url, settings=settings)
    await db.disconnect()
    await db.connect()
    await asyncio.gather(db.disconnect(), db.disconnect())
    await db.disconnect()
    with pytest.raises(UsageError, match="not connected"):
        await db.fetch_value("SELECT 1")


async def test_a_disconnect_during_connect_leaves_it_disconnected(url: str, settings: Settings) -> None:
    """It waits for the connect that runs, and undoes it."""
    db = DatabaseManager(url, settings=settings)
    await asyncio.gather(db.connect(), db.disconnect())
    with pytest.raises(UsageError, match="not connected"):
        await db.fetch_value("SELECT 1")


async def test_a_second_connect_waits_for_the_first(url: str, settings: Settings) -> None:
    """Each caller goes on when the database is connected, and it is connected once."""
    db = DatabaseManager(url, settings=settings)

    async def use() -> Any:
        await db.connect()
        return await db.fetch_value("SELECT 1")

    assert await asyncio.gather(*(use() for _ in range(5))) == [1] * 5
    await db.disconnect()


async def test_a_connect_cancelled_at_any_moment_leaves_nothing(
    url: str, place: Place, settings: Settings
) -> None:
    """No session, no complaint of the loop, and it can be begun again."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    for moment in range(25):
        db = DatabaseManager(url, settings=settings)
        task = asyncio.ensure_future(db.connect())
        await asyncio.sleep(moment * 0.0004)
        task.cancel()
        await asyncio.wait([task])
        async with db:
            assert await db.fetch_value("SELECT 1") == 1
    place.assert_left_alone()
    assert complaints == []


async def test_a_disconnect_that_is_cancelled_is_finished_by_the_next(
    url: str, place: Place, settings: Settings
) -> None:
    """At any moment of it."""
    for moment in range(10):
        db = DatabaseManager(url, settings=settings)
        await db.connect()
        await db.fetch_value("SELECT 1")
        task = asyncio.ensure_future(db.disconnect())
        await asyncio.sleep(moment * 0.0003)
        task.cancel()
        await asyncio.wait([task])
        await db.disconnect()
        place.assert_left_alone()


async def test_calls_under_way_end_well_before_a_disconnect(
    db: DatabaseManager, url: str, case: EngineCase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes that have begun are acknowledged, and there; those that come later are refused."""
    monkeypatch.setattr(f"dal.engines.{case.dialect}.engine._DISCONNECT_SECONDS", 60.0)
    other = DatabaseManager(url, settings=settings)
    await other.connect()
    calls = [asyncio.ensure_future(other.execute(ADD, {"email": f"{n}"})) for n in range(3)]
    await asyncio.sleep(0)
    disconnecting = asyncio.ensure_future(other.disconnect())
    await asyncio.sleep(0)
    results = await asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(UsageError):
        await other.execute(ADD, {"email": "later"})
    await disconnecting
    assert all(result == 1 or isinstance(result, UsageError) for result in results), results
    assert await db.fetch_value(COUNT) == results.count(1) > 0


async def test_a_disconnect_turns_away_those_in_line(
    url: str, case: EngineCase, settings: Settings, clock: Clock
) -> None:
    """Before it waits for what runs; blocks that end meanwhile are undone, and hold it up no longer."""
    async with DatabaseManager(url, settings=settings) as db:
        await db.execute(case.account)
        inside: asyncio.Queue[int] = asyncio.Queue()
        leave = asyncio.Event()

        async def block(n: int) -> None:
            async with db.transaction() as tx:
                await tx.execute(ADD, {"email": f"{n}"})
                inside.put_nowait(n)
                await leave.wait()

        numbers = range(case.blocks_at_once(settings.database))
        holders = [asyncio.ensure_future(block(n)) for n in numbers]
        for _ in numbers:
            await inside.get()
        waiting = [asyncio.ensure_future(db.transaction().__aenter__()) for _ in range(3)]
        async with asyncio.timeout(60):
            while db._engine.connections.waiting < 3:
                await asyncio.sleep(0.001)
        clock.stop()  # nothing of this waits for a time to pass
        disconnecting = asyncio.ensure_future(db.disconnect())
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in errors] == [UsageError] * 3
        leave.set()
        results = await asyncio.gather(*holders, return_exceptions=True)
        assert [type(result) for result in results] == [UsageError] * len(numbers)
        await disconnecting
        clock.go_on()
    async with db:
        assert await db.fetch_value(COUNT) == 0


async def test_a_manager_that_is_dropped_ends_its_sessions(
    url: str, place: Place, settings: Settings
) -> None:
    """Without disconnect, and without noise."""
    db = DatabaseManager(url, settings=settings)
    await db.connect()
    await db.fetch_value("SELECT 1")
    await asyncio.sleep(0.1)
    await db.database.disconnect()
    del db
    gc.collect()
    async with asyncio.timeout(60):
        while place.sessions():
            await asyncio.sleep(0.02)
            gc.collect()
    assert place.sessions() == 0
