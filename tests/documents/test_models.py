"""The models of the system: what they refuse, and what they leave as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from dal.models import documents as models
from dal.models.documents import DocumentChunk, DocumentMetadata, ProcessedDocument
from tests.documents.samples import digest, document

CANONICAL = [DocumentMetadata, DocumentChunk, ProcessedDocument]


def changed(model: BaseModel, **changes: Any) -> BaseModel:
    """A validated copy: model_copy checks nothing."""
    return type(model).model_validate({**model.model_dump(), **changes})


METADATA = document().metadata
CHUNK = document().chunks[0]


@pytest.mark.parametrize("model", CANONICAL)
def test_version(model: type[BaseModel]) -> None:
    """The canonical models carry their version."""
    assert model.model_fields["model_version"].default == "1.0.0"


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (METADATA, {"word_count": -1}),
        (METADATA, {"heading_count": -1}),
        (METADATA, {"code_block_count": -1}),
        (METADATA, {"content_hash": digest("x").upper()}),
        (METADATA, {"content_hash": digest("x") + "\n"}),
        (METADATA, {"content_hash": "abc"}),
        (METADATA, {"created_at": datetime(2026, 1, 1)}),  # naive
        (METADATA, {"model_version": ""}),
        (CHUNK, {"chunk_index": -1}),
        (CHUNK, {"chunk_index": 2}),
        (CHUNK, {"total_chunks": 0}),
        (CHUNK, {"id": ""}),
        (CHUNK, {"parent_document_id": ""}),
        (document(), {"id": ""}),
        (document(), {"title": ""}),
        (document(), {"title": "t" * 501}),
        (document(), {"source_url": ""}),
        (document(), {"technology": ""}),
        (document(), {"quality_score": 1.0001}),
        (document(), {"quality_score": -0.0001}),
        (document(), {"quality_score": float("nan")}),
        (document(), {"updated_at": "yesterday"}),
    ],
    ids=lambda value: str(value)[:50],
)
def test_bad_value_is_refused(model: BaseModel, changes: dict[str, Any]) -> None:
    """A value out of bounds is refused, and it is that value which is named."""
    with pytest.raises(ValidationError) as caught:
        changed(model, **changes)
    assert len(caught.value.errors()) == 1


def test_edges_are_accepted() -> None:
    """The bounds themselves are in."""
    edge = document(title="t" * 500, quality_score=1.0, technology="t" * 100)
    assert changed(edge, quality_score=0.0).model_dump()["title"] == "t" * 500


class TestChunksOfADocument:
    """The chunks of a document are whole, in order, and its own."""

    def refused(self, chunks: list[DocumentChunk]) -> str:
        with pytest.raises(ValidationError) as caught:
            changed(document(), chunks=chunks)
        return str(caught.value)

    def test_other_parent(self) -> None:
        """A chunk of another document does not fit."""
        first, second = document().chunks
        other = second.model_copy(update={"parent_document_id": "other"})
        assert "chunk 1 belongs to another document" in self.refused([first, other])

    def test_order(self) -> None:
        """Chunks come by their index."""
        first, second = document().chunks
        assert "chunk 0 of 2 says that it is 1 of 2" in self.refused([second, first])

    def test_missing(self) -> None:
        """No chunk is left out."""
        assert "chunk 0 of 1 says that it is 0 of 2" in self.refused([document().chunks[0]])

    def test_same_id(self) -> None:
        """Each has an id of its own."""
        first, second = document().chunks
        assert "same id" in self.refused([first, second.model_copy(update={"id": first.id})])

    def test_none(self) -> None:
        """A document without chunks is one."""
        assert document(chunks=[]).chunks == []


@pytest.mark.parametrize("model", CANONICAL)
def test_times_are_utc(model: type[BaseModel]) -> None:
    """Default times are aware and in UTC, now."""
    moment = {DocumentMetadata: METADATA, DocumentChunk: CHUNK, ProcessedDocument: document()}[
        model
    ].created_at  # type: ignore[attr-defined]
    assert moment.tzinfo is UTC
    assert abs(datetime.now(UTC) - moment) < timedelta(days=1)  # the samples are as old as the run


def test_other_time_zone_becomes_utc() -> None:
    """A time of another zone is the same moment in UTC."""
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    moment = changed(METADATA, created_at=noon).created_at  # type: ignore[attr-defined]
    assert moment.isoformat() == "2026-01-01T10:00:00+00:00"


def test_json_round_trip() -> None:
    """A document that went through JSON is equal."""
    original = document()
    assert ProcessedDocument.model_validate_json(original.model_dump_json()) == original


def test_models_are_frozen() -> None:
    """A model cannot be changed in place."""
    with pytest.raises(ValidationError, match="frozen"):
        document().title = "Other"


def test_unknown_column_is_refused() -> None:
    """A row with a column that its model lacks is a mistake in the query."""
    with pytest.raises(ValidationError, match="extra"):
        models.SearchGeneration(generation_id=1, generation=1, more=1)  # type: ignore[call-arg]
