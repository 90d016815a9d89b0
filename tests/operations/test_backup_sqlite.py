"""Backups of SQLite databases: taken under load, killed, damaged, put back."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    BackupDamaged,
    BackupError,
    BackupRefused,
    CannotOpen,
    ConfigurationError,
    CorruptDatabase,
    DiskFull,
    LockTimeout,
)
from dal.operations.backups import SqliteContents, create_backup, restore_backup, sqlite, verify_backup
from dal.operations.backups.files import SUFFIX, manifest_of, sha256_of
from dal.operations.migrate import migrate
from dal.settings import Settings
from tests.operations.kills import write_and_crash
from tests.reliability.processes import ROOT, program
from tests.reliability.programs import WORK

ACCOUNTS = 100
START = 1000

SCHEMA = """
    PRAGMA page_size = 512;
    PRAGMA journal_mode = WAL;
    CREATE TABLE account (
        name TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0)
    ) STRICT;
    CREATE TABLE transfer (
        id INTEGER PRIMARY KEY, sender TEXT REFERENCES account, receiver TEXT REFERENCES account,
        note TEXT
    ) STRICT;
    CREATE INDEX transfer_receiver ON transfer (receiver);
    CREATE TABLE ballast (id INTEGER PRIMARY KEY, content BLOB) STRICT;
"""


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def names(path: Path) -> list[object]:
    """The accounts of a database that has to be whole."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [name for (name,) in connection.execute("SELECT name FROM account ORDER BY name")]


def change(path: Path, *statements: str) -> None:
    """Change a database file as nobody should."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A database of accounts, with some rows."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        accounts = ((f"account {number}", START) for number in range(ACCOUNTS))
        connection.executemany("INSERT INTO account VALUES (?, ?)", accounts)
        connection.execute("INSERT INTO transfer VALUES (1, 'account 1', 'account 2', 'a long text')")
        connection.commit()
    return path


@pytest.fixture
async def backup(app: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    path = tmp_path / "backups" / "app.backup"
    path.parent.mkdir()
    await create_backup(app, path)
    return path


async def test_fifty_writers(app: Path, tmp_path: Path, settings: Settings) -> None:
    """Transfers go on while backups are taken; each backup is one moment, and no writer fails."""
    change(app, f"INSERT INTO ballast (content) VALUES (zeroblob({8 << 20}))")
    async with DatabaseManager(f"sqlite:///{app}", settings=settings) as db:
        ended, done = asyncio.Event(), 0

        async def transfer(writer: int) -> None:
            nonlocal done
            while not ended.is_set():
                sender, receiver = f"account {writer}", f"account {(writer * 7 + done) % ACCOUNTS}"
                change = "UPDATE account SET balance = balance + ? WHERE name = ?"
                note = "INSERT INTO transfer (sender, receiver) VALUES (?, ?)"
                await db.execute_transaction(
                    [(change, (-1, sender)), (note, (sender, receiver)), (change, (1, receiver))]
                )
                done += 1

        async with asyncio.TaskGroup() as group:
            for writer in range(50):
                group.create_task(transfer(writer))
            meanwhile = []
            for number in range(4):
                before = done
                manifest = await create_backup(f"sqlite:///{app}", tmp_path / f"{number}.backup")
                meanwhile.append(done - before)
                assert isinstance(manifest.contents, SqliteContents)
                assert manifest.contents.rows["transfer"] >= before
            ended.set()
    assert min(meanwhile) > 0
    for number in range(4):
        path = tmp_path / f"{number}.backup"
        await verify_backup(path)
        assert rows(path, "SELECT sum(balance) FROM account") == [(ACCOUNTS * START,)]
        # Each balance is what the transfers of the same copy lead to; the first transfer moved nothing.
        wrong = """
            SELECT name FROM account WHERE balance != 1000
                - (SELECT count(*) FROM transfer WHERE sender = name AND id > 1)
                + (SELECT count(*) FROM transfer WHERE receiver = name AND id > 1)
        """
        assert rows(path, wrong) == []


async def test_the_manifest(tmp_path: Path) -> None:
    """It says what was backed up, when, and what was in it."""
    path = tmp_path / "documents.db"
    await migrate(f"sqlite:///{path}", ["base", "documents"])
    manifest = await create_backup(f"sqlite:///{path}", tmp_path / "copy")
    written = json.loads(manifest_of(tmp_path / "copy").read_text())
    assert written == manifest.model_dump(mode="json")
    assert (written["format"], written["source"]) == (1, "documents.db")
    assert written["bytes"] == (tmp_path / "copy").stat().st_size
    assert written["contents"]["version"] == sqlite3.sqlite_version
    assert written["contents"]["rows"]["schema_versions"] == 13
    assert written["contents"]["schema_version"] == {
        "base": "base-0002.environment",
        "documents": "documents-0011.search_generation",
    }


async def test_a_database_without_wal(app: Path, tmp_path: Path) -> None:
    """It is backed up too, and one with orphans as it is."""
    change(app, "PRAGMA journal_mode = DELETE", "DELETE FROM account WHERE name = 'account 1'")
    manifest = await create_backup(app, tmp_path / "copy")
    assert isinstance(manifest.contents, SqliteContents)
    assert manifest.contents.orphans == 1
    assert await verify_backup(tmp_path / "copy") == manifest


# ---- damages ----


def emptied(file: Path) -> None:
    file.write_bytes(b"")
    sealed_anew(file)


def flipped(file: Path, offset: int) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 1
    file.write_bytes(content)


def flipped_text(file: Path) -> None:
    flipped(file, file.read_bytes().index(b"a long text"))


def truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def sealed_anew(file: Path) -> None:
    """Let the manifest's size and SHA-256 be those of the file, so that only what it holds can tell."""
    path = manifest_of(file)
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"bytes": file.stat().st_size, "sha256": sha256_of(file)}))


