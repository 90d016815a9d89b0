"""The systems in sql/: which of their queries say `session: clean`."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

import dal.models
from dal.checks.session import Verdict, check_sessions
from dal.database import DatabaseManager
from dal.operations.migrate import migrate
from dal.queries import load_queries
from dal.settings import Settings
from tests.checks.conftest import NewUrl
from tests.engine_cases import MARIADB, POSTGRESQL, POSTGRESQL_18

SQL = Path(__file__).resolve().parents[2] / "sql"
SYSTEMS = sorted({file.parent.name for file in SQL.glob("*/queries*.sql")})
READS = ("SELECT", "VALUES", "WITH")
SERVERS = (POSTGRESQL, POSTGRESQL_18, MARIADB)


def models() -> dict[str, type]:
    """Every model of the library."""
    modules = [
        import_module(found.name) for found in pkgutil.iter_modules(dal.models.__path__, "dal.models.")
    ]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, BaseModel)
    }


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.timeout(600)
async def test_marks_are_proven_and_no_read_lacks_one(
    system: str, new_url: NewUrl, settings: Settings
) -> None:
    """On every server that runs the text: one too many leaks a session, one too few is a slow query."""
    queries = load_queries(SQL / system, models=models())
    verdicts: dict[str, list[Verdict]] = {}
    for case in SERVERS:
        url = new_url(case)
        await migrate(url, dict.fromkeys(("base", system)))
        async with DatabaseManager(url, settings=settings, queries=queries) as db:
            for verdict in await check_sessions(db):
                verdicts.setdefault(verdict.place, []).append(verdict)
    assert verdicts
    wrong = [str(verdict) for found in verdicts.values() for verdict in found if verdict.is_wrong]
    slow = [
        str(found[0])
        for found in verdicts.values()
        if found[0].verb in READS and all(verdict.could_be_marked for verdict in found)
    ]
    assert wrong == []
    assert slow == []
