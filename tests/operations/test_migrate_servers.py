"""Migrations from Python on the servers."""

from __future__ import annotations

import asyncio
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from blockbuster import blockbuster_ctx

from dal.errors import MigrationFailed
from dal.operations.migrate import migrate, rollback, systems_in
from dal.operations.yoyo_url import yoyo_database
from tests.servers import DatabaseServer, MariaDbServer, PostgresServer

PASSWORD = "p@ss/w:rd?#%25 ü"  # every character that a URL, or a configuration file, gives a meaning

FILES = {
    "base-0001.versions.sql": "CREATE TABLE versions (id INTEGER);",
    "base-0001.versions.rollback.sql": "DROP TABLE versions;",
    "base-0002.orders.sql": "-- depends: base-0001.versions\n\nCREATE TABLE orders (id INTEGER);",
    "base-0002.orders.rollback.sql": "DROP TABLE orders;",
}
IDS = ["base-0001.versions", "base-0002.orders"]
SLOW = {"postgresql": "SELECT pg_sleep(60);", "mysql": "DO sleep(60);"}


def certified(folder: Path) -> Path:
    """A certificate for localhost with its key, in one file."""
    both, key, certificate = folder / "server.pem", folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DatabaseServer]:
    """A server that offers TLS, with a user who has a password."""
    certificate = certified(tmp_path_factory.mktemp("tls"))
    if request.param == "postgresql":
        with PostgresServer(certificate=certificate) as postgres:
            postgres.administer(f"CREATE ROLE deployer SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
            rules = postgres.folder / "data" / "pg_hba.conf"
            rules.write_text(
                "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\n"
                "host all deployer 127.0.0.1/32 scram-sha-256\n"
            )
            postgres.administer("SELECT pg_reload_conf()")
            yield postgres
    else:
        with MariaDbServer(certificate=certificate) as mariadb:
            mariadb.administer(
                f"CREATE USER deployer@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
                "GRANT ALL ON *.* TO deployer@'127.0.0.1'",
                f"CREATE USER deployer@localhost IDENTIFIED BY '{PASSWORD}'",
                "GRANT ALL ON *.* TO deployer@localhost",
            )
            yield mariadb


@pytest.fixture
def url(server: DatabaseServer) -> Iterator[str]:
    """The URL of an empty database, with the password."""
    with server.database() as name:
        scheme = server.url(name).partition(":")[0]
        yield f"{scheme}://deployer:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/{name}"


@pytest.fixture
def engine(url: str) -> str:
    """The name of the engine."""
    return url.partition(":")[0]


@pytest.fixture
def root(tmp_path: Path, engine: str) -> Path:
    """A folder with the migrations of one system."""
    return written(tmp_path / "migrations", engine)


def written(root: Path, engine: str, files: Mapping[str, str] = FILES) -> Path:
    for name, text in files.items():
        path = root / "base" / engine / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def count(server: DatabaseServer, url: str, table: str) -> int:
    """How many rows a table has."""
    name = url.rpartition("/")[2]
    if isinstance(server, PostgresServer):
        import psycopg

        with psycopg.connect(server.url(name)) as connection:
            found: Any = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            return int(found[0])
    ((rows,),) = server.administer(f"SELECT count(*) FROM {name}.{table}")
    return int(rows)


async def test_returns_what_it_applied(url: str, root: Path) -> None:
    """All migrations are applied, and a second run applies none."""
    assert await migrate(url, ("base",), root=root) == IDS
    assert await migrate(url, ("base",), root=root) == []


async def test_shipped_systems_are_applied(url: str) -> None:
    """What comes with the library goes into an empty database as it is, without blocking the event loop."""
    with blockbuster_ctx():
        applied = await migrate(url)
    assert applied[0] == "base-0001.schema_versions"
    assert {migration.split("-")[0] for migration in applied} == set(systems_in())
    assert await rollback(url, everything=True) == applied[::-1]


@pytest.mark.parametrize("scheme", ["postgres", "mariadb"])
async def test_other_names_of_the_scheme(url: str, root: Path, scheme: str) -> None:
    """A scheme that the engines take is taken."""
    if url[:2] in (scheme[:2], {"ma": "my"}.get(scheme[:2])):
        assert await migrate(f"{scheme}:{url.partition(':')[2]}", ("base",), root=root) == IDS


async def test_failure_names_migration_and_cause(url: str, root: Path, engine: str) -> None:
    """A migration that fails raises, naming it and the server's own words, and no password."""
    written(root, engine, {"base-0003.bad.sql": "CREATE TABLE orders (id INTEGER);"})
    with pytest.raises(MigrationFailed, match=r"base-0003\.bad\.sql: .*orders.* already exists") as raised:
        await migrate(url, ("base",), root=root)
    assert raised.value.migration == "base-0003.bad"
    assert "p@ss" not in str(raised.value)
    assert quote(PASSWORD, safe="") not in str(raised.value)


async def test_wrong_password(url: str, root: Path) -> None:
    """The server's refusal is in the error, the password is not."""
    wrong = url.replace(quote(PASSWORD, safe=""), "s3cr3t")
    with pytest.raises(MigrationFailed, match=r"no migration could be begun: .*deployer") as raised:
        await migrate(wrong, ("base",), root=root)
    assert "s3cr3t" not in str(raised.value)


async def test_password_is_in_no_argument(
    url: str, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is handed over in a file that only this user can read, and that is gone afterwards."""
    seen: dict[str, Any] = {}
    start = asyncio.create_subprocess_exec

    async def watched(*arguments: str, **options: Any) -> Any:
        config = Path(arguments[arguments.index("--config") + 1])
        seen.update(arguments=arguments, config=config, mode=stat.S_IMODE(config.stat().st_mode))
        seen["folder"] = stat.S_IMODE(config.parent.stat().st_mode)
        return await start(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    await migrate(url, ("base",), root=root)
    assert not [text for text in seen["arguments"] if "deployer" in text or "p%40ss" in text]
    assert (seen["mode"], seen["folder"]) == (0o600, 0o700)
    assert not seen["config"].parent.exists()


async def test_cancelled_call_leaves_no_lock(
    server: DatabaseServer, url: str, root: Path, engine: str
) -> None:
    """A call that is cancelled in mid-migration ends yoyo and its lock; the next call goes on."""
    await migrate(url, ("base",), root=root)
    slow = root / "base" / engine / "base-0003.slow.sql"
    slow.write_text(f"-- depends: base-0002.orders\n\n{SLOW[engine]}")
    task = asyncio.create_task(migrate(url, ("base",), root=root))
    while await asyncio.to_thread(count, server, url, "yoyo_lock") == 0:
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)  # now the slow one runs
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(count, server, url, "yoyo_lock") == 0
    slow.write_text("-- depends: base-0002.orders\n\nCREATE TABLE more (id INTEGER);")
    assert await migrate(url, ("base",), root=root) == ["base-0003.slow"]


async def test_socket(server: DatabaseServer, root: Path, engine: str) -> None:
    """A Unix socket is reached by the words that the engines take."""
    with server.database() as name:
        if isinstance(server, PostgresServer):
            url = f"postgresql://postgres@/{name}?host={server.socket}&port={server.port}"
        else:
            url = f"mysql://deployer:{quote(PASSWORD, safe='')}@localhost/{name}?socket={server.socket}"
        assert await migrate(url, ("base",), root=root) == IDS


async def test_tls(server: DatabaseServer, url: str, root: Path, tmp_path: Path) -> None:
    """With the certificate that the URL names the server is known; its name is checked too."""
    assert shutil.which("openssl")
    certificate = next(server.folder.glob("server.pem"))
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(certificate.read_text().partition("-----BEGIN PRIVATE")[0])
    named = url.replace("127.0.0.1", "localhost")
    assert await migrate(f"{named}?cafile={trusted}", ("base",), root=root) == IDS
    with pytest.raises(MigrationFailed, match=r"(?i)host.*name|IP address mismatch"):
        await migrate(f"{url}?cafile={trusted}", ("base",), root=root)


async def test_unknown_certificate(url: str, root: Path) -> None:
    """A server whose certificate nobody vouches for is refused."""
    with pytest.raises(MigrationFailed, match=r"(?i)certificate"):
        await migrate(f"{url.replace('127.0.0.1', 'localhost')}?tls=on", ("base",), root=root)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u@db.example/n", "sslmode=verify-full&sslrootcert=system"),
        ("postgresql://u@db.example/n?tls=off", "sslmode=disable"),
        ("postgresql://u@localhost/n", "sslmode=disable"),
        ("mysql://u@db.example/n", "ssl_verify_cert=true&ssl_verify_identity=true"),
        ("mysql://u@db.example/n?tls=off", "ssl_disabled=true"),
        ("mysql://u@localhost/n", "ssl_disabled=true"),
    ],
)
def test_tls_is_the_rule_beyond_this_machine(url: str, said: str) -> None:
    """As for the engines: encrypted and verified, unless the server is here or the URL says otherwise."""
    assert said in yoyo_database(url).url


def test_url_is_not_shown() -> None:
    """The URL with its password is in no repr."""
    assert "s3cr3t" not in repr(yoyo_database("postgresql://u:s3cr3t@localhost/n"))
