"""Migrations from Python: what is applied, in which order, and what a failure says."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from blockbuster import blockbuster_ctx

from dal.database import DatabaseManager
from dal.errors import CannotOpen, ConfigurationError, CorruptDatabase, MigrationFailed
from dal.operations.migrate import migrate, migrations_of, rollback, systems_in

FILES = {
    "base/sqlite/base-0001.versions.sql": "CREATE TABLE versions (id INTEGER) STRICT;",
    "base/sqlite/base-0001.versions.rollback.sql": "DROP TABLE versions;",
    "shop/sqlite/shop-0001.orders.sql": "-- depends: base-0001.versions\n\n"
    "CREATE TABLE orders (id INTEGER) STRICT;\n"
    "INSERT INTO versions VALUES (1);",
    "shop/sqlite/shop-0002.index.sql": "-- Ein Index für Bestellungen.\n-- depends: shop-0001.orders\n\n"
    "CREATE INDEX orders_id ON orders (id);",
}
SYSTEMS = ("base", "shop")
IDS = ["base-0001.versions", "shop-0001.orders", "shop-0002.index"]


def written(root: Path, files: Mapping[str, str] = FILES) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the migrations of two systems."""
    return written(tmp_path / "migrations")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a database may be made, in a folder that does not exist."""
    return tmp_path / "new" / "data" / "app.db"


def names(file: Path) -> set[str]:
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}


def locks(file: Path) -> int:
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM yoyo_lock").fetchone()
    assert isinstance(count, int)
    return count


async def test_returns_what_it_applied(root: Path, file: Path) -> None:
    """All migrations of the systems are applied, one system after the other."""
    assert await migrate(f"sqlite:///{file}", SYSTEMS, root=root) == IDS
    assert {"versions", "orders", "orders_id"} <= names(file)


async def test_second_run_applies_nothing(root: Path, file: Path) -> None:
    """What is applied already is not applied again."""
    await migrate(f"sqlite:///{file}", SYSTEMS, root=root)

    assert await migrate(f"sqlite:///{file}", SYSTEMS, root=root) == []


async def test_only_what_is_new_is_applied(root: Path, file: Path) -> None:
    """A migration that was added since is the only one returned."""
    await migrate(f"sqlite:///{file}", SYSTEMS, root=root)
    written(root, {"shop/sqlite/shop-0003.more.sql": "CREATE TABLE more (id INTEGER) STRICT;"})

    assert await migrate(f"sqlite:///{file}", SYSTEMS, root=root) == ["shop-0003.more"]


async def test_file_and_folder_are_private(root: Path, file: Path) -> None:
    """The database is made for its owner alone: 0600 in folders that are 0700."""
    await migrate(f"sqlite:///{file}", SYSTEMS, root=root)
    made = (file, file.parent, file.parent.parent)

    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o600, 0o700, 0o700]


@pytest.mark.parametrize("name", ["with space.db", "a?b#c%20d.db", "ü[1].db"])
async def test_awkward_file_names(root: Path, tmp_path: Path, name: str) -> None:
    """The file migrated is the one the URL names, whatever its characters."""
    await migrate(f"sqlite:///{quote(str(tmp_path / name))}", SYSTEMS, root=root)

    assert "orders" in names(tmp_path / name)
    assert [path.name for path in tmp_path.glob("*.db*")] == [name]


async def test_awkward_folder_of_migrations(tmp_path: Path, file: Path) -> None:
    """Characters that mean something to glob are plain in the folder's name."""
    root = written(tmp_path / "a[b]*?")

    assert await migrate(f"sqlite:///{file}", SYSTEMS, root=root) == IDS


