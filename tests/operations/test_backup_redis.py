"""Backups of the server of a cache, Redis and Valkey: dumped, killed, damaged, put back."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis.asyncio import Redis

from dal.errors import BackupDamaged, BackupError, BackupRefused, CacheError, CacheUnavailable, ProgramMissing
from dal.operations.backups import RedisContents, create_backup, redis, restore_backup, verify_backup
from dal.operations.backups.files import SUFFIX, manifest_of, sha256_of
from tests.operations.test_backup_sqlite import killed, umask
from tests.servers import RedisServer, ValkeyServer, missing, on_path

KEYS = {0: 100, 3: 1}


async def command(client: Redis, *words: str | int) -> None:
    """Send a command that redis-py has no typed method for."""
    await client.execute_command(*words)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module", params=[RedisServer, ValkeyServer])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """One server for the tests that leave it alive."""
    with request.param() as running:
        yield running


@pytest.fixture(autouse=True)
def programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of every server are on the PATH, and its client."""
    if on_path("redis-cli") is None and on_path("valkey-cli") is None:
        missing("redis-cli was not found: apt-get install redis-tools")
    found = ValkeyServer().program()
    if found is not None:
        monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{found.parent}")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on a slow machine has a while to answer."""
    defaults = redis.Client.run.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "seconds", 100)
    monkeypatch.setattr(redis, "_SHUTDOWN_SECONDS", 100)


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    """A connection to the server, which has `KEYS`."""
    async with connected(server) as connection:
        yield connection


