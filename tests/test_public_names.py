"""What ``import dal`` offers, pinned: a name that goes is a change that users notice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dal
from dal import DatabaseManager

NAMES = [
    "CacheManager",
    "DatabaseManager",
    "Executor",
    "Json",
    "JsonColumn",
    "Queries",
    "Query",
    "Row",
    "Scale",
    "Settings",
    "Transaction",
    "UtcDatetime",
    "load_queries",
    "load_settings",
]


def test_the_public_names() -> None:
    """These and no others, modules apart."""
    found = [name for name in vars(dal) if not name.startswith("_")]
    assert [name for name in sorted(found) if not hasattr(getattr(dal, name), "__path__")
            and type(getattr(dal, name)).__name__ != "module"] == NAMES  # fmt: skip


def test_importing_dal_needs_no_extra() -> None:
    """The core install has neither redis nor another engine's driver."""
    extras = ("redis", "hiredis", "asyncpg", "asyncmy", "psycopg", "pymysql", "typer", "rich")
    program = f"import sys, dal; print([name for name in {extras} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_without_a_url_the_embedded_file_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dal.db in the working directory, made on first use; the environment may name another."""
    monkeypatch.chdir(tmp_path)
    async with DatabaseManager() as db:
        await db.execute("CREATE TABLE t (a INTEGER)")
    assert (tmp_path / "dal.db").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("DATABASE_URL", "sqlite:///deep/er/other.db")
    async with DatabaseManager() as db:
        assert await db.fetch_value("SELECT 1") == 1
    assert (tmp_path / "deep/er/other.db").exists()
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700


async def test_sql_echo_logs_texts_and_never_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Under the logger dal.sql, with the duration."""
    monkeypatch.setenv("SQL_ECHO", "true")
    caplog.set_level("INFO", "dal.sql")
    async with DatabaseManager(f"sqlite:///{tmp_path}/test.db") as db:
        assert await db.fetch_value("SELECT :a", {"a": "s3cret"}) == "s3cret"
    assert "SELECT ?" in caplog.text
    assert "s3cret" not in caplog.text
    assert vars(caplog.records[0])["duration_ms"] > 0


def test_import_loads_no_driver() -> None:
    """Drivers, SQLAlchemy and what commands need come when they are used, not with ``import dal``."""
    late = (
        "aiosqlite asyncpg asyncmy databases sqlalchemy sqlglot typer rich redis yoyo fastapi psycopg pymysql"
    )
    code = f"import dal, sys; print(*[name for name in '{late}'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