async def test_relative_url(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative file is taken from the working directory, where a yoyo.py and a yoyo.ini do no harm."""
    monkeypatch.chdir(tmp_path)
    Path("yoyo.py").write_text("raise SystemExit('wrong yoyo')")
    Path("yoyo.ini").write_text("[DEFAULT]\ndatabase = nonsense\n")
    await migrate("sqlite:///app.db", SYSTEMS, root=root)

    assert "orders" in names(tmp_path / "app.db")


async def test_warnings_as_errors_and_plain_locale(
    root: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's warning filter and locale do not make a migration fail."""
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("LC_ALL", "C")

    assert await migrate(f"sqlite:///{file}", SYSTEMS, root=root) == IDS


async def test_sqlite3_of_this_process_stays(root: Path, file: Path) -> None:
    """How this process stores a datetime is the same afterwards."""
    await migrate(f"sqlite:///{file}", SYSTEMS, root=root)

    assert sqlite3.adapters[(datetime, sqlite3.PrepareProtocol)].__module__ != "yoyo.backends.core.sqlite3"


async def test_failure_names_migration_and_cause(root: Path, file: Path) -> None:
    """A migration that fails raises, naming it, its folder and the database's own words."""
    written(root, {"shop/sqlite/shop-0003.bad.sql": "CREATE TABLE orders (id INTEGER) STRICT;"})
    with pytest.raises(MigrationFailed) as raised:
        await migrate(f"sqlite:///{file}", SYSTEMS, root=root)

    assert raised.value.migration == "shop-0003.bad"
    assert str(raised.value) == (
        f"{root}/shop/sqlite/shop-0003.bad.sql: sqlite3.OperationalError: table orders already exists"
    )


async def test_failure_keeps_what_was_applied_before(root: Path, file: Path) -> None:
    """Migrations before the one that fails stay; of that one nothing does."""
    written(root, {"shop/sqlite/shop-0003.bad.sql": "CREATE TABLE more (id INTEGER) STRICT;\nSELECT nope;"})
    with pytest.raises(MigrationFailed):
        await migrate(f"sqlite:///{file}", SYSTEMS, root=root)

    assert "orders" in names(file)
    assert "more" not in names(file)


async def test_system_without_the_one_it_depends_on(root: Path, file: Path) -> None:
    """A system whose migrations depend on another's is not applied without that."""
    with pytest.raises(MigrationFailed, match="Could not resolve dependencies"):
        await migrate(f"sqlite:///{file}", ("shop",), root=root)

    assert "orders" not in names(file)


async def test_unmet_dependency_fails_before_the_first(root: Path, file: Path) -> None:
    """A migration that depends on one that does not exist is an error, with no migration to blame."""
    written(root, {"shop/sqlite/shop-0003.bad.sql": "-- depends: nowhere\nSELECT 1;"})
    with pytest.raises(
        MigrationFailed, match=r"no migration could be begun: .*shop-0003\.bad\.sql"
    ) as raised:
        await migrate(f"sqlite:///{file}", SYSTEMS, root=root)

    assert raised.value.migration is None


async def test_file_that_is_no_database(root: Path, file: Path) -> None:
    """A file of another kind is refused, and stays as it was."""
    file.parent.mkdir(parents=True)
    file.write_text("this is no database, and long enough to see it" * 20)
    with pytest.raises(CorruptDatabase, match="no SQLite database; restore it"):
        await migrate(f"sqlite:///{file}", SYSTEMS, root=root)

    assert file.read_text().startswith("this is no database")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("oracle://u:s3cr3t@localhost/n", "a URL that begins with sqlite://, postgresql://"),
        ("postgresql://u:s3cr3t@localhost/n?sslmode=disable", "no option sslmode"),
        ("postgresql://u:s3cr3t@localhost", "names no database"),
        ("mysql://u:s3cr3t@localhost/n?charset=latin1", "unknown option"),
        ("mysql://u:s3cr3t@localhost/a%20b", "no database whose name"),
        ("app.db", "a URL that begins with sqlite://"),
        ("sqlite:///:memory:", "private to its process"),
        ("sqlite://app.db", "sqlite:///relative.db"),
        ("sqlite:///app.db?cache=shared", "option cache is unknown"),
        ("sqlite:///", "sqlite:///relative.db"),
        ("sqlite:///a#b.db", "%23"),
    ],
)
async def test_wrong_url(root: Path, url: str, problem: str) -> None:
    """A URL that is not a database's is refused, without its password."""
    with pytest.raises(ConfigurationError, match=problem) as raised:
        await migrate(url, SYSTEMS, root=root)

    assert "s3cr3t" not in str(raised.value)