@asynccontextmanager
async def connected(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis(port=server.port) as connection:
        await connection.config_set("repl-diskless-sync-delay", 0)
        await connection.config_set("rdb-key-save-delay", 0)
        await connection.flushall()
        await connection.mset({f"key {number}": f"value {number}" for number in range(KEYS[0])})
        async with Redis(port=server.port, db=3) as other:
            await other.set("key", "value")
        yield connection


@pytest.fixture
async def backup(server: RedisServer, client: Redis, tmp_path: Path) -> Path:
    """A backup of the server."""
    path = tmp_path / "backups" / "cache.rdb"
    path.parent.mkdir()
    await create_backup(server.url, path)
    return path


def on_this_path(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a script before the client on the PATH; it has the real one as $REAL."""
    real = shutil.which("redis-cli") or shutil.which("valkey-cli")
    path = folder / "programs" / "redis-cli"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")


async def test_the_backup(server: RedisServer, client: Redis, tmp_path: Path) -> None:
    """It says how many keys there are, expired ones that are still in the dump among them."""
    await client.set("short", "lived", px=1500)
    with umask(0):
        manifest = await create_backup(server.url, tmp_path / "cache.rdb")
    contents = manifest.contents
    assert isinstance(contents, RedisContents)
    assert contents.server == ("valkey" if isinstance(server, ValkeyServer) else "redis")
    assert contents.keys in (KEYS, KEYS | {0: KEYS[0] + 1})
    assert manifest.source == f"redis://127.0.0.1:{server.port}/0"
    while await client.exists("short"):
        await asyncio.sleep(0.01)
    assert await verify_backup(tmp_path / "cache.rdb") == manifest
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"cache.rdb": 0o600, "cache.rdb.json": 0o600}


async def test_an_empty_server(server: RedisServer, client: Redis, tmp_path: Path) -> None:
    """A server without a key can be backed up."""
    await client.flushall()
    manifest = await create_backup(server.url, tmp_path / "cache.rdb")
    assert isinstance(manifest.contents, RedisContents)
    assert manifest.contents.keys == {}


# ---- damages ----


def sealed_anew(file: Path) -> None:
    path = manifest_of(file)
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"bytes": file.stat().st_size, "sha256": sha256_of(file)}))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[content.index(b"value 42")] ^= 1
    file.write_bytes(content)


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 20)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def other_header(file: Path) -> None:
    file.write_bytes(b"SQLite" + file.read_bytes()[6:])


SIZE = "it has "
SHA = "its SHA-256 is not the one of the manifest"
HEADER = "its header is not that of a redis backup"
DAMAGES: list[tuple[Callable[[Path], None], list[str]]] = [
    (flip, [SHA]),
    (truncate, [SIZE, SHA]),
    (empty, [SIZE, SHA, HEADER]),
    (other_header, [SHA, HEADER]),
]


@pytest.mark.parametrize(("damage", "expected"), DAMAGES)
async def test_damage_is_named(
    server: RedisServer, backup: Path, damage: Callable[[Path], None], expected: list[str]
) -> None:
    """By the file, and by a server that cannot load it, even where the manifest agrees with the file."""
    damage(backup)
    with pytest.raises(BackupDamaged) as caught:
        await verify_backup(backup)
    *found, last = caught.value.problems
    assert [text for text in expected if not any(told.startswith(text) for told in found)] == []
    assert len(found) == len(expected)
    assert "-server cannot load it: " in last
    sealed_anew(backup)
    with pytest.raises(BackupDamaged, match="-server cannot load it: "):
        await verify_backup(backup)
    with pytest.raises(BackupDamaged):
        await restore_backup(backup, server.url, replace=True)


async def test_a_dump_without_keys(server: RedisServer, client: Redis, backup: Path) -> None:
    """A dump that every server loads, but of an empty one, is missed by nobody."""
    await client.flushall()
    await create_backup(server.url, backup.with_name("empty"))
    shutil.copy(backup.with_name("empty"), backup)
    sealed_anew(backup)
    with pytest.raises(BackupDamaged) as caught:
        await verify_backup(backup)
    assert caught.value.problems == (
        "database 0 has 0 keys, the manifest says 100",
        "database 3 has 0 keys, the manifest says 1",
    )


async def test_a_transfer_without_keys(
    server: RedisServer, client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump of nothing, from a server that has keys, is no backup of it."""
    with type(server)() as other:
        async with connected(other) as theirs:
            await theirs.flushall()
        script = f'case " $* " in *" --rdb "*) exec $REAL -p {other.port} --rdb "$7";; esac; exec $REAL "$@"'
        on_this_path(tmp_path, monkeypatch, script)
        with pytest.raises(BackupDamaged, match="has keys in its database 0, the dump has none"):
            await create_backup(server.url, tmp_path / "cache.rdb")
    assert [path.name for path in tmp_path.iterdir()] == ["programs"]


@pytest.mark.parametrize("kind", [RedisServer, ValkeyServer])
async def test_a_server_killed_during_the_transfer(kind: type[RedisServer], tmp_path: Path) -> None:
    """There is no backup, nor any part of it."""
    with kind() as server:
        async with connected(server) as client:
            await client.mset({f"large {number}": "x" * 100_000 for number in range(200)})
            await client.config_set("rdb-key-save-delay", 200_000)
            task = asyncio.create_task(create_backup(server.url, tmp_path / "cache.rdb"))
            while not any(path.stat().st_size for path in tmp_path.glob(f".*{SUFFIX}/*")):
                assert not task.done()
                await asyncio.sleep(0.01)
        server.kill()
        with pytest.raises(CacheUnavailable, match="broke off"):
            await task
    assert list(tmp_path.iterdir()) == []


async def test_cancelled_during_the_transfer(server: RedisServer, client: Redis, tmp_path: Path) -> None:
    """The transfer is ended, and nothing is left."""
    await client.mset({f"large {number}": "x" * 100_000 for number in range(200)})
    await client.config_set("rdb-key-save-delay", 200_000)
    task = asyncio.create_task(create_backup(server.url, tmp_path / "cache.rdb"))
    while not any(path.stat().st_size for path in tmp_path.glob(f".*{SUFFIX}/*")):
        assert not task.done()
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.config_set("rdb-key-save-delay", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_killed_backups(
    server: RedisServer, client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any line, a run leaves a good backup or none, and no server that loads a dump."""
    runs = tmp_path / "runs"
    runs.mkdir()
    outcomes = set()
    with TemporaryDirectory(prefix="dal-test-") as temporary:  # a short path, as that of a socket has to be
        monkeypatch.setenv("TMPDIR", temporary)
        for folder in await asyncio.to_thread(killed, "create", runs, server.url, 25):
            there = (folder / "backup").exists()
            outcomes.add(there)
            if there:
                await verify_backup(folder / "backup")
        assert outcomes == {True, False}
        async with asyncio.timeout(60):
            while scratch_servers(temporary):
                await asyncio.sleep(0.05)


def scratch_servers(temporary: str) -> list[bytes]:
    """The servers that load a dump for a run with these temporary files."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue
    return [line for line in lines if f"{temporary}/".encode() in line and b"/socket" in line]


# ---- logins ----


async def test_wrong_password(tmp_path: Path) -> None:
    """It is told as such, and is in no argument of a process and in no message."""
    with RedisServer(password="right") as server:
        url = server.url.replace("right", "s3cr3t")
        with pytest.raises(CacheUnavailable, match="refused the login") as caught:
            await create_backup(url, tmp_path / "cache.rdb")
    assert "s3cr3t" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [RedisServer, ValkeyServer])
async def test_passwords_and_users(
    kind: type[RedisServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password of the server, or that of a user of its own, is in no argument."""
    log = tmp_path / "log"
    on_this_path(tmp_path, monkeypatch, f'echo "$@" >>{log}; exec $REAL "$@"')
    monkeypatch.setenv("REDISCLI_AUTH", "another")
    with kind(password="s3cr3t") as server:
        async with Redis(port=server.port, password="s3cr3t") as client:
            await client.config_set("repl-diskless-sync-delay", 0)
            await command(client, "ACL", "SETUSER", "keeper", "on", ">s3cr3t/2", "+@all", "~*")
        await create_backup(server.url, tmp_path / "one.rdb")
        await create_backup(f"redis://keeper:s3cr3t%2F2@127.0.0.1:{server.port}", tmp_path / "two.rdb")
    assert "s3cr3t" not in log.read_text()
    assert "--user keeper" in log.read_text()


async def test_tls(tmp_path: Path) -> None:
    """rediss:// trusts the certificates that cafile names, and no others."""
    certificate = tmp_path / "server.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=cache"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {certificate} -out {certificate}.crt"
    await asyncio.to_thread(subprocess.run, command.split(), check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + Path(f"{certificate}.crt").read_text())
    with RedisServer(certificate=certificate) as server:
        with pytest.raises(CacheUnavailable, match="cannot be reached"):
            await create_backup(server.url, tmp_path / "one.rdb")
        url = f"{server.url}?cafile={certificate}"
        manifest = await create_backup(url, tmp_path / "two.rdb")
    assert manifest.source.startswith("rediss://127.0.0.1:")


async def test_missing_programs(
    server: RedisServer, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the program, and how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match="redis-cli or valkey-cli was not found: install redis-tools"):
        await create_backup(server.url, tmp_path / "cache.rdb")


async def test_a_server_that_is_away(tmp_path: Path) -> None:
    """It cannot be reached."""
    with pytest.raises(CacheUnavailable, match="cannot be reached"):
        await create_backup("redis://127.0.0.1:1", tmp_path / "cache.rdb")


async def test_a_refused_command(server: RedisServer, client: Redis, tmp_path: Path) -> None:
    """It is told with the server's code."""
    await command(client, "ACL", "SETUSER", "reader", "on", ">pw", "+get", "~*")
    with pytest.raises(CacheError, match=r"refused INFO \(NOPERM\)"):
        await create_backup(f"redis://reader:pw@127.0.0.1:{server.port}", tmp_path / "cache.rdb")


# ---- put back ----


@pytest.mark.parametrize("kind", [RedisServer, ValkeyServer])
async def test_putting_it_back(kind: type[RedisServer], tmp_path: Path) -> None:
    """Keys are replaced only if that is asked for; the server ends, and has the backup's when it starts."""
    backup = tmp_path / "cache.rdb"
    with kind() as server:
        async with connected(server) as client:
            await create_backup(server.url, backup)
            await client.set("later", "value")
            await client.config_set("save", "1 1")
        with pytest.raises(BackupRefused, match="has keys"):
            await restore_backup(backup, server.url)
        assert server.is_ready()
        restored = await restore_backup(backup, server.url, replace=True)
        assert restored.must_start
        assert restored.target == server.folder / "dump.rdb"
        assert stat.S_IMODE(restored.target.stat().st_mode) == 0o600
        assert not server.is_ready()
        server.restart()
        async with Redis(port=server.port) as client:
            assert await client.dbsize() == KEYS[0]
            assert not await client.exists("later")
            await client.flushall()
        await restore_backup(backup, server.url)
        server.restart()
        async with Redis(port=server.port) as client:
            assert await client.dbsize() == KEYS[0]


async def test_a_dump_being_written(tmp_path: Path) -> None:
    """The server's own dump, under way when the backup is put back, does not take its place."""
    backup = tmp_path / "cache.rdb"
    with RedisServer() as server:
        async with connected(server) as client:
            await create_backup(server.url, backup)
            await client.set("later", "value")
            while (await client.info("persistence"))["rdb_bgsave_in_progress"]:  # of the transfer
                await asyncio.sleep(0.01)
            await client.config_set("rdb-key-save-delay", 10_000)
            await client.bgsave()
        await restore_backup(backup, server.url, replace=True)
        server.restart()
        async with Redis(port=server.port) as client:
            assert not await client.exists("later")
            assert await client.dbsize() == KEYS[0]


async def test_an_append_only_server(server: RedisServer, client: Redis, backup: Path) -> None:
    """It would start with no key of the dump: it is left as it is, and the error says what to do."""
    await client.config_set("appendonly", "yes")
    try:
        with pytest.raises(BackupRefused, match="CONFIG SET appendonly no"):
            await restore_backup(backup, server.url, replace=True)
        assert await client.dbsize() == KEYS[0]
    finally:
        await client.config_set("appendonly", "no")


async def test_a_replica(server: RedisServer, client: Redis, backup: Path) -> None:
    """It would fetch the keys of its primary."""
    await command(client, "REPLICAOF", "127.0.0.1", 0)
    try:
        with pytest.raises(BackupRefused, match="is a replica"):
            await restore_backup(backup, server.url, replace=True)
    finally:
        await command(client, "REPLICAOF", "NO", "ONE")


async def test_a_server_that_keeps_running(server: RedisServer, client: Redis, backup: Path) -> None:
    """One that refuses to end keeps its keys and its settings."""
    await client.config_set("save", "3600 1")
    await command(client, "ACL", "SETUSER", "keeper", "on", ">pw", "+@all", "-shutdown", "~*")
    with pytest.raises(BackupError, match="refused SHUTDOWN"):
        await restore_backup(backup, f"redis://keeper:pw@127.0.0.1:{server.port}", replace=True)
    assert await client.dbsize() == KEYS[0]
    assert (await client.config_get("save"))["save"] == "3600 1"
    await client.config_set("save", "")


@pytest.mark.parametrize("kind", [RedisServer, ValkeyServer])
async def test_a_server_elsewhere(kind: type[RedisServer], tmp_path: Path) -> None:
    """A server that works in no folder of this machine, as one in a container, gets no file."""
    backup = tmp_path / "cache.rdb"
    with kind() as server:
        async with connected(server) as client:
            await create_backup(server.url, backup)
            shutil.rmtree(server.folder)
            with pytest.raises(BackupRefused, match="not found among the processes of this machine"):
                await restore_backup(backup, server.url, replace=True)
            assert await client.dbsize() == KEYS[0]
        server.folder.mkdir()
