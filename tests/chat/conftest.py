"""Databases of the `chat` system."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dal.database import DatabaseManager
from dal.models.chat import Session
from dal.repositories.chat import (
    MessageRepository,
    SessionRepository,
    TokenUsageRepository,
    VersionRepository,
)
from dal.settings import Settings
from tests.chat.samples import SESSION
from tests.systems.fixtures import EmptyDatabase
from tests.systems.registry import ENGINES


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, empty_database: EmptyDatabase) -> str:
    """The URL of a database without rows, on each engine in turn."""
    return empty_database(request.param, "chat")


@pytest.fixture
async def db(url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A manager of that database."""
    async with DatabaseManager(url, settings=settings) as manager:
        yield manager


@pytest.fixture
def sessions(db: DatabaseManager) -> SessionRepository:
    """The sessions of that database."""
    return SessionRepository(db)


@pytest.fixture
def messages(db: DatabaseManager) -> MessageRepository:
    """The messages of that database."""
    return MessageRepository(db)


@pytest.fixture
def versions(db: DatabaseManager) -> VersionRepository:
    """The versions of that database."""
    return VersionRepository(db)


@pytest.fixture
def usage(db: DatabaseManager) -> TokenUsageRepository:
    """What was used, in that database."""
    return TokenUsageRepository(db)


@pytest.fixture
async def session(sessions: SessionRepository) -> Session:
    """A session in that database with nothing in it."""
    return await sessions.create("A shop for coffee", session_id=SESSION)
