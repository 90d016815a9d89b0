"""What a ``mysql://`` URL may say, and when a connection is encrypted."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import DatabaseURL

from dal.database import DatabaseManager
from dal.engines.mysql.url import address_for
from dal.errors import CannotOpen, ConfigurationError, DalError
from dal.settings import Settings
from tests.servers import MariaDbServer


def test_every_part_is_read() -> None:
    """The user, the password and the name are percent-decoded; the repr has no password."""
    address = address_for(DatabaseURL("mariadb://a%40b:p%2F%23%3F%25w@db.example:3307/n%20m?tls=off"))
    assert (address.user, address.password, address.host, address.port) == (
        "a@b",
        "p/#?%w",
        "db.example",
        3307,
    )
    assert address.database == "n m"
    assert "p/#?%w" not in repr(address)


@pytest.mark.parametrize(
    ("url", "encrypted"),
    [
        ("mysql://u@localhost/d", False),
        ("mysql://u@127.0.0.2/d", False),
        ("mysql://u@[::1]/d", False),
        ("mysql://u@db.example/d", True),
        ("mysql://u@10.0.0.1/d", True),
        ("mysql://u@db.example/d?tls=off", False),
        ("mysql://u@localhost/d?tls=on", True),
        ("mysql://u@localhost/d?socket=/run/m.sock", False),
    ],
)
def test_beyond_this_machine_it_is_tls(url: str, encrypted: bool) -> None:
    """With the certificate and the name checked."""
    tls = address_for(DatabaseURL(url)).tls
    assert (tls is not None) is encrypted
    if tls is not None:
        assert tls.check_hostname
        assert tls.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@h/d?ssl=true", "mysql://u:s3cret@h/d?ssl_mode=REQUIRED", "mysql://u:s3cret@h/d?local_infile=1",
        "mysql://u:s3cret@h/d?tls=maybe", "mysql://u@h/d?password=s3cret", "mysql://u:s3cret@h/", "mysql://u:s3cret@h",
        "mysql://u:s3cret@h/d?cafile=/nowhere", "mysql://u:s3cret@h/d?tls=off&cafile=/x", "mysql://u:s3/cret@h/d",
        "mysql://u:s3cret#@h/d", "mysql+pymysql://u:s3cret@h/d", "mysql://u:s3cret@h/d?socket=/x", "mysql://u:s3cret@h/a/b",
    ],
)  # fmt: skip
def test_what_it_may_not_say(url: str) -> None:
    """Refused when the manager is made, without a piece of the password."""
    with pytest.raises(ConfigurationError) as raised:
        DatabaseManager(url, settings=Settings())
    assert "cret" not in str(raised.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody trusts, with its key in the same file."""
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost"
    subprocess.run([*command.split(), "-keyout", file, "-out", file], check=True, capture_output=True)
    return file


@pytest.fixture(scope="module")
def tls_server(certificate: Path) -> Iterator[MariaDbServer]:
    with MariaDbServer(certificate=certificate) as server:
        yield server


async def test_the_certificate_is_checked(
    tls_server: MariaDbServer, certificate: Path, settings: Settings
) -> None:
    """A trusted one for this name is taken; an unknown one, or one for another name, is not."""
    address = f"localhost:{tls_server.port}/mysql"
    async with DatabaseManager(
        f"mysql://root@{address}?tls=on&cafile={certificate}", settings=settings
    ) as db:
        row = await db.fetch_one("SHOW STATUS LIKE 'Ssl_version'")
        assert row is not None
        assert row[1].startswith("TLS")
    for url in (
        f"mysql://root@{address}?tls=on",
        f"mysql://root@127.0.0.1:{tls_server.port}/mysql?tls=on&cafile={certificate}",
    ):
        with pytest.raises(CannotOpen):
            await DatabaseManager(url, settings=settings).connect()


async def test_a_server_without_tls_is_refused(server: MariaDbServer, settings: Settings) -> None:
    """Nothing is sent to it in plain text."""
    with pytest.raises(CannotOpen):
        await DatabaseManager(
            f"mysql://root:s3cret@localhost:{server.port}/mysql?tls=on", settings=settings
        ).connect()


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"dialog"])
async def test_a_server_that_asks_for_the_password_in_clear_text_does_not_get_it(
    settings: Settings, plugin: bytes
) -> None:
    """On a plain connection, whoever answers there."""
    received = bytearray()
    heard = asyncio.Event()

    async def rogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = b"\n8.0.0\0" + bytes(4) + b"12345678\0" + b"\xff\xf7\x21\x02\x00\xff\x81\x15" + bytes(10)
        greeting += b"123456789012\0mysql_native_password\0"
        writer.write(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
        received.extend(await reader.read(65536))
        question = b"\xfe" + plugin + b"\0" + b"\x04Password: "
        writer.write(len(question).to_bytes(3, "little") + b"\x02" + question)
        received.extend(await reader.read(65536))
        writer.close()
        heard.set()

    listening = await asyncio.start_server(rogue, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(DalError):
            await DatabaseManager(f"mysql://u:s3cret@127.0.0.1:{port}/d", settings=settings).connect()
        async with asyncio.timeout(60):
            await heard.wait()
    assert received
    assert b"s3cret" not in received
