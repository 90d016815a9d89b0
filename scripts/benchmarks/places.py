"""Where the work is done: a SQLite file, and private servers that the benchmark starts itself.

Everything is as safe as in production, and the same for everyone: SQLite with WAL and
``synchronous=FULL``, servers that flush at each commit.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks import work

ENGINES = ("sqlite", "postgresql", "mysql")


class NotHere(Exception):
    """An engine that cannot be measured on this machine; the message says why, and how to get it."""


@dataclass(frozen=True)
class Base:
    """One database with the benchmark's tables.

    Attributes:
        engine: ``sqlite``, ``postgresql`` or ``mysql``.
        url: As `dal` takes it.
        rows: How many the table `item` has.
    """

    engine: str
    url: str
    rows: int

    @property
    def path(self) -> str:
        """The file, for SQLite."""
        return self.url.removeprefix("sqlite:///")

    @property
    def address(self) -> dict[str, Any]:
        """Where the server is, under the names that drivers use."""
        parts = urlsplit(self.url)
        return {"host": parts.hostname, "port": parts.port, "user": unquote(parts.username or "")}

    @property
    def name(self) -> str:
        """The name of the database on its server."""
        return urlsplit(self.url).path.lstrip("/")

    def with_driver(self, driver: str) -> str:
        """Return the URL in the form ``engine+driver://``."""
        scheme, colon, rest = self.url.partition(":")
        return f"{scheme}+{driver}{colon}{rest}"

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run *statements* on a connection of their own; return the rows of the last one."""
        if self.engine == "sqlite":
            with closing(sqlite3.connect(self.path, isolation_level=None, timeout=60)) as connection:
                rows: list[tuple[Any, ...]] = []
                for statement in statements:
                    rows = connection.execute(statement).fetchall()
                return rows
        if self.engine == "postgresql":
            import psycopg

            with psycopg.connect(self.url, autocommit=True) as server:
                for statement in statements:
                    cursor = server.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []
        import pymysql  # type: ignore[import-untyped]  # it comes without types

        with (
            pymysql.connect(database=self.name, autocommit=True, **self.address) as session,
            session.cursor() as found,
        ):
            for statement in statements:
                found.execute(statement)
            return list(found.fetchall())

    def make(self) -> None:
        """Make the tables and fill them."""
        if self.engine == "sqlite":
            self.run("PRAGMA journal_mode = WAL")
        self.run(*(work.creation(self.engine, table) for table in work.TABLES))
        self.run(*work.filling(self.engine, "item", self.rows))
        self.run(*work.filling(self.engine, "counted", work.COUNTED))
        self.run(*work.SETTLING[self.engine])

    def empty(self) -> None:
        """Remove what was inserted."""
        self.run(work.EMPTYING[self.engine])

    def written(self) -> tuple[int, int]:
        """Return how many rows were inserted, and the sum of their quantities."""
        [(count, total)] = self.run("SELECT count(*), coalesce(sum(quantity), 0) FROM written")
        return int(count), int(total)

    def record(self, number: int) -> tuple[Any, ...] | None:
        """Return an inserted row."""
        rows = self.run(f"SELECT {work.LIST} FROM written WHERE item_id = {number:d}")
        return rows[0] if rows else None


class Place(ABC):
    """One engine, and databases on it.

    Attributes:
        engine: Its name.
        version: What it says of itself.
    """

    engine: str
    version: str = ""

    @abstractmethod
    def new(self, rows: int) -> Base:
        """Return a database with *rows* rows, filled."""


class Files(Place):
    """SQLite files in a folder."""

    engine = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.version = f"SQLite {sqlite3.sqlite_version}"

    def new(self, rows: int) -> Base:
        base = Base("sqlite", f"sqlite:///{self._folder / f'{rows}.db'}", rows)
        base.make()
        return base


class OnServer(Place):
    """Databases of a private server."""

    def __init__(self, engine: str, server: Any) -> None:
        self.engine = engine
        self._server = server
        [(version,)] = server.administer("SELECT version()")
        self.version = str(version).split(" on ")[0]

    def new(self, rows: int) -> Base:
        name = f"rows_{rows}"
        self._server.administer(self._server.creation(name))
        base = Base(self.engine, self._server.url(name), rows)
        base.make()
        return base


_POSTGRES = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
}
_MARIADB = {
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_nopad_bin",
    "sql-mode": "STRICT_TRANS_TABLES,STRICT_ALL_TABLES",
    "default-time-zone": "+00:00",
    "autocommit": "1",
    "innodb-flush-log-at-trx-commit": "1",
    "innodb-flush-method": "fsync",
    "innodb-doublewrite": "1",
    "innodb-buffer-pool-size": "512M",
    "innodb-log-file-size": "512M",
    "max-allowed-packet": "16M",
}


@contextmanager
def place(engine: str) -> Iterator[Place]:
    """Give the place for an engine.

    Raises:
        NotHere: Its server, or the driver, is not on this machine.
    """
    with ExitStack() as stack:
        if engine == "sqlite":
            yield Files(stack.enter_context(scratch_folder()))
            return
        servers = _servers()
        if engine == "postgresql":
            server = servers.PostgresServer(options=_POSTGRES)
        else:
            server = servers.MariaDbServer(options=_MARIADB)
        yield OnServer(engine, stack.enter_context(_started(server)))


@contextmanager
def redis_url() -> Iterator[str]:
    """Give the URL of a private Redis or Valkey server.

    Raises:
        NotHere: Neither is on this machine.
    """
    servers = _servers()
    server = servers.RedisServer()
    with _started(server if server.program() else servers.ValkeyServer()):
        yield server.url


@contextmanager
def fault_proxy(port: int) -> Iterator[Any]:
    """Give a proxy in front of *port* that does to the traffic what it is told."""
    _servers()
    from tests.cache.faults import FaultProxy

    with FaultProxy(port) as proxy:
        yield proxy


@contextmanager
def _started(server: Any) -> Iterator[Any]:
    if server.program() is None:
        raise NotHere(f"{server.programs[0]} was not found: {server.hint}")
    with server:
        yield server


def _servers() -> Any:
    """Return the module with the private servers, which are those of the tests."""
    root = str(Path(__file__).resolve().parents[2])
    if root not in sys.path:
        sys.path.append(root)
    try:
        from tests import servers
    except ImportError as error:
        raise NotHere(f"private servers need a checkout with its tests, and {error.name}") from None
    return servers


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a private folder, removed at the end; the variable ``TMPDIR`` chooses the disk."""
    folder = Path(tempfile.mkdtemp(prefix="dal-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fsync_us(folder: Path) -> float:
    """Return how long the disk takes to keep 4 KiB, in microseconds: what each durable write pays."""
    durations = []
    with open(folder / "fdatasync", "wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(4096))
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            durations.append(time.perf_counter() - begun)
    return statistics.median(durations) * 1e6
