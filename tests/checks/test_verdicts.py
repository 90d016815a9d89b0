"""A verdict: what it is about, what it says, and whose mark it holds against the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dal.checks.session import check_sessions
from dal.database import DatabaseManager
from dal.engines.mysql.encoders import encoders as mysql
from dal.engines.postgresql.encoders import encoders as postgresql
from dal.errors import QueryFileError, UndefinedTable
from dal.queries import Queries, load_queries
from dal.queries.dialects import MYSQL, POSTGRESQL, SQLITE
from dal.settings import Settings
from tests import engine_cases
from tests.checks.conftest import NewUrl

SHARED = """\
-- name: one() :value
-- session: clean
SELECT 1;

-- name: two() :value
SELECT 2;

-- name: leave() :affected
-- session: clean
SET search_path = pg_catalog;
"""


def loaded(folder: Path, **files: str) -> Queries:
    """The queries of ``q.sql`` and, by the engine's name, of its variants."""
    for engine, text in files.items():
        (folder / ("q.sql" if engine == "shared" else f"q.{engine}.sql")).write_text(text)
    return load_queries(folder)


async def test_it_says_name_place_and_reason(new_url: NewUrl, settings: Settings, tmp_path: Path) -> None:
    """In a sentence; the queries are those of the manager unless others are given."""
    queries = loaded(tmp_path, shared=SHARED)
    async with DatabaseManager(new_url(engine_cases.POSTGRESQL), settings=settings, queries=queries) as db:
        one, two, leave = await check_sessions(db)
    file = tmp_path / "q.sql"
    assert str(one) == f"{file}:1: query one is marked `session: clean`: it leaves nothing behind"
    assert str(two) == f"{file}:5: query two is not marked: it leaves nothing behind"
    assert str(leave) == (
        f"{file}:8: query leave is marked `session: clean`: "
        "SET is not SELECT, INSERT, UPDATE, DELETE or MERGE, and may leave anything"
    )
    assert [(v.is_wrong, v.could_be_marked) for v in (one, two, leave)] == [
        (False, False), (False, True), (True, False),
    ]  # fmt: skip


async def test_a_mark_speaks_for_its_own_text(new_url: NewUrl, settings: Settings, tmp_path: Path) -> None:
    """The variant of another engine is reset until it says so itself, and the place is the variant's."""
    queries = loaded(
        tmp_path,
        shared="-- name: q() :value\nSELECT 1;\n-- name: r() :value\n-- session: clean\nSELECT 1;",
        postgresql="-- About.\n\n-- name: q() :value\n-- session: clean\nSELECT 2;\n"
        "-- name: r() :value\nSELECT 2;",
    )
    assert queries.q.clean == {"postgresql"}
    assert queries.r.clean == {"sqlite", "mysql"}
    assert queries.q.statement(POSTGRESQL, postgresql).clean
    assert not queries.q.statement(MYSQL, mysql).clean
    async with DatabaseManager(new_url(engine_cases.POSTGRESQL), settings=settings, queries=queries) as db:
        q, r = await check_sessions(db)
    assert (q.is_marked, q.place) == (True, f"{tmp_path / 'q.postgresql.sql'}:3")
    assert (r.is_marked, r.place) == (False, f"{tmp_path / 'q.postgresql.sql'}:6")
    assert queries.q.place(SQLITE) == f"{tmp_path / 'q.sql'}:1"


async def test_texts_of_other_engines_are_left_out(
    new_url: NewUrl, settings: Settings, tmp_path: Path
) -> None:
    """They cannot be run here."""
    queries = loaded(tmp_path, mysql="-- name: q() :value\nSELECT @@version;")
    async with DatabaseManager(new_url(engine_cases.POSTGRESQL), settings=settings) as db:
        assert await check_sessions(db, queries) == []


async def test_a_script_cannot_be_proven(new_url: NewUrl, settings: Settings, tmp_path: Path) -> None:
    """Whatever its header says, the connection is reset."""
    queries = loaded(tmp_path, shared="-- name: q() :script\n-- session: clean\nSELECT 1; SELECT 2;")
    async with DatabaseManager(new_url(engine_cases.POSTGRESQL), settings=settings) as db:
        (verdict,) = await check_sessions(db, queries)
    assert verdict.is_wrong
    assert verdict.traces == ("a script is always followed by a reset",)


async def test_sqlite_keeps_no_state(new_url: NewUrl, settings: Settings, tmp_path: Path) -> None:
    """There is no reset that a mark could save, so nothing is refused; what does not compile is an error."""
    queries = loaded(
        tmp_path,
        shared="-- name: add(a: int) :affected\n-- session: clean\nINSERT INTO t (a) VALUES (:a);\n"
        "-- name: some(a: int[]) :many\n-- session: clean\nSELECT a FROM t WHERE a IN :a;\n"
        "-- name: analyze() :affected\n-- session: clean\nANALYZE;\n",
    )
    async with DatabaseManager(new_url(engine_cases.SQLITE), settings=settings) as db:
        await db.execute_script(
            "CREATE TABLE t (a INTEGER); CREATE TRIGGER n AFTER INSERT ON t BEGIN DELETE FROM t; END"
        )
        verdicts = await check_sessions(db, queries)
        assert [(v.query.name, v.is_wrong) for v in verdicts] == [
            ("add", False), ("some", False), ("analyze", False),
        ]  # fmt: skip
        assert await db.fetch_value("SELECT count(*) FROM t") == 0
        queries = loaded(tmp_path, shared="-- name: gone() :many\nSELECT a FROM u;")
        with pytest.raises(UndefinedTable) as raised:
            await check_sessions(db, queries)
    assert raised.value.query == "gone"
    assert raised.value.__notes__ == [f"at {tmp_path / 'q.sql'}:1"]


@pytest.mark.parametrize("value", ["Clean", "dirty", "clean, I hope"])
def test_another_mark_is_an_error(tmp_path: Path, value: Any) -> None:
    """It would be read as no mark, in silence."""
    with pytest.raises(QueryFileError, match="session: clean") as raised:
        loaded(tmp_path, shared=f"-- name: q() :value\n-- session: {value}\nSELECT 1;")
    assert raised.value.line == 2
