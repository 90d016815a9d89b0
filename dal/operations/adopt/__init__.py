"""Adopts older SQLite files: made by hand or by an ORM, with a system's tables in looser form.

A copy of the file is turned into today's by the system's own statements, in a new file that the migrations
made. It is compared with the old one, value by value, and then copied over it by SQLite, in one transaction,
after the old one was copied under another name. So the file keeps its place, owner and mode, whoever opens it
sees the old content or the new one and never a mixture, and a kill at any moment leaves one of the two.

The file is locked from the first look to the last page. With WAL everyone who has it open is seen; without, a
connection that is idle is not, and finds today's tables at its next statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from dal.errors import CannotOpen, ConfigurationError
from dal.operations.adopt.adoption import Adopted, Work, errors_of
from dal.operations.adopt.catalog import Difference
from dal.operations.adopt.filling import Progress
from dal.operations.migrate import BASE, migrate, migrations_of
from dal.queries import Queries, load_queries
from dal.queries.files import shipped
from dal.tasks import to_its_end

T = TypeVar("T")

__all__ = ["Adopted", "Difference", "Progress", "adopt", "adoptable_systems"]

_TEXTS = "adopt.sqlite.sql"


def adoptable_systems(sql: Path | None = None) -> list[str]:
    """Return the systems that say how older files become theirs, by name.

    Args:
        sql: The folder of the systems' texts; None takes the one that comes with `dal`.
    """
    sql = shipped("sql") if sql is None else sql
    return sorted({path.parent.name for path in sql.glob(f"*/{_TEXTS}")} - {BASE})


async def adopt(
    file: Path,
    system: str,
    *,
    dry_run: bool = False,
    rounding: bool = False,
    whole: bool = False,
    root: Path | None = None,
    sql: Path | None = None,
    progress: Progress | None = None,
) -> Adopted:
    """Turn an older SQLite file into one that the migrations could have made, and keep a copy of the old.

    It may be called again and again: what a killed run left is removed, and a file that is today's is left
    alone. A call that is cancelled leaves the file as it was, unless it was being written already.

    Args:
        file: It exists, and nobody has it open.
        system: Whose tables it has, for example ``market``. Tables of others stay as they are.
        dry_run: Do all but write: the file is read, converted and compared, and stays as it is.
        rounding: Round decimals that have more digits than today's columns, half to even, and cut times after
            the microsecond, in place of refusing them.
        whole: A decimal in a column declared INTEGER is a whole number, not hundredths or millionths.
        root: Where the migrations lie; None takes those that come with `dal`.
        sql: Where ``SYSTEM/adopt.sqlite.sql`` lies; None takes those that come with `dal`.
        progress: Is told how far it is.

    Raises:
        AdoptionRefused: It cannot be done without loss; `differences` says why.
        LockTimeout: Somebody has the file open.
        ConfigurationError: The system has no such text, or no migrations.
        CannotOpen, CorruptDatabase, DiskFull: The file, or the disk; the file is as it was.
    """
    texts = await asyncio.to_thread(_texts, system, sql, root)
    if not await asyncio.to_thread(file.is_file):
        raise CannotOpen(f"{file} does not exist, or is no file", sent=False)
    work = Work(file, system, texts, dry_run=dry_run, rounding=rounding, whole=whole, progress=progress)
    try:
        await _in_thread(work, work.begin)
        await migrate(work.new_url, (BASE, system), root=root)
        return await _in_thread(work, work.finish)
    finally:
        await to_its_end(asyncio.to_thread(work.end))


def _texts(system: str, sql: Path | None, root: Path | None) -> Queries:
    path = (shipped("sql") if sql is None else sql) / system / _TEXTS
    if system == BASE or not path.is_file():
        known = ", ".join(adoptable_systems(sql)) or "none"
        raise ConfigurationError(f"no {path} says how older files become today's; there are {known}")
    migrations_of(system, "sqlite", root=root)
    return load_queries(path)


async def _in_thread(work: Work, step: Callable[[], T]) -> T:
    """Run *step* in a thread. A caller who is cancelled stops it, and leaves when it has ended."""

    def run() -> T:
        with errors_of(work.file):
            return step()

    task = asyncio.create_task(asyncio.to_thread(run))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        work.stop()
        with suppress(Exception):
            await to_its_end(asyncio.wait_for(task, None))
        raise
