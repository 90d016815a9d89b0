"""Documents and rows to test with, all valid until a test changes them; keys of copies; a block to undo."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dal.cache import FAMILIES
from dal.executor import Executor
from dal.models.documents import DocumentChunk, DocumentMetadata, ProcessedDocument
from dal.repositories.documents import search_hash
from dal.transaction import Transaction

ROOT = Path(__file__).parent.parent.parent
SQL = ROOT / "sql" / "documents"
SCHEMA = (SQL / "schema.sqlite.sql").read_text()
BASE_SCHEMA = (ROOT / "sql" / "base" / "schema.sqlite.sql").read_text()

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


def insert(table: str, row: dict[str, object]) -> str:
    """The statement that inserts *row*, with ``:names``."""
    columns = ", ".join(f'"{column}"' for column in row)
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join(f':{column}' for column in row)})"


def document_key(text: str) -> str:
    """Where the cache keeps the document whose content is *text*."""
    return FAMILIES["content_processed"].key(content_hash=digest(text))


def search_key(words: str, page_size: int = 10) -> str:
    """Where the cache keeps the answer to a search."""
    return FAMILIES["search_results"].key(query_hash=search_hash(words, page_size))


class _Undone(Exception):
    pass


@asynccontextmanager
async def undone(executor: Executor) -> AsyncIterator[Transaction]:
    """A transaction block that is not committed."""
    with suppress(_Undone):
        async with executor.transaction() as tx:
            yield tx
            raise _Undone
