"""A database is made, dropped and made anew; one that is not marked stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dal.database import DatabaseManager
from dal.errors import CheckViolation, UndefinedTable, UniqueViolation, UsageError
from dal.operations.lifecycle import QUERIES, drop_db, environment_of, init_db, reset_db
from dal.operations.migrate import migrate, systems_in
from tests.systems.fixtures import NewUrl
from tests.systems.registry import ENGINES

SYSTEMS = ("base", "documents")
PUT = "INSERT INTO system_config (key, value) VALUES ('limit', '3')"
COUNT = "SELECT count(*) FROM system_config"


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, new_url: NewUrl) -> Iterator[str]:
    """The URL of an empty database, on each engine in turn."""
    with new_url(request.param) as new:
        yield new


async def test_init_applies_what_is_missing(url: str) -> None:
    """The first call makes the tables, the second finds nothing to do."""
    applied = await init_db(url, systems=SYSTEMS)
    assert applied[0] == "base-0001.schema_versions"
    assert await init_db(url, systems=SYSTEMS) == []
    async with DatabaseManager(url) as db:
        assert await db.fetch_value(COUNT) == 0


async def test_an_unmarked_database_is_production(url: str) -> None:
    """Neither drop_db nor reset_db touches it, and the error says how a database is marked."""
    await init_db(url, systems=SYSTEMS)
    async with DatabaseManager(url) as db:
        assert await environment_of(db) is None
        for command in (drop_db, reset_db):
            with pytest.raises(
                UsageError, match=r"not marked as a database for development or tests.*init_db"
            ) as raised:
                await command(url)
            assert str(raised.value).startswith(f"{db.public_url} is not marked")
        assert await db.fetch_value(COUNT) == 0


async def test_a_database_without_any_table_is_production(url: str) -> None:
    """No table environment is no mark."""
    async with DatabaseManager(url) as db:
        await db.execute("CREATE TABLE mine (id INTEGER)")
        with pytest.raises(UsageError, match="not marked"):
            await drop_db(db)
        assert await db.fetch_value("SELECT count(*) FROM mine") == 0


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE environment (environment_id INTEGER, name VARCHAR(20))",
        "CREATE TABLE environment (word VARCHAR(20))",
    ],
)
async def test_a_table_of_that_name_is_no_mark(url: str, table: str) -> None:
    """Only the two words mark a database, whatever an application's own table says."""
    async with DatabaseManager(url) as db:
        await db.execute_script(table)
        if "name V" in table:
            await db.execute("INSERT INTO environment (environment_id, name) VALUES (1, 'production')")
        assert await environment_of(db) is None
        with pytest.raises(UsageError, match="not marked"):
            await drop_db(db)
        with pytest.raises(UsageError, match="not marked"):
            await reset_db(db)


async def test_drop_takes_every_table_back(url: str) -> None:
    """Nothing of a marked database stays but what yoyo remembers; it can be made again."""
    applied = await init_db(url, environment="test", systems=SYSTEMS)
    assert await drop_db(url) == applied[::-1]
    async with DatabaseManager(url) as db:
        tables = {row[0] for row in await db.fetch_all(QUERIES.table_names)}
        assert {name for name in tables if "yoyo" not in name} == set()
        with pytest.raises(UndefinedTable):
            await db.fetch_value(COUNT)
    assert await init_db(url, environment="development", systems=SYSTEMS) == applied


async def test_reset_empties_and_keeps_the_mark(url: str) -> None:
    """The same systems are there again, without rows, marked as before."""
    applied = await init_db(url, environment="development", systems=SYSTEMS)
    async with DatabaseManager(url) as db:
        await db.execute(PUT if "mysql" not in url else PUT.replace("(key,", "(`key`,"))
        assert await reset_db(db) == applied
        assert await db.fetch_value(COUNT) == 0
        assert await environment_of(db) == "development"


async def test_a_database_that_was_there_is_not_marked(url: str) -> None:
    """init_db marks what it makes; what others made is marked by its owner, in SQL."""
    await migrate(url, SYSTEMS)
    with pytest.raises(UsageError, match="INSERT INTO environment"):
        await init_db(url, environment="test", systems=SYSTEMS)
    async with DatabaseManager(url) as db:
        assert await environment_of(db) is None
        await db.execute("INSERT INTO environment (name) VALUES ('test')")
    assert await init_db(url, environment="test", systems=SYSTEMS) == []


async def test_the_mark_does_not_change(url: str) -> None:
    """A database for tests does not become one for development by a call, and there is one mark."""
    await init_db(url, environment="test", systems=("base",))
    with pytest.raises(UsageError, match="marked as test"):
        await init_db(url, environment="development", systems=("base",))
    async with DatabaseManager(url) as db:
        with pytest.raises(UniqueViolation):
            await db.execute(QUERIES.mark_environment, {"name": "development"})


async def test_only_two_marks_exist(url: str) -> None:
    """Production is not written down: it is what has no mark."""
    await init_db(url, systems=("base",))
    async with DatabaseManager(url) as db:
        with pytest.raises(CheckViolation, match="environment_name_known"):
            await db.execute(QUERIES.mark_environment, {"name": "production"})


async def test_a_private_database_is_made_too() -> None:
    """:memory: is reached through its manager, with all systems."""
    async with DatabaseManager("sqlite:///:memory:") as db:
        applied = await init_db(db, environment="test")
        assert {migration.partition("-")[0] for migration in applied} == set(systems_in())
        assert await reset_db(db) == applied
        assert len(await drop_db(db)) == len(applied)
