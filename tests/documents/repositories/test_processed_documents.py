"""Whole documents: saved, read, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.errors import ForeignKeyViolation, ParameterError, UniqueViolation
from dal.models.documents import ProcessedDocument
from dal.repositories.documents import (
    ContentMetadataRepository,
    ProcessedDocumentRepository,
    SavedDocument,
    SourceMetadataRepository,
)
from tests.documents.samples import NOW, digest, document, document_key, undone


def timeless(one: ProcessedDocument) -> dict[str, Any]:
    """All of a document but the clocks, which are the database's."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without(v) for k, v in value.items() if k not in ("created_at", "updated_at")}
        return [without(item) for item in value] if isinstance(value, list) else value

    kept: dict[str, Any] = without(one.model_dump())
    return kept


CHANGES: dict[str, Callable[[ProcessedDocument], ProcessedDocument]] = {
    "title": lambda one: one.model_copy(update={"title": "Other"}),
    "full_content": lambda one: one.model_copy(update={"full_content": "corrected"}),
    "source_url": lambda one: one.model_copy(update={"source_url": "https://other.example"}),
    "technology": lambda one: one.model_copy(update={"technology": "rust"}),
    "quality_score": lambda one: one.model_copy(update={"quality_score": 0.5}),
    "model_version": lambda one: one.model_copy(update={"model_version": "1.1.0"}),
    "word_count": lambda one: with_metadata(one, word_count=99),
    "heading_count": lambda one: with_metadata(one, heading_count=99),
    "code_block_count": lambda one: with_metadata(one, code_block_count=99),
    "metadata's model_version": lambda one: with_metadata(one, model_version="1.1.0"),
    "no chunks": lambda one: one.model_copy(update={"chunks": []}),
    "a chunk's content": lambda one: with_last_chunk(one, content="corrected"),
    "a chunk's id": lambda one: with_last_chunk(one, id="other"),
    "a chunk's model_version": lambda one: with_last_chunk(one, model_version="1.1.0"),
}
"""Every way in which a document can differ from one with the same id and the same content hash."""

every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


def with_metadata(one: ProcessedDocument, **changes: Any) -> ProcessedDocument:
    return one.model_copy(update={"metadata": one.metadata.model_copy(update=changes)})


def with_last_chunk(one: ProcessedDocument, **changes: Any) -> ProcessedDocument:
    *others, last = one.chunks
    return one.model_copy(update={"chunks": [*others, last.model_copy(update=changes)]})