async def test_file_that_cannot_be_opened(root: Path, tmp_path: Path) -> None:
    """A path that is a folder is refused before yoyo runs."""
    with pytest.raises(CannotOpen, match="is a folder"):
        await migrate(f"sqlite:///{tmp_path}", SYSTEMS, root=root)


async def test_unknown_system_touches_nothing(root: Path, file: Path) -> None:
    """A system without migrations is refused before the first is applied, naming those there are."""
    with pytest.raises(ConfigurationError, match=r"there are base/sqlite, shop/sqlite in"):
        await migrate(f"sqlite:///{file}", ("base", "shpo"), root=root)

    assert not file.exists()


def test_folder_without_migrations(root: Path) -> None:
    """A folder with nothing to apply is refused, where yoyo would report success."""
    (root / "empty" / "sqlite").mkdir(parents=True)
    written(root, {"empty/sqlite/empty-0001.x.rollback.sql": "DROP TABLE x;"})
    with pytest.raises(ConfigurationError, match=r"holds no \.sql file"):
        migrations_of("empty", "sqlite", root=root)


@pytest.mark.parametrize("system", systems_in())
def test_shipped_systems(system: str) -> None:
    """The systems that come with the library are found without saying where."""
    assert list(migrations_of(system, "sqlite").glob(f"{system}-0001*.sql"))


def test_base_comes_first(root: Path) -> None:
    """What the other systems stand on is applied before them, whatever their names are."""
    written(root, {"area/sqlite/area-0001.areas.sql": "CREATE TABLE areas (id INTEGER) STRICT;"})
    assert systems_in(root) == ("base", "area", "shop")


def test_no_systems(tmp_path: Path) -> None:
    """A folder without any system is refused, where nothing would be applied."""
    with pytest.raises(ConfigurationError, match="no system in"):
        systems_in(tmp_path)


async def test_cancelled_call_leaves_no_lock(root: Path, file: Path) -> None:
    """A call that is cancelled in mid-migration ends yoyo, which releases its lock; nothing is half done."""
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000)"
    slow = f"{numbers} SELECT sum(i) FROM n"
    written(root, {"shop/sqlite/shop-0003.slow.sql": f"CREATE TABLE more (id INTEGER) STRICT;\n{slow};"})
    await migrate(f"sqlite:///{file}", ("base",), root=root)
    task = asyncio.create_task(migrate(f"sqlite:///{file}", SYSTEMS, root=root))
    while "orders_id" not in names(file):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # now the slow one runs, in C code that no signal ends
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert locks(file) == 0
    assert "more" not in names(file)


@pytest.mark.slow
async def test_locked_database_says_so(root: Path, file: Path) -> None:
    """A lock left by a process that was killed is named as such, with the command that removes it."""
    await migrate(f"sqlite:///{file}", ("base",), root=root)
    with closing(sqlite3.connect(file, timeout=60)) as connection, connection:
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, '2026-01-01', 4711)")
    with pytest.raises(MigrationFailed, match=r"Process 4711 has locked this database \(run yoyo break-lock"):
        await migrate(f"sqlite:///{file}", SYSTEMS, root=root)


async def test_shipped_systems_are_applied(file: Path) -> None:
    """What comes with the library goes into an empty file as it is, without blocking the event loop."""
    with blockbuster_ctx():
        applied = await migrate(f"sqlite:///{file}")

    assert applied[0].startswith("base-0001")
    assert {migration.split("-")[0] for migration in applied} == set(systems_in())


