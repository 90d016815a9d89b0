"""The models of the `documents` system: the canonical ones, and one for each table.

The canonical models (`DocumentMetadata`, `DocumentChunk`, `ProcessedDocument`) travel between
components and lie in the cache as JSON; ``model_version`` says by which shape they were written. All
others are what a query returns. Bounds are those of the tables, so that what a model accepts can be
stored. Models are frozen: ``model_copy(update=...)`` makes a changed one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from dal.values import INTEGER_MAX, JsonColumn, UtcDatetime

Identifier = Annotated[str, Field(min_length=1, max_length=200)]
Version = Annotated[str, Field(min_length=1, max_length=20)]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="Lower-case SHA-256")]
Title = Annotated[str, Field(min_length=1, max_length=500)]
Text = Annotated[str, Field(max_length=4_000_000)]
Url = Annotated[str, Field(min_length=1, max_length=2048)]
Technology = Annotated[str, Field(min_length=1, max_length=100)]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Score = Annotated[float, Field(ge=0.0, le=1.0)]

ContentStatus = Literal["pending", "processed", "failed"]
FeedbackType = Literal["helpful", "not_helpful", "outdated", "incorrect", "rating"]
SignalType = Literal["search", "click", "view", "copy", "dwell", "refine", "abandon"]
SourceType = Literal["website", "repository", "package_index", "api"]


def _now() -> datetime:
    return datetime.now(UTC)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Record(BaseModel):
    """A row: a column that the model does not name is a mistake in the query."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DocumentMetadata(_Model):
    """What is counted and known of a document's content."""

    model_version: Version = Field(default="1.0.0", description="Model version for compatibility")
    word_count: Count
    heading_count: Count
    code_block_count: Count
    content_hash: Hash
    created_at: UtcDatetime = Field(default_factory=_now)
    updated_at: UtcDatetime | None = None


class DocumentChunk(_Model):
    """A passage of a document."""

    model_version: Version = Field(default="1.0.0", description="Model version for compatibility")
    id: Identifier = Field(description="Unique chunk identifier")
    parent_document_id: Identifier = Field(description="Parent document ID")
    content: Text = Field(description="Chunk content")
    chunk_index: Count = Field(description="0-based index within document")
    total_chunks: int = Field(ge=1, description="Total chunks in document")
    created_at: UtcDatetime = Field(default_factory=_now)

    @model_validator(mode="after")
    def _index_within_document(self) -> DocumentChunk:
        if self.chunk_index >= self.total_chunks:
            raise ValueError(f"chunk_index {self.chunk_index} must be below total_chunks {self.total_chunks}")
        return self


class ProcessedDocument(_Model):
    """A document with its metadata and all of its chunks, in order."""

    model_version: Version = Field(default="1.0.0", description="Model version for compatibility")
    id: Identifier = Field(description="Unique document identifier")
    title: Title = Field(description="Document title")
    full_content: Text = Field(description="Complete document content")
    source_url: Url = Field(description="Original source URL")
    technology: Technology = Field(description="Technology stack")
    metadata: DocumentMetadata
    quality_score: Score = Field(description="Content quality score")
    chunks: list[DocumentChunk]
    created_at: UtcDatetime = Field(default_factory=_now)
    updated_at: UtcDatetime | None = None

    @model_validator(mode="after")
    def _chunks_are_whole(self) -> ProcessedDocument:
        for position, chunk in enumerate(self.chunks):
            if chunk.parent_document_id != self.id:
                raise ValueError(f"chunk {position} belongs to another document")
            if (chunk.chunk_index, chunk.total_chunks) != (position, len(self.chunks)):
                raise ValueError(
                    f"chunk {position} of {len(self.chunks)} says"
                    f" that it is {chunk.chunk_index} of {chunk.total_chunks}"
                )
        if len({chunk.id for chunk in self.chunks}) != len(self.chunks):
            raise ValueError("two chunks have the same id")
        return self


class SystemConfig(_Record):
    """A row of system_config: one runtime setting."""

    key: Identifier
    value: Annotated[JsonValue, JsonColumn]
    schema_version: Version
    updated_at: UtcDatetime
    updated_by: Identifier


class SearchGeneration(_Record):
    """The row of search_generation: which generation of the documents searches see."""

    generation_id: int
    generation: Count


class SearchResult(_Record):
    """A document that a search found, with a passage of its text."""

    document_id: str
    title: str
    source_url: str
    technology: str
    quality_score: float
    snippet: str


class SearchCacheEntry(_Record):
    """A row of search_cache: the stored answer to a search."""

    query_hash: Hash
    query_text: str
    page_size: int
    results: Annotated[list[SearchResult], JsonColumn]
    created_at: UtcDatetime
    updated_at: UtcDatetime | None
    expires_at: UtcDatetime


class ContentMetadata(_Record):
    """A row of content_metadata: one ingested content, whether or not it became a document."""

    content_id: Identifier
    source_id: Identifier | None
    source_url: Url
    technology: Technology
    content_hash: Hash
    word_count: Count
    heading_count: Count
    code_block_count: Count
    quality_score: Score
    status: ContentStatus
    failure: str | None
    model_version: Version
    created_at: UtcDatetime
    updated_at: UtcDatetime | None


