"""What the queries of the system do that others have not: the search by its index, and some answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from dal.engines.sqlite.encoders import encoders
from dal.queries import Query
from dal.queries.dialects import SQLITE
from dal.repositories.documents import QUERIES
from tests.documents.samples import ROWS, digest, insert
from tests.systems.engines import Plain
from tests.systems.fixtures import NewDatabase
from tests.systems.registry import ENGINES, SYSTEMS
from tests.systems.test_queries import values

DOCUMENTS = SYSTEMS["documents"]
SEARCH = QUERIES.search_documents


def run(connection: sqlite3.Connection, query: Query[Any], **params: object) -> list[Any]:
    """What *query* returns without anything of dal but its compiled text."""
    sql, args = query.statement(SQLITE, encoders).bind(params)
    return connection.execute(sql, args).fetchall()


def test_search_asks_the_index_on_sqlite(plain: sqlite3.Connection) -> None:
    """The search is driven by the full-text index, which also brings the order; the rest is by key."""
    sql, args = SEARCH.statement(SQLITE, encoders).bind({"words": None, "page_size": None})
    index, *lookups = [row[3] for row in plain.execute(f"EXPLAIN QUERY PLAN {sql}", args)]
    assert "VIRTUAL TABLE INDEX" in index
    assert [step.partition(" ")[0] for step in lookups] == ["SEARCH", "SEARCH"]


@pytest.mark.parametrize("rows", [10, 200])
def test_search_asks_the_index_on_postgresql(new_database: NewDatabase, rows: int) -> None:
    """However small the table is, its texts may be large: the planner takes the index."""
    with new_database("postgresql", DOCUMENTS) as database:
        _fill(database, rows)
        database.rows("ANALYZE")
        assert "Index Scan on documents_search_words_idx" in plan(database)


def test_search_asks_the_index_on_mariadb(new_database: NewDatabase) -> None:
    """The search is driven by the full-text index, and does not read the documents beside that."""
    with new_database("mysql", DOCUMENTS) as database:
        _fill(database, 200)
        steps = plan(database)
        assert "documents fulltext documents_search_words_idx" in steps
        assert "documents ALL" not in steps


def plan(database: Plain) -> str:
    """How the search is answered."""
    sql, args = database.bound(SEARCH, words="text", page_size=1)
    return "\n".join(" ".join(map(str, row)) for row in database.rows(f"EXPLAIN {sql}", args))


def _fill(database: Plain, rows: int) -> None:
    for number in range(rows):
        row = {
            "content_id": str(number),
            "source_url": "u",
            "technology": "t",
            "content_hash": digest(str(number)),
        }
        document = {"document_id": str(number), "title": "title", "full_content": "words of a document"}
        database.rows(*database.insertion("content_metadata", row))
        database.rows(*database.insertion("documents", document))


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Plain]:
    """A database with one row in each table, on each engine in turn."""
    with new_database(request.param, DOCUMENTS) as plain:
        plain.fill()
        yield plain


def test_mean_rating_is_not_rounded(database: Plain) -> None:
    """The mean of ratings is a float with all its digits."""
    for number, rating in enumerate((1, 1, 2), 2):
        row = {"event_id": number, "feedback_type": "rating", "rating": rating, "content_id": "doc"}
        database.rows(*database.insertion("feedback_events", row))
    found = database.run(QUERIES.feedback_summary, content_id="doc")
    assert ("rating", 3, 4 / 3) in found


def test_mapping_id_comes_back(database: Plain) -> None:
    """An upsert gives the id of the mapping that is there, or that it made."""
    mapping = {"technology": "python", "source_id": "src", "priority": 7, "is_official": True}
    there = database.run(QUERIES.put_technology_mapping, **mapping)
    made = database.run(QUERIES.put_technology_mapping, **{**mapping, "technology": "rust"})
    assert there == [(1,)]
    assert made != there
    assert database.rows("SELECT priority FROM technology_mappings WHERE mapping_id = 1") == [(7,)]


def test_content_of_another_is_refused(database: Plain) -> None:
    """A new content with the hash of another is an error, and leaves that other one alone."""
    row = {**values(DOCUMENTS, QUERIES.add_content), "content_hash": digest("text")}
    sql, args = database.bound(QUERIES.add_content, **row)
    assert database.refusal(sql, args)
    assert database.rows("SELECT content_id FROM content_metadata") == [("doc",)]


def test_answer_of_another_generation_is_not_stored(database: Plain) -> None:
    """An answer is stored only while the documents are those that it was read from."""
    answer = values(DOCUMENTS, QUERIES.put_search)
    for generation in (1, 0):
        database.rows("DELETE FROM search_cache")
        database.run(QUERIES.put_search, **{**answer, "generation": generation})
        stored = database.rows("SELECT count(*) FROM search_cache")
        assert stored == [(int(generation == 0),)]


class TestSearchWords:
    """The words of a search are plain text."""

    @pytest.fixture
    def texts(self, plain: sqlite3.Connection) -> sqlite3.Connection:
        texts = [
            ("Hello", "C++ and the foo-bar: don't panic"),
            ("World", "hello there, naïve AND simple: title:hello 50% of NEAR"),
            ("Third", "under_score ÜBER 日本語"),
        ]
        for number, (title, text) in enumerate(texts, 1):
            row = {**ROWS["content_metadata"], "content_id": str(number), "content_hash": digest(text)}
            row["source_id"] = None
            plain.execute(insert("content_metadata", row), row)
            plain.execute(
                "INSERT INTO documents (document_id, title, full_content) VALUES (?, ?, ?)",
                (str(number), title, text),
            )
        return plain

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("hello", {"1", "2"}),
            ("HELLO", {"1", "2"}),
            ("hello there", {"2"}),
            ("there\thello", {"2"}),
            ("there\r\n hello ", {"2"}),
            ("hello panic", {"1"}),  # one word in the title, one in the text
            ("hello nowhere", set()),
            ("c++", {"1"}),
            ("don't", {"1"}),
            ("foo-bar", {"1"}),
            ("bar-foo", set()),
            ("AND", {"1", "2"}),
            ("hello AND nowhere", set()),
            ("hello OR nowhere", set()),
            ("hello NOT there", set()),
            ("NEAR", {"2"}),
            ("NEAR(hello there)", set()),
            ("title:hello", {"2"}),
            ("hel*", set()),
            ("^hello", {"1", "2"}),
            ("{title} : hello", {"2"}),
            ("{title} : panic", set()),
            ('"hello', {"1", "2"}),
            ('hello"there', {"2"}),
            ("hello * ( ) - +", {"1", "2"}),
            ("50%", {"2"}),
            ("über", {"3"}),
            ("uber", set()),  # accents count, as on the other engines
            ("日本語", {"3"}),
            ("'; DROP TABLE documents", set()),
            ("\\", set()),
            ("", set()),
            (" \t\n", set()),
            ('"', set()),
            ('""', set()),
            ("*", set()),
            ("-- + (", set()),
            (" ".join(["hello"] * 5000), {"1", "2"}),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_every_word_must_occur(self, texts: sqlite3.Connection, words: str, found: set[str]) -> None:
        """Each word is looked for as it is written; punctuation alone matches nothing, nothing raises."""
        assert {row[0] for row in run(texts, SEARCH, words=words, page_size=10)} == found

    def test_null_matches_nothing(self, texts: sqlite3.Connection) -> None:
        """NULL for the words is no error of the index."""
        assert run(texts, SEARCH, words=None, page_size=10) == []

    def test_title_counts_more(self, texts: sqlite3.Connection) -> None:
        """A match in the title comes before one in the text."""
        assert [row[0] for row in run(texts, SEARCH, words="hello", page_size=10)] == ["1", "2"]

    def test_page_size(self, texts: sqlite3.Connection) -> None:
        """No more rows come than were asked for."""
        assert len(run(texts, SEARCH, words="hello", page_size=1)) == 1

    def test_snippet(self, texts: sqlite3.Connection) -> None:
        """The snippet is a passage of the text, unmarked."""
        (row,) = run(texts, SEARCH, words="panic", page_size=1)
        assert row[5] == "C++ and the foo-bar: don't panic"
