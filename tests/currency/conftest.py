"""Databases of the `currency` system."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dal.database import DatabaseManager
from dal.repositories.currency import (
    AgentMetricsRepository,
    ConversationRepository,
    PredictionHistoryRepository,
    SystemLogRepository,
)
from dal.settings import Settings
from tests.systems.fixtures import EmptyDatabase
from tests.systems.registry import ENGINES


@pytest.fixture(params=ENGINES)
async def db(
    request: pytest.FixtureRequest, empty_database: EmptyDatabase, settings: Settings
) -> AsyncIterator[DatabaseManager]:
    """A manager of a database without rows, on each engine in turn."""
    async with DatabaseManager(empty_database(request.param, "currency"), settings=settings) as manager:
        yield manager


@pytest.fixture
def conversations(db: DatabaseManager) -> ConversationRepository:
    """The conversations of that database."""
    return ConversationRepository(db)


@pytest.fixture
def predictions(db: DatabaseManager) -> PredictionHistoryRepository:
    """The predictions of that database."""
    return PredictionHistoryRepository(db)


@pytest.fixture
def metrics(db: DatabaseManager) -> AgentMetricsRepository:
    """The runs of agents in that database."""
    return AgentMetricsRepository(db)


@pytest.fixture
def logs(db: DatabaseManager) -> SystemLogRepository:
    """The log in that database."""
    return SystemLogRepository(db)
