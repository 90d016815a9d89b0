"""The files of an adoption, and their order: the old one, its copy, and the new one.

Beside ``app.db`` a folder ``.app.db.adopting-...`` holds the copy and the new file. Whoever has locked the
old one owns all of that name, and removes what killed runs left. Each run has one of its own, since the yoyo
of a killed run may go on for a while in its own.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from dal.engines.sqlite.errors import is_locked, translated
from dal.engines.sqlite.file import DatabaseFile
from dal.errors import AdoptionRefused, CorruptDatabase, DalError, DiskFull, LockTimeout, StorageError
from dal.operations.adopt import keeping
from dal.operations.adopt.catalog import Catalog, Difference, differences, read
from dal.operations.adopt.filling import LISTED, Filling, Progress, Stopped, calls_in
from dal.operations.migrate import BASE
from dal.queries import Queries, load_queries
from dal.queries.dialects import DIALECTS
from dal.queries.files import shipped

_RECORDS = {
    "environment": "environment",
    "schema_versions": "schema_versions",
    "yoyo_migration": "_yoyo_migration",
    "yoyo_log": "_yoyo_log",
}
"""The texts of ``sql/base/adopt.sqlite.sql``, and the table of the old file that each reads."""


class Adopted(BaseModel):
    """What became of a file.

    Attributes:
        state: ``current``: it was today's already, and nothing was done.
        differences: In what it differed from today's schema.
        rows: How many rows each table has, those of the user's own included.
        filled: ``table.column`` -> in how many rows it had nothing, where today's must have something: a
            clock took the other of its row, else the moment of the adoption.
        kept: The user's own tables, indexes, triggers and views, which are as they were.
        backup: The copy of the old file.
    """

    model_config = ConfigDict(frozen=True)

    state: Literal["current", "adopted", "adoptable"]
    differences: list[Difference] = []
    rows: dict[str, int] = {}
    filled: dict[str, int] = {}
    kept: list[str] = []
    backup: Path | None = None


class Work:
    """One adoption. Its steps run in threads, one after the other."""

    def __init__(
        self,
        path: Path,
        system: str,
        texts: Queries,
        *,
        dry_run: bool,
        rounding: bool,
        whole: bool,
        progress: Progress | None,
    ) -> None:
        self.file = DatabaseFile(str(path), create=False)
        self._system = system
        self._texts = texts
        self._dry_run = dry_run
        self._rounding = rounding
        self._whole = whole
        self._progress = progress
        self._stop = threading.Event()
        self._old: sqlite3.Connection | None = None
        self._new: sqlite3.Connection | None = None
        real = path.resolve()  # SQLite works beside the file that a link leads to
        self._real = real
        self._folder = real.parent / f".{real.name}.adopting-{token_hex(4)}"

    @property
    def new_url(self) -> str:
        """The new file, for the migrations."""
        return f"sqlite:///{quote(str(self._folder / 'new.db'))}"

    def begin(self) -> None:
        """Lock the old file, and make an empty new one."""
        self._old = old = _locked(self.file)
        self._remove_folders()
        self._folder.mkdir(mode=0o700)
        with closing(self._made("new.db")) as new:
            for pragma in ("encoding", "page_size", "auto_vacuum"):
                (value,) = old.execute(f"PRAGMA {pragma}").fetchone()
                new.execute(f"PRAGMA {pragma} = '{value}'")
            new.execute("CREATE TABLE first (id)")  # so that all three are written: of an empty file SQLite
            new.execute("DROP TABLE first")  # forgets the encoding

    def finish(self) -> Adopted:
        """Fill the new file, and put it in the place of the old one.

        Raises:
            AdoptionRefused: See `adopt`.
        """
        assert self._old is not None
        new = self._new = self._opened("new.db")
        old, today = read(self._old), read(new)
        ours = self._tables(today)
        self._check_is_of_system(old, ours)
        kept, found = keeping.kept_from(old, today, ours)
        found = [
            *differences(old, today, ours),
            *found,
            *self._unsure(old, today),
            *_other_records(old, today),
        ]
        unrecorded = _ids(new) - _ids(self._old)
        found += self._unknown_migrations(new)
        if blocking := [str(difference) for difference in found if difference.blocks]:
            raise self._refused(blocking)
        if not found and not unrecorded:
            return Adopted(state="current", rows=_counts(self._old, ours), kept=kept.names())
        found += [Difference("schema_versions", f"{name} is not recorded") for name in sorted(unrecorded)]
        self._copy_old()
        filling = self._fill(new, old, today, kept)
        result = Adopted(
            state="adoptable",
            differences=found,
            rows=filling.rows,
            filled=filling.filled,
            kept=kept.names(),
        )
        if self._dry_run:
            return result
        return result.model_copy(update={"state": "adopted", "backup": self._replace(new, old)})

    def stop(self) -> None:
        """Make the step that is running end soon."""
        self._stop.set()
        with suppress(sqlite3.ProgrammingError):  # it was closed meanwhile
            if self._new is not None:
                self._new.interrupt()

    def end(self) -> None:
        """Remove what is not needed any more, and unlock the file."""
        if self._new is not None:
            self._new.close()
        if self._old is not None:
            self._remove_folders()
            self._old.close()

    def _remove_folders(self) -> None:
        """Remove this run's folder and what killed runs left; one in which a yoyo still writes may stay."""
        for folder in self._real.parent.glob(f".{escape(self._real.name)}.adopting-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _tables(self, today: Catalog) -> list[str]:
        return [name for name in (query.name or "" for query in self._texts) if name in today.tables]

    def _check_is_of_system(self, old: Catalog, ours: list[str]) -> None:
        if not old.tables.keys() & set(ours):
            raise self._refused([f"it has none of the tables of {self._system}: {', '.join(ours)}"])

    def _unsure(self, old: Catalog, today: Catalog) -> Iterator[Difference]:
        """Columns whose numbers could be units or whole numbers."""
        for query in self._texts:
            table = old.tables.get(query.name or "")
            if table is None or table.tokens == today.tables[table.name.lower()].tokens:
                continue
            for kind, name, _ in calls_in(query.text(DIALECTS["sqlite"])):
                column = table.columns.get(name)
                if kind == "units" and column is not None and "INT" in column.type.upper():
                    yield Difference(
                        table.name,
                        f"the column {name} is {column.type}, and may hold whole numbers or parts of them",
                        blocks=table.strict or not self._whole,
                    )

    def _unknown_migrations(self, new: sqlite3.Connection) -> Iterator[Difference]:
        """A newer `dal` applied them."""
        assert self._old is not None
        for name in sorted(_any_ids(self._old) - _ids(new)):
            if name.partition("-")[0] in (BASE, self._system):
                yield Difference("schema_versions", f"{name} was applied, and has no file here", blocks=True)

    def _refused(self, reasons: list[str]) -> AdoptionRefused:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return AdoptionRefused(
            f"{self.file.path} stays as it is: {reasons[0]}{more}", differences=tuple(reasons)
        )

    def _copy_old(self) -> None:
        """Copy the old file, what is in its WAL included, and see that it is whole."""
        assert self._old is not None
        with closing(self._made("old.db")) as copy:
            self._old.backup(copy, pages=4096, progress=self._check)
            copy.execute("PRAGMA journal_mode = DELETE")
            problems = [row[0] for row in copy.execute("PRAGMA integrity_check(1)")]
        if problems != ["ok"]:
            raise CorruptDatabase(f"{self.file.path} is damaged: {problems[0]}")

    def _fill(self, new: sqlite3.Connection, old: Catalog, today: Catalog, kept: keeping.Kept) -> Filling:
        source = f"file:{quote(str(self._folder / 'old.db'))}?mode=ro&immutable=1"
        new.execute("ATTACH DATABASE ? AS old", (source,))
        for pragma in ("journal_mode = MEMORY", "synchronous = OFF", "foreign_keys = OFF"):
            new.execute(f"PRAGMA main.{pragma}")  # it is thrown away if anything happens
        new.execute("BEGIN")
        filling = Filling(
            new,
            self._texts,
            old,
            today,
            rounding=self._rounding,
            stop=self._stop,
            progress=self._progress,
        )
        filling.fill()
        if filling.refusals.count:
            raise self._refused(filling.refusals.texts())
        for name, table in _RECORDS.items():
            if table in old.tables:
                new.execute(_base_texts()[name].text(DIALECTS["sqlite"]))
        filling.compare()
        filling.forget()
        self._check()
        filling.rows.update(keeping.copy(new, kept))
        if changed := keeping.unequal(new, kept):
            raise CorruptDatabase(f"{', '.join(changed)}: the copy is not equal; nothing was changed")
        new.execute("COMMIT")
        new.execute("PRAGMA writable_schema = RESET")  # so that virtual tables are seen
        self._check_own_references(new)
        for pragma in ("user_version", "application_id"):
            (value,) = new.execute(f"PRAGMA old.{pragma}").fetchone()
            new.execute(f"PRAGMA main.{pragma} = {value}")
        problems = [row[0] for row in new.execute("PRAGMA main.integrity_check(1)")]
        if problems != ["ok"]:
            raise CorruptDatabase(f"the new file is damaged: {problems[0]}; nothing was changed")
        new.execute("DETACH DATABASE old")
        return filling

    def _check_own_references(self, new: sqlite3.Connection) -> None:
        """Those of the system's tables were checked with their rows."""
        try:
            orphans = new.execute("PRAGMA main.foreign_key_check").fetchmany(LISTED)
        except sqlite3.OperationalError as error:  # it refers to columns that are no key
            raise self._refused([str(error)]) from error
        if orphans:
            raise self._refused(
                [
                    f"{table} rowid={number}: FOREIGN KEY refers to no row of {parent}"
                    for table, number, parent, _ in orphans
                ]
            )

    def _replace(self, new: sqlite3.Connection, before: Catalog) -> Path:
        """Give the copy its name, and write the new pages over the old ones in one transaction."""
        assert self._old is not None
        self._check()
        backup = self._free_name()
        copy = self._folder / "old.db"
        _sync(copy)
        copy.rename(backup)
        _sync(backup.parent)
        try:
            new.backup(self._old)
        except sqlite3.Error:
            if read(self._old) == before:
                backup.unlink()
            raise
        return backup

    def _free_name(self) -> Path:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        number = 1
        while True:
            end = f"-{number}" if number > 1 else ""
            name = self._real.with_name(f"{self._real.name}.before-adoption-{moment}{end}")
            if not name.exists():
                return name
            number += 1

    def _check(self, *_: object) -> None:
        if self._stop.is_set():
            raise Stopped

    def _made(self, name: str) -> sqlite3.Connection:
        DatabaseFile(str(self._folder / name)).make()
        return self._opened(name)

    def _opened(self, name: str) -> sqlite3.Connection:
        file = DatabaseFile(str(self._folder / name))
        return sqlite3.connect(file.uri, uri=True, isolation_level=None, check_same_thread=False)


@contextmanager
def errors_of(file: DatabaseFile) -> Iterator[None]:
    """Errors of SQLite and of the file system as those of `dal`."""
    try:
        yield
    except DalError:
        raise  # some are OSErrors as well
    except sqlite3.Error as error:
        raise file.explained(translated(error)) from error
    except OSError as error:
        kind = DiskFull if error.errno == errno.ENOSPC else StorageError
        raise kind(f"{error.filename or file.path}: {error.strerror}") from error


def _locked(file: DatabaseFile) -> sqlite3.Connection:
    """Connect, so that nobody else can read or write until this is closed."""
    connection = sqlite3.connect(file.uri, uri=True, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        connection.execute("PRAGMA main.locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        connection.close()
        if is_locked(error):
            raise LockTimeout(
                f"{file.path} is in use: end what has it open, and try again",
                code=getattr(error, "sqlite_errorname", None),
            ) from error
        raise
    return connection


def _other_records(old: Catalog, today: Catalog) -> Iterator[Difference]:
    """Tables that have the names of those of `dal` and are others."""
    for table in ("environment", "schema_versions"):
        if table in old.tables and old.tables[table].tokens != today.tables[table].tokens:
            yield Difference(table, "is another table than the one of this name here", blocks=True)


def _ids(connection: sqlite3.Connection) -> set[str]:
    """The migrations that are recorded by yoyo and by the migrations themselves."""
    return _by_yoyo(connection) & _by_themselves(connection)


def _any_ids(connection: sqlite3.Connection) -> set[str]:
    return _by_yoyo(connection) | _by_themselves(connection)


def _by_yoyo(connection: sqlite3.Connection) -> set[str]:
    return _column(connection, "_yoyo_migration", "migration_id")


def _by_themselves(connection: sqlite3.Connection) -> set[str]:
    return _column(connection, "schema_versions", "version_id")


def _column(connection: sqlite3.Connection, table: str, column: str) -> set[str]:
    try:
        return {name for (name,) in connection.execute(f"SELECT {column} FROM {table}")}
    except sqlite3.OperationalError:  # there is no such table
        return set()


def _counts(connection: sqlite3.Connection, tables: list[str]) -> dict[str, int]:
    return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def _base_texts() -> Queries:
    return load_queries(shipped("sql") / BASE / "adopt.sqlite.sql")


def _sync(path: Path) -> None:
    """Wait until a file that nobody has open, or a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
