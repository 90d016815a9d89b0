"""The programs that the tests run: ``python -m tests.reliability.programs NAME ARGUMENTS``.

Those that write print ``TASK NUMBER`` for each write, once it is acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing

from dal.database import DatabaseManager
from dal.transaction import Transaction

TASKS = 64

ENTRIES = """
    CREATE TABLE IF NOT EXISTS entries (
        task INTEGER NOT NULL,
        number INTEGER NOT NULL,
        part INTEGER NOT NULL,
        parts INTEGER NOT NULL,
        payload TEXT NOT NULL,
        PRIMARY KEY (task, number, part)
    ) STRICT
"""
"""What is written. Rows of the same task and number are one write, and should be *parts* many."""

ADD_ENTRY = "INSERT INTO entries (task, number, part, parts, payload) VALUES (?, ?, ?, ?, ?)"

WORK = """
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    CREATE TABLE done (process INTEGER NOT NULL, writer INTEGER NOT NULL) STRICT;
    CREATE TABLE expired (id INTEGER PRIMARY KEY, process INTEGER NOT NULL) STRICT;
"""
"""What several processes share: counters to increment, a row for each increment, rows to clean up."""

LEAST_ROUNDS = 3
"""How often each writer increments at the least."""


def acknowledge(text: str) -> None:
    """Print a line in one write."""
    os.write(1, f"{text}\n".encode())


async def write(path: str, size: str) -> None:
    """Add entries of *size* characters for ever, by all tasks at once and by each way to write."""
    async with DatabaseManager(f"sqlite:///{path}") as db:
        await db.execute(ENTRIES)
        async with asyncio.TaskGroup() as group:
            for task in range(TASKS):
                group.create_task(_write(db, task, "x" * int(size)))


async def _write(db: DatabaseManager, task: int, payload: str) -> None:
    number = 0
    while True:
        if number % 3 == 0:
            await db.execute(ADD_ENTRY, (task, number, 0, 1, payload))
        elif number % 3 == 1:
            await db.execute_transaction([(ADD_ENTRY, (task, number, part, 2, payload)) for part in range(2)])
        else:
            async with db.transaction() as tx:
                for part in range(2):
                    await tx.execute(ADD_ENTRY, (task, number, part, 2, payload))
        acknowledge(f"{task} {number}")
        number += 1


async def increment(path: str, process: str, writers: str) -> None:
    """Read, then write, one counter by many writers at once until a line comes.

    Every second writer goes through run_transaction. Printed at the end: ``WRITER COUNT`` for each,
    which is how often it was told that its increment is committed.
    """
    told = _told()
    async with DatabaseManager(f"sqlite:///{path}") as db:
        acknowledge("begun")
        counts = await asyncio.gather(
            *(_increment(db, int(process), writer, told) for writer in range(int(writers)))
        )
    for writer, count in enumerate(counts):
        acknowledge(f"{writer} {count}")


async def _increment(db: DatabaseManager, process: int, writer: int, told: asyncio.Future[str]) -> int:
    async def add(tx: Transaction) -> None:
        value = await tx.fetch_value("SELECT value FROM counters WHERE name = 'all'")
        await tx.execute("INSERT INTO done VALUES (?, ?)", (process, writer))
        await tx.execute("INSERT INTO expired (process) VALUES (?)", (process,))
        await tx.execute("UPDATE counters SET value = ? WHERE name = 'all'", (value + 1,))

    count = 0
    while count < LEAST_ROUNDS or not told.done():
        if writer % 2:
            await db.run_transaction(add)
        else:
            async with db.transaction() as tx:
                await add(tx)
        count += 1
    return count


async def clean_up(path: str) -> None:
    """Delete what has expired, ten rows at a time, until a line comes; print how many rows it were."""
    told = _told()
    deleted, last = 0, False
    async with DatabaseManager(f"sqlite:///{path}") as db:
        acknowledge("begun")
        while not last:
            last = told.done()
            while count := await db.execute(
                "DELETE FROM expired WHERE id IN (SELECT id FROM expired ORDER BY id LIMIT 10)"
            ):
                deleted += count
    acknowledge(str(deleted))


def _told() -> asyncio.Future[str]:
    """Return a future that is done when a line comes."""
    return asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def write_without_sync(path: str) -> None:
    """Add entries for ever through sqlite3 itself, with the settings that WAL is often used with."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(ENTRIES)
        number = 0
        while True:
            connection.execute(ADD_ENTRY, (0, number, 0, 1, "x"))
            acknowledge(f"0 {number}")
            number += 1


def half_sync(path: str) -> None:
    """Write files of which some bytes are synced and some are not, then wait to be killed."""
    os.mkdir(path)
    synced = os.open(f"{path}/synced", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(synced, b"first second")
    os.pwrite(synced, b"FIRST", 0)
    os.fsync(synced)
    os.ftruncate(synced, 5)
    os.fdatasync(synced)
    os.pwrite(synced, b"lost", 5)
    unsynced = os.open(f"{path}/unsynced", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(unsynced, b"lost")
    renamed = os.open(f"{path}/temporary", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(renamed, b"renamed")
    os.fsync(renamed)
    os.rename(f"{path}/temporary", f"{path}/renamed")
    removed = os.open(f"{path}/removed", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(removed, b"removed")
    os.fsync(removed)
    os.unlink(f"{path}/removed")
    acknowledge("ready")
    sys.stdin.readline()


PROGRAMS: dict[str, Callable[..., object]] = {
    function.__name__: function for function in (write, increment, clean_up, write_without_sync, half_sync)
}

if __name__ == "__main__":
    work = PROGRAMS[sys.argv[1]](*sys.argv[2:])
    if asyncio.iscoroutine(work):
        asyncio.run(work)
