"""Who may not log in, and where nobody is, is told apart."""

from __future__ import annotations

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    AuthenticationFailed,
    CannotOpen,
)
from dal.settings import Settings
from tests.servers import MariaDbServer


async def test_the_wrong_password_the_wrong_database_and_nobody_there(
    server: MariaDbServer, settings: Settings
) -> None:
    """Told apart, at once, without the password."""
    server.administer("CREATE OR REPLACE USER someone@'%' IDENTIFIED BY 'right /@:?#%é'")
    address = f"127.0.0.1:{server.port}"
    cases = {
        f"mysql://someone:s3cret@{address}/mysql": AuthenticationFailed,
        f"mysql://root@{address}/nothing": CannotOpen,
        "mysql://root:s3cret@127.0.0.1:1/x": CannotOpen,
        "mysql://root:s3cret@localhost/x?socket=/nowhere": CannotOpen,
    }
    for url, kind in cases.items():
        with pytest.raises(kind) as raised:
            await DatabaseManager(url, settings=settings).connect()
        assert raised.value.sent is False
        assert "s3cret" not in str(raised.value) + repr(raised.value)
    url = f"mysql://someone:right%20%2F%40%3A%3F%23%25%C3%A9@{address}/information_schema"
    async with DatabaseManager(url, settings=settings) as db:
        assert await db.fetch_value("SELECT 1") == 1
