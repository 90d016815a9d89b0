"""A server, or a database on it, that cannot be used says so when it is connected to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    AuthenticationFailed,
    CannotOpen,
    ConfigurationError,
    DatabaseError,
)
from dal.settings import Settings
from tests.servers import PostgresServer


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda url: url.replace("/postgres", "/absent"), CannotOpen),
        (lambda url: url.replace("postgres@", "nobody@"), AuthenticationFailed),
        (lambda url: url.rsplit(":", 1)[0] + ":19999/postgres", CannotOpen),
        (lambda url: url.replace("127.0.0.1", "host.invalid") + "?tls=off", CannotOpen),
        (lambda url: "postgresql://u@/d?host=/nowhere", CannotOpen),
        (lambda url: url + "?tls=on", CannotOpen),
    ],
    ids=["database", "user", "port", "host", "socket", "TLS"],
)
async def test_a_server_that_cannot_be_used_is_told_at_connect(
    server: PostgresServer, settings: Settings, change: Callable[[str], str], error: type[Exception]
) -> None:
    """By class, with nothing left behind, and again at the next try."""
    db = DatabaseManager(change(server.url("postgres")), settings=settings)
    for _ in range(2):
        with pytest.raises(error) as raised:
            await db.connect()
        assert isinstance(raised.value, DatabaseError)
        assert raised.value.sent is False


async def test_a_database_of_another_encoding_is_refused(server: PostgresServer, settings: Settings) -> None:
    """It could not hold every text."""
    server.administer("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(ConfigurationError, match="UTF8"):
        await DatabaseManager(server.url("latin"), settings=settings).connect()
