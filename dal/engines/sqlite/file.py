"""Where a SQLite database lives: an existing file, one to be made, or a temporary one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

from dal.errors import (
    CannotOpen,
    ConfigurationError,
    CorruptDatabase,
    DalError,
    DiskFull,
    ReadOnlyDatabase,
    StorageError,
)

_MEMORY = ":memory:"
_FASTEST_FOLDER = Path("/dev/shm")
_NOT_WRITABLE = "this user may not read and write it; change its owner or its mode"
_REFUSED_WRITE = "SQLITE_READONLY"  # the connection is for reading; nothing is wrong with the file


class DatabaseFile:
    """The file of a database URL.

    ``:memory:`` is a private file in a temporary folder, gone at disconnect: SQLite's own memory
    databases are either invisible to a second connection, or lock against it.

    Args:
        path: As the URL names it, relative to the working directory or absolute; or ``:memory:``.
        create: Make the file, and its folder, if it is missing.
    """

    def __init__(self, path: str, *, create: bool = True) -> None:
        if not path:
            raise ConfigurationError(
                "the SQLite URL names no file: sqlite:///relative.db, sqlite:////absolute.db or sqlite:///:memory:"
            )
        self._temporary: Path | None = None
        self._memory = path == _MEMORY
        self._create = create
        self.path = Path(path)

    @property
    def uri(self) -> str:
        """The file for sqlite3, which must not make it: a file that vanished stays an error."""
        return f"file:{quote(str(self.path.absolute()))}?mode=rw"

    @property
    def settings(self) -> dict[str, object]:
        """PRAGMAs in place of the usual ones: nothing temporary needs to survive a power cut."""
        return {"synchronous": 0} if self._memory else {}

    def make(self) -> None:
        """Make the file (0600) and its folders (0700) if they are missing.

        Raises:
            CannotOpen: It is missing and may not or cannot be made, or is a folder.
            ReadOnlyDatabase: It is there, and may be read but not written.
        """
        if self._memory:
            folder = _FASTEST_FOLDER if os.access(_FASTEST_FOLDER, os.W_OK) else None
            self._temporary = Path(tempfile.mkdtemp(prefix="dal-", dir=folder))
            self.path = self._temporary / "memory.db"
        if self.path.is_dir():
            raise CannotOpen(f"{self.path} is a folder, not a database file", sent=False)
        if self.path.exists():
            # SQLite would open it for reading, and say so no sooner than at the first write.
            if os.access(self.path, os.R_OK) and not os.access(self.path, os.W_OK):
                raise ReadOnlyDatabase(f"{self.path}: {_NOT_WRITABLE}", sent=False)
            return
        if not (self._create or self._memory):
            raise CannotOpen(f"{self.path} does not exist, and the URL says create=off", sent=False)
        try:
            for folder in reversed([f for f in self.path.absolute().parents if not f.exists()]):
                folder.mkdir(mode=0o700, exist_ok=True)
            # O_EXCL: closing a file that this process has open elsewhere would end SQLite's locks on it.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        except OSError as error:
            raise CannotOpen(f"{self.path} cannot be made: {error.strerror}", sent=False) from error

    def remove_if_temporary(self) -> None:
        """Remove a temporary file and its folder."""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def explained(self, error: DalError) -> DalError:
        """Return *error* with the file's name and the way out, if it is the file that is at fault."""
        if not isinstance(error, (StorageError, CannotOpen)) or error.code in (None, _REFUSED_WRITE):
            return error
        if str(error.args[0]).startswith(f"{self.path}: "):  # explained already, where the file was opened
            return error
        if isinstance(error, CorruptDatabase):
            advice = "it is damaged, encrypted, or no SQLite database; restore it, or name another file"
        elif isinstance(error, DiskFull):
            advice = "free some space; nothing of this transaction was kept"
        elif not self.path.exists():
            advice = "there is no such file, or no more: name another, or restore it and connect anew"
        elif not os.access(self.path, os.R_OK | os.W_OK):
            advice = _NOT_WRITABLE
        else:
            advice = "check the file, its folder (SQLite writes beside it) and the disk"
        return type(error)(f"{self.path}: {error.args[0]}; {advice}", code=error.code, sent=error.sent)
