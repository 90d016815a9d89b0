"""Copies of a SQLite database: taken while it is in use, compared, put back.

SQLite's own integrity check is content with an empty file, with an emptied table and with a changed text. So
a copy is compared with what was counted in the snapshot that it was taken from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from databases import DatabaseURL

from dal.engines.sqlite.errors import translated
from dal.engines.sqlite.file import DatabaseFile
from dal.engines.sqlite.url import file_for
from dal.errors import (
    BackupRefused,
    ConfigurationError,
    CorruptDatabase,
    DiskFull,
    LockTimeout,
)
from dal.operations.backups.files import (
    Manifest,
    SqliteContents,
    copy_for,
    damaged,
    give_name,
    make_private,
    sync,
)
from dal.operations.lifecycle import QUERIES
from dal.queries.dialects import DIALECTS

HEADERS = (b"SQLite format 3\0",)

_PAGES = 4096  # of one step: how long a cancelled copy goes on
_OPCODES = 100_000  # likewise for a statement
_PATIENCE = 30.0  # seconds; a database without WAL lets nobody read while it commits

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name"
_SIDE_FILES = ("-wal", "-shm", "-journal")


class Stopped(Exception):
    """The work was cancelled."""


def file_of(source: str | Path) -> DatabaseFile:
    """Return the database file that a URL or a path names.

    Raises:
        ConfigurationError: It names none that another process could open.
    """
    file = DatabaseFile(str(source)) if isinstance(source, Path) else file_for(DatabaseURL(source))
    if str(file.path) == ":memory:":
        raise ConfigurationError("a :memory: database is private to its process; there is nothing to back up")
    return file


def take(file: DatabaseFile, draft: Path, stop: threading.Event) -> SqliteContents:
    """Copy a database, which may be in use, to *draft*; return what it held.

    Rows are counted and pages copied in one read transaction: with WAL no writer waits for it, and what is
    committed meanwhile is left out.

    Raises:
        DatabaseError: The database cannot be read.
        BackupDamaged: The copy is damaged, as the database then is.
        Stopped: *stop* is set.
    """
    make_private(draft)
    try:
        with _opened(file.uri, stop) as source, _opened(_uri(draft), stop) as copy:
            source.execute("BEGIN")
            contents = _contents(source)
            source.backup(copy, pages=_PAGES, progress=lambda *_: _check(stop))
            source.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode = DELETE")  # so that the file is whole without others beside it
    except sqlite3.Error as error:
        _check(stop)
        ours = translated(error)
        if isinstance(ours, DiskFull):  # nothing was written but the copy
            raise DiskFull(f"{draft}: {ours.args[0]}; free some space", code=ours.code) from error
        raise file.explained(ours) from error
    found = problems(draft, contents, stop)
    if found:
        raise damaged(file.path, found)
    return contents


def restored_problems(
    backup: Path, contents: SqliteContents, folder: Path, stop: threading.Event
) -> list[str]:
    """Restore *backup* into *folder*, which is private, and say in what it differs from *contents*."""
    restored = folder / "restored.db"
    make_private(restored)
    shutil.copyfile(backup, restored)
    return problems(restored, contents, stop)


def problems(file: Path, contents: SqliteContents, stop: threading.Event) -> list[str]:
    """Say in what a database file that nobody else uses differs from *contents*."""
    found: list[str] = []
    try:
        with _opened(_uri(file), stop) as connection:
            verdict = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            found += [f"integrity_check: {text}" for text in verdict if text != "ok"]
            found += _differences(_contents(connection), contents)
    except sqlite3.Error as error:
        _check(stop)
        found.append(f"SQLite cannot read it: {translated(error)}")
    return found


def _differences(found: SqliteContents, said: SqliteContents) -> Iterator[str]:
    for table, count in said.rows.items():
        if table not in found.rows:
            yield f"table {table} is missing"
        elif found.rows[table] != count:
            yield f"table {table} has {found.rows[table]} rows, the manifest says {count}"
    for table in sorted(found.rows.keys() - said.rows.keys()):
        yield f"table {table} is not in the manifest"
    if found.orphans != said.orphans:
        yield f"foreign_key_check finds {found.orphans} orphans, the manifest says {said.orphans}"
    if found.schema_sha256 != said.schema_sha256:
        yield "the schema is not the one of the manifest"
    if found.schema_version != said.schema_version:
        yield "the migrations are not those of the manifest"


def _contents(connection: sqlite3.Connection) -> SqliteContents:
    digest = hashlib.sha256()
    for row in connection.execute(_SCHEMA):
        digest.update(repr(row).encode())
    # A table's name cannot be a parameter, so these texts stand in no file.
    rows = {}
    for (name,) in connection.execute(_TABLES).fetchall():
        quoted = name.replace('"', '""')
        (rows[name],) = connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()
    return SqliteContents(
        version=sqlite3.sqlite_version,
        schema_version=_newest_migrations(connection),
        rows=rows,
        orphans=sum(_orphans(connection, table) for table in rows),
        schema_sha256=digest.hexdigest(),
    )


def _newest_migrations(connection: sqlite3.Connection) -> dict[str, str]:
    """The newest of each system. Somebody else's table may have that name: then there are none."""
    query = QUERIES.applied_migrations.text(DIALECTS["sqlite"])
    newest: dict[str, str] = {}
    with _never_mind_the_schema():
        for migration, *_ in connection.execute(query):
            system = str(migration).partition("-")[0]
            newest[system] = max(str(migration), newest.get(system, ""))
    return newest


