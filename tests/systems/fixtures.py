"""Databases for the tests of systems: real ones on each engine, made once and emptied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.servers import DatabaseServer, MariaDbServer, PostgresServer
from tests.systems.checkouts import Yoyo
from tests.systems.engines import Plain, Table, opened
from tests.systems.registry import SYSTEMS, System

NewUrl = Callable[[str], AbstractContextManager[str]]
NewDatabase = Callable[[str, System], AbstractContextManager[Plain]]
Databases = Callable[[str, System], Plain]
EmptyDatabase = Callable[[str, str], str]


@dataclass(frozen=True)
class Schema:
    """What the schema files of a system lead to.

    Attributes:
        catalog: All that the engine knows of the objects.
        tables: What every engine says of the tables, in one form.
        rows: The rows that are there at first, by table.
    """

    catalog: dict[str, object]
    tables: dict[str, Table]
    rows: dict[str, list[tuple[Any, ...]]]


Schemas = Callable[[str, System], Schema]


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
            yield f"sqlite:///{tmp_path_factory.mktemp('plain')}/plain.db"
            return
        server = servers(engine)
        with server.database() as name:
            if engine == "mysql":
                server.administer(f"ALTER DATABASE {name} CHARACTER SET latin1 COLLATE latin1_swedish_ci")
            yield server.url(name)

    return new


@pytest.fixture(scope="session")
def new_database(new_url: NewUrl) -> NewDatabase:
    """Gives a database on an engine with the schema of a system, and no rows but the schema's."""

    @contextmanager
    def new(engine: str, system: System) -> Iterator[Plain]:
        with new_url(engine) as url, opened(url, system) as database:
            database.create()
            yield database

    return new


@pytest.fixture(scope="session")
def schemas(new_database: NewDatabase) -> Schemas:
    """Gives what the schema files of a system lead to on an engine, which is read once."""

    @cache
    def of(engine: str, system: System) -> Schema:
        with new_database(engine, system) as database:
            rows = {table: database.rows(f"SELECT * FROM {table}") for table in system.rows}
            return Schema(database.catalog(), database.tables(), rows)

    return of


@pytest.fixture(scope="session")
def yoyo() -> Iterator[Yoyo]:
    """The command `yoyo`."""
    with Yoyo() as command:
        yield command


@contextmanager
def prepared(new_database: NewDatabase, prepare: Callable[[Plain], object]) -> Iterator[Databases]:
    """Gives one database, made and prepared at its first use, to one test after the other."""
    with ExitStack() as databases:
        made: dict[tuple[str, System], Plain] = {}

        def of(engine: str, system: System) -> Plain:
            if (engine, system) not in made:
                made[engine, system] = databases.enter_context(new_database(engine, system))
                prepare(made[engine, system])
            return made[engine, system]

        yield of


@pytest.fixture(scope="session")
def kept(new_database: NewDatabase) -> Iterator[Databases]:
    """Gives one database to one test after the other, as the one before left it."""
    with prepared(new_database, Plain.empty) as databases:
        yield databases


@pytest.fixture
def empty_database(kept: Databases, tmp_path: Path) -> EmptyDatabase:
    """Gives the URL of a database with the schema of a system, and no rows but the schema's.

    On a server it is the same one for one test after the other.
    """

    def of(engine: str, system: str) -> str:
        database = kept(engine, SYSTEMS[system])
        if engine == "sqlite":
            copy = tmp_path / f"{system}.db"
            shutil.copy(database.url.removeprefix("sqlite:///"), copy)
            return f"sqlite:///{copy}"
        database.empty()
        return database.url

    return of
