"""The schema on SQLite itself: what it refuses, what it writes by itself, what it keeps together."""

from __future__ import annotations

import re
import sqlite3
from itertools import pairwise

import pytest

from tests.documents.samples import BASE_SCHEMA, ROWS, SCHEMA, TIME, digest, insert

UPPER_HASH = digest("x").upper()

# table, columns that differ from the sample row, and the constraint that refuses them
BAD: list[tuple[str, dict[str, object], str]] = [
    ("system_config", {"key": ""}, "system_config_key_length"),
    ("system_config", {"key": "k" * 201}, "system_config_key_length"),
    ("system_config", {"value": "{broken"}, "system_config_value_json"),
    ("system_config", {"schema_version": ""}, "system_config_schema_version_length"),
    ("system_config", {"updated_by": ""}, "system_config_updated_by_length"),
    ("source_metadata", {"source_id": ""}, "source_metadata_source_id_length"),
    ("source_metadata", {"source_type": "hearsay"}, "source_metadata_source_type_known"),
    ("source_metadata", {"name": "n" * 201}, "source_metadata_name_length"),
    ("source_metadata", {"base_url": "u" * 2049}, "source_metadata_base_url_length"),
    ("source_metadata", {"reliability_score": 1.01}, "source_metadata_reliability_score_range"),
    ("source_metadata", {"reliability_score": -0.01}, "source_metadata_reliability_score_range"),
    ("source_metadata", {"is_active": 2}, "source_metadata_is_active_boolean"),
    ("source_metadata", {"failure_count": 6}, "source_metadata_failure_count_range"),
    ("source_metadata", {"failure_count": -1}, "source_metadata_failure_count_range"),
    ("source_metadata", {"total_response_ms": -1}, "source_metadata_total_response_ms_range"),
    ("technology_mappings", {"technology": ""}, "technology_mappings_technology_length"),
    ("technology_mappings", {"priority": 1001}, "technology_mappings_priority_range"),
    ("technology_mappings", {"is_official": -1}, "technology_mappings_is_official_boolean"),
    ("content_metadata", {"content_id": ""}, "content_metadata_content_id_length"),
    ("content_metadata", {"source_url": ""}, "content_metadata_source_url_length"),
    ("content_metadata", {"technology": "t" * 101}, "content_metadata_technology_length"),
    ("content_metadata", {"content_hash": UPPER_HASH}, "content_metadata_content_hash_shape"),
    ("content_metadata", {"content_hash": "a" * 63}, "content_metadata_content_hash_shape"),
    ("content_metadata", {"word_count": -1}, "content_metadata_word_count_range"),
    ("content_metadata", {"heading_count": -1}, "content_metadata_heading_count_range"),
    ("content_metadata", {"code_block_count": -1}, "content_metadata_code_block_count_range"),
    ("content_metadata", {"quality_score": 1.5}, "content_metadata_quality_score_range"),
    ("content_metadata", {"status": "lost"}, "content_metadata_status_known"),
    ("content_metadata", {"status": "failed"}, "content_metadata_failure_only_if_failed"),
    ("content_metadata", {"failure": "why"}, "content_metadata_failure_only_if_failed"),
    ("content_metadata", {"status": "failed", "failure": ""}, "content_metadata_failure_length"),
    ("content_metadata", {"model_version": ""}, "content_metadata_model_version_length"),
    ("documents", {"title": ""}, "documents_title_length"),
    ("documents", {"title": "t" * 501}, "documents_title_length"),
    ("documents", {"full_content": "x" * 4_000_001}, "documents_full_content_length"),
    ("documents", {"model_version": "v" * 21}, "documents_model_version_length"),
    ("document_chunks", {"chunk_id": ""}, "document_chunks_chunk_id_length"),
    ("document_chunks", {"chunk_index": 1}, "document_chunks_chunk_index_range"),
    ("document_chunks", {"chunk_index": -1}, "document_chunks_chunk_index_range"),
    ("document_chunks", {"content": "x" * 4_000_001}, "document_chunks_content_length"),
    ("document_chunks", {"model_version": ""}, "document_chunks_model_version_length"),
    ("search_generation", {"generation_id": 2}, "search_generation_one_row"),
    ("search_generation", {"generation": -1}, "search_generation_generation_range"),
    ("search_cache", {"query_hash": "short"}, "search_cache_query_hash_shape"),
    ("search_cache", {"query_text": "q" * 1001}, "search_cache_query_text_length"),
    ("search_cache", {"page_size": 0}, "search_cache_page_size_range"),
    ("search_cache", {"page_size": 1001}, "search_cache_page_size_range"),
    ("search_cache", {"results": "{}"}, "search_cache_results_json"),
    ("search_cache", {"results": "[broken"}, "search_cache_results_json"),
    ("feedback_events", {"feedback_type": "shrug"}, "feedback_events_feedback_type_known"),
    ("feedback_events", {"query_hash": UPPER_HASH}, "feedback_events_query_hash_shape"),
    ("feedback_events", {"session_id": ""}, "feedback_events_session_id_length"),
    ("feedback_events", {"feedback_type": "rating", "rating": 6}, "feedback_events_rating_range"),
    ("feedback_events", {"feedback_type": "rating"}, "feedback_events_rating_only_if_rated"),
    ("feedback_events", {"rating": 3}, "feedback_events_rating_only_if_rated"),
    ("feedback_events", {"comment": ""}, "feedback_events_comment_length"),
    ("feedback_events", {"details": "[]"}, "feedback_events_details_json"),
    ("usage_signals", {"signal_type": "sneeze"}, "usage_signals_signal_type_known"),
    ("usage_signals", {"query_hash": "short"}, "usage_signals_query_hash_shape"),
    ("usage_signals", {"session_id": "s" * 201}, "usage_signals_session_id_length"),
    ("usage_signals", {"signal_type": "dwell", "dwell_ms": -1}, "usage_signals_dwell_ms_range"),
    ("usage_signals", {"signal_type": "dwell"}, "usage_signals_dwell_ms_only_if_dwell"),
    ("usage_signals", {"details": "nothing"}, "usage_signals_details_json"),
]

