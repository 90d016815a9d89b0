"""Applies the migrations of one or more systems, as ``yoyo apply`` does.

yoyo runs in a process of its own: in this one it would change how sqlite3 stores datetimes for the
whole application.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from glob import escape
from pathlib import Path

from dal.errors import CannotOpen, ConfigurationError, CorruptDatabase, MigrationFailed
from dal.operations.yoyo_url import YoyoDatabase, yoyo_database
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
        systems: Each with its own chain of migrations. One that depends on another comes after it.
        root: Where the systems lie; None takes those that come with `dal`.

    Raises:
        ConfigurationError: The URL is not usable, or a system has no migrations for this engine.
        CannotOpen: The file cannot be made or read.
        CorruptDatabase: The file is there and is no SQLite database.
        MigrationFailed: yoyo failed, or could not connect; what it applied before stays applied.
    """
    database, folders = await asyncio.to_thread(_prepare, url, tuple(systems), root)
    process, log = await _run_yoyo(database, folders)
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
) -> tuple[YoyoDatabase, dict[Path, frozenset[str]]]:
    database = yoyo_database(url)
    folders = [migrations_of(system, database.engine, root=root) for system in systems]
    if database.file is not None:
        database.file.make()
        _refuse_other_formats(database.file.path.absolute())
    return database, {folder: _ids(folder) for folder in folders}


def _ids(folder: Path) -> frozenset[str]:
    names = (path.name for path in folder.glob("*.sql"))
    return frozenset(name.removesuffix(".sql") for name in names if not name.endswith(".rollback.sql"))


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


async def _run_yoyo(
    database: YoyoDatabase, folders: Iterable[Path]
) -> tuple[asyncio.subprocess.Process, str]:
    """Run yoyo to its end and return it with what it logged.

    One run for all folders, since a migration may depend on one of another system. Where the
    dependencies leave it open, yoyo keeps the order of the folders.
    """
    async with _private_config(database) as config:
        sources = [escape(str(folder)) for folder in folders]
        process = await _python(*_YOYO_APPLY, "--config", config, *sources)
        try:
            _, output = await process.communicate()
        except BaseException:
            await asyncio.shield(_end(process, config))
            raise
    return process, output.decode(errors="replace")


@asynccontextmanager
async def _private_config(database: YoyoDatabase) -> AsyncIterator[str]:
    """A file that only this user can read, with the URL: others see the arguments of a process."""
    path = await asyncio.to_thread(_write_config, database)
    try:
        yield str(path)
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, path.parent))


def _write_config(database: YoyoDatabase) -> Path:
    path = Path(tempfile.mkdtemp(prefix="dal-migrate-"), "yoyo.ini")  # in a folder that is 0700
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(f"[DEFAULT]\ndatabase = {database.url.replace('%', '%%')}\n")
    return path


async def _python(*arguments: str) -> asyncio.subprocess.Process:
    # -P: a file yoyo.py in the working directory is not yoyo. -W: a warning is no failure here.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-W", "ignore", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
    )


_YOYO_APPLY = ("-m", "yoyo", "apply", "--batch", "-vvv")
_APPLYING = re.compile(r"^INFO:yoyo\.\S*:Applying (.+)$", re.MULTILINE)


def _environment() -> Mapping[str, str]:
    environment = {**os.environ, "PYTHONUTF8": "1"}  # yoyo opens migrations in the locale's encoding
    try:
        getpass.getuser()
    except (KeyError, OSError):
        # yoyo asks for the user's name after the migration is committed, and would fail to record it.
        environment["LOGNAME"] = f"uid-{os.getuid()}"
    return environment


async def _end(process: asyncio.subprocess.Process, config: str) -> None:
    """End yoyo and its lock on the database. SIGINT is the one signal at which it releases that itself."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.communicate(), CANCEL_GRACE)
        except TimeoutError:
            process.kill()
            await process.communicate()
    if process.returncode:
        # It did not end by itself, or tried to on a connection that was broken in mid-answer.
        unlock = await _python("-c", _RELEASE_LOCK, config, str(process.pid))
        await unlock.communicate()


_RELEASE_LOCK = """
import sys
from yoyo import get_backend
from yoyo.config import read_config

backend = get_backend(read_config(sys.argv[1]).get("DEFAULT", "database"))
with backend.transaction():
    backend.execute("DELETE FROM yoyo_lock WHERE pid = :pid", {"pid": int(sys.argv[2])})
"""


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
