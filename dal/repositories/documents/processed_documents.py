"""Whole documents: the tables documents and document_chunks, joined with content_metadata.

A content is stored once, known by its hash; a document is saved, read, changed and deleted as a whole. With a
cache, documents are kept by their hash, and a change of a document removes the copies of it. Who keeps the
answers to searches stands in `dal.repositories.documents.searches`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from dal.cache import CacheManager
from dal.executor import Executor
from dal.models.documents import (
    ContentMetadata,
    DocumentChunk,
    DocumentRecord,
    DocumentSummary,
    ProcessedDocument,
    StoredDocument,
)
from dal.repositories.copies import CachedCopies
from dal.repositories.documents.changes import DOCUMENT_COPIES, changing_documents, document_changed
from dal.repositories.documents.content_metadata import ContentMetadataRepository
from dal.repositories.documents.queries import QUERIES
from dal.repositories.documents.searches import DocumentSearch, SearchAnswer
from dal.repositories.pages import checked_page_size
from dal.repositories.snapshots import snapshot
from dal.transaction import Transaction

_DOCUMENT = TypeAdapter(ProcessedDocument)


@dataclass(frozen=True, slots=True)
class SavedDocument:
    """What became of a document that was saved.

    Attributes:
        document_id: Under which the content is stored; another one's if the content was there before.
        outcome: ``created``; ``updated`` if the document was there and differed in anything but times;
            ``unchanged`` if nothing was written.
    """

    document_id: str
    outcome: Literal["created", "updated", "unchanged"]


class ProcessedDocumentRepository:
    """Documents with their metadata and chunks, and the search for them."""

    def __init__(self, executor: Executor, cache: CacheManager | None = None) -> None:
        self._executor = executor
        self._cache = cache
        self._copies = CachedCopies(cache, executor)

    async def save(self, document: ProcessedDocument, *, source_id: str | None = None) -> SavedDocument:
        """Store a document with its chunks, in one transaction.

        A document that is there under the same id is updated, unless it is the same already, so that
        saving again is harmless. If the content (by ``metadata.content_hash``) is that of a document with
        another id, that one is left as it is, and nothing is written. The times ``created_at`` and
        ``updated_at`` are the database's, whatever *document* says.

        Args:
            source_id: The row of source_metadata that it comes from.

        Raises:
            UniqueViolation: A chunk's id is another document's, or the hash another content's that
                has no document.
            ForeignKeyViolation: There is no such source.
        """
        return await changing_documents(self._executor, lambda tx: self._save(tx, document, source_id))

    async def _save(
        self, tx: Transaction, document: ProcessedDocument, source_id: str | None
    ) -> SavedDocument:
        content_hash = document.metadata.content_hash
        stored_id: str | None = await tx.fetch_value(
            QUERIES.stored_document_id, {"content_hash": content_hash}
        )
        if stored_id is not None and stored_id != document.id:
            return SavedDocument(stored_id, "unchanged")
        before = await _StoredRows.read(tx, document.id)
        if before.hold(document, source_id):
            return SavedDocument(document.id, "unchanged")
        await before.replace(tx, document, source_id)
        old_hashes = [before.content.content_hash] if before.content else []
        await document_changed(tx, self._copies, content_hash, *old_hashes)
        return SavedDocument(document.id, "updated" if before.record else "created")

    async def get(self, document_id: str) -> ProcessedDocument | None:
        """Return a document with its chunks, always from the database."""
        async with snapshot(self._executor) as reader:
            return await _whole(
                reader, await reader.fetch_one(QUERIES.document_by_id, {"document_id": document_id})
            )

    async def by_hash(self, content_hash: str) -> ProcessedDocument | None:
        """Return the document with this content, with its chunks."""
        key = DOCUMENT_COPIES.key(content_hash=content_hash)
        copy = await self._copies.get(key, _DOCUMENT)
        if copy is not None:
            return copy
        found = await self._stored_by_hash(content_hash)
        if found is None:
            return None

        async def unchanged() -> bool:
            return await self._stored_by_hash(content_hash) == found

        await self._copies.put(key, _DOCUMENT, found, still_valid=unchanged)
        return found

    async def by_technology(
        self, technology: str, *, after_id: str = "", page_size: int = 50
    ) -> list[DocumentSummary]:
        """Return one page of the documents of a technology, by id and without their texts."""
        return await self._executor.fetch_all(
            QUERIES.documents_by_technology,
            {"technology": technology, "after_id": after_id, "page_size": checked_page_size(page_size)},
        )

    async def search(self, words: str, *, page_size: int = 10, now: datetime | None = None) -> SearchAnswer:
        """Return the best of the documents in whose title or text every word occurs.

        With ``DatabaseManager(cache=...)`` it is a cached query. Without, the search_cache table is asked,
        then the index, whose answer is stored, unless a document changed meanwhile or the database cannot
        be written in time.
        Inside a caller's transaction the index alone is asked; what that transaction wrote is found, but
        not on MariaDB, whose index knows only what is committed.

        Args:
            words: Plain text; no character has a meaning. At most `MAX_WORDS_LENGTH` characters.
            now: When rows of search_cache expire, and the clock from which new ones are kept.

        Raises:
            ParameterError: *words* are too long.
            CacheOverloaded: The manager's cache is away, and too many searches are under way.
        """
        search = DocumentSearch(self._executor)
        return await search.answer(words, page_size, now or datetime.now(UTC))

    async def delete(self, document_id: str) -> bool:
        """Remove a document with its metadata and chunks; False if there was none."""

        async def work(tx: Transaction) -> bool:
            if await tx.fetch_value(QUERIES.document_number, {"document_id": document_id}) is None:
                return False
            return await ContentMetadataRepository(tx, self._cache).delete(document_id)

        return await changing_documents(self._executor, work)

    async def _stored_by_hash(self, content_hash: str) -> ProcessedDocument | None:
        async with snapshot(self._executor) as reader:
            return await _whole(
                reader, await reader.fetch_one(QUERIES.document_by_hash, {"content_hash": content_hash})
            )


@dataclass(frozen=True, slots=True)
class _StoredRows:
    """What the tables hold of a document."""

    content: ContentMetadata | None
    record: DocumentRecord | None
    chunks: list[DocumentChunk]

    @classmethod
    async def read(cls, tx: Transaction, document_id: str) -> _StoredRows:
        params = {"document_id": document_id}
        return cls(
            content=await tx.fetch_one(QUERIES.content_by_id, {"content_id": document_id}),
            record=await tx.fetch_one(QUERIES.document_record, params),
            chunks=await tx.fetch_all(QUERIES.chunks_of_document, params),
        )

    def hold(self, document: ProcessedDocument, source_id: str | None) -> bool:
        """True if they hold all that `replace` would write."""
        return (
            _holds(self.content, _content_row(document, source_id))
            and _holds(self.record, _document_row(document))
            and list(map(_chunk_row, self.chunks)) == list(map(_chunk_row, document.chunks))
        )

    async def replace(self, tx: Transaction, document: ProcessedDocument, source_id: str | None) -> None:
        """Write all rows of a document in their place."""
        content = QUERIES.change_content if self.content else QUERIES.add_content
        await tx.execute(content, _content_row(document, source_id))
        await tx.execute(QUERIES.put_document, _document_row(document))
        await tx.execute(QUERIES.delete_chunks, {"document_id": document.id})
        await tx.execute_many(QUERIES.add_chunk, map(_chunk_row, document.chunks))


def _holds(stored: BaseModel | None, row: Mapping[str, object]) -> bool:
    return stored is not None and all(getattr(stored, column) == value for column, value in row.items())


def _content_row(document: ProcessedDocument, source_id: str | None) -> dict[str, Any]:
    metadata = document.metadata
    return {
        "content_id": document.id,
        "source_id": source_id,
        "source_url": document.source_url,
        "technology": document.technology,
        "content_hash": metadata.content_hash,
        "word_count": metadata.word_count,
        "heading_count": metadata.heading_count,
        "code_block_count": metadata.code_block_count,
        "quality_score": document.quality_score,
        "status": "processed",
        "failure": None,
        "model_version": metadata.model_version,
    }


def _document_row(document: ProcessedDocument) -> dict[str, Any]:
    return {
        "document_id": document.id,
        "title": document.title,
        "full_content": document.full_content,
        "model_version": document.model_version,
    }


def _chunk_row(chunk: DocumentChunk) -> dict[str, Any]:
    return {
        "chunk_id": chunk.id,
        "document_id": chunk.parent_document_id,
        "chunk_index": chunk.chunk_index,
        "total_chunks": chunk.total_chunks,
        "content": chunk.content,
        "model_version": chunk.model_version,
    }


async def _whole(reader: Executor, stored: StoredDocument | None) -> ProcessedDocument | None:
    """Return a stored document with its chunks."""
    if stored is None:
        return None
    params = {"document_id": stored.document_id}
    return stored.with_chunks(await reader.fetch_all(QUERIES.chunks_of_document, params))