def sealed(*statements: str) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        change(file, *statements)
        sealed_anew(file)

    return damage


def zero_page(file: Path) -> None:
    """Lose the page of an index."""
    (root,) = rows(file, "SELECT rootpage FROM sqlite_schema WHERE name = 'transfer_receiver'")[0]
    assert isinstance(root, int)
    content = bytearray(file.read_bytes())
    content[(root - 1) * 512 : root * 512] = bytes(512)
    file.write_bytes(content)


def zeroed_page(file: Path) -> None:
    zero_page(file)
    sealed_anew(file)


def edited(file: Path, **changes: object) -> None:
    path = manifest_of(file)
    manifest = json.loads(path.read_text())
    manifest["contents"]["rows"] |= changes
    path.write_text(json.dumps(manifest))


SHA = "its SHA-256 is not the one of the manifest"
HEADER = "its header is not that of a sqlite backup"
GONE = ["table account is missing", "table ballast is", "table transfer is", "the schema is not"]

DAMAGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "zero bytes": (
        lambda file: file.write_bytes(b""),
        ["it has 0 bytes, the manifest says", SHA, HEADER, *GONE],
    ),
    "zero bytes, sealed anew": (
        emptied,
        [HEADER, *GONE],
    ),
    "emptied table": (
        sealed("DELETE FROM transfer"),
        ["table transfer has 0 rows, the manifest says 1"],
    ),
    "orphan": (
        sealed("UPDATE account SET name = 'other' WHERE name = 'account 1'"),
        ["foreign_key_check finds 1 orphans, the manifest says 0"],
    ),
    "dropped index": (sealed("DROP INDEX transfer_receiver"), ["the schema is not the one of the manifest"]),
    "added table": (sealed("CREATE TABLE more (id)"), ["table more is not in the manifest", "the schema is"]),
    "broken rule": (
        sealed(
            "PRAGMA ignore_check_constraints = ON", "UPDATE account SET balance = -1 WHERE name = 'account 1'"
        ),
        ["integrity_check: CHECK constraint failed in account"],
    ),
    "zeroed page": (zeroed_page, ["SQLite cannot read it"]),
    "flipped byte in a text": (flipped_text, [SHA]),
    "flipped byte in the header": (lambda file: flipped(file, 3), [SHA, HEADER, "SQLite cannot read it"]),
    "truncated": (truncated, ["it has ", SHA, "SQLite cannot read it"]),
    "manifest edited": (
        lambda file: edited(file, account=7),
        ["table account has 100 rows, the manifest says 7"],
    ),
    "manifest missing": (lambda file: manifest_of(file).unlink(), ["the manifest "]),
    "manifest unreadable": (lambda file: manifest_of(file).write_text("{}"), ["the manifest "]),
    "manifest is no text": (lambda file: manifest_of(file).write_bytes(b"\xff\0"), ["the manifest "]),
    "manifest edited beyond its form": (lambda file: edited(file, account="many"), ["the manifest "]),
    "backup missing": (lambda file: file.unlink(), ["the backup itself is missing"]),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_named(backup: Path, tmp_path: Path, damage: str) -> None:
    """Each kind of damage is told by its name, and what is damaged is not restored."""
    inflict, expected = DAMAGES[damage]
    inflict(backup)
    with pytest.raises(BackupDamaged) as caught:
        await verify_backup(backup)
    problems = caught.value.problems
    assert len(problems) == len(expected), problems
    assert [text for text in expected if not any(told.startswith(text) for told in problems)] == [], problems
    with pytest.raises(BackupDamaged):
        await restore_backup(backup, tmp_path / "restored.db")
    assert not (tmp_path / "restored.db").exists()


