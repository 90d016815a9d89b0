"""Every engine in turn: its case, an empty database, and a manager connected to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.settings import DatabaseSettings, Settings
from tests.engine_cases import CASES, EngineCase, Place

Places = Callable[[EngineCase], Place]


@pytest.fixture(scope="session")
def places() -> Iterator[Places]:
    """Starts the server of an engine when its first test comes."""
    with ExitStack() as servers:
        started: dict[str, Place] = {}

        def of(case: EngineCase) -> Place:
            if case.name not in started:
                started[case.name] = servers.enter_context(case.open())
            return started[case.name]

        yield of


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> EngineCase:
    """The engine under test; skips the test if it lacks what the claim needs."""
    found: EngineCase = request.param
    for mark in request.node.iter_markers("needs"):
        for capability in mark.args:
            if capability in found.lacks:
                pytest.skip(f"{found.name}: {found.lacks[capability]}")
    return found


@pytest.fixture
def url(case: EngineCase, places: Places, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database. No session on it outlives the test."""
    place = places(case)
    yield place.empty(tmp_path)
    place.assert_left_alone()


@pytest.fixture
def settings() -> Settings:
    """A small pool, and no environment variable."""
    return Settings(database=DatabaseSettings(pool_size=3, max_overflow=2))


@pytest.fixture
async def db(case: EngineCase, url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A connected database with the table ``account``."""
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(case.account)
        yield manager
