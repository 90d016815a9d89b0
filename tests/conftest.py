"""Fixtures for every test: an embedded database, and a watch on what a test leaves behind.

tests/conformance has the fixtures that give a database on each engine in turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from dal.database import DatabaseManager
from dal.settings import Settings
from tests.clock import Clock
from tests.engine_cases import SQLITE
from tests.systems.fixtures import empty_database as empty_database
from tests.systems.fixtures import kept as kept
from tests.systems.fixtures import new_database as new_database
from tests.systems.fixtures import new_url as new_url
from tests.systems.fixtures import schemas as schemas
from tests.systems.fixtures import servers as servers
from tests.systems.fixtures import yoyo as yoyo

# How fast the machine is says nothing about an example, and nothing about how examples are made.
hypothesis_settings.register_profile(
    "any machine",
    parent=hypothesis_settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("any machine")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of an empty database."""
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
def settings() -> Settings:
    """Settings that no environment variable reaches."""
    return Settings()


@pytest.fixture
async def db(url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A connected database with the table ``account``."""
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(SQLITE.account)
        yield manager


@pytest.fixture
async def clock() -> Clock:
    """The event loop's clock, which the test may put forward, or stop."""
    return Clock(asyncio.get_running_loop())


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """After each test the threads of the drivers have ended."""
    yield
    left = [thread for thread in threading.enumerate() if "_connection_worker" in thread.name]
    for thread in left:
        thread.join(60)
    assert not [thread for thread in left if thread.is_alive()], "a driver's thread outlived its test"


_CALLBACKS = [
    "dal.engines.deadlines",
    *(f"dal.engines.sqlite.{name}" for name in ("outbox", "jobs", "readers", "session", "writer")),
]


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """A call of `dal` that would block the event loop fails its test.

    Files are left out: settings, queries and certificates are read when an application starts. So are the
    callbacks within which SQLite's callers go on, since a test may block: they themselves reach SQLite by
    modules that are not left out.
    """
    with blockbuster_ctx(scanned_modules=["dal"], excluded_modules=_CALLBACKS) as watch:
        for name, function in watch.functions.items():
            if name.startswith(("os.", "io.", "ssl.")):
                function.deactivate()
        yield


@pytest.fixture(autouse=True)
async def no_task_left_behind() -> AsyncIterator[None]:
    """After each test no task runs that it, or the library, started."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, "tasks outlived their test"