class DocumentRecord(_Record):
    """A row of documents: the title and text of a processed content."""

    document_number: int
    document_id: Identifier
    title: Title
    full_content: Text
    model_version: Version
    created_at: UtcDatetime
    updated_at: UtcDatetime | None


class DocumentSummary(_Record):
    """A processed document as a list shows it."""

    document_id: str
    title: str
    source_url: str
    technology: str
    quality_score: float
    content_hash: str
    word_count: int
    created_at: UtcDatetime
    updated_at: UtcDatetime | None


class StoredDocument(_Record):
    """A processed document as the tables hold it, apart from its chunks."""

    document_id: str
    title: str
    full_content: str
    model_version: str
    created_at: UtcDatetime
    updated_at: UtcDatetime | None
    source_url: str
    technology: str
    quality_score: float
    content_hash: str
    word_count: int
    heading_count: int
    code_block_count: int
    metadata_model_version: str
    metadata_created_at: UtcDatetime
    metadata_updated_at: UtcDatetime | None

    def with_chunks(self, chunks: list[DocumentChunk]) -> ProcessedDocument:
        """Return the whole document."""
        return ProcessedDocument(
            model_version=self.model_version,
            id=self.document_id,
            title=self.title,
            full_content=self.full_content,
            source_url=self.source_url,
            technology=self.technology,
            metadata=DocumentMetadata(
                model_version=self.metadata_model_version,
                word_count=self.word_count,
                heading_count=self.heading_count,
                code_block_count=self.code_block_count,
                content_hash=self.content_hash,
                created_at=self.metadata_created_at,
                updated_at=self.metadata_updated_at,
            ),
            quality_score=self.quality_score,
            chunks=chunks,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class FeedbackEvent(_Record):
    """A row of feedback_events: what a user said about a content or a search."""

    event_id: int
    feedback_type: FeedbackType
    content_id: Identifier | None
    query_hash: Hash | None
    session_id: Identifier | None
    rating: Annotated[int, Field(ge=1, le=5)] | None
    comment: str | None
    details: Annotated[dict[str, JsonValue], JsonColumn]
    created_at: UtcDatetime


class FeedbackCount(_Record):
    """How often one type of feedback was given."""

    feedback_type: FeedbackType
    events: int
    mean_rating: float | None


class UsageSignal(_Record):
    """A row of usage_signals: what a user did with a content or a search."""

    signal_id: int
    signal_type: SignalType
    content_id: Identifier | None
    query_hash: Hash | None
    session_id: Identifier | None
    dwell_ms: Count | None
    details: Annotated[dict[str, JsonValue], JsonColumn]
    occurred_at: UtcDatetime
    created_at: UtcDatetime


class NewSignal(_Record):
    """A signal that is to be stored."""

    signal_type: SignalType
    content_id: Identifier | None = None
    query_hash: Hash | None = None
    session_id: Identifier | None = None
    dwell_ms: Count | None = None
    details: dict[str, JsonValue] = Field(default_factory=dict)
    occurred_at: UtcDatetime = Field(default_factory=_now)

    @model_validator(mode="after")
    def _dwell_has_its_time(self) -> NewSignal:
        if (self.dwell_ms is not None) != (self.signal_type == "dwell"):
            raise ValueError("dwell_ms is for signal_type 'dwell', and for no other")
        return self


class SignalCount(_Record):
    """How often one type of signal was seen."""

    signal_type: SignalType
    signals: int
    last_occurred_at: UtcDatetime


class SourceMetadata(_Record):
    """A row of source_metadata: where content comes from, and how well the source answers."""

    source_id: Identifier
    source_type: SourceType
    name: Identifier
    base_url: Url
    reliability_score: Score
    is_active: bool
    request_count: Count
    failure_count: Count
    total_response_ms: Count
    last_success_at: UtcDatetime | None
    last_failure_at: UtcDatetime | None
    created_at: UtcDatetime
    updated_at: UtcDatetime | None

    @property
    def mean_response_ms(self) -> float | None:
        """Milliseconds a request took on average, None before the first."""
        return self.total_response_ms / self.request_count if self.request_count else None


class TechnologyMapping(_Record):
    """A row of technology_mappings: a source that speaks for a technology."""

    mapping_id: int
    technology: Technology
    source_id: Identifier
    priority: int
    is_official: bool
    created_at: UtcDatetime
    updated_at: UtcDatetime | None


MODELS: tuple[type[BaseModel], ...] = (
    ContentMetadata,
    DocumentChunk,
    DocumentRecord,
    DocumentSummary,
    FeedbackCount,
    FeedbackEvent,
    SearchCacheEntry,
    SearchGeneration,
    SearchResult,
    SignalCount,
    SourceMetadata,
    StoredDocument,
    SystemConfig,
    TechnologyMapping,
    UsageSignal,
)
"""What the queries return."""
