"""What many do at the same time, on engines with one writer and with several."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.errors import ConflictError
from dal.repositories.documents import (
    ContentMetadataRepository,
    ProcessedDocumentRepository,
    SearchCacheRepository,
    SystemConfigRepository,
)
from tests.documents.samples import digest, document
from tests.systems.registry import SERVERS


async def test_documents(db: DatabaseManager, documents: ProcessedDocumentRepository) -> None:
    """Different documents that are saved at once are all created, and each is a generation."""
    saved = await asyncio.gather(*(documents.save(document(f"doc{n}", f"text {n}")) for n in range(30)))
    assert {one.outcome for one in saved} == {"created"}
    assert await db.fetch_value("SELECT count(*) FROM documents") == 30
    assert await SearchCacheRepository(db).generation() == 30


async def test_one_document(documents: ProcessedDocumentRepository) -> None:
    """Changes of one document that are made at once are made one after the other."""
    await documents.save(document(text="text"))
    titles = [f"Title {n}" for n in range(15)]
    saved = await asyncio.gather(*(documents.save(document(text="text", title=title)) for title in titles))
    assert [one.outcome for one in saved] == ["updated"] * 15
    stored = await documents.get("doc")
    assert stored is not None
    assert stored.title in titles


async def test_save_and_delete(db: DatabaseManager, documents: ProcessedDocumentRepository) -> None:
    """Documents that are saved and deleted at once are whole, or not there."""
    tasks = [documents.save(document("doc", f"text {n}")) for n in range(10)]
    await asyncio.gather(*tasks, *(documents.delete("doc") for _ in range(10)))
    stored = await documents.get("doc")
    rows = await db.fetch_value("SELECT count(*) FROM content_metadata")
    assert rows == (0 if stored is None else 1)


async def test_contents(db: DatabaseManager) -> None:
    """Contents that are put at once are all there."""
    contents = ContentMetadataRepository(db)
    puts = [
        contents.put(f"c{n}", source_url="u", technology="t", content_hash=digest(str(n))) for n in range(20)
    ]
    await asyncio.gather(*puts)
    assert len(await contents.by_technology("t")) == 20


async def test_settings_of_many(db: DatabaseManager) -> None:
    """One setting that many write at once is one of theirs; others are all there."""
    settings = SystemConfigRepository(db)
    await asyncio.gather(*(settings.put("limit", n) for n in range(15)))
    await asyncio.gather(*(settings.put(f"key {n}", n) for n in range(15)))
    found = await settings.settings()
    assert found.pop("limit") in range(15)
    assert found == {f"key {n}": n for n in range(15)}


@pytest.mark.parametrize("manager", ["db", "caching"])
async def test_searches_and_changes(
    request: pytest.FixtureRequest, caching: DatabaseManager, manager: str
) -> None:
    """However searches and changes fall together, a search afterwards sees the last change, cached or not."""
    documents = ProcessedDocumentRepository(request.getfixturevalue(manager))
    for number in range(15):
        searches = [documents.search("word") for _ in range(5)]
        await asyncio.gather(documents.save(document(f"doc{number}", f"word {number}")), *searches)
        assert len((await documents.search("word", page_size=50)).results) == number + 1
        assert len((await documents.search("word")).results) == min(number + 1, 10)


@pytest.mark.parametrize("db", SERVERS, indirect=True)
async def test_answer_is_stored_before_an_older_transaction_changes_a_document(
    db: DatabaseManager, cache: CacheManager, documents: ProcessedDocumentRepository
) -> None:
    """A transaction whose view is older than a stored answer removes it all the same, or fails."""
    changed = False
    with suppress(ConflictError):
        async with db.transaction() as tx:
            assert await tx.fetch_value("SELECT count(*) FROM documents") == 0
            searching = ProcessedDocumentRepository(db.outside(), cache)
            answer = await asyncio.wait_for(searching.search("word"), 60)
            assert answer.results == []
            await ProcessedDocumentRepository(tx, cache).save(document(text="word"))
        changed = True
    assert len((await documents.search("word")).results) == changed
    assert (await documents.search("word")).origin == "table"
