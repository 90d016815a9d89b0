"""What was ingested: the table content_metadata.

A content is there from when it was fetched, whether or not it becomes a document. Where it is one, its
row is part of the document, so that a change of the row is a change of the document.
"""

from __future__ import annotations

from dal.cache import CacheManager
from dal.executor import Executor
from dal.models.documents import ContentMetadata, ContentStatus
from dal.repositories.copies import CachedCopies
from dal.repositories.documents.changes import changing_documents, document_changed
from dal.repositories.documents.queries import QUERIES
from dal.repositories.pages import checked_page_size
from dal.transaction import Transaction


class ContentMetadataRepository:
    """What was ingested. A change removes the cached copies that show it."""

    def __init__(self, executor: Executor, cache: CacheManager | None = None) -> None:
        self._executor = executor
        self._copies = CachedCopies(cache, executor)

    async def get(self, content_id: str) -> ContentMetadata | None:
        """Return one content."""
        return await _content(self._executor, content_id)

    async def by_hash(self, content_hash: str) -> ContentMetadata | None:
        """Return the content with this hash, if it was ever ingested."""
        return await self._executor.fetch_one(QUERIES.content_by_hash, {"content_hash": content_hash})

    async def by_technology(
        self, technology: str, *, after_id: str = "", page_size: int = 50
    ) -> list[ContentMetadata]:
        """Return one page of the content of a technology, by id."""
        return await self._executor.fetch_all(
            QUERIES.content_by_technology,
            {"technology": technology, "after_id": after_id, "page_size": checked_page_size(page_size)},
        )

    async def by_status(
        self, status: ContentStatus, *, after_id: str = "", page_size: int = 50
    ) -> list[ContentMetadata]:
        """Return one page of the content whose processing came that far, by id."""
        return await self._executor.fetch_all(
            QUERIES.content_by_status,
            {"status": status, "after_id": after_id, "page_size": checked_page_size(page_size)},
        )

    async def put(
        self,
        content_id: str,
        *,
        source_url: str,
        technology: str,
        content_hash: str,
        source_id: str | None = None,
        word_count: int = 0,
        heading_count: int = 0,
        code_block_count: int = 0,
        quality_score: float = 0.0,
        status: ContentStatus = "pending",
        failure: str | None = None,
        model_version: str = "1.0.0",
    ) -> None:
        """Write all that is known of a content, new or not.

        Raises:
            UniqueViolation: Another content has this hash.
            ForeignKeyViolation: There is no such source.
            CheckViolation: A value is out of bounds, or a failure is given without status ``failed``.
        """
        row = {
            "content_id": content_id,
            "source_id": source_id,
            "source_url": source_url,
            "technology": technology,
            "content_hash": content_hash,
            "word_count": word_count,
            "heading_count": heading_count,
            "code_block_count": code_block_count,
            "quality_score": quality_score,
            "status": status,
            "failure": failure,
            "model_version": model_version,
        }

        async def work(tx: Transaction) -> None:
            before = await _content(tx, content_id)
            if before is None:
                await tx.execute(QUERIES.add_content, row)
                return
            await tx.execute(QUERIES.change_content, row)
            await document_changed(tx, self._copies, before.content_hash, content_hash)

        await changing_documents(self._executor, work)

    async def set_status(self, content_id: str, status: ContentStatus, *, failure: str | None = None) -> bool:
        """Say how far processing came; False if there is no such content.

        Args:
            failure: Why it failed, for the status ``failed`` and for no other.
        """
        params = {"content_id": content_id, "status": status, "failure": failure}
        return await self._executor.execute(QUERIES.set_content_status, params) > 0

    async def delete(self, content_id: str) -> bool:
        """Remove a content with its document and chunks; False if there was none."""

        async def work(tx: Transaction) -> bool:
            before = await _content(tx, content_id)
            if before is None:
                return False
            await tx.execute(QUERIES.delete_content, {"content_id": content_id})
            await document_changed(tx, self._copies, before.content_hash)
            return True

        return await changing_documents(self._executor, work)


async def _content(executor: Executor, content_id: str) -> ContentMetadata | None:
    return await executor.fetch_one(QUERIES.content_by_id, {"content_id": content_id})
