"""What a change of a document makes stale."""

from __future__ import annotations

from typing import Any

import pytest

from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.repositories.documents import ContentMetadataRepository, ProcessedDocumentRepository
from tests.documents.samples import digest, document, document_key, undone


class TestStaleCopies:
    """A committed write removes the copies that it made stale; one that is undone does not."""

    async def test_saved_document_is_found_at_once(self, documents: ProcessedDocumentRepository) -> None:
        """A search that was answered before finds the new document."""
        await documents.search("word")
        await documents.save(document(text="word"))
        answer = await documents.search("word")
        assert (answer.origin, len(answer.results)) == ("index", 1)

    async def test_unchanged_document_removes_nothing(
        self, documents: ProcessedDocumentRepository, cache: CacheManager
    ) -> None:
        """Saving what is there keeps the answers, in the table too, and the copy of the document."""
        await documents.save(document(text="word"))
        await documents.by_hash(digest("word"))
        await documents.search("word")
        await documents.save(document(text="word"))
        assert await cache.get(document_key("word")) is not None
        assert (await documents.search("word")).origin == "table"

    async def test_content_of_another_document_removes_nothing(
        self, documents: ProcessedDocumentRepository, cache: CacheManager
    ) -> None:
        """Content that is there under another id changes no document and no answer."""
        await documents.save(document("one", "word"))
        await documents.by_hash(digest("word"))
        await documents.search("word")
        await documents.save(document("two", "word", title="Other"))
        assert await cache.get(document_key("word")) is not None
        assert (await documents.search("word")).origin == "table"

    @pytest.mark.parametrize(
        "change",
        [
            {"title": "Other"},
            {"source_url": "https://other.example"},
            {"technology": "rust"},
            {"quality_score": 0.5},
        ],
        ids=lambda change: str(*change),
    )
    async def test_updated_document(
        self, documents: ProcessedDocumentRepository, change: dict[str, Any]
    ) -> None:
        """A change that keeps the content shows in the document and in answers at once."""
        await documents.save(document(text="word"))
        await documents.by_hash(digest("word"))
        await documents.search("word")
        await documents.save(document(text="word", **change))
        found, answer = await documents.by_hash(digest("word")), await documents.search("word")
        (name, value), *_ = change.items()
        assert found is not None
        assert (getattr(found, name), getattr(answer.results[0], name)) == (value, value)

    async def test_updated_chunks(self, documents: ProcessedDocumentRepository) -> None:
        """Other chunks of the same content are served at once."""
        await documents.save(document(text="a\nb"))
        await documents.by_hash(digest("a\nb"))
        await documents.save(document(text="a\nb", chunks=[]))
        found = await documents.by_hash(digest("a\nb"))
        assert found is not None
        assert found.chunks == []

    async def test_replaced_document(self, documents: ProcessedDocumentRepository) -> None:
        """The old content is no longer served by its hash."""
        await documents.save(document(text="old"))
        await documents.by_hash(digest("old"))
        await documents.save(document(text="new"))
        assert await documents.by_hash(digest("old")) is None

    async def test_deleted_document(self, documents: ProcessedDocumentRepository) -> None:
        """A deleted document is no longer served by its hash."""
        await documents.save(document(text="old"))
        await documents.by_hash(digest("old"))
        await documents.delete("doc")
        assert await documents.by_hash(digest("old")) is None

    async def test_changed_metadata(
        self, db: DatabaseManager, cache: CacheManager, documents: ProcessedDocumentRepository
    ) -> None:
        """A change of a document's metadata shows in the document and in answers."""
        await documents.save(document(text="word"))
        await documents.by_hash(digest("word"))
        await documents.search("word")
        await ContentMetadataRepository(db, cache).put(
            "doc", source_url="u", technology="rust", content_hash=digest("word"), status="processed"
        )
        found, answer = await documents.by_hash(digest("word")), await documents.search("word")
        assert found is not None
        assert (found.technology, answer.results[0].technology) == ("rust", "rust")

    async def test_undone_write(self, db: DatabaseManager, cache: CacheManager) -> None:
        """A write that is undone leaves the answers."""
        await ProcessedDocumentRepository(db, cache).search("word")
        async with undone(db) as tx:
            await ProcessedDocumentRepository(tx, cache).save(document(text="word"))
        assert (await ProcessedDocumentRepository(db, cache).search("word")).origin == "table"

    async def test_write_in_a_block(self, db: DatabaseManager, cache: CacheManager) -> None:
        """A write within a caller's transaction removes the copies once that is committed."""
        outside = ProcessedDocumentRepository(db, cache)
        await outside.save(document(text="word"))
        await outside.by_hash(digest("word"))
        async with db.transaction() as tx:
            await ProcessedDocumentRepository(tx, cache).save(document(text="word", title="Other"))
            assert await cache.get(document_key("word")) is not None
        assert await cache.get(document_key("word")) is None

    async def test_update_between_read_and_copy(self, db: DatabaseManager) -> None:
        """A document that was updated before it was copied is read anew, though its content is the same."""

        class Slow(CacheManager):
            async def set(self, key: str, value: Any, ttl: int | None = None) -> None:
                await ProcessedDocumentRepository(db, self).save(document(text="word", title="Other"))
                await super().set(key, value, ttl)

        async with Slow("memory://") as slow:
            documents = ProcessedDocumentRepository(db, slow)
            await documents.save(document(text="word"))
            await documents.by_hash(digest("word"))
            found = await documents.by_hash(digest("word"))
            assert found is not None
            assert found.title == "Other"

    async def test_delete_between_read_and_copy(self, db: DatabaseManager) -> None:
        """A document that was deleted before it was copied does not stay."""

        class Slow(CacheManager):
            async def set(self, key: str, value: Any, ttl: int | None = None) -> None:
                await ProcessedDocumentRepository(db, self).delete("doc")
                await super().set(key, value, ttl)

        async with Slow("memory://") as slow:
            documents = ProcessedDocumentRepository(db, slow)
            await documents.save(document(text="word"))
            await documents.by_hash(digest("word"))
            assert await documents.by_hash(digest("word")) is None
