"""Processes that end without disconnecting."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.reliability.processes import Program, started

BEGIN = """
import asyncio, gc, sys, time
from dal.database import DatabaseManager
from dal.engines.sqlite import engine
from dal.settings import DatabaseSettings, Settings

engine._DISCONNECT_SECONDS = 3600  # an end that waited for it, or for the timeout of a call, would be noticed
settings = Settings(database=DatabaseSettings(timeout=None))
db = DatabaseManager("sqlite:///" + sys.argv[1], settings=settings)
INSERT = "INSERT INTO t (v) VALUES ('late')"

async def connected():
    await db.connect()
    await db.execute_script("CREATE TABLE t (v TEXT) STRICT; INSERT INTO t (v) VALUES ('a'), ('b'), ('c')")

def ready():
    print("ready", flush=True)

async def tick():
    # SIGINT is seen when the loop wakes up, and may come just before it falls asleep.
    while True:
        await asyncio.sleep(0.05)
"""

SLOW = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

CONNECTED = """
async def main():
    await connected()
    ready()
asyncio.run(main())
"""
LOOP_CLOSED = """
loop = asyncio.new_event_loop()
loop.run_until_complete(connected())
loop.close()
ready()
"""
LOOP_LEFT = """
loop = asyncio.new_event_loop()
loop.run_until_complete(connected())
ready()
"""
DROPPED = """
async def main():
    global db
    await connected()
    del db
    gc.collect()
    ready()
asyncio.run(main())
"""
DROPPED_LATE = """
loop = asyncio.new_event_loop()
loop.run_until_complete(connected())
loop.close()
del db
gc.collect()
ready()
time.sleep(0.2)  # so that a thread that complains is heard
"""
STREAM_LEFT = """
async def main():
    global stream
    await connected()
    stream = db.stream("SELECT v FROM t", batch_size=1)
    await anext(stream)
    ready()
asyncio.run(main())
"""
WRITES_PENDING = """
async def main():
    global tasks
    await connected()
    tasks = [asyncio.create_task(db.execute(INSERT)) for _ in range(100)]
    await asyncio.sleep(0)
    ready()
asyncio.run(main())
"""
READ_PENDING = f"""
async def main():
    await connected()
    asyncio.create_task(db.fetch_value("{SLOW}"))
    await asyncio.sleep(0.1)
    ready()
asyncio.run(main())
"""
READ_RUNS_ON = f"""
async def main():
    await connected()
    task = asyncio.create_task(db.fetch_value("{SLOW}"))
    await asyncio.sleep(0.1)
    ready()
    raise ValueError("its own")
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
"""
RAISES = """
async def main():
    await connected()
    ready()
    raise ValueError("its own")
asyncio.run(main())
"""
RAISES_IN_BLOCK = """
async def main():
    await connected()
    async with db.transaction() as tx:
        await tx.execute(INSERT)
        ready()
        raise ValueError("its own")
asyncio.run(main())
"""
EXITS_IN_BLOCK = """
async def main():
    await connected()
    async with db.transaction() as tx:
        await tx.execute(INSERT)
        ready()
        sys.exit(3)
asyncio.run(main())
"""
BLOCK_LEFT_OPEN = """
async def main():
    global block
    await connected()
    block = db.transaction()
    tx = await block.__aenter__()
    await tx.execute(INSERT)
    ready()
asyncio.run(main())
"""
WAITS_IN_BLOCK = """
async def main():
    await connected()
    async with db.transaction() as tx:
        await tx.execute(INSERT)
        ready()
        await tick()
asyncio.run(main())
"""
WAITS_IN_SLOW_READ = f"""
async def main():
    await connected()
    ready()
    await asyncio.gather(db.fetch_value("{SLOW}"), tick())
asyncio.run(main())
"""


@contextmanager
def script(text: str, path: Path) -> Iterator[Program]:
    """Give a running script that has come as far as ``ready()``."""
    with started("-c", BEGIN + text, str(path)) as running:
        assert running.line() == "ready"
        yield running


def rows(path: Path) -> list[str]:
    """Return what the table holds; whoever had the write lock must have let go of it."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        return [value for (value,) in connection.execute("SELECT v FROM t ORDER BY v")]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(CONNECTED, id="connected"),
        pytest.param(LOOP_CLOSED, id="loop closed"),
        pytest.param(LOOP_LEFT, id="loop not closed"),
        pytest.param(DROPPED, id="manager dropped"),
        pytest.param(DROPPED_LATE, id="manager dropped after its loop"),
        pytest.param(STREAM_LEFT, id="stream open"),
        pytest.param(WRITES_PENDING, id="writes pending"),
        pytest.param(READ_PENDING, id="read pending"),
        pytest.param(BLOCK_LEFT_OPEN, id="transaction open"),
    ],
)
def test_process_that_never_disconnects_ends(tmp_path: Path, text: str) -> None:
    """It ends with 0 at once, and prints nothing about what was left behind."""
    with script(text, tmp_path / "a.db") as running:
        assert running.end() == (0, [], "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(RAISES, id="outside of any call"),
        pytest.param(RAISES_IN_BLOCK, id="in a transaction"),
        pytest.param(READ_RUNS_ON, id="while a thread is in a statement"),
    ],
)
def test_process_that_raises_ends(tmp_path: Path, text: str) -> None:
    """It ends with 1 at once, and the one traceback that it prints is its own."""
    with script(text, tmp_path / "a.db") as running:
        code, _, errors = running.end()

    assert (code, errors.count("Traceback"), errors.splitlines()[-1]) == (1, 1, "ValueError: its own")


def test_process_that_exits_in_a_transaction_ends(tmp_path: Path) -> None:
    """sys.exit(3) in a transaction ends the process with 3 at once, in silence."""
    with script(EXITS_IN_BLOCK, tmp_path / "a.db") as running:
        assert running.end() == (3, [], "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WAITS_IN_BLOCK, id="in a transaction"),
        pytest.param(WAITS_IN_SLOW_READ, id="in a read"),
    ],
)
@pytest.mark.parametrize(
    ("number", "last_line"), [(signal.SIGTERM, ""), (signal.SIGINT, "KeyboardInterrupt")]
)
def test_process_that_gets_a_signal_ends(
    tmp_path: Path, text: str, number: signal.Signals, last_line: str
) -> None:
    """It ends by the signal at once, and prints no more than Python does."""
    with script(text, tmp_path / "a.db") as running:
        running.send(number)
        code, _, errors = running.end()

    assert (code, errors.splitlines()[-1:]) == (-number, [last_line] if last_line else [])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param(RAISES_IN_BLOCK, None, id="raises"),
        pytest.param(EXITS_IN_BLOCK, None, id="sys.exit"),
        pytest.param(BLOCK_LEFT_OPEN, None, id="never left"),
        pytest.param(WAITS_IN_BLOCK, signal.SIGTERM, id="SIGTERM"),
        pytest.param(WAITS_IN_BLOCK, signal.SIGINT, id="SIGINT"),
    ],
)
def test_transaction_open_at_the_end_is_rolled_back(
    tmp_path: Path, text: str, number: signal.Signals | None
) -> None:
    """Nothing of it is in the file, and its lock is free."""
    with script(text, tmp_path / "a.db") as running:
        if number is not None:
            running.send(number)
        running.end()

    assert rows(tmp_path / "a.db") == ["a", "b", "c"]
