"""Databases of the `documents` system."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.repositories.documents import ProcessedDocumentRepository
from dal.settings import Settings
from tests.documents.engines import ENGINES, Plain, opened, schema, sqlite_url
from tests.documents.samples import ROWS, SCHEMA, insert
from tests.servers import DatabaseServer, MariaDbServer, PostgresServer

NewUrl = Callable[[str], AbstractContextManager[str]]
NewDatabase = Callable[[str], AbstractContextManager[Plain]]


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], DatabaseServer]]:
    """Starts a server when its first test comes.

    PostgreSQL's databases have the locale C; MariaDB's defaults are Latin-1, no strict mode and another time
    zone than UTC.
    """
    with ExitStack() as running:
        started: dict[str, DatabaseServer] = {}

        def of(engine: str) -> DatabaseServer:
            if engine not in started:
                server = PostgresServer() if engine == "postgresql" else MariaDbServer()
                started[engine] = running.enter_context(server)
            return started[engine]

        yield of


@pytest.fixture(scope="session")
def new_url(servers: Callable[[str], DatabaseServer], tmp_path_factory: pytest.TempPathFactory) -> NewUrl:
    """Gives the URL of an empty database on an engine, with that server's own defaults."""

    @contextmanager
    def new(engine: str) -> Iterator[str]:
        if engine == "sqlite":
            yield sqlite_url(tmp_path_factory.mktemp("plain"))
            return
        server = servers(engine)
        with server.database() as name:
            if engine == "mysql":
                server.administer(f"ALTER DATABASE {name} CHARACTER SET latin1 COLLATE latin1_swedish_ci")
            yield server.url(name)

    return new


@pytest.fixture(scope="session")
def new_database(new_url: NewUrl) -> NewDatabase:
    """Gives a database on an engine with the schema of the system, and no rows but the schema's."""

    @contextmanager
    def new(engine: str) -> Iterator[Plain]:
        with new_url(engine) as url, opened(url) as database:
            database.script(schema(engine, "base"))
            database.script(schema(engine))
            yield database

    return new


@pytest.fixture
def plain() -> Iterator[sqlite3.Connection]:
    """The empty schema in memory, without anything of dal between."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(SCHEMA)
        yield connection


@pytest.fixture
def filled(plain: sqlite3.Connection) -> sqlite3.Connection:
    """The schema with one row in each table."""
    for table, row in ROWS.items():
        if plain.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,):
            plain.execute(insert(table, row), row)
    return plain


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database file with the empty schema."""
    path = tmp_path / "documents.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
    return path


@pytest.fixture(scope="session")
def shared(new_database: NewDatabase) -> Iterator[Callable[[str], Plain]]:
    """Gives one database of a server to one test after the other, each time without rows."""
    with ExitStack() as databases:
        made: dict[str, Plain] = {}

        def of(engine: str) -> Plain:
            if engine not in made:
                made[engine] = databases.enter_context(new_database(engine))
            made[engine].empty()
            return made[engine]

        yield of


@pytest.fixture(params=ENGINES)
async def db(
    request: pytest.FixtureRequest, shared: Callable[[str], Plain], file: Path, settings: Settings
) -> AsyncIterator[DatabaseManager]:
    """A manager of a database without rows, on each engine in turn."""
    url = f"sqlite:///{file}" if request.param == "sqlite" else shared(request.param).url
    async with DatabaseManager(url, settings=settings) as manager:
        yield manager


@pytest.fixture
async def cache() -> AsyncIterator[CacheManager]:
    """An empty cache in memory."""
    async with CacheManager("memory://") as manager:
        yield manager


@pytest.fixture
def documents(db: DatabaseManager, cache: CacheManager) -> ProcessedDocumentRepository:
    """The documents of that database, with that cache."""
    return ProcessedDocumentRepository(db, cache)
