"""What the next caller finds: the schema's own tables, its constraints in force, and a clock in UTC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from dal.database import DatabaseManager
from dal.errors import ForeignKeyViolation, StatementRefused, UndefinedTable
from dal.settings import DatabaseSettings, Settings
from tests.engine_cases import EngineCase

KEYS_OFF = {
    "sqlite": "PRAGMA foreign_keys = OFF",
    "postgresql": "SET session_replication_role = replica",
    "mysql": "SET foreign_key_checks = 0",
}
NOW = {
    "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%S', 'now')",
    "postgresql": """SELECT to_char(current_timestamp, 'YYYY-MM-DD"T"HH24:MI:SS')""",
    "mysql": "SELECT date_format(current_timestamp, '%Y-%m-%dT%H:%i:%S')",
}
WAYS = ("execute", "execute_script", "block")


@pytest.fixture
async def db(case: EngineCase, url: str) -> AsyncIterator[DatabaseManager]:
    """The table ``account``, and a single connection where they are pooled: every call has the same session."""
    settings = Settings(database=DatabaseSettings(pool_size=1, max_overflow=0))
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(case.account)
        yield manager


async def attempt(db: DatabaseManager, way: str, text: str) -> None:
    """Run *text*, which may be refused."""
    with suppress(StatementRefused):
        if way == "block":
            async with db.transaction() as tx:
                await tx.execute(text)
        else:
            await getattr(db, way)(text)


@pytest.mark.parametrize("way", WAYS)
async def test_foreign_keys_cannot_be_left_switched_off(
    db: DatabaseManager, case: EngineCase, way: str
) -> None:
    """The next caller is held to them."""
    await attempt(db, way, KEYS_OFF[case.dialect])
    with pytest.raises(ForeignKeyViolation):
        await db.execute("INSERT INTO account (email, parent_id) VALUES ('a', 99)")


@pytest.mark.parametrize("way", WAYS)
async def test_a_temporary_table_is_not_left_behind(db: DatabaseManager, way: str) -> None:
    """The next caller does not take it for one of the schema's."""
    await attempt(db, way, "CREATE TEMPORARY TABLE left_behind (a INTEGER)")
    with pytest.raises(UndefinedTable):
        await db.fetch_all("SELECT a FROM left_behind")


async def test_the_clock_of_the_database_is_in_utc(db: DatabaseManager, case: EngineCase) -> None:
    """Whatever time zone the server has by itself."""
    now = datetime.fromisoformat(await db.fetch_value(NOW[case.dialect])).replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=5)