async def test_the_manifest_of_another_backup(app: Path, backup: Path) -> None:
    """Two backups whose manifests were exchanged are both damaged."""
    change(app, "INSERT INTO account VALUES ('new', 0)")
    other = backup.with_name("other")
    await create_backup(app, other)
    shutil.copy(manifest_of(other), manifest_of(backup))
    with pytest.raises(BackupDamaged) as caught:
        await verify_backup(backup)
    assert caught.value.problems == (SHA, "table account has 100 rows, the manifest says 101")


async def test_a_damaged_source(app: Path, tmp_path: Path) -> None:
    """A database with a page of zeros gets no backup, and the error says what is wrong with it."""
    zero_page(app)
    with pytest.raises((BackupDamaged, CorruptDatabase)):
        await create_backup(app, tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.db"]


# ---- where it is written ----


@pytest.mark.parametrize("mask", [0o000, 0o022])
async def test_modes(app: Path, tmp_path: Path, mask: int) -> None:
    """A backup, its manifest, a restored database: for this user alone, whatever the umask."""
    with umask(mask):
        await create_backup(app, tmp_path / "copy")
        await restore_backup(tmp_path / "copy", tmp_path / "restored.db")
        await restore_backup(tmp_path / "copy", app, replace=True)
    made = ["copy", "copy.json", "restored.db", "app.db"]
    assert {name: mode(tmp_path / name) for name in made} == dict.fromkeys(made, 0o600)


async def test_nothing_is_overwritten(app: Path, tmp_path: Path) -> None:
    """Not a file, not a link that leads nowhere, not another program's .json."""
    (tmp_path / "file").write_text("here first")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "settings.json").write_text("{}")
    for name in ("file", "link", "settings", "app.db"):
        with pytest.raises(BackupRefused, match="exists"):
            await create_backup(app, tmp_path / name)
    assert (tmp_path / "file").read_text() == "here first"
    assert (tmp_path / "settings.json").read_text() == "{}"
    assert not (tmp_path / "nowhere").exists()


