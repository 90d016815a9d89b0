"""Every query of the system, against the schema itself: it runs, by an index, into its model."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest
from pydantic import BaseModel

from dal.engines.sqlite.encoders import encoders
from dal.queries import Query
from dal.queries.dialects import SQLITE
from dal.repositories.documents import QUERIES
from tests.documents.engines import ENGINES
from tests.documents.samples import ROWS, SQL, digest, insert

SCANS = {
    "delete_searches": "it removes every row",
    "search_documents": "the scan is the full-text index answering MATCH",
}
"""The queries that may read a table from end to end, with the reason."""

SEARCH = QUERIES.search_documents

every_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)


def run(connection: sqlite3.Connection, query: Query[Any], **params: object) -> list[Any]:
    """What *query* returns without anything of dal but its compiled text."""
    sql, args = query.statement(SQLITE, encoders).bind(params)
    return connection.execute(sql, args).fetchall()


def plan(connection: sqlite3.Connection, query: Query[Any]) -> list[str]:
    sql, args = query.statement(SQLITE, encoders).bind(dict.fromkeys(p.name for p in query.parameters))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", args)]


@every_query
def test_uses_an_index(plain: sqlite3.Connection, query: Query[Any]) -> None:
    """No query reads a whole table, unless it is on the list."""
    scans = [step for step in plan(plain, query) if step.startswith("SCAN")]
    assert bool(scans) == (query.name in SCANS)


def test_search_asks_the_index(plain: sqlite3.Connection) -> None:
    """The search is driven by the full-text index, which also brings the order; the rest is by key."""
    index, *lookups = plan(plain, SEARCH)
    assert "VIRTUAL TABLE INDEX" in index
    assert [step.partition(" ")[0] for step in lookups] == ["SEARCH", "SEARCH"]


@every_query
def test_pages_come_in_the_order_of_an_index(plain: sqlite3.Connection, query: Query[Any]) -> None:
    """A page is not sorted: it would read all rows to return some."""
    if "page_size" in {parameter.name for parameter in query.parameters}:
        assert not [step for step in plan(plain, query) if "ORDER BY" in step]


@every_query
def test_columns_are_the_models_fields(plain: sqlite3.Connection, query: Query[Any]) -> None:
    """What a query returns is what its model says, column by column and in its order."""
    if isinstance(query.returns, type) and issubclass(query.returns, BaseModel):
        given = {"page_size": 1, "feedback_type": "helpful", "details": {}}
        params = {parameter.name: given.get(parameter.name) for parameter in query.parameters}
        sql, args = query.statement(SQLITE, encoders).bind(params)
        columns = [column[0] for column in plain.execute(sql, args).description]
        assert columns == list(query.returns.model_fields)


@every_query
def test_parameters_have_types(query: Query[Any]) -> None:
    """Every parameter is declared with its type."""
    assert all(parameter.type is not None for parameter in query.parameters)


@every_query
def test_says_what_it_is_for(query: Query[Any]) -> None:
    """Every query has a sentence of its own."""
    assert query.doc.endswith(".")


@pytest.mark.parametrize("path", sorted(SQL.glob("queries*.sql")), ids=lambda path: path.name)
def test_text_is_explicit(path: Any) -> None:
    """No SELECT *, no LIMIT without an order, no OFFSET, no clock of the database."""
    for text in re.sub(r"--.*", "", path.read_text()).split(";"):
        assert not re.search(r"SELECT\s+\*|\.\*|\bOFFSET\b|CURRENT_|'now'", text)
        assert text.count("LIMIT") <= text.count("ORDER BY")


def test_only_what_differs_is_a_variant() -> None:
    """Upserts, the search and locks are each engine's own; all others are shared."""
    own = {query.name for query in QUERIES if query.engines}
    assert own == {query.name for query in QUERIES if (query.name or "").startswith("put_")} | {
        "claim_documents",
        "search_documents",
    }
    assert all(query.engines == set(ENGINES) for query in QUERIES if query.engines)


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
