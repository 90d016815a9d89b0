"""What the schema keeps together, what its columns hold, and its full-text index on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.documents.samples import ROWS, digest, insert
from tests.systems.engines import Plain
from tests.systems.fixtures import Databases
from tests.systems.moments import is_now
from tests.systems.registry import ENGINES, SYSTEMS
from tests.systems.test_schema import clock


@pytest.fixture(params=ENGINES)
def rows(request: pytest.FixtureRequest, kept: Databases) -> Iterator[Plain]:
    """A database with one row in each table. What the test does to it is undone."""
    database = kept(request.param, SYSTEMS["documents"])
    database.empty()
    with database.undone():
        database.fill()
        yield database


@pytest.mark.parametrize(
    ("delete", "table", "left"),
    [
        ("DELETE FROM source_metadata", "technology_mappings", []),
        ("DELETE FROM source_metadata", "content_metadata", [("doc", None)]),
        ("DELETE FROM content_metadata", "documents", []),
        ("DELETE FROM content_metadata", "document_chunks", []),
        ("DELETE FROM documents", "document_chunks", []),
        ("DELETE FROM content_metadata", "feedback_events", [(1, None)]),
        ("DELETE FROM content_metadata", "usage_signals", [(1, None)]),
    ],
)
def test_delete_reaches_its_children(
    filled: sqlite3.Connection, delete: str, table: str, left: list[tuple[object, None]]
) -> None:
    """What belongs to a parent goes with it; what only mentions it stays."""
    filled.execute(delete)
    columns = {
        "content_metadata": "content_id, source_id",
        "feedback_events": "event_id, content_id",
        "usage_signals": "signal_id, content_id",
    }
    assert filled.execute(f"SELECT {columns.get(table, '1')} FROM {table}").fetchall() == left


def test_deleted_source_is_a_change_of_its_content(rows: Plain) -> None:
    """What a foreign key sets to NULL has changed."""
    rows.rows("DELETE FROM source_metadata")
    assert rows.rows("SELECT content_id, source_id FROM content_metadata") == [("doc", None)]
    assert is_now(clock(rows, "content_metadata", "updated_at"))


@pytest.mark.parametrize(
    ("delete", "table", "left"),
    [
        ("DELETE FROM source_metadata", "technology_mappings", []),
        ("DELETE FROM content_metadata", "documents", []),
        ("DELETE FROM content_metadata", "document_chunks", []),
        ("DELETE FROM documents", "document_chunks", []),
        ("DELETE FROM content_metadata", "feedback_events", [(None,)]),
        ("DELETE FROM content_metadata", "usage_signals", [(None,)]),
    ],
)
def test_delete_reaches_its_children_on_every_engine(
    rows: Plain, delete: str, table: str, left: list[tuple[object]]
) -> None:
    """What belongs to a parent goes with it; what only mentions it stays."""
    rows.rows(delete)
    assert rows.rows(f"SELECT content_id FROM {table}" if left else f"SELECT 1 FROM {table}") == left


KEYS = ["B", "Z", "a", "a ", "é", "ﬀ", "\U0001f600", "z", "\uff21", "a\u0301", "á"]


def test_text_is_compared_by_code_point(rows: Plain) -> None:
    """Only texts that are the same are equal, trailing spaces included; they sort as in Python."""
    for key in KEYS:
        rows.rows(*rows.insertion("system_config", {"key": key, "value": "1"}))
    key = rows.quoted("key")
    found = rows.rows(f"SELECT {key} FROM system_config WHERE {key} <> 'limit' ORDER BY {key}")
    assert [row[0] for row in found] == sorted(KEYS)
    for text in KEYS:
        same = rows.rows(f"SELECT {key} FROM system_config WHERE {key} = {rows.mark}", [text])
        assert same == [(text,)]


def test_microseconds_and_years(rows: Plain) -> None:
    """An application's time comes back to the microsecond, from year 1000 to 9999."""
    for moment in (
        "1000-01-01T00:00:00.000001Z",
        "2050-06-01T12:30:00.999999Z",
        "9999-12-31T23:59:59.999999Z",
    ):
        rows.rows(f"UPDATE usage_signals SET occurred_at = {rows.mark}", [rows.value(moment)])
        assert clock(rows, "usage_signals", "occurred_at") == datetime.fromisoformat(moment)


def test_largest_number(rows: Plain) -> None:
    """A count has 64 bits."""
    rows.rows("UPDATE source_metadata SET total_response_ms = 9223372036854775807")
    assert rows.rows("SELECT total_response_ms FROM source_metadata") == [(2**63 - 1,)]


class TestSearchIndex:
    """The full-text index follows the table that it reads."""

    def found(self, connection: sqlite3.Connection, word: str) -> bool:
        connection.execute(
            "INSERT INTO document_search (document_search, rank) VALUES ('integrity-check', 1)"
        )
        matches = connection.execute("SELECT 1 FROM document_search WHERE document_search MATCH ?", (word,))
        return matches.fetchone() is not None

    def test_insert(self, filled: sqlite3.Connection) -> None:
        """A new document is found by a word of its text."""
        assert self.found(filled, "some")

    def test_update(self, filled: sqlite3.Connection) -> None:
        """A changed title is found, the old one no more."""
        filled.execute("UPDATE documents SET title = 'Heading'")
        assert (self.found(filled, "heading"), self.found(filled, "title")) == (True, False)

    def test_upsert(self, filled: sqlite3.Connection) -> None:
        """ON CONFLICT DO UPDATE is an update."""
        filled.execute(
            "INSERT INTO documents (document_id, title, full_content) VALUES ('doc', 'Other', 'words')"
            " ON CONFLICT (document_id)"
            " DO UPDATE SET title = excluded.title, full_content = excluded.full_content"
        )
        assert (self.found(filled, "words"), self.found(filled, "some")) == (True, False)

    def test_cascade(self, filled: sqlite3.Connection) -> None:
        """A document that goes with its metadata leaves the index too."""
        filled.execute("DELETE FROM content_metadata")
        assert not self.found(filled, "some")

    def test_vacuum(self, filled: sqlite3.Connection) -> None:
        """VACUUM, which renumbers rows without a declared number, changes nothing."""
        for number in range(2, 5):
            row = {
                **ROWS["content_metadata"],
                "content_id": f"doc{number}",
                "content_hash": digest(str(number)),
            }
            filled.execute(insert("content_metadata", row), row)
            filled.execute(
                "INSERT INTO documents (document_id, title, full_content) VALUES (?, 'Title', ?)",
                (f"doc{number}", f"word{number}"),
            )
        filled.execute("DELETE FROM documents WHERE document_id = 'doc2'")
        filled.execute("VACUUM")
        assert self.found(filled, "word3")