NO_TIMES = [
    "2026-01-02 03:04:05",
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.678901",
    "2026-01-02T03:04:05.678901+00:00",
    "2026-21-02T03:04:05.678901Z",
    "2026-01-02T03:64:05.678901Z",
    "02.01.2026",
    "",
]

TIME_CHECKS = re.findall(r"CONSTRAINT (\w+_at_shape) CHECK", SCHEMA)


def time_column(constraint: str) -> tuple[str, str]:
    """The table and the column that a constraint on a time is for."""
    table = next(table for table in ROWS if constraint.startswith(f"{table}_"))
    return table, constraint.removeprefix(f"{table}_").removesuffix("_shape")


def test_sample_rows_are_valid(filled: sqlite3.Connection) -> None:
    """The rows that the tests below spoil are fine before that, foreign keys included."""
    assert filled.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.parametrize(("table", "changes", "constraint"), BAD, ids=lambda value: str(value)[:60])
def test_bad_value_is_refused(
    plain: sqlite3.Connection, table: str, changes: dict[str, object], constraint: str
) -> None:
    """A value out of bounds is refused by the constraint that is named for it."""
    plain.execute("PRAGMA foreign_keys = OFF")
    row = {**ROWS[table], **changes}
    with pytest.raises(sqlite3.IntegrityError, match=f"CHECK constraint failed: {constraint}$"):
        plain.execute(insert(table, row), row)


@pytest.mark.parametrize("constraint", TIME_CHECKS)
def test_what_is_no_time_is_refused(plain: sqlite3.Connection, constraint: str) -> None:
    """Each time column takes the one form that sorts, and no other."""
    plain.execute("PRAGMA foreign_keys = OFF")
    table, column = time_column(constraint)
    plain.execute(insert(table, {**ROWS[table], column: TIME}), {**ROWS[table], column: TIME})
    for text in NO_TIMES:
        with pytest.raises(sqlite3.IntegrityError, match=f"CHECK constraint failed: {constraint}$"):
            plain.execute(f"UPDATE {table} SET {column} = ?", (text,))


def test_every_check_is_tried() -> None:
    """No CHECK is left out of the two tests above."""
    checks = re.findall(r"CONSTRAINT (\w+) CHECK", SCHEMA)
    assert {constraint for _, _, constraint in BAD} | set(TIME_CHECKS) == set(checks)


