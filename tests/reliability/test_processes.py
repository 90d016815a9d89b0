"""Many writers on one file: tasks of a process, processes, a cleanup and a migration, all at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from tests.reliability.processes import PATIENCE, Program, program
from tests.reliability.programs import ADD_ENTRY, ENTRIES, TASKS, WORK

PROCESSES, WRITERS = 4, 50


async def test_tasks_that_write_at_once_are_all_served(tmp_path: Path) -> None:
    """64 tasks that write at once lose nothing and meet no error."""
    async with DatabaseManager(f"sqlite:///{tmp_path / 'a.db'}") as db:
        await db.execute(ENTRIES)

        async def write(task: int) -> None:
            for number in range(50):
                await db.execute(ADD_ENTRY, (task, number, 0, 1, "x"))

        await asyncio.gather(*(write(task) for task in range(TASKS)))
        assert await db.fetch_value("SELECT count(*) FROM entries") == TASKS * 50


def migrate(path: Path, migrations: Path) -> subprocess.CompletedProcess[str]:
    """Apply *migrations* as a deploy does."""
    command = ["-m", "yoyo", "apply", "--batch", "--database", f"sqlite:///{path}", str(migrations)]
    return subprocess.run(
        [sys.executable, *command], cwd=migrations.parent, capture_output=True, text=True, timeout=PATIENCE
    )


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Three migrations."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "app-0001.orders.sql").write_text("CREATE TABLE orders (id INTEGER PRIMARY KEY) STRICT;")
    (folder / "app-0002.seen.sql").write_text("ALTER TABLE counters ADD COLUMN seen INTEGER;")
    (folder / "app-0003.done.sql").write_text("CREATE INDEX done_writer ON done (writer);")
    return folder


@pytest.fixture
def incrementing(tmp_path: Path, shared_file: Path) -> Iterator[list[Program]]:
    """Processes of many writers each, all of which increment one counter."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(program("increment", shared_file, number, WRITERS))
            for number in range(PROCESSES)
        ]


@pytest.fixture
async def shared_file(tmp_path: Path) -> Path:
    """A file with a counter at 0."""
    async with DatabaseManager(f"sqlite:///{tmp_path / 'a.db'}") as db:
        await db.execute_script(WORK)
        await db.execute("INSERT INTO counters VALUES ('all', 0)")
    return tmp_path / "a.db"


def stopped(incrementing: list[Program]) -> dict[tuple[int, int], int]:
    """Stop the processes; return how often each writer of each was told that its increment is committed."""
    for running in incrementing:
        running.go_on()
    return {
        (process, int(writer)): int(count)
        for process, running in enumerate(incrementing)
        for writer, count in map(str.split, running.succeed())
    }


async def test_processes_share_a_file(
    shared_file: Path, incrementing: list[Program], migrations: Path
) -> None:
    """Read-modify-write in four processes, a cleanup and a migration: no error, and nothing lost."""
    with program("clean_up", shared_file) as cleanup:
        for running in (cleanup, *incrementing):
            assert running.line() == "begun"
        applied = await asyncio.to_thread(migrate, shared_file, migrations)
        counts = stopped(incrementing)
        cleanup.go_on()
        (deleted,) = cleanup.succeed()

    assert (applied.returncode, applied.stderr) == (0, "")
    async with DatabaseManager(f"sqlite:///{shared_file}") as db:
        rows = await db.fetch_all("SELECT process, writer, count(*) FROM done GROUP BY process, writer")
        assert {(process, writer): count for process, writer, count in rows} == counts
        total = await db.fetch_value("SELECT value FROM counters")
        assert total == sum(counts.values()) == int(deleted)
        assert await db.fetch_value("SELECT count(*) FROM orders") == 0
        assert await db.fetch_value("PRAGMA integrity_check") == "ok"
