"""What a process holds: file descriptors and threads, few and always as many."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.errors import PoolTimeout
from tests.reliability.processes import started

READS = """
import asyncio, resource, sys
from dal.database import DatabaseManager

async def main():
    async with DatabaseManager("sqlite:///" + sys.argv[1]) as db:
        await db.execute("CREATE TABLE t (v INTEGER) STRICT")
        await db.execute_many("INSERT INTO t (v) VALUES (?)", [(number,) for number in range(2000)])
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        reads = (db.fetch_value("SELECT v FROM t WHERE v = ?", (number,)) for number in range(2000))
        assert await asyncio.gather(*reads) == list(range(2000))

asyncio.run(main())
"""


def test_reads_at_once_need_few_descriptors(tmp_path: Path) -> None:
    """2000 reads at once all succeed in a process that may have 256 descriptors."""
    with started("-c", READS, str(tmp_path / "a.db")) as running:
        assert running.succeed() == []


def held() -> tuple[int, int]:
    """Return how many descriptors and how many threads, but for those of asyncio's executor, are held."""
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return len(os.listdir("/proc/self/fd")), len(threads)


@pytest.mark.parametrize("url", ["sqlite:///{}/a.db", "sqlite:///:memory:"])
async def test_rounds_of_connect_and_disconnect_leave_nothing(tmp_path: Path, url: str) -> None:
    """After 200 rounds of connect, use and disconnect as many descriptors and threads are held as after 5."""
    after = []
    for rounds in (5, 195):
        for _ in range(rounds):
            async with DatabaseManager(url.format(tmp_path)) as db:
                await db.execute("CREATE TABLE IF NOT EXISTS t (v INTEGER) STRICT")
                await db.fetch_value("SELECT count(*) FROM t")
        await ended()
        after.append(held())

    assert after[0] == after[1]


async def test_dropped_managers_leave_nothing(tmp_path: Path) -> None:
    """Managers that are dropped instead of disconnected give back their descriptors and threads, too."""
    after = []
    for rounds in (2, 10):
        for _ in range(rounds):
            db = DatabaseManager(f"sqlite:///{tmp_path}/a.db")
            await db.connect()
            await db.fetch_value("SELECT 1")
            del db
            gc.collect()
        await ended()
        after.append(held())

    assert after[0] == after[1]


async def ended() -> None:
    """Wait for the threads that were told to end; give up after some seconds."""
    end = asyncio.get_running_loop().time() + 5
    while asyncio.get_running_loop().time() < end:
        if not any("_connection_worker" in thread.name for thread in threading.enumerate()):
            break
        await asyncio.sleep(0.01)


async def test_many_streams_at_once_are_all_read(tmp_path: Path) -> None:
    """30 streams at once, more than there are connections for them, are read to their ends."""
    async with DatabaseManager(f"sqlite:///{tmp_path}/a.db") as db:
        await db.execute("CREATE TABLE t (v INTEGER) STRICT")
        await db.execute_many("INSERT INTO t (v) VALUES (?)", [(number,) for number in range(1000)])

        async def read() -> list[int]:
            return [row[0] async for row in db.stream("SELECT v FROM t ORDER BY v", batch_size=50)]

        assert await asyncio.gather(*(read() for _ in range(30))) == [list(range(1000))] * 30


async def test_streams_held_open_stop_no_other_call(tmp_path: Path) -> None:
    """With as many streams held open as there may be, a further one times out, and the other verbs go on."""
    async with DatabaseManager(f"sqlite:///{tmp_path}/a.db") as db, AsyncExitStack() as stack:
        await db.execute("CREATE TABLE t (v INTEGER) STRICT")
        await db.execute_many("INSERT INTO t (v) VALUES (?)", [(number,) for number in range(100)])
        with pytest.raises(PoolTimeout):
            for _ in range(1000):
                stream = db.stream("SELECT v FROM t", batch_size=1, timeout=0.3)
                await stack.enter_async_context(aclosing(stream))
                await anext(stream)

        await db.execute("INSERT INTO t (v) VALUES (100)")
        assert await db.fetch_value("SELECT count(*) FROM t") == 101