@pytest.mark.parametrize("schema", [BASE_SCHEMA, SCHEMA], ids=["base", "documents"])
def test_every_constraint_has_a_name(schema: str) -> None:
    """A constraint without a name could not be reported, nor dropped, by name."""
    text = re.sub(r"--.*", "", schema)
    kinds = r"(?:CHECK \(|PRIMARY KEY|UNIQUE \(|FOREIGN KEY)"
    assert len(re.findall(kinds, text)) == len(re.findall(rf"CONSTRAINT \w+ {kinds}", text))
    assert text.count("REFERENCES") == text.count("FOREIGN KEY")


def test_constraint_names_are_unique() -> None:
    """Names begin with their table's and occur once: MySQL wants them unique in a database."""
    names = re.findall(r"CONSTRAINT (\w+)", SCHEMA)
    assert len(names) == len(set(names))
    assert all(any(name.startswith(f"{table}_") for table in ROWS) for name in names)


def test_tables_are_strict(plain: sqlite3.Connection) -> None:
    """Every table of our own refuses a value of another type."""
    tables = plain.execute(
        "SELECT name, strict FROM pragma_table_list"
        " WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    assert dict(tables) == dict.fromkeys(ROWS, 1)


@pytest.mark.parametrize("table", sorted(ROWS.keys() - {"search_generation"}))  # a counter has no clock
def test_database_writes_its_own_clocks(filled: sqlite3.Connection, table: str) -> None:
    """created_at, and updated_at where it starts with a value, are the present, in the one form."""
    columns = [row[1] for row in filled.execute("SELECT * FROM pragma_table_info(?)", (table,)) if row[4]]
    clocks = [column for column in columns if column in ("created_at", "updated_at")]
    assert clocks
    for clock in clocks:
        written, now = filled.execute(
            f"SELECT {clock}, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-1 minute') FROM {table}"
        ).fetchone()
        assert now < written
        assert len(written) == len(TIME)


TABLES_WITH_UPDATED_AT = re.findall(r"CREATE TRIGGER (\w+)_updated_at", SCHEMA)


@pytest.mark.parametrize("recursive", ["OFF", "ON"])
@pytest.mark.parametrize("table", TABLES_WITH_UPDATED_AT)
def test_updated_at_moves(filled: sqlite3.Connection, table: str, recursive: str) -> None:
    """A change moves updated_at, once, whether or not triggers may be recursive."""
    filled.execute(f"PRAGMA recursive_triggers = {recursive}")
    filled.execute(f"UPDATE {table} SET updated_at = ?", (TIME,))
    column = next(iter(ROWS[table]))
    filled.execute(f'UPDATE {table} SET "{column}" = "{column}"')
    (updated,) = filled.execute(f"SELECT updated_at FROM {table}").fetchone()
    assert updated > TIME


@pytest.mark.parametrize("table", ROWS)
def test_updated_at_follows_every_column(plain: sqlite3.Connection, table: str) -> None:
    """The trigger names each column but the clocks, so that none can change unnoticed."""
    columns = {row[1] for row in plain.execute("SELECT * FROM pragma_table_info(?)", (table,))}
    trigger = plain.execute(
        "SELECT sql FROM sqlite_schema WHERE name = ?", (f"{table}_updated_at",)
    ).fetchone()
    assert (trigger is not None) == ("updated_at" in columns)
    if trigger is not None:
        named = re.search(r"UPDATE OF(.*?)\sON\s", trigger[0], re.DOTALL)
        assert named is not None
        followed = {name.strip().strip('"') for name in named[1].split(",")}
        assert followed == columns - {"created_at", "updated_at"}


def test_foreign_keys_have_an_index(plain: sqlite3.Connection) -> None:
    """A delete of the parent finds its children by an index."""
    for table in ROWS:
        indexes = plain.execute("SELECT name FROM pragma_index_list(?)", (table,)).fetchall()
        first = {
            plain.execute("SELECT name FROM pragma_index_info(?) WHERE seqno = 0", index).fetchone()[0]
            for index in indexes
        }
        keys = plain.execute("SELECT * FROM pragma_foreign_key_list(?)", (table,)).fetchall()
        assert {key[3] for key in keys} <= first


def test_no_index_is_a_prefix_of_another(plain: sqlite3.Connection) -> None:
    """An index that another one contains would cost writes and help no query."""
    for table in ROWS:
        names = plain.execute("SELECT name FROM pragma_index_list(?)", (table,)).fetchall()
        columns = sorted(
            [row[0] for row in plain.execute("SELECT name FROM pragma_index_info(?)", name)] for name in names
        )
        assert not [one for one, two in pairwise(columns) if two[: len(one)] == one]


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
