"""Databases of the `documents` system."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.repositories.documents import ProcessedDocumentRepository
from dal.settings import Settings
from tests.documents.samples import ROWS, SCHEMA, insert
from tests.systems.fixtures import EmptyDatabase
from tests.systems.registry import ENGINES


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


@pytest.fixture(params=ENGINES)
async def db(
    request: pytest.FixtureRequest, empty_database: EmptyDatabase, settings: Settings
) -> AsyncIterator[DatabaseManager]:
    """A manager of a database without rows, on each engine in turn."""
    async with DatabaseManager(empty_database(request.param, "documents"), settings=settings) as manager:
        yield manager


@pytest.fixture
async def cache() -> AsyncIterator[CacheManager]:
    """An empty cache in memory."""
    async with CacheManager("memory://") as manager:
        yield manager


@pytest.fixture
async def caching(
    db: DatabaseManager, cache: CacheManager, settings: Settings
) -> AsyncIterator[DatabaseManager]:
    """A manager of the same database that caches queries."""
    async with DatabaseManager(str(db._url), settings=settings, cache=cache) as manager:
        yield manager


@pytest.fixture
def documents(db: DatabaseManager, cache: CacheManager) -> ProcessedDocumentRepository:
    """The documents of that database, with that cache."""
    return ProcessedDocumentRepository(db, cache)