class TestSave:
    """A document is stored whole, once."""

    async def test_comes_back_equal(self, documents: ProcessedDocumentRepository) -> None:
        """What was saved is what is read, apart from the clocks."""
        given = document(text="Straße, naïve 日本語 🙂 '; --\n\n\x01 \\ %s :name", quality_score=0.1)
        await documents.save(given)
        stored = await documents.get("doc")
        assert stored is not None
        assert timeless(stored) == timeless(given)

    async def test_clocks_are_the_databases(self, documents: ProcessedDocumentRepository) -> None:
        """A new document was created when it was stored, and never updated."""
        await documents.save(document(created_at=NOW, updated_at=NOW))
        stored = await documents.get("doc")
        assert stored is not None
        assert stored.created_at > NOW
        assert (stored.updated_at, stored.metadata.updated_at) == (None, None)

    async def test_again_changes_nothing(self, documents: ProcessedDocumentRepository) -> None:
        """The same document a second time is left as it is."""
        await documents.save(document())
        before = await documents.get("doc")
        assert await documents.save(document()) == SavedDocument("doc", "unchanged")
        assert await documents.get("doc") == before

    async def test_other_times_are_no_difference(self, documents: ProcessedDocumentRepository) -> None:
        """Times are the database's, so others do not make another document."""
        await documents.save(document())
        later = with_last_chunk(with_metadata(document(), created_at=NOW, updated_at=NOW), created_at=NOW)
        later = later.model_copy(update={"created_at": NOW, "updated_at": NOW})
        assert await documents.save(later) == SavedDocument("doc", "unchanged")

    async def test_what_was_read_is_no_difference(self, documents: ProcessedDocumentRepository) -> None:
        """A document saved as it was read is unchanged, whatever its text and score."""
        await documents.save(document(text="Straße 🙂\n\n\\ %s", quality_score=0.1 + 0.2))
        stored = await documents.get("doc")
        assert stored is not None
        assert await documents.save(stored) == SavedDocument("doc", "unchanged")

    @every_change
    async def test_same_content_with_a_change(
        self, documents: ProcessedDocumentRepository, change: Callable[[ProcessedDocument], ProcessedDocument]
    ) -> None:
        """Any other difference than that of times is stored; saved again, it is none."""
        await documents.save(document())
        changed = change(document())
        assert await documents.save(changed) == SavedDocument("doc", "updated")
        stored = await documents.get("doc")
        assert stored is not None
        assert timeless(stored) == timeless(changed)
        assert stored.updated_at is not None
        assert await documents.save(changed) == SavedDocument("doc", "unchanged")

    async def test_other_source(self, db: DatabaseManager, documents: ProcessedDocumentRepository) -> None:
        """A document that now comes from a source, or from none any more, is updated."""
        await SourceMetadataRepository(db).put("src", source_type="api", name="n", base_url="u")
        sources = (None, "src", "src", None)
        saved = [await documents.save(document(), source_id=source_id) for source_id in sources]
        assert [one.outcome for one in saved] == ["created", "updated", "unchanged", "updated"]

    async def test_processed_after_a_failure(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository
    ) -> None:
        """A document whose content was marked as failed is processed once it is saved."""
        contents = ContentMetadataRepository(db)
        await documents.save(document())
        await contents.set_status("doc", "failed", failure="mistaken")
        assert await documents.save(document()) == SavedDocument("doc", "updated")
        assert [one.content_id for one in await contents.by_status("processed")] == ["doc"]

    async def test_same_content_under_another_id(self, documents: ProcessedDocumentRepository) -> None:
        """The id under which the content is stored comes back, and that document stays as it is."""
        await documents.save(document("one", "same"))
        before = await documents.get("one")
        two = document("two", "same", title="Other")
        assert await documents.save(two) == SavedDocument("one", "unchanged")
        assert (await documents.get("one"), await documents.get("two")) == (before, None)

    async def test_other_content(self, documents: ProcessedDocumentRepository) -> None:
        """A document takes other content, with fewer chunks too."""
        await documents.save(document(text="a\nb\nc"))
        assert await documents.save(document(text="d\ne")) == SavedDocument("doc", "updated")
        stored = await documents.get("doc")
        assert stored is not None
        assert [chunk.content for chunk in stored.chunks] == ["d", "e"]
        assert stored.updated_at is not None

    async def test_of_a_tracked_content(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository
    ) -> None:
        """A content that waited for its processing becomes a document, and says so."""
        contents = ContentMetadataRepository(db)
        await contents.put("doc", source_url="u", technology="t", content_hash=digest("text"))
        assert await documents.save(document(text="text")) == SavedDocument("doc", "created")
        content = await contents.get("doc")
        assert content is not None
        assert (content.status, content.technology) == ("processed", "python")

    async def test_without_chunks(self, documents: ProcessedDocumentRepository) -> None:
        """A document may have none."""
        await documents.save(document(chunks=[]))
        stored = await documents.get("doc")
        assert stored is not None
        assert stored.chunks == []

    async def test_failure_stores_nothing(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository
    ) -> None:
        """If the last chunk cannot be stored, nothing is."""
        await documents.save(document("one", "first"))
        taken = (await documents.get("one")).chunks[0]  # type: ignore[union-attr]
        two = document("two", "second\nthird")
        clash = [two.chunks[0], two.chunks[1].model_copy(update={"id": taken.id})]
        with pytest.raises(UniqueViolation):
            await documents.save(two.model_copy(update={"chunks": clash}))
        assert await ContentMetadataRepository(db).get("two") is None

    async def test_unknown_source(self, documents: ProcessedDocumentRepository) -> None:
        """A source that does not exist is an error."""
        with pytest.raises(ForeignKeyViolation):
            await documents.save(document(), source_id="nowhere")

    async def test_at_the_same_time(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository
    ) -> None:
        """Of many that save the same content at once, one creates it."""
        saved = await asyncio.gather(*(documents.save(document(f"doc{n}", "same")) for n in range(20)))
        assert sorted(one.outcome for one in saved) == ["created"] + ["unchanged"] * 19
        assert len({one.document_id for one in saved}) == 1
        assert await db.fetch_value("SELECT count(*) FROM documents") == 1

    async def test_in_a_block_that_is_undone(self, db: DatabaseManager) -> None:
        """Within a caller's transaction, saving is part of it."""
        async with undone(db) as tx:
            await ProcessedDocumentRepository(tx).save(document())
            assert await ProcessedDocumentRepository(tx).get("doc") is not None
        assert await ProcessedDocumentRepository(db).get("doc") is None


