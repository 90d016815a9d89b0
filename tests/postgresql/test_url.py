"""A ``postgresql://`` URL: what it may say, what is refused, and that its password is never shown."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from databases import DatabaseURL

from dal.database import DatabaseManager
from dal.engines.postgresql.url import address_for
from dal.engines.tls import is_local
from dal.errors import CannotOpen, ConfigurationError, QueryTimeout
from dal.settings import DatabaseSettings, Settings
from tests.servers import PostgresServer, missing


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@localhost:5433/d", (("localhost",), 5433, "d", "u", "p")),
        ("postgres://u@127.0.0.1/d", (("127.0.0.1",), 5432, "d", "u", None)),
        ("postgresql://u:p%2F%23%40%3A%25%3F%20@[::1]/my%2Fdb", (("::1",), 5432, "my/db", "u", "p/#@:%? ")),
        ("postgresql://u@/d?host=/run/x&port=7777", (("/run/x",), 7777, "d", "u", None)),
        ("postgresql+asyncpg://localhost/d", (("localhost",), 5432, "d", None, None)),
    ],
)
def test_a_url_is_read(url: str, expected: tuple[object, ...]) -> None:
    """Percent-encoded parts are decoded."""
    address = address_for(DatabaseURL(url))
    assert (address.hosts, address.port, address.database, address.user, address.password) == expected


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:s3cret@h/d?sslmode=verify-full", "postgresql://u:s3cret@h/d?ssl=true",
        "postgresql://u:s3cret@h/d?password=s3cret", "postgresql://u:s3cret@h/d?tls=maybe",
        "postgresql://u:s3cret@h/d?host=/x", "postgresql://u@/d?host=elsewhere", "postgresql://u:s3cret@h",
        "postgresql://u:s3c/ret@h/d", "postgresql://u:s3c#ret@h/d", "postgresql://u:s3c?ret@h/d",
        "postgresql://u:12/s3cret@h/d", "postgresql://u:s3cret@h:port/d", "postgresql+psycopg://u:s3cret@h/d",
        "postgresql://u:s3cret@h/d?statement_cache=-1", "postgresql://u:s3cret@h/d?cafile=/nowhere",
        "postgresql://u:s3cret@h/d?tls=off&cafile=/nowhere", "postgresql://u:s3cret@[::1/d",
        "postgresql://u:s3cret@/d?host=/x&tls=on", "postgresql://u:s3cret@h/d?server_settings=x",
    ],
)  # fmt: skip
def test_what_a_url_may_not_say_is_refused(url: str) -> None:
    """When the manager is made, and without a piece of the password."""
    with pytest.raises(ConfigurationError) as raised:
        DatabaseManager(url, settings=Settings())
    assert "s3c" not in str(raised.value)
    assert "ret" not in str(raised.value).replace("secret", "")


@pytest.mark.parametrize(
    ("rest", "encrypted"),
    [
        ("db.example.test/d", True), ("10.0.0.1/d", True), ("localhost/d", False), ("127.8.9.1/d", False),
        ("[::1]/d", False), ("/d", False), ("db.example.test/d?tls=off", False), ("localhost/d?tls=on", True),
        ("localhost.example.test/d", True), ("127.0.0.1.example.test/d", True),
    ],
)  # fmt: skip
def test_tls_is_required_beyond_this_machine(rest: str, encrypted: bool) -> None:
    """With the certificate and the name checked."""
    tls = address_for(DatabaseURL(f"postgresql://{rest}")).tls
    assert (tls is not None) is encrypted
    assert tls is None or (tls.check_hostname and tls.verify_mode.name == "CERT_REQUIRED")


@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "localhost", "/run/x"])
def test_these_are_this_machine(host: str) -> None:
    """And no name that only begins so."""
    assert is_local(host)
    assert not is_local(f"{host.lstrip('/')}.example.test")


def test_the_password_is_not_shown() -> None:
    """Neither by the manager nor by what it holds."""
    db = DatabaseManager("postgresql://u:s3cret@localhost/d", settings=Settings())
    assert "s3cret" not in repr(db) + repr(db._engine) + repr(vars(db._engine))


async def test_a_unix_socket_works(server: PostgresServer, settings: Settings) -> None:
    """Named by its folder."""
    async with DatabaseManager(server.url("postgres", by_socket=True), settings=settings) as db:
        assert await db.fetch_value("SELECT inet_client_addr() IS NULL")


async def test_without_prepared_statements_it_works_too(server: PostgresServer, settings: Settings) -> None:
    """As a proxy wants it that lends connections by the transaction."""
    async with DatabaseManager(server.url("postgres") + "?statement_cache=0", settings=settings) as db:
        for _ in range(3):
            assert await db.fetch_value("SELECT cast(:x AS integer)", {"x": 1}) == 1
            async with db.transaction() as tx:
                assert [row[0] async for row in tx.stream("SELECT generate_series(1, 3)", batch_size=2)] == [
                    1, 2, 3,
                ]  # fmt: skip
        assert await db.fetch_value("SELECT count(*) FROM pg_prepared_statements") == 0


async def test_statements_beyond_the_cache_are_let_go(server: PostgresServer) -> None:
    """On the server as well."""
    settings = Settings(database=DatabaseSettings(pool_size=1, max_overflow=0))
    async with DatabaseManager(server.url("postgres") + "?statement_cache=5", settings=settings) as db:
        for number in range(40):
            sql: Any = f"SELECT {number}"
            assert await db.fetch_value(sql) == number
        assert await db.fetch_value("SELECT count(*) FROM pg_prepared_statements") < 10


async def test_the_settings_map_to_the_pool(server: PostgresServer, tmp_path: Path) -> None:
    """pool_size and max_overflow bound it, the rest waits; application_name tells who it is."""
    settings = Settings(database=DatabaseSettings(pool_size=1, max_overflow=1, max_waiting=1))
    async with DatabaseManager(server.url("postgres") + "?application_name=reports", settings=settings) as db:
        pool = db._engine._pool  # type: ignore[attr-defined]  # the engine's own
        assert (pool.max_size, pool._settings.max_waiting, pool._settings.kept) == (2, 1, 1)
        assert await db.fetch_value("SELECT current_setting('application_name')") == "reports"


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for localhost and its key, in one file."""
    if shutil.which("openssl") is None:
        missing("openssl is not on the PATH: apt-get install openssl")
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    both.write_text(certificate.read_text() + key.read_text())
    return both


async def test_tls_is_used_and_verified(tmp_path: Path, settings: Settings) -> None:
    """A certificate that is trusted for the host's name is taken; another, or another name, is not."""
    certificate = make_certificate(tmp_path)
    with PostgresServer(certificate=certificate) as server:
        trusted = f"?cafile={tmp_path / 'certificate.pem'}"
        by_name = f"postgresql://postgres@localhost:{server.port}/postgres"
        async with DatabaseManager(by_name + trusted, settings=settings) as db:
            assert await db.fetch_value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
            pool = db._engine._pool  # type: ignore[attr-defined]  # the engine's own
            async with asyncio.timeout(
                60
            ):  # a connection is there at once, so that the time is the statement's
                while not pool._idle:
                    await asyncio.sleep(0.01)
            with pytest.raises(QueryTimeout):  # the cancel request goes over TLS too
                await db.fetch_value("SELECT pg_sleep(600)", timeout=0.3)
        for url in (by_name + "?tls=on", by_name.replace("localhost", "127.0.0.1") + trusted):
            with pytest.raises(CannotOpen, match="certificate"):
                await DatabaseManager(url, settings=settings).connect()
