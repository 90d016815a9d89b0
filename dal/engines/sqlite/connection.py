"""One SQLite connection as its own thread sees it: settings, the guard, running a job.

The guard is SQLite's authorizer. It refuses what would break the promises made around a connection:
transaction control, ATTACH and DETACH, temporary objects, changes of settings. It is asked when a
statement is prepared, so a text cannot fool it. The statements of `dal` itself pass it under a flag;
each carries a token, because a prepared statement in the cache is not asked again.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from typing import TYPE_CHECKING, Any

from dal.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dal.engines.sqlite.jobs import Job

execute = sqlite3.Connection.execute
executemany = sqlite3.Connection.executemany

_TOKEN = secrets.token_hex(8)
BEGIN_WRITE = f"BEGIN IMMEDIATE -- {_TOKEN}"
BEGIN_READ = f"BEGIN DEFERRED -- {_TOKEN}"
COMMIT = f"COMMIT -- {_TOKEN}"
ROLLBACK = f"ROLLBACK -- {_TOKEN}"


def savepoint(name: str) -> str:
    """Return the statement that sets a savepoint."""
    return f"SAVEPOINT {name} -- {_TOKEN}"


def release(name: str) -> str:
    """Return the statement that forgets a savepoint."""
    return f"RELEASE {name} -- {_TOKEN}"


def rollback_to(name: str) -> str:
    """Return the statement that undoes what was done since a savepoint."""
    return f"ROLLBACK TO {name} -- {_TOKEN}"


SETTINGS: dict[str, object] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: in WAL mode NORMAL loses acknowledged commits at a power cut
    "foreign_keys": 1,  # off by default, and per connection: https://sqlite.org/foreignkeys.html
    "busy_timeout": 0,  # the wait for another process's lock is not spent in the thread
    "query_only": 0,
}

# https://sqlite.org/c3ref/c_alter_table.html
_REFUSED = {
    3: "CREATE INDEX on a temporary table",
    4: "CREATE TEMP TABLE",
    5: "CREATE TEMP TRIGGER",
    6: "CREATE TEMP VIEW",
    22: "transaction control (BEGIN, COMMIT, ROLLBACK): use db.transaction()",
    24: "ATTACH",
    25: "DETACH",
    32: "SAVEPOINT: use a nested tx.transaction()",
}
_CREATES = frozenset({1, 2, 7, 8, 29})
_PRAGMA = 19
_PRAGMAS_WITH_ARGUMENT = frozenset(
    [
        "application_id",  # the file's, as user_version
        "defer_foreign_keys",  # for one transaction
        "foreign_key_check",
        "foreign_key_list",
        "incremental_vacuum",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "optimize",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
        "user_version",
        "wal_checkpoint",
    ]
)


class Connection(sqlite3.Connection):
    """A connection that runs jobs and refuses what would break the promises around it.

    Attributes:
        path: The database file.
        running: The job whose statement runs now; another thread may interrupt it.
        refused: What the guard refused last, for the error's message.
    """

    path: str
    running: Job[Any] | None = None
    refused: str | None = None
    _trusted = False

    def executescript(self, serve: Callable[[Connection], None]) -> None:  # type: ignore[override]
        """Give the thread that called to *serve*: see `dal.engines.sqlite.worker`."""
        serve(self)

    def own(self, sql: str, args: tuple[Any, ...] = ()) -> None:
        """Run a statement of `dal` itself, past the guard."""
        self._trusted = True
        try:
            execute(self, sql, args).close()
        finally:
            self._trusted = False

    def begin_write(self) -> None:
        """Begin a transaction that writes; one whose BEGIN or ROLLBACK failed may be open still.

        Raises:
            StorageError: The file is no longer the one that was opened. SQLite itself does not look in
                WAL mode, and would go on writing to a file that nobody can find.
        """
        self.leave_transaction()
        self.own(BEGIN_WRITE)
        self.check_file()

    def check_file(self) -> None:
        """Raise StorageError, and roll back, if the file was deleted or replaced since it was opened."""
        try:
            found = os.stat(self.path)
            same = (found.st_dev, found.st_ino) == self._identity
        except FileNotFoundError:
            same = False
        if not same:
            self.leave_transaction()
            raise StorageError(
                f"{self.path} was deleted or replaced while it was open; nothing was written; connect anew"
            )

    def leave_transaction(self) -> None:
        """Roll back whatever is open; an interrupt meant for a statement may hit the ROLLBACK."""
        while self.in_transaction:
            try:
                self.own(ROLLBACK)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                    raise

    def prepare(self, path: str, settings: dict[str, object]) -> None:
        """Make the *settings* on the database at *path*, read each back, and set the guard.

        Raises:
            ConfigurationError: A setting did not hold.
        """
        for name, value in settings.items():
            execute(self, f"PRAGMA {name} = {value}").close()
            held = execute(self, f"PRAGMA {name}").fetchone()[0]
            if held != value:
                raise ConfigurationError(f"SQLite keeps PRAGMA {name} at {held!r}, {value!r} is needed")
        opened = os.stat(path)
        self.path, self._identity = path, (opened.st_dev, opened.st_ino)
        self.set_authorizer(self._authorize)

    def _authorize(
        self, action: int, first: str | None, second: str | None, schema: str | None, source: str | None
    ) -> int:
        if self._trusted:
            return sqlite3.SQLITE_OK
        what = _REFUSED.get(action)
        if schema == "temp" and action in _CREATES:
            what = "an object in the schema temp"
        if action == _PRAGMA and second is not None and (first or "").lower() not in _PRAGMAS_WITH_ARGUMENT:
            what = f"PRAGMA {first} with a value: connections keep the settings that dal gave them"
        if what is None:
            return sqlite3.SQLITE_OK
        self.refused = what
        return sqlite3.SQLITE_DENY