def _orphans(connection: sqlite3.Connection, table: str) -> int:
    """The rows of a table that refer to none; 0 if it refers to columns that are no key."""
    with _never_mind_the_schema():
        return sum(1 for _ in connection.execute("SELECT 1 FROM pragma_foreign_key_check(?)", (table,)))
    return 0


@contextmanager
def _never_mind_the_schema() -> Iterator[None]:
    """Pass over what a statement finds wrong with the schema: a column is missing, a key is none."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
            raise


class Replaced(NamedTuple):
    """A database that was put back.

    Attributes:
        target: Where it is.
        kept: Under which name the old one is; None if there was none.
    """

    target: Path
    kept: Path | None


def check_target(backup: Path, target: Path, replace: bool) -> None:
    """Raise unless *backup* may become *target*.

    Raises:
        BackupRefused: It may not.
    """
    if not target.parent.is_dir():
        raise BackupRefused(f"the folder {target.parent} does not exist")
    if target.is_dir():
        raise BackupRefused(f"{target} is a folder")
    if target.exists() and target.samefile(backup):
        raise BackupRefused(f"{target} is the backup itself")
    if target.exists() and not replace:
        raise BackupRefused(f"{target} exists; to put the backup in its place has to be asked for (replace)")


def put_back(backup: Path, manifest: Manifest, target: Path, folder: Path, replace: bool) -> Replaced:
    """Let *target* be a copy of *backup*; the old database is kept under another name.

    Killed at any moment, it leaves either the old or the new database as *target*, whole.

    Args:
        folder: See `private_folder`.

    Raises:
        BackupRefused: Somebody is connected to the old database.
    """
    check_target(backup, target, replace)
    draft = folder / target.name
    copy_for(backup, manifest, draft, (target if target.exists() else target.parent).stat())
    if not target.exists():
        _remove_side_files(target)
        give_name(draft, target)
        return Replaced(target, None)
    kept = target.with_name(f"{target.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    try:
        # What leaves WAL has no -wal any more, and that is refused while somebody else is connected.
        with closing(_connected(_uri(target), timeout=0)) as old:
            old.execute("PRAGMA locking_mode = EXCLUSIVE")
            old.execute("PRAGMA journal_mode = DELETE")
            old.execute("BEGIN EXCLUSIVE")
            _swap(draft, target, kept)
    except sqlite3.Error as error:
        ours = translated(error)
        if isinstance(ours, LockTimeout):
            raise BackupRefused(
                f"{target} is in use; stop what is connected to it, and restore then"
            ) from error
        if not isinstance(ours, CorruptDatabase):
            raise DatabaseFile(str(target)).explained(ours) from error
        _keep_side_files(target, kept)
        _swap(draft, target, kept)
    return Replaced(target, kept)


def _swap(draft: Path, target: Path, kept: Path) -> None:
    os.link(target, kept)
    sync(target.parent)
    draft.rename(target)
    sync(target.parent)


def _remove_side_files(target: Path) -> None:
    """What was left of another database would be taken for the new one's latest changes."""
    for suffix in _SIDE_FILES:
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    sync(target.parent)


def _keep_side_files(target: Path, kept: Path) -> None:
    """Move what may help to rescue the old database along with it."""
    for suffix in _SIDE_FILES:
        path = target.with_name(target.name + suffix)
        if path.exists():
            path.rename(kept.with_name(kept.name + suffix))
    sync(target.parent)


def _uri(path: Path) -> str:
    return DatabaseFile(str(path)).uri


def _connected(uri: str, timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout)


@contextmanager
def _opened(uri: str, stop: threading.Event) -> Iterator[sqlite3.Connection]:
    """A connection whose statements end when *stop* is set."""
    with closing(_connected(uri, _PATIENCE)) as connection:
        connection.set_progress_handler(stop.is_set, _OPCODES)
        yield connection


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise Stopped
