"""Applies the migrations of one or more systems, as ``yoyo apply`` does.

yoyo runs in a process of its own: in this one it would change how sqlite3 stores datetimes for the
whole application.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from glob import escape
from pathlib import Path
from urllib.parse import quote

from databases import DatabaseURL

from dal.engines.sqlite.file import DatabaseFile
from dal.engines.sqlite.url import file_for
from dal.errors import CannotOpen, ConfigurationError, CorruptDatabase, MigrationFailed
from dal.queries.files import shipped

CANCEL_GRACE = 1.0
"""Seconds that yoyo gets to end by itself when the caller is cancelled."""


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
    root = shipped("migrations") if root is None else root
    folder = root / system / engine_name
    if not folder.is_dir():
        known = sorted(str(path.relative_to(root)) for path in root.glob("*/*/"))
        raise ConfigurationError(
            f"no migrations in {folder}; there are {', '.join(known) or 'none'} in {root}"
        )
    if not _ids(folder):
        raise ConfigurationError(f"the migrations folder {folder} holds no .sql file")
    return folder


async def migrate(
    url: str, systems: Iterable[str] = ("base", "documents"), *, root: Path | None = None
) -> list[str]:
    """Bring a SQLite database up to date and return the ids of the migrations that were applied.

    The file and its folder are made if they do not exist, for their owner alone. A cancelled call ends
    yoyo and leaves no lock behind; each migration is applied either whole or not at all.

    Args:
        url: ``sqlite:///relative.db`` or ``sqlite:////absolute.db``.
        systems: Each with its own chain of migrations. One that depends on another comes after it.
        root: Where the systems lie; None takes those that come with `dal`.

    Raises:
        ConfigurationError: The URL is not that of a SQLite file, or a system has no migrations.
        CannotOpen: The file cannot be made or read.
        CorruptDatabase: The file is there and is no SQLite database.
        MigrationFailed: yoyo failed; what it applied before stays applied.
    """
    file, folders = await asyncio.to_thread(_prepare, url, tuple(systems), root)
    process, log = await _run_yoyo(file, folders)
    # A hook such as post-apply.sql is logged in the same way, and is no migration.
    known = {migration: folder for folder, ids in folders.items() for migration in ids}
    begun = [migration for migration in _APPLYING.findall(log) if migration in known]
    if process.returncode == 0:
        return begun
    if not begun:
        raise MigrationFailed(f"no migration could be begun: {_cause(log)}")
    failed = begun[-1]
    raise MigrationFailed(f"{known[failed]}/{failed}.sql: {_cause(log)}", migration=failed)


def _prepare(
    url: str, systems: tuple[str, ...], root: Path | None
) -> tuple[Path, dict[Path, frozenset[str]]]:
    file = _sqlite_file(url)
    folders = [migrations_of(system, "sqlite", root=root) for system in systems]
    file.make()
    path = file.path.absolute()
    _refuse_other_formats(path)
    return path, {folder: _ids(folder) for folder in folders}


def _ids(folder: Path) -> frozenset[str]:
    names = (path.name for path in folder.glob("*.sql"))
    return frozenset(name.removesuffix(".sql") for name in names if not name.endswith(".rollback.sql"))


def _sqlite_file(url: str) -> DatabaseFile:
    parsed = DatabaseURL(url)
    if parsed.dialect != "sqlite":
        raise ConfigurationError(
            f"migrate takes the URL of a SQLite file; for {parsed.dialect or 'this one'} run yoyo apply"
        )
    if parsed.database == ":memory:":
        raise ConfigurationError("a :memory: database is private to its process; migrate a file")
    return file_for(parsed)


def _refuse_other_formats(path: Path) -> None:
    """yoyo would take the database's error for a lock, and wait for it."""
    try:
        with path.open("rb") as stream:
            header = stream.read(len(_SQLITE_HEADER))
    except OSError as error:
        raise CannotOpen(f"{path} cannot be read: {error.strerror}", sent=False) from error
    if header not in (b"", _SQLITE_HEADER):
        raise CorruptDatabase(f"{path} is no SQLite database", sent=False)


_SQLITE_HEADER = b"SQLite format 3\0"


async def _run_yoyo(file: Path, folders: Iterable[Path]) -> tuple[asyncio.subprocess.Process, str]:
    """Run yoyo to its end and return it with what it logged.

    One run for all folders, since a migration may depend on one of another system. Where the
    dependencies leave it open, yoyo keeps the order of the folders.
    """
    # yoyo hands the path on to SQLite as part of a file: URI, which undoes the quoting.
    url = f"sqlite:///{quote(str(file))}"
    sources = [escape(str(folder)) for folder in folders]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *_YOYO_APPLY, "--database", url, *sources),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
    )
    try:
        _, output = await process.communicate()
    except BaseException:
        await asyncio.shield(_end(process, file))
        raise
    return process, output.decode(errors="replace")


# -P: a file yoyo.py in the working directory is not yoyo. -W: a warning is no failure here.
_YOYO_APPLY = ("-P", "-W", "ignore", "-m", "yoyo", "apply", "--batch", "-vvv", "--no-config-file")
_APPLYING = re.compile(r"^INFO:yoyo\.\S*:Applying (.+)$", re.MULTILINE)


def _environment() -> Mapping[str, str]:
    environment = {**os.environ, "PYTHONUTF8": "1"}  # yoyo opens migrations in the locale's encoding
    try:
        getpass.getuser()
    except (KeyError, OSError):
        # yoyo asks for the user's name after the migration is committed, and would fail to record it.
        environment["LOGNAME"] = f"uid-{os.getuid()}"
    return environment


async def _end(process: asyncio.subprocess.Process, file: Path) -> None:
    """End yoyo and its lock on the database. SIGINT is the one signal at which it releases that itself."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.communicate(), CANCEL_GRACE)
        except TimeoutError:
            process.kill()
            await process.communicate()
            await asyncio.to_thread(_release_lock, file, process.pid)


def _release_lock(file: Path, pid: int) -> None:
    # Killed before it had made its tables, yoyo holds no lock.
    with closing(sqlite3.connect(file)) as connection, suppress(sqlite3.OperationalError), connection:
        connection.execute("DELETE FROM yoyo_lock WHERE pid = ?", (pid,))


def _cause(log: str) -> str:
    """The last line of the first traceback: those after it only tell how yoyo failed to clean up."""
    tracebacks = re.split(r"^Traceback \(most recent call last\):$", log, flags=re.MULTILINE)
    ends = [lines[-1] for lines in map(_unindented, tracebacks[1:]) if lines]
    if not ends:
        return (log.strip().splitlines() or ["yoyo said nothing"])[-1]
    return next((line for line in ends if "LockTimeout" in line), ends[0])


def _unindented(text: str) -> list[str]:
    """The lines that name an error: not a frame, not a note between two tracebacks."""
    notes = ("During handling of", "The above exception", "INFO:", "DEBUG:", "ERROR:")
    return [line for line in text.splitlines() if line.strip() and not line.startswith((" ", *notes))]