class TestRead:
    """Documents by id, by hash, by technology."""

    async def test_unknown(self, documents: ProcessedDocumentRepository) -> None:
        """What is not there is None."""
        assert await documents.get("nothing") is None
        assert await documents.by_hash(digest("nothing")) is None

    async def test_by_hash_is_kept(self, documents: ProcessedDocumentRepository, cache: CacheManager) -> None:
        """The copy that the second call reads is equal to what the first one read."""
        await documents.save(document(text="text"))
        first = await documents.by_hash(digest("text"))
        assert first is not None
        assert await cache.get(document_key("text")) == first.model_dump(mode="json")
        assert await documents.by_hash(digest("text")) == first

    async def test_copy_spares_the_database(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository
    ) -> None:
        """A copy is read without asking the database."""
        await documents.save(document(text="text"))
        await documents.by_hash(digest("text"))
        await db.execute("DELETE FROM content_metadata")  # behind the repository's back
        assert await documents.by_hash(digest("text")) is not None

    async def test_bad_copy_is_a_miss(
        self, documents: ProcessedDocumentRepository, cache: CacheManager, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A copy of another shape is not believed."""
        await documents.save(document(text="text"))
        await cache.set(document_key("text"), {"title": "from an older version"})
        found = await documents.by_hash(digest("text"))
        assert found is not None
        assert found.title == "About doc"
        assert "no valid ProcessedDocument" in caplog.text

    async def test_by_technology(self, documents: ProcessedDocumentRepository) -> None:
        """Pages follow each other by id, with nothing twice and nothing left out."""
        for number in range(5):
            await documents.save(document(f"py{number}", f"python {number}"))
        await documents.save(document("rs", "rust", technology="rust"))
        seen: list[str] = []
        while page := await documents.by_technology("python", after_id=seen[-1] if seen else "", page_size=2):
            seen += [one.document_id for one in page]
        assert seen == [f"py{number}" for number in range(5)]

    @pytest.mark.parametrize("page_size", [0, -1, 1001])
    async def test_page_size_is_bounded(self, documents: ProcessedDocumentRepository, page_size: int) -> None:
        """A page of nothing or of everything is refused."""
        with pytest.raises(ParameterError, match="1 to 1000 rows"):
            await documents.by_technology("python", page_size=page_size)


class TestDelete:
    """A document goes with all that belongs to it."""

    async def test_all_of_it(self, db: DatabaseManager, documents: ProcessedDocumentRepository) -> None:
        """Metadata, text, chunks and index entry are gone."""
        await documents.save(document(text="word"))
        assert await documents.delete("doc") is True
        assert await documents.get("doc") is None
        assert (await documents.search("word")).results == []
        for table in ("content_metadata", "documents", "document_chunks"):
            assert await db.fetch_value(f"SELECT count(*) FROM {table}") == 0

    async def test_unknown(self, documents: ProcessedDocumentRepository) -> None:
        """Nothing to delete is False."""
        assert await documents.delete("nothing") is False

    async def test_content_without_document(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository
    ) -> None:
        """A content that never became a document is none."""
        contents = ContentMetadataRepository(db)
        await contents.put("doc", source_url="u", technology="t", content_hash=digest("text"))
        assert await documents.delete("doc") is False
        assert await contents.get("doc") is not None
