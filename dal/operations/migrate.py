"""Applies the migrations of one or more systems, as ``yoyo apply`` does, and takes them back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from dal.engines.sqlite.errors import translated
from dal.engines.sqlite.file import DatabaseFile
from dal.errors import CannotOpen, ConfigurationError, CorruptDatabase, MigrationFailed
from dal.operations.yoyo_process import Command, run_yoyo
from dal.operations.yoyo_url import YoyoDatabase, yoyo_database
from dal.queries.files import shipped

BASE = "base"
"""The system that the others stand on: it is applied first, and taken back last. It comes with `dal`."""


def systems_in(root: Path | None = None) -> tuple[str, ...]:
    """Return the systems whose migrations lie in *root*: `BASE` first, the others by name.

    Args:
        root: None takes those that come with `dal`.

    Raises:
        ConfigurationError: There is none.
    """
    root = shipped("migrations") if root is None else root
    found = {path.parent.parent.name for path in root.glob("*/*/*.sql")}
    if not found:
        raise ConfigurationError(f"no system in {root}: migrations lie in SYSTEM/ENGINE/*.sql below it")
    return (BASE, *sorted(found - {BASE}))


def migrations_of(system: str, engine_name: str, *, root: Path | None = None) -> Path:
    """Return the folder of a system's migrations for one engine.

    Args:
        system: A folder of *root*, for example ``documents``.
        engine_name: ``sqlite``, ``postgresql`` or ``mysql``.
        root: Where the systems lie; None takes those that come with `dal`.

    Raises:
        ConfigurationError: There is no such folder, or it holds no migration. yoyo itself would apply
            nothing and report success.
    """
    if root is None or (system == BASE and not (root / BASE).exists()):
        root = shipped("migrations")
    folder = root / system / engine_name
    if not folder.is_dir():
        known = sorted(str(path.relative_to(root)) for path in root.glob("*/*/"))
        raise ConfigurationError(
            f"no migrations in {folder}; there are {', '.join(known) or 'none'} in {root}"
        )
    if not migration_ids(folder):
        raise ConfigurationError(f"the migrations folder {folder} holds no .sql file")
    return folder


def migration_ids(folder: Path) -> frozenset[str]:
    """Return the ids of the migrations in *folder*: their file names without ``.sql``."""
    names = (path.name for path in folder.glob("*.sql"))
    return frozenset(name.removesuffix(".sql") for name in names if not name.endswith(".rollback.sql"))


async def migrate(url: str, systems: Iterable[str] | None = None, *, root: Path | None = None) -> list[str]:
    """Bring a database up to date and return the ids of the migrations that were applied.

    A SQLite file and its folder are made if they do not exist, for their owner alone; a database of a server
    has to be there. On SQLite and PostgreSQL each migration is applied either whole or not at all. MariaDB
    commits each statement that changes the schema; if a later one of the same migration fails, yoyo undoes
    those before it, and if yoyo itself is killed between two, they stay.

    A cancelled call ends yoyo and its lock. A statement that a server is busy with may go on for a while.

    yoyo connects by drivers of its own, psycopg and PyMySQL, under the rule for TLS that the engines have.

    Args:
        url: As `DatabaseManager` takes it: ``sqlite:///relative.db``, ``sqlite:////absolute.db``,
            ``postgresql://user:password@host/name``, ``mysql://user:password@host/name``.
        systems: Each with its own chain of migrations. One that depends on another comes after it. None
            takes all of *root*.
        root: Where the systems lie; None takes those that come with `dal`.

    Raises:
        ConfigurationError: The URL is not usable, or a system has no migrations for this engine.
        CannotOpen: The file cannot be made or read.
        CorruptDatabase: The file is there and is no SQLite database.
        MigrationFailed: yoyo failed, or could not connect; what it applied before stays applied.
    """
    return await _run("apply", url, systems, root)


async def rollback(
    url: str,
    migration: str | None = None,
    *,
    everything: bool = False,
    systems: Iterable[str] | None = None,
    root: Path | None = None,
) -> list[str]:
    """Take migrations back, the newest first, and return their ids. What their tables held is lost.

    Args:
        url: As for `migrate`.
        migration: It is taken back, after all that depend on it. None takes back the newest alone.
        everything: Take back all that were applied.
        systems: As for `migrate`: only their migrations are looked at.
        root: Where the systems lie; None takes those that come with `dal`.

    Raises:
        ConfigurationError: As for `migrate`; or no migration has this id.
        CannotOpen, CorruptDatabase, MigrationFailed: As for `migrate`.
    """
    if everything:
        return await _run("rollback", url, systems, root, "--all")
    if migration is None:
        return await _run("rollback", url, systems, root)
    return await _run("rollback", url, systems, root, "--revision", migration)


async def _run(
    command: Command, url: str, systems: Iterable[str] | None, root: Path | None, *options: str
) -> list[str]:
    database, folders = await asyncio.to_thread(_prepare, url, systems, root)
    # A hook such as post-apply.sql is logged in the same way, and is no migration.
    known = {migration: folder for folder, ids in folders.items() for migration in ids}
    if "--revision" in options and options[-1] not in known:
        raise ConfigurationError(f"no migration {options[-1]!r}; there are {', '.join(sorted(known))}")
    run = await run_yoyo(command, database, folders, *options)
    begun = [migration for migration in run.begun if migration in known]
    if run.succeeded:
        return begun
    if not begun:
        raise MigrationFailed(f"no migration could be begun: {run.cause}")
    failed = begun[-1]
    suffix = ".rollback.sql" if command == "rollback" else ".sql"
    raise MigrationFailed(f"{known[failed]}/{failed}{suffix}: {run.cause}", migration=failed)


def _prepare(
    url: str, systems: Iterable[str] | None, root: Path | None
) -> tuple[YoyoDatabase, dict[Path, frozenset[str]]]:
    database = yoyo_database(url)
    chosen = systems_in(root) if systems is None else tuple(systems)
    folders = [migrations_of(system, database.engine, root=root) for system in chosen]
    if database.file is not None:
        database.file.make()
        _refuse_other_formats(database.file)
    return database, {folder: migration_ids(folder) for folder in folders}


def _refuse_other_formats(file: DatabaseFile) -> None:
    """yoyo would take the database's error for a lock, and wait for it.

    SQLite itself looks: a file that this process opens and closes by other means loses the locks that
    connections of this process have on it.
    """
    try:
        with closing(sqlite3.connect(file.uri, uri=True, timeout=0)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        ours = translated(error)
        if isinstance(ours, (CannotOpen, CorruptDatabase)):
            raise file.explained(ours) from error
