"""The headers `reads` and `writes`: what the check finds wrong with them, and that those shipped are true."""

from __future__ import annotations

from pathlib import Path

import pytest

from dal.checks.tables import check_tables
from dal.database import DatabaseManager
from dal.errors import QueryError, UsageError
from dal.operations.migrate import migrate
from dal.queries import load_queries
from dal.settings import Settings
from tests.checks.conftest import NewUrl
from tests.checks.test_shipped_queries import SQL, SYSTEMS, models
from tests.engine_cases import POSTGRESQL

SCHEMA = """
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE book (
    id INTEGER PRIMARY KEY, title TEXT,
    author_id INTEGER REFERENCES author (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE loan (id INTEGER PRIMARY KEY, book_id INTEGER REFERENCES book (id) ON DELETE SET NULL);
CREATE TABLE counted (id INTEGER PRIMARY KEY, loans INTEGER);
CREATE TABLE other (id INTEGER PRIMARY KEY);
CREATE VIEW titles AS SELECT book.title, author.name FROM book JOIN author ON book.author_id = author.id;
CREATE TRIGGER loan_freed AFTER UPDATE OF book_id ON loan BEGIN UPDATE counted SET loans = 0; END;
"""
CACHED = """
-- name: all_titles() :value
-- returns: text
-- cache: search_results
-- reads: {reads}
SELECT title FROM titles ORDER BY title;

-- name: all_counts() :value
-- returns: int
-- cache: search_results
-- reads: counted
WITH sums AS (SELECT sum(loans) AS total FROM counted) SELECT total FROM sums;
"""


async def findings(tmp_path: Path, db: DatabaseManager, text: str, reads: str = "author, book") -> list[str]:
    file = tmp_path / "queries.sql"
    file.write_text(CACHED.format(reads=reads) + text)
    await db.execute_script(SCHEMA)
    return [str(finding).removeprefix(str(file)) for finding in await check_tables(db, load_queries(file))]


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("INSERT INTO book (title) VALUES (:a)", "book"),
        ("UPDATE book SET title = :a", "book"),
        ("INSERT INTO other (id) VALUES (:a)", ""),
        ("UPDATE author SET name = :a", "author"),
        ("UPDATE author SET id = :a", "author, book"),
        ("DELETE FROM author WHERE id = :a", "author, book, counted"),
        ("DELETE FROM book WHERE id IN (:a)", "book, counted"),
        ("UPDATE loan SET book_id = :a", "counted"),
        ("UPDATE loan SET id = :a", ""),
        ("INSERT OR REPLACE INTO book (id) VALUES (:a)", "book, counted"),
        ("INSERT INTO book (id) VALUES (:a) ON CONFLICT (id) DO UPDATE SET title = ''", "book"),
        ("INSERT INTO other SELECT id FROM book WHERE id = :a", ""),
    ],
)
async def test_a_write_without_its_header_is_found(
    tmp_path: Path, db: DatabaseManager, sql: str, tables: str
) -> None:
    """Whatever way the write reaches a table that a cached query reads, and no other."""
    found = await findings(tmp_path, db, f"\n-- name: change(a: int) :affected\n{sql};\n")

    said = [line.rpartition("writes: ")[2].rstrip("`") for line in found]
    assert said == ([tables] if tables else [])
    assert all(line.startswith(":14: query change writes") for line in found)


@pytest.mark.parametrize(
    ("header", "flaw"),
    [
        ("writes: book, counted", None),
        ("writes: book, counted, loan", None),  # true, and of no use
        ("writes: book", "writes counted"),
        ("writes: author, book, counted", "does not write author"),
    ],
)
async def test_a_header_of_a_write_is_proven(
    tmp_path: Path, db: DatabaseManager, header: str, flaw: str | None
) -> None:
    """It says all of those tables, and none that is not written."""
    text = f"\n-- name: change(a: int) :affected\n-- {header}\nDELETE FROM book WHERE id = :a;\n"
    found = await findings(tmp_path, db, text)

    assert len(found) == (flaw is not None)
    assert flaw is None or flaw in found[0]


@pytest.mark.parametrize(
    ("reads", "flaw"),
    [("book", "reads author: write `-- reads: author, book`"), ("author, book, other", "not read other")],
)
async def test_a_header_of_a_read_is_proven(
    tmp_path: Path, db: DatabaseManager, reads: str, flaw: str
) -> None:
    """It says the tables behind a view, and no others; the message has the file's line."""
    (found,) = await findings(tmp_path, db, "", reads)

    assert found.startswith(":2: query all_titles")
    assert flaw in found


async def test_each_statement_of_a_script_counts(tmp_path: Path, db: DatabaseManager) -> None:
    """A script says what all its statements write."""
    text = "\n-- name: change :script\nDELETE FROM other; DELETE FROM loan; UPDATE counted SET loans = 1;\n"

    (found,) = await findings(tmp_path, db, text)

    assert "query change writes counted" in found


async def test_a_text_that_does_not_fit_says_where_it_is(tmp_path: Path, db: DatabaseManager) -> None:
    """A table that is not there is an error with a place, not a finding."""
    with pytest.raises(QueryError, match=r"queries\.sql:14: query change: no such table: missing"):
        await findings(tmp_path, db, "\n-- name: change :affected\nDELETE FROM missing;\n")


@pytest.mark.parametrize("system", SYSTEMS)
async def test_shipped_headers_are_true(system: str, tmp_path: Path, settings: Settings) -> None:
    """Every query of a system that caches one, with the base's."""
    url = f"sqlite:///{tmp_path}/shipped.db"
    await migrate(url, dict.fromkeys(("base", system)))
    directories = dict.fromkeys((SQL / "base", SQL / system))
    queries = [query for path in directories for query in load_queries(path, models=models())]
    async with DatabaseManager(url, settings=settings) as db:
        assert list(map(str, await check_tables(db, queries))) == []


async def test_another_engine_cannot_be_asked(new_url: NewUrl, settings: Settings) -> None:
    """It is SQLite's compiler that knows."""
    async with DatabaseManager(new_url(POSTGRESQL), settings=settings) as db:
        with pytest.raises(UsageError, match="SQLite"):
            await check_tables(db)
