"""What a database says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dal.database import DatabaseManager
from dal.errors import UsageError
from dal.operations.diagnosis import database_info, health_check
from dal.operations.lifecycle import init_db
from tests.servers import PostgresServer
from tests.systems.fixtures import NewUrl
from tests.systems.registry import ENGINES


@pytest.fixture(params=ENGINES)
async def db(request: pytest.FixtureRequest, new_url: NewUrl) -> AsyncIterator[DatabaseManager]:
    """A manager of an empty database, on each engine in turn."""
    with new_url(request.param) as url:
        async with DatabaseManager(url) as manager:
            yield manager


async def test_a_database_that_answers_is_healthy(db: DatabaseManager) -> None:
    """Also while a block of the caller is open."""
    health = await health_check(db, timeout=60)
    assert (health.ok, health.problem) == (True, None)
    assert health.seconds > 0
    async with db.transaction():
        assert (await health_check(db, timeout=60)).ok


async def test_a_database_that_does_not_answer_is_an_answer() -> None:
    """The problem is told within the time given, nothing is raised; once it answers again it is healthy."""
    with PostgresServer() as server, server.database() as name:
        async with DatabaseManager(server.url(name)) as db:
            server.freeze()
            try:
                health = await health_check(db, timeout=0.5)
            finally:
                server.thaw()
            assert not health.ok
            assert health.problem is not None
            assert "timeout" in health.problem
            assert (await health_check(db, timeout=60)).ok


async def test_a_manager_that_is_not_connected_is_a_mistake() -> None:
    """It says nothing about the database."""
    with pytest.raises(UsageError, match="not connected"):
        await health_check(DatabaseManager("sqlite:///unused.db"))


async def test_an_empty_database(db: DatabaseManager) -> None:
    """No tables, no version, production."""
    info = await database_info(db)
    assert (info.engine, info.tables, info.schema_version, info.environment) == (db.engine_name, [], {}, None)
    assert info.server_version[0].isdigit()


async def test_a_database_in_use(db: DatabaseManager) -> None:
    """Its tables, the newest migration of each system, every migration in order, its mark."""
    applied = await init_db(db, environment="test", systems=("base", "documents"))
    info = await database_info(db)
    assert [migration.version_id for migration in info.migrations] == applied
    newest = {"base": "base-0002.environment", "documents": "documents-0011.search_generation"}
    assert info.schema_version == newest
    assert {"schema_versions", "environment", "documents", "search_cache"} <= set(info.tables)
    assert info.environment == "test"


async def test_connections_are_counted(db: DatabaseManager) -> None:
    """Open ones, those that a block holds, and the calls in line."""
    async with db.transaction() as tx:
        await tx.fetch_value("SELECT 1")
        counted = db.connections
        assert counted.in_use == 1
        assert counted.open >= 1
        assert counted.waiting == 0
    while db.connections.in_use:
        await asyncio.sleep(0)
    assert (await database_info(db)).connections.waiting == 0


async def test_no_password_is_told(new_url: NewUrl) -> None:
    """Neither by the information nor by its text."""
    with new_url("postgresql") as url:
        secret = url.replace("postgres@", "postgres:hunter2@")
        assert secret != url
        async with DatabaseManager(secret) as db:
            info = await database_info(db)
            assert "hunter2" not in info.model_dump_json()
            assert "hunter2" in db.url
