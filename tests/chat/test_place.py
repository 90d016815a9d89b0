"""Where the database of an application lies: a file in the user's home folder, made when it is first used."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.operations.migrate import migrate
from dal.repositories.chat import SessionRepository, VersionRepository
from dal.settings import load_settings
from tests.systems.registry import SYSTEMS

PLACE = "~/.instant-coffee/instant-coffee.db"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the environment names, in a home folder that is empty."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_PATH", PLACE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".instant-coffee" / "instant-coffee.db"


async def test_file_is_made(place: Path) -> None:
    """The first run makes the file and its folder, for their owner alone; a second one changes nothing."""
    url = load_settings().database.resolved_url()
    applied = await migrate(url, ("base", "chat"))
    assert applied == SYSTEMS["chat"].ids
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert await migrate(url, ("base", "chat")) == []


async def test_file_is_used(place: Path) -> None:
    """A manager without a URL takes that file, and two at once see what the other has stored."""
    settings = load_settings()
    await migrate(settings.database.resolved_url(), ("base", "chat"))
    async with DatabaseManager(settings=settings) as one, DatabaseManager(settings=settings) as two:
        session = await SessionRepository(one).create("Title")
        assert await SessionRepository(two).get(session.id) == session
        both = [VersionRepository(db).add(session.id, "<p></p>") for db in (one, two) for _ in range(10)]
        assert sorted(version.version for version in await asyncio.gather(*both)) == list(range(20))
