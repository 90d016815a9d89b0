"""Files that are damaged, missing, not ours to write or too big for their disk, and how ours are made."""

from __future__ import annotations

import gc
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.errors import CannotOpen, CorruptDatabase, DatabaseError
from tests.reliability.processes import Program, started

PAGE = 4096


def make_database(path: Path) -> None:
    """Make a sound database of some fifty pages."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE t (v TEXT) STRICT")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t (v) VALUES (?)", [(f"{number:100}",) for number in range(2000)])
        connection.execute("COMMIT")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound database."""
    make_database(tmp_path / "a.db")
    return tmp_path / "a.db"


def database(path: Path, options: str = "") -> DatabaseManager:
    return DatabaseManager(f"sqlite:///{path}{options}")


def files(folder: Path) -> dict[str, bytes]:
    """Return the name and the contents of every file in *folder*."""
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}


def garbage(sound: bytes) -> bytes:
    return b"\xa5" * len(sound)


def half(sound: bytes) -> bytes:
    return sound[: len(sound) // 2]


def less_than_a_header(sound: bytes) -> bytes:
    return sound[:50]


def damaged_schema(sound: bytes) -> bytes:
    return sound[:100] + b"\xa5" * (PAGE - 100) + sound[PAGE:]


@pytest.mark.parametrize("damage", [garbage, half, less_than_a_header, damaged_schema])
async def test_damaged_file_is_an_error_at_connect(path: Path, damage: Callable[[bytes], bytes]) -> None:
    """A damaged file is not opened: the error names it and says what to do, and the file stays as it was."""
    path.write_bytes(damage(path.read_bytes()))
    before = files(path.parent)

    with pytest.raises(CorruptDatabase) as caught:
        await database(path).connect()

    assert str(path) in str(caught.value)
    assert "restore" in str(caught.value)
    assert files(path.parent) == before


async def test_damaged_page_is_an_error_at_the_query(path: Path) -> None:
    """Damage that only some queries meet is an error of each of them that names the file."""
    sound = path.read_bytes()
    path.write_bytes(sound[:PAGE] + b"\xa5" * (len(sound) - PAGE))

    async with database(path) as db:
        for work in (db.fetch_value("SELECT count(*) FROM t"), db.execute("INSERT INTO t (v) VALUES ('a')")):
            with pytest.raises(CorruptDatabase) as caught:
                await work
            assert str(path) in str(caught.value)


async def test_folder_is_no_database(tmp_path: Path) -> None:
    """The path of a folder is an error that names it."""
    with pytest.raises(CannotOpen, match=f"{tmp_path} is a folder"):
        await database(tmp_path).connect()


@pytest.mark.parametrize("name", ["a.db", "no/such/folder/a.db"])
async def test_missing_file_is_an_error_with_create_off(tmp_path: Path, name: str) -> None:
    """With create=off a missing file is an error that names it, and nothing is made."""
    with pytest.raises(CannotOpen, match=f"{tmp_path / name} does not exist.*create=off"):
        await database(tmp_path / name, "?create=off").connect()
    assert list(tmp_path.iterdir()) == []


async def test_file_in_the_place_of_a_folder_is_an_error(path: Path) -> None:
    """A path that leads through a file is an error that names it."""
    with pytest.raises(CannotOpen, match=f"{path / 'b.db'} cannot be made: Not a directory"):
        await database(path / "b.db").connect()


async def write_in_a_block(db: DatabaseManager) -> None:
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO t (v) VALUES ('lost')")


async def test_write_to_a_deleted_file_is_refused(path: Path) -> None:
    """Once the file was deleted no write is acknowledged, and no file appears in its place."""
    async with database(path) as db:
        await db.execute("INSERT INTO t (v) VALUES ('a')")
        path.unlink()
        for work in (db.execute("INSERT INTO t (v) VALUES ('lost')"), write_in_a_block(db)):
            with pytest.raises(DatabaseError) as caught:
                await work
            assert str(path) in str(caught.value)
    assert not path.exists()


async def test_write_to_a_replaced_file_is_refused(path: Path) -> None:
    """Once another file has taken its place no write is acknowledged: it would go to the old one."""
    make_database(path.with_name("b.db"))
    async with database(path) as db:
        await db.execute("INSERT INTO t (v) VALUES ('a')")
        path.with_name("b.db").rename(path)
        with pytest.raises(DatabaseError) as caught:
            await db.execute("INSERT INTO t (v) VALUES ('lost')")
    assert str(path) in str(caught.value)


async def test_deleted_file_is_no_matter_of_rights(path: Path) -> None:
    """An error that comes of a deleted file says, once, that it is not there."""
    async with database(path) as db:
        path.unlink()
        with pytest.raises(CannotOpen) as caught:
            async with db.transaction(readonly=True) as tx:
                await tx.fetch_value("SELECT count(*) FROM t")
    assert str(caught.value).count("there is no such file") == 1


ORDINARY_USER = """
import asyncio, os, sys
from dal.database import DatabaseManager

async def main():
    # Root may do everything. What is to be imported is imported here, while it may be read.
    async with DatabaseManager("sqlite:///:memory:") as db:
        await db.fetch_value("SELECT 1")
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        await DatabaseManager("sqlite:///" + sys.argv[1]).connect()
    except Exception as error:
        print(type(error).__name__, error)

asyncio.run(main())
"""


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="dal-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("folder_mode", "mode", "expected"),
    [
        pytest.param(0o755, 0o444, "ReadOnlyDatabase {path}: .*this user may not", id="read-only"),
        pytest.param(0o755, 0o000, "CannotOpen {path}: .*this user may not", id="unreadable"),
        pytest.param(0o555, 0o666, "ReadOnlyDatabase {path}: .*its folder", id="folder read-only"),
        pytest.param(0o555, None, "CannotOpen {path} cannot be made: Permission denied", id="missing"),
    ],
)
def test_file_that_this_user_may_not_write_is_an_error(
    public_folder: Path, folder_mode: int, mode: int | None, expected: str
) -> None:
    """An ordinary user who may not write the file or its folder is told so, with the file's name."""
    path = public_folder / "a.db"
    if mode is not None:
        make_database(path)
        path.chmod(mode)
    public_folder.chmod(folder_mode)

    with started("-c", ORDINARY_USER, str(path)) as running:
        (line,) = running.succeed()

    assert re.match(expected.format(path=path), line)


