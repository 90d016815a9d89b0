"""A MariaDB server for the run, and a database of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from dal.database import DatabaseManager
from dal.settings import DatabaseSettings, Settings
from tests.servers import MariaDbServer


@pytest.fixture(scope="session")
def server() -> Iterator[MariaDbServer]:
    """A server that all tests of the run share: none may stop it."""
    with MariaDbServer() as running:
        yield running


@pytest.fixture
def url(server: MariaDbServer) -> Iterator[str]:
    """The URL of an empty database."""
    with server.database() as name:
        yield server.url(name)


@pytest.fixture
def settings() -> Settings:
    """A small pool, and no environment variable."""
    return Settings(database=DatabaseSettings(pool_size=3, max_overflow=2))


@pytest.fixture
async def db(url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A connected database with the table ``account``."""
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute_script(ACCOUNT)
        yield manager


ACCOUNT = """
CREATE TABLE account (
    account_id BIGINT AUTO_INCREMENT PRIMARY KEY,
    email VARCHAR(255) NOT NULL,
    balance BIGINT NOT NULL DEFAULT 0,
    parent_id BIGINT,
    CONSTRAINT account_email_key UNIQUE (email),
    CONSTRAINT account_balance_positive CHECK (balance >= 0),
    CONSTRAINT account_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES account (account_id)
);
"""