async def test_a_connected_manager_goes_on(root: Path, file: Path) -> None:
    """Its connections keep their locks, so that the end of yoyo does not take the WAL from under them."""
    url = f"sqlite:///{file}"
    async with DatabaseManager(url) as db:
        await db.execute("CREATE TABLE mine (id INTEGER) STRICT")
        assert await migrate(url, SYSTEMS, root=root) == IDS
        await db.execute("INSERT INTO mine VALUES (1)")
        assert await migrate(url, SYSTEMS, root=root) == []
        assert await db.fetch_value("SELECT count(*) FROM versions") == 1
        assert await db.fetch_value("PRAGMA integrity_check") == "ok"
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        assert connection.execute("SELECT id FROM mine").fetchall() == [(1,)]


def with_rollbacks(root: Path) -> Path:
    return written(
        root,
        {
            "shop/sqlite/shop-0001.orders.rollback.sql": "DELETE FROM versions;\nDROP TABLE orders;",
            "shop/sqlite/shop-0002.index.rollback.sql": "DROP INDEX orders_id;",
        },
    )


async def test_rollback_takes_back_the_newest(root: Path, file: Path) -> None:
    """One migration, and the next call the one before it; a further apply brings both again."""
    url = f"sqlite:///{file}"
    await migrate(url, root=with_rollbacks(root))
    assert await rollback(url, root=root) == ["shop-0002.index"]
    assert "orders_id" not in names(file)
    assert await rollback(url, root=root) == ["shop-0001.orders"]
    assert await migrate(url, root=root) == ["shop-0001.orders", "shop-0002.index"]


async def test_rollback_of_a_migration_takes_what_depends_on_it(root: Path, file: Path) -> None:
    """Newest first, down to the one that is named."""
    url = f"sqlite:///{file}"
    await migrate(url, root=with_rollbacks(root))
    assert await rollback(url, "shop-0001.orders", root=root) == ["shop-0002.index", "shop-0001.orders"]
    assert "versions" in names(file)


async def test_rollback_of_everything(root: Path, file: Path) -> None:
    """No table of any system stays, and a second call takes nothing back."""
    url = f"sqlite:///{file}"
    await migrate(url, root=with_rollbacks(root))
    assert await rollback(url, everything=True, root=root) == IDS[::-1]
    assert not {"versions", "orders"} & names(file)
    assert await rollback(url, everything=True, root=root) == []


async def test_rollback_of_an_unknown_migration(root: Path, file: Path) -> None:
    """It is named with those that there are; nothing is taken back."""
    url = f"sqlite:///{file}"
    await migrate(url, root=with_rollbacks(root))
    with pytest.raises(ConfigurationError, match=r"no migration 'shop-0003'; there are base-0001\.versions"):
        await rollback(url, "shop-0003", root=root)
    assert "orders_id" in names(file)


async def test_rollback_that_fails_names_its_file(root: Path, file: Path) -> None:
    """The file is the rollback, and what it could not undo stays."""
    url = f"sqlite:///{file}"
    await migrate(url, root=with_rollbacks(root))
    written(root, {"shop/sqlite/shop-0002.index.rollback.sql": "DROP INDEX missing;"})
    with pytest.raises(MigrationFailed, match=r"shop-0002\.index\.rollback\.sql: .*no such index") as caught:
        await rollback(url, root=root)
    assert caught.value.migration == "shop-0002.index"
    assert "orders_id" in names(file)


async def test_user_without_a_name(root: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose user has no name, as in many containers, records what it applied."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become a user without a name")
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("getpass.getuser", _no_name)
    await migrate(f"sqlite:///{file}", SYSTEMS, root=root)

    with closing(sqlite3.connect(file, timeout=60)) as connection:
        assert {user for (user,) in connection.execute("SELECT username FROM _yoyo_log")} == {
            f"uid-{os.getuid()}"
        }


def _no_name() -> str:
    raise KeyError("getpwuid(): uid not found")
