"""A backup as a file: its manifest, the folder in which it is written, and how it gets its name.

A backup is written in a folder beside its place, which only this user can enter and which is locked for
as long as the run lives. The manifest gets its name first, then the backup: a run that is killed leaves
nothing under the backup's name, and a folder that the next run beside it removes.

Nothing here may be given the file of a database in use. A process that opens and closes it by other means
than SQLite loses the locks that its own connections have on it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dal.errors import BackupDamaged, BackupError, BackupRefused
from dal.tasks import to_its_end
from dal.values import UtcDatetime

SUFFIX = ".dal-partial"
"""How the name of a folder ends in which a backup is written."""


class Contents(BaseModel):
    """What a backup holds, as far as it can be compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SqliteContents(Contents):
    """What the copy of a SQLite database holds.

    Attributes:
        version: SQLite's own.
        schema_version: The newest migration of each system, by system.
        rows: Of each table.
        orphans: Rows whose foreign key leads nowhere, but for tables with one that names no key.
        schema_sha256: Of the texts of all tables, indexes, views and triggers.
    """

    kind: Literal["sqlite"] = "sqlite"
    version: str
    schema_version: dict[str, str]
    rows: dict[str, int]
    orphans: int
    schema_sha256: str


class RedisContents(Contents):
    """What the dump of a server of a cache holds.

    Attributes:
        server: ``redis`` or ``valkey``.
        version: The server's.
        keys: Of each of its numbered databases that has any; expired ones count as long as they are there.
    """

    kind: Literal["redis"] = "redis"
    server: Literal["redis", "valkey"]
    version: str
    keys: dict[int, int]


class Manifest(BaseModel):
    """What is written beside a backup.

    Attributes:
        source: The name of what it is a copy of, without a password.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    created_at: UtcDatetime
    source: str
    bytes: int
    sha256: str
    contents: Annotated[SqliteContents | RedisContents, Field(discriminator="kind")]


def manifest_of(file: Path) -> Path:
    """Return where the manifest of a backup is."""
    return Path(f"{file}.json")  # with_name raises for "." and "/"


def read_manifest(file: Path) -> Manifest:
    """Return the manifest of the backup *file*.

    Raises:
        BackupDamaged: It is missing or cannot be read.
    """
    path = manifest_of(file)
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        problem = f"the manifest {path} is missing"
    except OSError as error:
        problem = f"the manifest {path} cannot be read: {error.strerror}"
    except ValidationError as error:
        places = sorted({".".join(map(str, found["loc"])) or "the whole" for found in error.errors()})
        problem = f"the manifest {path} is unreadable: {', '.join(places)}"
    raise damaged(file, [problem])


def damaged(file: Path, problems: list[str]) -> BackupDamaged:
    """Return the error that tells all *problems* of *file*."""
    return BackupDamaged(f"{file}: {'; '.join(problems)}", problems=problems)


def check_is_free(target: Path) -> None:
    """Raise unless a backup may be written to *target*.

    Raises:
        BackupRefused: It exists, or something else has the manifest's name.
    """
    if os.path.lexists(target):
        raise BackupRefused(f"{target} exists, and a backup is never written over anything")
    path = manifest_of(target)
    if os.path.lexists(path):
        try:
            read_manifest(target)  # of a run that was killed before the backup had its name
        except BackupDamaged:
            raise BackupRefused(f"{path} exists, is no manifest, and stays; name another file") from None


@asynccontextmanager
async def private_folder(target: Path) -> AsyncIterator[Path]:
    """Give a folder for this run alone, in which what is to become *target* is written.

    Raises:
        BackupRefused: Another run is writing the same file.
    """
    folder = _PrivateFolder(target)
    try:
        await to_its_end(asyncio.to_thread(folder.make))
        yield folder.path
    finally:
        await to_its_end(asyncio.to_thread(folder.remove))


def scratch() -> Path:
    """Return a name for a `private_folder` among the temporary files of the system."""
    return Path(tempfile.gettempdir(), f"verify-{secrets.token_hex(4)}")


class _PrivateFolder:
    """A folder beside *target*, locked from its making to its removal."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f".{target.name}{SUFFIX}")
        self._target = target
        self._lock: int | None = None

    def make(self) -> None:
        while self._lock is None:
            remove_leftovers(self.path.parent)
            try:
                self.path.mkdir(mode=0o700)
            except FileExistsError:
                raise BackupRefused(f"{self._target}: another run is writing it, in {self.path}") from None
            with suppress(FileNotFoundError):  # somebody took the new folder for a leftover
                lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(lock, fcntl.LOCK_EX)
                if os.fstat(lock).st_nlink:
                    self._lock = lock
                else:
                    os.close(lock)

    def remove(self) -> None:
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)


def remove_leftovers(place: Path) -> None:
    """Remove from *place* the folders of this user's runs that were killed. A run that lives has a lock."""
    for folder in place.glob(f".*{SUFFIX}"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def make_private(path: Path) -> None:
    """Make an empty file that only this user can read."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(draft: Path, target: Path, manifest: Manifest) -> None:
    """Give a finished backup its name, its manifest before it."""
    check_is_free(target)
    note = draft.with_name("manifest")
    make_private(note)
    note.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    draft.chmod(0o600)
    sync(note)
    sync(draft)
    note.rename(manifest_of(target))
    sync(target.parent)
    give_name(draft, target)


def give_name(draft: Path, target: Path) -> None:
    """Let *target* be what *draft* is.

    Raises:
        BackupRefused: *target* has come to exist.
    """
    try:
        os.link(draft, target)  # a rename would replace what is there
    except FileExistsError:
        raise BackupRefused(f"{target} exists") from None
    sync(target.parent)


def copy_for(backup: Path, manifest: Manifest, draft: Path, owner: os.stat_result) -> None:
    """Copy a backup to *draft*, for its *owner* alone; it is on the disk then.

    Raises:
        BackupDamaged: It is no longer what the manifest says.
        BackupError: This user may not make files for *owner*.
    """
    make_private(draft)
    shutil.copyfile(backup, draft)
    if sha256_of(draft) != manifest.sha256:
        raise damaged(backup, ["it changed while it was being copied"])
    if os.geteuid() == 0:
        os.chown(draft, owner.st_uid, owner.st_gid)
    elif owner.st_uid != os.geteuid():
        raise BackupError(f"{draft.name} belongs to user {owner.st_uid}; restore it as that user, or as root")
    sync(draft)
