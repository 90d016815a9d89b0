"""Real servers, and a database of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dal.settings import DatabaseSettings, Settings
from tests.engine_cases import EngineCase, Place

NewUrl = Callable[[EngineCase], str]


@pytest.fixture(scope="session")
def places() -> Iterator[Callable[[EngineCase], Place]]:
    """Starts the server of an engine when its first test comes."""
    with ExitStack() as servers:
        started: dict[str, Place] = {}

        def of(case: EngineCase) -> Place:
            if case.name not in started:
                started[case.name] = servers.enter_context(case.open())
            return started[case.name]

        yield of


@pytest.fixture
def new_url(places: Callable[[EngineCase], Place], tmp_path: Path) -> Iterator[NewUrl]:
    """Gives the URL of an empty database on an engine. No session on it outlives the test."""
    used: list[Place] = []

    def new(case: EngineCase) -> str:
        used.append(places(case))
        return used[-1].empty(tmp_path)

    yield new
    for place in used:
        place.assert_left_alone()


@pytest.fixture
def settings() -> Settings:
    """A single connection, so that the next call finds what the last one left."""
    return Settings(database=DatabaseSettings(pool_size=1, max_overflow=0))
