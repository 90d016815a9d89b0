"""One manager for a whole process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.errors import CannotOpen, MigrationFailed, UsageError
from dal.operations.process_wide import close_db_manager, get_db_manager, init_db_manager


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    """No test finds the manager of another."""
    yield
    await close_db_manager()


async def test_it_is_made_once_and_found_everywhere(url: str) -> None:
    """With the tables that the migrations make."""
    made = await init_db_manager(url, systems=("base",))
    assert get_db_manager() is made
    assert await get_db_manager().fetch_value("SELECT count(*) FROM schema_versions") == 2


async def test_before_it_is_made() -> None:
    """The error says what to call."""
    with pytest.raises(UsageError, match=r"await init_db_manager\(\) first"):
        get_db_manager()


async def test_while_it_is_made(url: str) -> None:
    """Nobody is given it before its migrations have ended, and everybody from then on."""
    making = asyncio.create_task(init_db_manager(url, systems=("base",)))
    refusals = []
    while not making.done():
        with pytest.raises(UsageError) as caught:
            get_db_manager()
        refusals.append(str(caught.value))
        await asyncio.wait([making], timeout=0.001)
    assert any("init_db_manager() has not returned yet" in refusal for refusal in refusals)
    assert get_db_manager() is await making


async def test_closed_while_it_is_made(url: str) -> None:
    """It is not handed out after all, nor does it harm the one that is made next."""
    making = asyncio.create_task(init_db_manager(url, systems=("base",)))
    await asyncio.sleep(0)  # it has begun
    await close_db_manager()
    made = await init_db_manager(url, systems=())
    with pytest.raises(UsageError):
        await making
    assert get_db_manager() is made
    assert await made.fetch_value("SELECT 1") == 1


async def test_a_second_one_is_refused(url: str) -> None:
    """The first stays, connected: code may hold it."""
    made = await init_db_manager(url, systems=())
    with pytest.raises(UsageError, match="has a manager already"):
        await init_db_manager(url, systems=())
    assert get_db_manager() is made
    assert await made.fetch_value("SELECT 1") == 1


async def test_closing_it(url: str) -> None:
    """It is disconnected and forgotten; closing twice does nothing; another can be made."""
    made = await init_db_manager(url, systems=())
    await close_db_manager()
    await close_db_manager()
    with pytest.raises(UsageError, match="not connected"):
        await made.fetch_value("SELECT 1")
    assert await init_db_manager(url, systems=()) is get_db_manager()


async def test_one_that_cannot_be_made_is_none(tmp_path: Path) -> None:
    """Neither a file that cannot be opened nor a migration that fails leaves a manager behind."""
    with pytest.raises(CannotOpen):
        await init_db_manager(f"sqlite:///{tmp_path}", systems=())
    root = tmp_path / "migrations" / "base" / "sqlite"
    root.mkdir(parents=True)
    (root / "base-0001.wrong.sql").write_text("CREATE TABLE;")
    with pytest.raises(MigrationFailed):
        await init_db_manager(f"sqlite:///{tmp_path}/app.db", root=tmp_path / "migrations")
    with pytest.raises(UsageError):
        get_db_manager()


async def test_no_migrations_where_a_deploy_applies_them(url: str) -> None:
    """Then no table is made."""
    db: DatabaseManager = await init_db_manager(url, systems=())
    assert await db.fetch_value("SELECT count(*) FROM sqlite_schema") == 0
