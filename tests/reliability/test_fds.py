"""What a process holds: file descriptors and threads, few and always as many."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.engines.sqlite import engine
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


ROUNDS = """
import asyncio, gc, os, sys, threading
from dal.database import DatabaseManager

def held():
    # How many descriptors and how many threads, but for those of asyncio's executor.
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return len(os.listdir("/proc/self/fd")), len(threads)

async def used():
    async with DatabaseManager(sys.argv[2]) as db:
        await db.execute("CREATE TABLE IF NOT EXISTS t (v INTEGER) STRICT")
        await db.fetch_value("SELECT count(*) FROM t")

async def dropped():
    db = DatabaseManager(sys.argv[2])
    await db.connect()
    await db.fetch_value("SELECT 1")
    del db
    gc.collect()

async def main():
    before = held()
    for _ in range(int(sys.argv[3])):
        await {"used": used, "dropped": dropped}[sys.argv[1]]()
    async with asyncio.timeout(60):
        while held() != before:  # threads that were told to end
            await asyncio.sleep(0.01)
            if sys.argv[1] == "dropped":
                gc.collect()  # what the last one's threads still had

asyncio.run(main())
"""
"""In a process of its own, in which nothing else comes or goes."""


@pytest.mark.parametrize("url", ["sqlite:///{}/a.db", "sqlite:///:memory:"])
def test_rounds_of_connect_and_disconnect_leave_nothing(tmp_path: Path, url: str) -> None:
    """After 200 rounds of connect, use and disconnect as many descriptors and threads are held as before."""
    with started("-c", ROUNDS, "used", url.format(tmp_path), "200") as running:
        assert running.succeed() == []


def test_dropped_managers_leave_nothing(tmp_path: Path) -> None:
    """Managers that are dropped instead of disconnected give back their descriptors and threads, too."""
    with started("-c", ROUNDS, "dropped", f"sqlite:///{tmp_path}/a.db", "12") as running:
        assert running.succeed() == []


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
    query = "SELECT v FROM t"
    async with DatabaseManager(f"sqlite:///{tmp_path}/a.db") as db, AsyncExitStack() as stack:
        await db.execute("CREATE TABLE t (v INTEGER) STRICT")
        await db.execute_many("INSERT INTO t (v) VALUES (?)", [(number,) for number in range(100)])
        for _ in range(engine._LENT):
            stream = await stack.enter_async_context(aclosing(db.stream(query, batch_size=1, timeout=60)))
            await anext(stream)
        with pytest.raises(PoolTimeout):
            await anext(db.stream(query, batch_size=1, timeout=0.3))

        await db.execute("INSERT INTO t (v) VALUES (100)")
        assert await db.fetch_value("SELECT count(*) FROM t") == 101
