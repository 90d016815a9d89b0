"""The command `dal`, run as an operator runs it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

# Several processes, one after the other: a minute or more on a slow machine.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database file that is not there yet."""
    return f"sqlite:///{tmp_path}/app.db"


def dal(
    *arguments: str, url: str | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command with the database in its environment."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DB_", "DATABASE_"))
    }
    if url is not None:
        environment["DATABASE_URL"] = url
    return subprocess.run(
        [Path(sys.executable).with_name("dal"), *arguments],
        env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip


def test_a_deploy(url: str) -> None:
    """status tells what is pending, apply applies it, status --check is content."""
    only = ("--system", "documents")
    before = dal("migrate", "status", "--check", *only, url=url)
    assert before.returncode == 1
    assert "documents-0001.system_config" in before.stdout
    assert "pending" in before.stdout
    applied = dal("migrate", "apply", *only, url=url)
    assert applied.stdout.splitlines()[0] == "applied: base-0001.schema_versions"
    after = dal("migrate", "status", "--check", *only, url=url)
    assert (after.returncode, "pending" in after.stdout) == (0, False)
    assert (
        dal("migrate", "rollback", *only, url=url).stdout == "taken back: documents-0011.search_generation\n"
    )
    assert dal("migrate", "status", "--check", *only, url=url).returncode == 1


def test_sql_is_shown_and_not_run(url: str) -> None:
    """A DBA reads what a deploy would run, in its order, and the database stays as it is."""
    shown = dal("migrate", "apply", "--sql", "--system", "documents", url=url)
    assert shown.returncode == 0
    order = [
        line.removeprefix("-- ==== ") for line in shown.stdout.splitlines() if line.startswith("-- ====")
    ]
    assert order[:3] == ["base-0001.schema_versions", "base-0002.environment", "documents-0001.system_config"]
    assert "CREATE TABLE system_config" in shown.stdout
    assert json.loads(dal("info", "--json", url=url).stdout)["tables"] == []


def test_a_database_for_tests(url: str) -> None:
    """init marks it, info says so, reset empties it, drop drops it; after that it is production."""
    only = ("--system", "base", "--system", "documents")
    assert dal("init", "--environment", "test", *only, url=url).returncode == 0
    info = json.loads(dal("info", "--json", url=url).stdout)
    assert (info["environment"], info["schema_version"]["base"]) == ("test", "base-0002.environment")
    assert dal("reset", url=url).returncode == 0
    assert dal("drop", url=url).returncode == 0
    refused = dal("drop", url=url)
    assert refused.returncode == 1
    assert "not marked as a database for development or tests" in refused.stderr


def test_a_system_comes_with_what_it_stands_on(url: str) -> None:
    """init takes the name of one system alone."""
    assert dal("init", "--system", "chat", url=url).returncode == 0
    info = json.loads(dal("info", "--json", url=url).stdout)
    assert list(info["schema_version"]) == ["base", "chat"]


@pytest.mark.parametrize("command", ["health", "info", "drop", "reset", "cleanup"])
def test_a_file_that_is_not_there(url: str, tmp_path: Path, command: str) -> None:
    """It is told, and not made, so that a wrong path is not taken for an empty database."""
    missing = dal(command, url=url)
    assert missing.returncode == 1
    assert missing.stderr == f"dal: there is no file {tmp_path}/app.db\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended(url: str, tmp_path: Path, number: signal.Signals) -> None:
    """It takes yoyo along, and leaves no file with the URL behind."""
    assert dal("migrate", "apply", "--system", "base", url=url).returncode == 0
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")  # yoyo waits for this transaction
        run = subprocess.Popen(
            [Path(sys.executable).with_name("dal"), "migrate", "apply"],
            env={**os.environ, "DATABASE_URL": url, "TMPDIR": str(temporary)},
            stderr=subprocess.PIPE,
            text=True,
        )
        while not list(temporary.glob("dal-migrate-*/yoyo.ini")):
            assert run.poll() is None
            time.sleep(0.001)
        run.send_signal(number)
        _, said = run.communicate(timeout=200)
    assert run.returncode not in (0, -number)
    assert "Traceback" not in said
    assert list(temporary.iterdir()) == []
    assert dal("migrate", "apply", "--system", "market", url=url).returncode == 0


def test_history(url: str) -> None:
    """The migrations with their times, the oldest first."""
    dal("migrate", "apply", "--system", "base", url=url)
    lines = dal("migrate", "history", url=url).stdout.splitlines()
    rows = [line.split() for line in lines if "base-" in line]
    assert [row[2] for row in rows] == ["base-0001.schema_versions", "base-0002.environment"]


def test_health(url: str, tmp_path: Path) -> None:
    """A database that answers, and one that is none."""
    dal("init", "--system", "base", url=url)
    assert dal("health", url=url).stdout.startswith("ok, ")
    (tmp_path / "text.db").write_text("no database" * 1000)
    sick = dal("health", url=f"sqlite:///{tmp_path}/text.db")
    assert sick.returncode == 1
    assert "no SQLite database" in sick.stderr


def test_a_new_migration(url: str, tmp_path: Path) -> None:
    """Its files are named; what is not written yet cannot be applied."""
    made = dal(
        "migrate", "new", "shop", "orders", "What was ordered.", "--root", "migrations", folder=tmp_path
    )
    assert made.returncode == 0
    assert (tmp_path / "migrations/shop/sqlite/shop-0001.orders.rollback.sql").is_file()
    failed = dal("migrate", "apply", "--root", "migrations", url=url, folder=tmp_path)
    assert failed.returncode == 1
    assert "shop-0001.orders.sql" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    """A wrong URL is told without its password, and without a traceback."""
    wrong = dal("info", url="oracle://u:s3cr3t@localhost/n")
    assert wrong.returncode == 1
    assert len(wrong.stderr.splitlines()) == 1
    assert wrong.stderr.startswith("dal: no engine for the URL scheme 'oracle'")
    assert "s3cr3t" not in wrong.stderr + wrong.stdout


def test_a_backup(url: str, tmp_path: Path) -> None:
    """It is made, verified, and put back in the place of what is there; what is damaged is told."""
    dal("init", "--environment", "test", "--system", "base", url=url)
    made = dal("backup", "create", "copy", url=url, folder=tmp_path)
    assert made.returncode == 0
    assert made.stdout.startswith("ok: copy, ")
    assert dal("backup", "verify", "copy", folder=tmp_path).stdout == made.stdout
    refused = dal("backup", "restore", "copy", url=url, folder=tmp_path)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    restored = dal("backup", "restore", "copy", "--replace", url=url, folder=tmp_path)
    assert restored.stdout.splitlines()[0] == f"restored: {tmp_path}/app.db"
    assert restored.stdout.splitlines()[1].startswith(
        f"the old database is kept: {tmp_path}/app.db.replaced-"
    )
    (tmp_path / "copy").write_bytes(b"")
    damaged = dal("backup", "verify", "copy", folder=tmp_path)
    assert damaged.returncode == 1
    assert damaged.stderr.startswith("dal: copy: it has 0 bytes")


def test_a_restored_mark_is_told(url: str, tmp_path: Path) -> None:
    """A backup of a database for tests brings its mark along: restore says so, and how it is taken away."""
    dal("init", "--environment", "test", "--system", "base", url=url)
    dal("backup", "create", "copy", url=url, folder=tmp_path)
    place = f"sqlite:///{tmp_path}/restored.db"
    restored = dal("backup", "restore", "copy", url=place, folder=tmp_path)
    assert (restored.returncode, restored.stdout.splitlines()) == (
        0,
        [
            f"restored: {tmp_path}/restored.db",
            "note: this database is marked as test: `dal drop` and `dal reset` may drop it; "
            "DELETE FROM environment makes it production",
        ],
    )
    with closing(sqlite3.connect(tmp_path / "restored.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM environment")
    refused = dal("drop", url=place)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"dal: {place} is not marked as a database for development or tests")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE other (name)",
        "CREATE TABLE environment (environment_id, name)",
        "CREATE TABLE environment AS SELECT 1 AS environment_id, 'production' AS name",
    ],
)
def test_a_restored_database_without_a_mark(url: str, tmp_path: Path, statement: str) -> None:
    """Of one that is production restore has nothing to say, whatever a table of its own says."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.execute(statement)
        connection.commit()
    dal("backup", "create", "copy", url=url, folder=tmp_path)
    place = f"sqlite:///{tmp_path}/restored.db"
    restored = dal("backup", "restore", "copy", url=place, folder=tmp_path)
    assert (restored.returncode, restored.stdout) == (0, f"restored: {tmp_path}/restored.db\n")


def test_cleanup(url: str) -> None:
    """It says how many rows it removed, and in a database without the table what is missing."""
    dal("init", "--system", "base", "--system", "documents", url=url)
    assert dal("cleanup", url=url).stdout == "removed: 0 rows\n"
    missing = dal("cleanup", url="sqlite:///:memory:")
    assert (missing.returncode, "search_cache" in missing.stderr) == (1, True)
