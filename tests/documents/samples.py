"""Documents and rows to test with, all valid until a test changes them; keys of copies; a block to undo."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dal.cache import FAMILIES
from dal.executor import Executor
from dal.models import documents as models
from dal.models.documents import DocumentChunk, DocumentMetadata, ProcessedDocument
from dal.transaction import Transaction

ROOT = Path(__file__).parent.parent.parent
SQL = ROOT / "sql" / "documents"
SCHEMA = (SQL / "schema.sqlite.sql").read_text()

TIME = "2026-01-02T03:04:05.678901Z"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def digest(text: str) -> str:
    """The hash that a content of *text* has."""
    return hashlib.sha256(text.encode()).hexdigest()


def document(
    document_id: str = "doc", text: str = "first part\nsecond part", **changes: Any
) -> ProcessedDocument:
    """A document with a chunk for each line of *text*."""
    lines = text.split("\n")
    return ProcessedDocument(
        **{
            "id": document_id,
            "title": f"About {document_id}",
            "full_content": text,
            "source_url": f"https://docs.example/{document_id}",
            "technology": "python",
            "metadata": DocumentMetadata(
                word_count=len(text.split()), heading_count=1, code_block_count=2, content_hash=digest(text)
            ),
            "quality_score": 0.75,
            "chunks": [
                DocumentChunk(
                    id=f"{document_id}/{digest(text)[:8]}/{index}",
                    parent_document_id=document_id,
                    content=line,
                    chunk_index=index,
                    total_chunks=len(lines),
                )
                for index, line in enumerate(lines)
            ],
            **changes,
        }
    )


ROWS: dict[str, dict[str, object]] = {
    "system_config": {"key": "limit", "value": "3"},
    "source_metadata": {
        "source_id": "src",
        "source_type": "website",
        "name": "Docs",
        "base_url": "https://docs.example",
        "request_count": 5,
    },
    "technology_mappings": {"mapping_id": 1, "technology": "python", "source_id": "src"},
    "content_metadata": {
        "content_id": "doc",
        "source_id": "src",
        "source_url": "https://docs.example/doc",
        "technology": "python",
        "content_hash": digest("text"),
    },
    "documents": {"document_number": 1, "document_id": "doc", "title": "Title", "full_content": "some text"},
    "document_chunks": {
        "chunk_id": "chunk",
        "document_id": "doc",
        "chunk_index": 0,
        "total_chunks": 1,
        "content": "some text",
    },
    "search_generation": {"generation_id": 1, "generation": 0},  # which the schema puts in
    "search_cache": {
        "query_hash": digest("query"),
        "query_text": "query",
        "page_size": 10,
        "results": "[]",
        "expires_at": TIME,
    },
    "feedback_events": {"event_id": 1, "feedback_type": "helpful", "content_id": "doc"},
    "usage_signals": {"signal_id": 1, "signal_type": "view", "content_id": "doc", "occurred_at": TIME},
}
"""One row for each table, parents first."""


UPPER_HASH = digest("x").upper()

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
"""Table, columns that differ from the sample row, and the constraint that refuses them."""

TABLES: dict[str, type[BaseModel]] = {
    "system_config": models.SystemConfig,
    "source_metadata": models.SourceMetadata,
    "technology_mappings": models.TechnologyMapping,
    "content_metadata": models.ContentMetadata,
    "documents": models.DocumentRecord,
    "document_chunks": models.DocumentChunk,
    "search_generation": models.SearchGeneration,
    "search_cache": models.SearchCacheEntry,
    "feedback_events": models.FeedbackEvent,
    "usage_signals": models.UsageSignal,
}
"""The model of a whole row of each table."""

FIELDS = {"document_chunks": {"chunk_id": "id", "document_id": "parent_document_id"}}
"""The canonical names of columns."""

ENUMERATIONS = {
    "source_metadata_source_type_known": models.SourceType,
    "content_metadata_status_known": models.ContentStatus,
    "feedback_events_feedback_type_known": models.FeedbackType,
    "usage_signals_signal_type_known": models.SignalType,
}
"""The values that a check knows."""

PARAMETERS: dict[str, object] = {
    "feedback_type": "helpful",
    "signal_type": "click",
    "source_type": "api",
    "status": "pending",
    "source_id": "src",
    "content_id": "doc",
    "document_id": "doc",
    "rating": None,
    "dwell_ms": None,
    "failure": None,
    "query_hash": digest("query"),
    "content_hash": digest("text"),
    "results": [],
}
"""Values that the tables accept, by the names of parameters."""

PARAMETERS_OF: dict[str, dict[str, object]] = {
    "add_content": {"content_id": "new", "content_hash": digest("new")},
    "add_chunk": {"chunk_id": "new", "total_chunks": 2},
}
"""Keys that are not there yet, by queries."""

SCANS = {
    "sqlite": {
        "search_documents": "the scan is the full-text index answering MATCH",
    },
    "postgresql": {
        "claim_documents": "it locks a table, and reads none",
        "delete_searches": "it removes every row",
        "search_generation": "it reads the one row there is",
        "search_documents": "its plan has tests of its own",
    },
}
"""The queries that may read a table from end to end, with the reason."""

SORTED = {"postgresql": {"search_documents": "it is sorted by what was found"}}
"""The queries whose pages may be sorted, with the reason."""

_UPSERT = "every engine has its own upsert"

VARIANTS = {
    "put_config": _UPSERT,
    "put_document": _UPSERT,
    "put_search": _UPSERT,
    "put_source": _UPSERT,
    "put_technology_mapping": _UPSERT,
    "claim_documents": "so has it locks",
    "search_documents": "and a full-text search",
}
"""The queries that every engine has in its own words, with the reason."""

_BOOLEANS = "a boolean has a type"
_SEARCH = "the words that the full-text index reads"

ALLOWED: dict[str, dict[str, dict[str, str]]] = {
    "postgresql": {
        "checks": {
            "system_config_value_json": "what is jsonb is valid",
            "source_metadata_is_active_boolean": _BOOLEANS,
            "technology_mappings_is_official_boolean": _BOOLEANS,
        },
        "columns": {"documents.search_words": _SEARCH},
        "indexes": {"documents_search_words_idx": _SEARCH},
    },
    "mysql": {
        "columns": {"documents.search_words": _SEARCH},
        "indexes": {"documents_search_words_idx": _SEARCH},
    },
}
"""What an engine has and SQLite has not, or the other way round, and why."""

WITHOUT_CLOCKS = {"search_generation": "a counter has no clock"}
"""The tables that no clock is in, with the reason."""


def insert(table: str, row: dict[str, object]) -> str:
    """The statement that inserts *row*, with ``:names``."""
    columns = ", ".join(f'"{column}"' for column in row)
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join(f':{column}' for column in row)})"


def document_key(text: str) -> str:
    """Where the cache keeps the document whose content is *text*."""
    return FAMILIES["content_processed"].key(content_hash=digest(text))


class _Undone(Exception):
    pass


@asynccontextmanager
async def undone(executor: Executor) -> AsyncIterator[Transaction]:
    """A transaction block that is not committed."""
    with suppress(_Undone):
        async with executor.transaction() as tx:
            yield tx
            raise _Undone
