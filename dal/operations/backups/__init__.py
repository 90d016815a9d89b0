"""Backups that are known to be good: of SQLite databases, and of the Redis or Valkey server of a cache.

A backup is two files for this user alone: the copy, which is a database file or a dump, and a manifest that
says what it holds. It gets its name after it was read back and compared, and never replaces a file.
PostgreSQL and MariaDB have pg_dump and mariadb-dump.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from dal.cache.stores.url import StoreUrl
from dal.errors import BackupError, ConfigurationError, DalError
from dal.operations.backups import redis, sqlite
from dal.operations.backups.files import (
    Manifest,
    RedisContents,
    SqliteContents,
    check_is_free,
    damaged,
    private_folder,
    publish,
    read_manifest,
    scratch,
    sha256_of,
)
from dal.tasks import to_its_end

__all__ = [
    "Manifest",
    "RedisContents",
    "Restored",
    "SqliteContents",
    "create_backup",
    "restore_backup",
    "verify_backup",
]

T = TypeVar("T")

MISSING = "the backup itself is missing"


class Restored(NamedTuple):
    """What became of a backup.

    Attributes:
        target: The file that was put there.
        kept: The old database under its new name; None if there was none.
        must_start: The server was ended, and has to be started again.
    """

    target: Path
    kept: Path | None = None
    must_start: bool = False


async def create_backup(source: str | Path, target: Path) -> Manifest:
    """Back up a database or a cache that is in use; return the manifest.

    A call that is cancelled, or killed, leaves nothing under the name of the backup.

    Args:
        source: ``sqlite:///app.db`` or a path, ``redis://...`` or ``rediss://...``.
        target: A file that does not exist. The manifest is beside it, ``.json`` behind its name.

    Raises:
        ConfigurationError: *source* is nothing that is backed up here.
        BackupRefused: *target* or its manifest exists, or another run is writing it.
        BackupDamaged: What was copied is not what the source says it holds; there is no backup.
        BackupError: *target* cannot be written. `ProgramMissing`: see `dal.operations.backups.redis`.
        DatabaseError, CacheError: The source cannot be read.
    """
    name, take = _source(source)
    with _errors_of_files():
        await asyncio.to_thread(check_is_free, target)
        async with private_folder(target) as folder:
            draft = folder / target.name
            begun = datetime.now(UTC)
            contents = await take(draft)

            def finish() -> Manifest:
                manifest = Manifest(
                    created_at=begun,
                    source=name,
                    bytes=draft.stat().st_size,
                    sha256=sha256_of(draft),
                    contents=contents,
                )
                publish(draft, target, manifest)
                return manifest

            return await to_its_end(asyncio.to_thread(finish))


async def verify_backup(file: Path) -> Manifest:
    """Restore a backup into a private place and compare it with its manifest; return that.

    Without a manifest the file is not looked at: it could be a database in use.

    Raises:
        BackupDamaged: With everything that is wrong.
        ProgramMissing: See `dal.operations.backups.redis`.
    """
    with _errors_of_files():
        manifest = await asyncio.to_thread(read_manifest, file)
        found = await asyncio.to_thread(_problems_of_file, file, manifest)
        if MISSING in found:
            raise damaged(file, found)
        contents = manifest.contents
        if isinstance(contents, SqliteContents):
            async with private_folder(scratch()) as folder:
                found += await _in_thread(lambda stop: sqlite.restored_problems(file, contents, folder, stop))
        else:
            found += await redis.problems(file, contents)
        if found:
            raise damaged(file, found)
        return manifest


async def restore_backup(file: Path, target: str | Path, *, replace: bool = False) -> Restored:
    """Verify a backup, and put it in the place of a database or of a cache's keys.

    Killed at any moment it leaves the old or the new database, whole, and may be called again. An old
    database file is kept under another name. Connections of programs that use a SQLite file without WAL, and
    are idle, cannot be seen: stop them before.

    Args:
        target: As for `create_backup`, and of the backup's kind. A server is ended, and loads the backup when
            it is started again.
        replace: Replace a database file that exists, or the keys of a server.

    Raises:
        BackupDamaged: See `verify_backup`.
        BackupRefused: *target* exists, or the server has keys, and *replace* is not asked for; somebody is
            connected to the database; or the server would not load the backup.
        BackupError: *target* cannot be written.
        CacheError: The server did not answer, or refused a command.
    """
    manifest = await verify_backup(file)
    with _errors_of_files():
        if isinstance(manifest.contents, RedisContents):
            return Restored(
                await redis.put_back(file, manifest, _store_url(target), replace), must_start=True
            )
        place = await asyncio.to_thread(sqlite.file_of(target).path.resolve)
        await asyncio.to_thread(sqlite.check_target, file, place, replace)
        async with private_folder(place) as folder:
            return Restored(
                *await _in_thread(lambda _: sqlite.put_back(file, manifest, place, folder, replace))
            )


Take = Callable[[Path], Awaitable[SqliteContents | RedisContents]]
"""Copies a source to a file of this name, and returns what it holds."""


def _source(source: str | Path) -> tuple[str, Take]:
    """Return the name of *source* and what copies it."""
    if isinstance(source, Path):
        return _sqlite_source(source)
    scheme = source.partition("://")[0].partition("+")[0]
    if scheme not in _SOURCES:
        raise ConfigurationError(
            f"a backup is made of {', '.join(f'{known}://' for known in _SOURCES)}, not of this URL; "
            "PostgreSQL and MariaDB have pg_dump and mariadb-dump"
        )
    return _SOURCES[scheme](source)


def _sqlite_source(source: str | Path) -> tuple[str, Take]:
    file = sqlite.file_of(source)
    return file.path.name, lambda draft: _in_thread(lambda stop: sqlite.take(file, draft, stop))


def _redis_source(source: str) -> tuple[str, Take]:
    url = StoreUrl.parse(source)
    return str(url), lambda draft: redis.take(url, draft)


_SOURCES: dict[str, Callable[[str], tuple[str, Take]]] = {
    "sqlite": _sqlite_source,
    "redis": _redis_source,
    "rediss": _redis_source,
}


def _store_url(target: str | Path) -> StoreUrl:
    url = StoreUrl.parse(str(target))
    if not url.host:
        raise ConfigurationError("a dump is restored into a server: redis:// or rediss://")
    return url


def _problems_of_file(file: Path, manifest: Manifest) -> list[str]:
    if not file.is_file():
        return [MISSING]
    found = []
    size = file.stat().st_size
    if size != manifest.bytes:
        found.append(f"it has {size} bytes, the manifest says {manifest.bytes}")
    if sha256_of(file) != manifest.sha256:
        found.append("its SHA-256 is not the one of the manifest")
    headers = sqlite.HEADERS if isinstance(manifest.contents, SqliteContents) else redis.HEADERS
    with open(file, "rb") as opened:
        if not opened.read(16).startswith(headers):
            found.append(f"its header is not that of a {manifest.contents.kind} backup")
    return found


async def _in_thread(work: Callable[[threading.Event], T]) -> T:
    """Run *work* in a thread. A caller who is cancelled tells it to stop, and leaves when it has."""
    stop = threading.Event()
    task = asyncio.create_task(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        with suppress(Exception):
            await to_its_end(asyncio.wait_for(task, None))
        raise


@contextmanager
def _errors_of_files() -> Iterator[None]:
    try:
        yield
    except DalError:
        raise  # some are a TimeoutError too, and so an OSError
    except OSError as error:
        # Of a copy, the second name is where it goes.
        raise BackupError(f"{error.filename2 or error.filename or 'a file'}: {error.strerror}") from error
