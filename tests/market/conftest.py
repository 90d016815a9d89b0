"""Databases of the `market` system."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dal.database import DatabaseManager
from dal.settings import Settings
from tests.systems.fixtures import EmptyDatabase
from tests.systems.registry import ENGINES


@pytest.fixture(params=ENGINES)
async def db(
    request: pytest.FixtureRequest, empty_database: EmptyDatabase, settings: Settings
) -> AsyncIterator[DatabaseManager]:
    """A manager of a database without rows, on each engine in turn."""
    async with DatabaseManager(empty_database(request.param, "market"), settings=settings) as manager:
        yield manager