@pytest.fixture(params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
async def test_files_and_folders_are_private(tmp_path: Path) -> None:
    """Every file that is made is its owner's alone, and so is every folder, whatever the umask."""
    async with database(tmp_path / "new" / "folders" / "a.db") as db:
        await db.execute("CREATE TABLE t (v TEXT) STRICT")
        modes = {
            str(made.relative_to(tmp_path)): oct(stat.S_IMODE(made.stat().st_mode))
            for made in tmp_path.rglob("*")
        }

    assert modes == {
        "new": "0o700",
        "new/folders": "0o700",
        "new/folders/a.db": "0o600",
        "new/folders/a.db-shm": "0o600",
        "new/folders/a.db-wal": "0o600",
    }


FULL = """
import asyncio, os, resource, sys
from pathlib import Path
from dal.database import DatabaseManager
from dal.errors import DiskFull, StorageError

path, error = Path(sys.argv[1]), {"DiskFull": DiskFull, "StorageError": StorageError}[sys.argv[2]]
filler = path.with_name("filler")
INSERT = "INSERT INTO t (v) VALUES (?)"
ROW = ("x" * 5000,)

def fill():
    if error is DiskFull:
        filler.write_bytes(bytes(500_000))
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))

def make_space():
    if error is DiskFull:
        filler.unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

async def failing(work):
    try:
        await work
    except StorageError as raised:
        assert type(raised) is error and str(path) in str(raised), repr(raised)
    else:
        raise AssertionError("there was space")

async def main():
    async with DatabaseManager(f"sqlite:///{path}") as db:
        await db.execute("CREATE TABLE t (v TEXT) STRICT")
        fill()
        acknowledged = 0
        try:
            while True:
                await db.execute(INSERT, ROW)
                acknowledged += 1
        except StorageError:
            pass
        await asyncio.gather(*(failing(db.execute(INSERT, ROW)) for _ in range(20)))
        await failing(db.execute_transaction([(INSERT, ROW)] * 3))
        await failing(db.execute_many(INSERT, [ROW] * 3))
        assert await db.fetch_value("SELECT count(*) FROM t") == acknowledged
        make_space()
        await db.execute_transaction([(INSERT, ROW)] * 3)
        assert await db.fetch_value("SELECT count(*) FROM t") == acknowledged + 3
        assert await db.fetch_value("PRAGMA integrity_check") == "ok"
        print(acknowledged)

asyncio.run(main())
"""


def rows_stored(running: Program) -> int:
    (line,) = running.succeed()
    return int(line)


def test_file_at_its_limit_is_an_error_until_there_is_space(tmp_path: Path) -> None:
    """Where the system lets the file grow no more, writes fail whole, what was written stays, reads go on."""
    with started("-c", FULL, str(tmp_path / "a.db"), "StorageError") as running:
        assert rows_stored(running) > 0


def test_full_disk_is_an_error_until_there_is_space(tmp_path: Path) -> None:
    """On a full disk writes fail whole, what was written stays, and reads go on; then writes do too."""
    mount = 'mount -t tmpfs -o size=1500k tmpfs "$0" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(tmp_path)]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here: it takes unshare(1) and user namespaces")
    script = [sys.executable, "-c", FULL, str(tmp_path / "a.db"), "DiskFull"]
    done = subprocess.run([*command, *script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


async def temporary_file(db: DatabaseManager) -> Path:
    """Return the file behind ``:memory:``."""
    (row,) = await db.fetch_all("PRAGMA database_list")
    return Path(row["file"])


async def test_memory_leaves_nothing_after_disconnect() -> None:
    """The file behind :memory: and its folder are gone after disconnect."""
    async with database(Path(":memory:")) as db:
        path = await temporary_file(db)
        assert path.is_file()
    assert not path.parent.exists()


async def test_memory_of_a_dropped_manager_leaves_nothing() -> None:
    """They are gone as soon as a manager that nobody disconnected is collected."""
    db = database(Path(":memory:"))
    await db.connect()
    path = await temporary_file(db)
    del db
    gc.collect()
    assert not path.parent.exists()


MEMORY = """
import asyncio
from dal.database import DatabaseManager

db = DatabaseManager("sqlite:///:memory:")

async def main():
    await db.connect()
    (row,) = await db.fetch_all("PRAGMA database_list")
    print(row["file"])

asyncio.run(main())
"""


def test_memory_leaves_nothing_after_an_exit() -> None:
    """They are gone after a process that never disconnected."""
    with started("-c", MEMORY) as running:
        (line,) = running.succeed()
    assert Path(line).name == "memory.db"
    assert not Path(line).parent.exists()


async def test_memory_is_private_to_its_owner() -> None:
    """The file behind :memory: is its owner's alone, as its folder is."""
    async with database(Path(":memory:")) as db:
        path = await temporary_file(db)
        modes = [oct(stat.S_IMODE(made.stat().st_mode)) for made in (path.parent, path)]
    assert modes == ["0o700", "0o600"]