async def test_two_runs_for_one_file(app: Path, tmp_path: Path) -> None:
    """One makes the backup, the other is refused."""
    runs = await asyncio.gather(
        *(create_backup(app, tmp_path / "copy") for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(run).__name__ for run in runs) == ["BackupRefused"] * 3 + ["Manifest"]
    await verify_backup(tmp_path / "copy")


async def test_runs_side_by_side(app: Path, tmp_path: Path) -> None:
    """No run takes another's folder for what a killed one left."""
    targets = [tmp_path / f"copy {number}" for number in range(8)]
    await asyncio.gather(*(create_backup(app, target) for target in targets))
    for target in targets:
        await verify_backup(target)


async def test_a_cancelled_run_leaves_nothing(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends once its thread has, and the next run finds the place free."""
    check = sqlite._check

    told: list[bool] = []

    def check_late(stop: threading.Event) -> None:
        told.append(stop.wait(60))  # so that no copy is through before it is told to stop
        check(stop)

    change(app, f"INSERT INTO ballast (content) VALUES (zeroblob({32 << 20}))")
    copies = tmp_path / "copies"
    copies.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "_check", check_late)
        task = asyncio.create_task(create_backup(app, copies / "copy"))
        while not list(copies.glob("*/copy")) and not list(copies.glob(".*/copy")):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert all(told)
    assert list(copies.iterdir()) == []
    await create_backup(app, copies / "copy")


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("postgresql://localhost/app", ConfigurationError, "pg_dump"),
        ("app.db", ConfigurationError, "sqlite://"),
        ("memory://", ConfigurationError, "sqlite://"),
        ("sqlite:///:memory:", ConfigurationError, "private to its process"),
        ("sqlite:////nowhere/app.db", CannotOpen, "nowhere"),
    ],
)
async def test_what_cannot_be_backed_up(
    tmp_path: Path, source: str, error: type[Exception], message: str
) -> None:
    """The error says why, and nothing is left."""
    with pytest.raises(error, match=message):
        await create_backup(source, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


async def test_a_locked_source(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that lets nobody read is told as locked."""
    monkeypatch.setattr("dal.operations.backups.sqlite._PATIENCE", 0.1)
    change(app, "PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(app, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LockTimeout):
            await create_backup(app, tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["app.db"]


async def test_a_folder_that_does_not_exist(app: Path, tmp_path: Path) -> None:
    """It is an error of dal's, with the system's reason."""
    with pytest.raises(BackupError, match="No such file or directory"):
        await create_backup(app, tmp_path / "nowhere" / "copy")


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ("CREATE TABLE schema_versions (version TEXT)", {"schema_versions": 0}),
        (
            "CREATE TABLE schema_versions (version_id INTEGER, applied_at, description, migration_script);"
            "INSERT INTO schema_versions VALUES (3, NULL, NULL, NULL)",
            {"schema_versions": 1},
        ),
        (
            "CREATE TABLE parent (id); CREATE TABLE child (id REFERENCES parent (id));"
            "INSERT INTO child VALUES (1)",
            {"parent": 0, "child": 1},
        ),
    ],
    ids=["other-versions", "numbers-for-versions", "reference-to-no-key"],
)
async def test_a_schema_of_somebody_else(tmp_path: Path, schema: str, found: dict[str, int]) -> None:
    """A database that `dal` would not have made so is backed up and verified as well."""
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript(schema)
    await create_backup(source, tmp_path / "copy")

    contents = (await verify_backup(tmp_path / "copy")).contents
    assert isinstance(contents, SqliteContents)
    assert contents.rows == found


async def test_orphans_beside_a_reference_to_no_key(app: Path, tmp_path: Path) -> None:
    """They are counted, although a table before theirs has a reference that cannot be followed."""
    change(
        app,
        "CREATE TABLE a_child (name REFERENCES transfer (note))",
        "INSERT INTO a_child VALUES ('nothing')",
        "CREATE TABLE orphan (name REFERENCES account (name))",
        "INSERT INTO orphan VALUES ('nobody')",
    )
    contents = (await create_backup(app, tmp_path / "copy")).contents
    assert isinstance(contents, SqliteContents)
    assert contents.orphans == 1


@pytest.mark.parametrize("name", [".", "/"])
async def test_no_name_of_a_backup(name: str) -> None:
    """It is told as one without a manifest."""
    with pytest.raises(BackupDamaged, match="is missing"):
        await verify_backup(Path(name))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kilobytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_a_full_disk_is_named(
    app: Path, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no space is said, and nothing is left there: below the copy, and in no other place."""
    change(app, "INSERT INTO transfer VALUES (9, 'account 1', 'account 2', hex(randomblob(50000)))")
    with pytest.raises(DiskFull, match=str(small_disk)):
        await create_backup(app, small_disk / "copy")
    await create_backup(app, tmp_path / "copy")

    with pytest.raises(BackupError, match=f"{small_disk}.*No space left"):
        await restore_backup(tmp_path / "copy", small_disk / "new.db")
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    with pytest.raises(BackupError, match=f"{small_disk}.*No space left"):
        await verify_backup(tmp_path / "copy")
    assert list(small_disk.iterdir()) == []


# ---- killed ----


def killed(command: str, folder: Path, source: object, step: int = 1) -> list[Path]:
    """Kill runs at one line after the other; return the folder of each, in order."""
    arguments = ["-m", "tests.operations.kills", command, str(folder), str(source), str(step)]
    run = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=800
    )
    assert (run.returncode, run.stderr) == (0, "")
    folders = sorted(folder.iterdir(), key=lambda path: int(path.name))
    assert len(folders) == int(run.stdout) + 1
    return folders


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_killed_backups(app: Path, tmp_path: Path) -> None:
    """Killed at any line, a run leaves a good backup or none; the next run makes it, and tidies up."""
    runs = tmp_path / "runs"
    runs.mkdir()
    outcomes = set()
    for folder in killed("create", runs, f"sqlite:///{app}"):
        for path in folder.rglob("*"):
            assert mode(path) == (0o700 if path.is_dir() else 0o600), path
        there = (folder / "backup").exists()
        outcomes.add((there, bool(list(folder.glob(f".*{SUFFIX}")))))
        if not there:
            await create_backup(app, folder / "backup")
        await verify_backup(folder / "backup")
        await create_backup(app, folder / "next")
        left = sorted(path.name for path in folder.iterdir())
        assert left == ["backup", "backup.json", "next", "next.json"]
    assert outcomes == {(False, False), (False, True), (True, True), (True, False)}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", ["restore", "replace"])
async def test_killed_restores(backup: Path, tmp_path: Path, command: str) -> None:
    """Killed at any line, the old or the new database is there, whole; a second run finishes."""
    runs = tmp_path / "runs"
    runs.mkdir()
    new = names(backup)
    old = sorted([*new, "latest"], key=str)
    outcomes = set()
    for folder in killed(command, runs, backup):
        target = folder / "app.db"
        if target.exists():
            copy = folder / "look"  # opening it would repair what a crash left
            copy.mkdir()
            for path in folder.glob("app.db*"):
                shutil.copy(path, copy)
            found = names(copy / "app.db")
            assert found in (old, new)
            outcomes.add("old" if found == old else "new")
        else:
            outcomes.add("none")
        if outcomes != {"new"} or command == "replace":
            await restore_backup(backup, target, replace=target.exists())
        assert names(target) == new
        kept = list(folder.glob("app.db.replaced-*Z"))
        assert all(names(path) in (old, new) for path in kept)
        assert command == "restore" or any(names(path) == old for path in kept)
        assert not list(folder.glob(f".*{SUFFIX}"))
    assert outcomes == ({"none", "new"} if command == "restore" else {"old", "new"})


# ---- put back ----


async def test_a_restored_database(app: Path, backup: Path, tmp_path: Path, settings: Settings) -> None:
    """It has the rows of the backup, and is used as any other."""
    restored = await restore_backup(backup, f"sqlite:///{tmp_path}/restored.db")
    assert (restored.target, restored.kept, restored.must_start) == (tmp_path / "restored.db", None, False)
    async with DatabaseManager(f"sqlite:///{tmp_path}/restored.db", settings=settings) as db:
        assert await db.fetch_value("SELECT count(*) FROM account") == ACCOUNTS
        assert await db.execute("UPDATE account SET balance = 0") == ACCOUNTS


async def test_replacing_is_asked_for(app: Path, backup: Path) -> None:
    """Without that the database stays; with it the old one is kept, the rows in its -wal too."""
    write_and_crash(app, "latest")
    with pytest.raises(BackupRefused, match="replace"):
        await restore_backup(backup, app)
    restored = await restore_backup(backup, app, replace=True)
    assert restored.kept is not None
    assert "latest" in names(restored.kept)
    assert "latest" not in names(app)


async def test_a_database_in_use(app: Path, backup: Path, settings: Settings) -> None:
    """It is not replaced while this process or another one is connected, and loses no lock by it."""
    async with DatabaseManager(f"sqlite:///{app}", settings=settings) as db:
        await db.fetch_value("SELECT count(*) FROM account")
        with pytest.raises(BackupRefused, match="in use"):
            await restore_backup(backup, app, replace=True)
        assert await db.execute("UPDATE account SET balance = 1") == ACCOUNTS
    change(app, *filter(str.strip, WORK.split(";")), "INSERT INTO counters VALUES ('all', 0)")
    with program("increment", app, 1, 1) as other:
        assert other.line() == "begun"
        with pytest.raises(BackupRefused, match="in use"):
            await restore_backup(backup, app, replace=True)
        other.go_on()
        assert other.end()[0] == 0
    await restore_backup(backup, app, replace=True)
    assert rows(app, "SELECT DISTINCT balance FROM account") == [(START,)]


async def test_a_stale_wal(backup: Path, tmp_path: Path) -> None:
    """The -wal of another database of the same size, left where the restored one goes, is not believed."""
    other = tmp_path / "other.db"
    shutil.copy(backup, other)
    change(other, "PRAGMA journal_mode = WAL")
    write_and_crash(other, "stale")
    wal = Path(f"{other}-wal").read_bytes()
    by_hand, restored = tmp_path / "by hand.db", tmp_path / "restored.db"
    for path in (by_hand, restored):
        Path(f"{path}-wal").write_bytes(wal)
    shutil.copy(backup, by_hand)
    await restore_backup(backup, restored)
    assert "stale" in names(by_hand)
    assert names(restored) == names(backup)


async def test_a_target_that_is_no_database(app: Path, backup: Path) -> None:
    """A destroyed database is what a backup is for: it is replaced, and kept with what lay beside it."""
    write_and_crash(app, "latest")
    wal = Path(f"{app}-wal").read_bytes()
    app.write_bytes(b"no database" * 1000)
    restored = await restore_backup(backup, app, replace=True)
    assert restored.kept is not None
    assert restored.kept.read_bytes() == b"no database" * 1000
    assert Path(f"{restored.kept}-wal").read_bytes() == wal
    assert names(app) == names(backup)


async def test_odd_targets(backup: Path, tmp_path: Path) -> None:
    """The backup itself, a folder, a place that does not exist; and a link is followed."""
    for target in (backup, tmp_path, tmp_path / "nowhere" / "app.db"):
        with pytest.raises(BackupRefused):
            await restore_backup(backup, target, replace=True)
    await verify_backup(backup)
    (tmp_path / "link.db").symlink_to("real.db")
    assert (await restore_backup(backup, tmp_path / "link.db")).target == tmp_path / "real.db"
    assert (tmp_path / "link.db").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
async def test_root_restores_for_the_owner(app: Path, backup: Path) -> None:
    """What root puts back belongs to whom it belonged before."""
    nobody = pwd.getpwnam("nobody")
    os.chown(app, nobody.pw_uid, nobody.pw_gid)
    await restore_backup(backup, app, replace=True)
    assert (app.stat().st_uid, app.stat().st_gid, mode(app)) == (nobody.pw_uid, nobody.pw_gid, 0o600)


_ORDINARY = """
import asyncio, concurrent.futures.thread, os, pwd, sqlite3, sys
from pathlib import Path
from dal.errors import BackupError
from dal.operations.backups import create_backup, restore_backup

home, foreign = Path(sys.argv[1]), Path(sys.argv[2])
nobody = pwd.getpwnam("nobody")
os.chown(home, nobody.pw_uid, nobody.pw_gid)
os.chdir("/")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
sqlite3.connect(home / "app.db").execute("CREATE TABLE t (id)").connection.close()
asyncio.run(create_backup(home / "app.db", home / "copy"))
asyncio.run(restore_backup(home / "copy", home / "app.db", replace=True))
try:
    asyncio.run(create_backup(home / "app.db", foreign / "copy"))
except BackupError as error:
    print("refused")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests are run by an ordinary user then")
def test_an_ordinary_user() -> None:
    """Makes, verifies and restores backups of what is his; what is not his is an error of dal's."""
    with tempfile.TemporaryDirectory() as home:
        run = subprocess.run(
            [sys.executable, "-c", _ORDINARY, home, "/usr"],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert (run.returncode, run.stdout, run.stderr) == (0, "refused\n", "")
