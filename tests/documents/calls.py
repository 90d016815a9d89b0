"""What an application does with the `documents` system, from an empty database on."""

from __future__ import annotations

from datetime import timedelta

from pydantic import JsonValue

from dal.errors import (
    CheckViolation,
    ForeignKeyViolation,
    ParameterError,
    UniqueViolation,
)
from dal.models.documents import NewSignal, SearchResult
from dal.repositories.documents import (
    ContentMetadataRepository,
    FeedbackEventRepository,
    ProcessedDocumentRepository,
    SearchCacheRepository,
    SourceMetadataRepository,
    SystemConfigRepository,
    TechnologyMappingRepository,
    UsageSignalRepository,
    search_hash,
)
from tests.documents.samples import NOW, digest, document
from tests.systems.calls import Step, call, refused, then

LATER = NOW + timedelta(days=1)
ANSWER = SearchResult(
    document_id="tea",
    title="Tea \U0001f375",
    source_url="https://docs.example/tea",
    technology="python",
    quality_score=0.1,
    snippet="naïve\r\n\t text",
)
DETAILS: dict[str, JsonValue] = {
    "b": [1, 2.5, None, True],
    "a": {"text": "é\u2028\U0001f600"},
    "large": 2**60,
    "small": -1e-300,
}

CALLS: tuple[Step, ...] = (
    # Settings
    call(SystemConfigRepository.get, "limit"),
    call(SystemConfigRepository.settings),
    call(SystemConfigRepository.put, "limit", 3),
    call(SystemConfigRepository.put, "Limit", {"nested": [None, "é", 0.1, 2**53 + 1]}, updated_by="ops"),
    call(SystemConfigRepository.put, "new", None, schema_version="2.0"),
    call(SystemConfigRepository.put, "limit", 4),
    refused(CheckViolation, SystemConfigRepository.put, "", 3),
    refused(CheckViolation, SystemConfigRepository.put, "k" * 201, 3),
    call(SystemConfigRepository.get, "limit"),
    call(SystemConfigRepository.get, "Limit"),
    call(SystemConfigRepository.get, "LIMIT"),
    call(SystemConfigRepository.settings),
    call(SystemConfigRepository.settings, "2.0"),
    call(SystemConfigRepository.delete, "Limit"),
    call(SystemConfigRepository.delete, "Limit"),
    call(SystemConfigRepository.settings),
    # Sources
    call(SourceMetadataRepository.get, "src"),
    call(
        SourceMetadataRepository.put,
        "src",
        source_type="website",
        name="Docs",
        base_url="https://docs.example",
    ),
    call(
        SourceMetadataRepository.put,
        "old",
        source_type="api",
        name="Old",
        base_url="https://old.example",
        is_active=False,
    ),
    call(
        SourceMetadataRepository.put,
        "zeta",
        source_type="repository",
        name="Zeta",
        base_url="https://zeta.example",
        reliability_score=1.0,
    ),
    refused(
        CheckViolation,
        SourceMetadataRepository.put,
        "bad",
        source_type="api",
        name="Bad",
        base_url="https://bad.example",
        reliability_score=1.5,
    ),
    call(SourceMetadataRepository.count_request, "src", succeeded=True, response_ms=120, now=NOW),
    call(SourceMetadataRepository.count_request, "src", succeeded=False, response_ms=30, now=LATER),
    call(SourceMetadataRepository.count_request, "none", succeeded=True, response_ms=1, now=NOW),
    call(SourceMetadataRepository.get, "src"),
    call(SourceMetadataRepository.page, page_size=1),
    then(lambda page: call(SourceMetadataRepository.page, after_id=page[-1].source_id, page_size=1)),
    call(SourceMetadataRepository.page, is_active=False),
    refused(ParameterError, SourceMetadataRepository.page, page_size=0),
    call(TechnologyMappingRepository.put, "python", "zeta", priority=10),
    call(TechnologyMappingRepository.put, "python", "src", priority=5, is_official=True),
    call(TechnologyMappingRepository.put, "python", "zeta", priority=1),
    call(TechnologyMappingRepository.put, "rust", "src"),
    refused(ForeignKeyViolation, TechnologyMappingRepository.put, "python", "none"),
    call(TechnologyMappingRepository.sources_of, "python"),
    call(TechnologyMappingRepository.sources_of, "python", page_size=1),
    call(TechnologyMappingRepository.delete, "rust", "src"),
    call(TechnologyMappingRepository.delete, "rust", "src"),
    # What is ingested
    call(
        ContentMetadataRepository.put,
        "raw",
        source_url="https://docs.example/raw",
        technology="python",
        content_hash=digest("raw"),
        source_id="zeta",
        word_count=2**40,
        quality_score=0.1,
    ),
    refused(
        UniqueViolation,
        ContentMetadataRepository.put,
        "other",
        source_url="https://docs.example/raw",
        technology="python",
        content_hash=digest("raw"),
    ),
    refused(
        ForeignKeyViolation,
        ContentMetadataRepository.put,
        "other",
        source_url="https://docs.example/other",
        technology="python",
        content_hash=digest("other"),
        source_id="none",
    ),
    call(ContentMetadataRepository.get, "raw"),
    call(ContentMetadataRepository.set_status, "raw", "failed", failure="no answer"),
    call(ContentMetadataRepository.set_status, "none", "processed"),
    refused(CheckViolation, ContentMetadataRepository.set_status, "raw", "failed"),
    call(ContentMetadataRepository.by_status, "failed"),
    call(ContentMetadataRepository.by_status, "pending"),
    call(ContentMetadataRepository.by_hash, digest("raw")),
    call(ContentMetadataRepository.by_hash, digest("none")),
    # Documents
    call(ProcessedDocumentRepository.save, document("doc", "wonderful words\nof documents"), source_id="src"),
    call(ProcessedDocumentRepository.save, document("doc", "wonderful words\nof documents"), source_id="src"),
    call(ProcessedDocumentRepository.save, document("tea", "another wonderful document", quality_score=0.1)),
    call(ProcessedDocumentRepository.save, document("copy", "another wonderful document")),
    call(ProcessedDocumentRepository.save, document("doc", "wonderful words, changed"), source_id="src"),
    refused(UniqueViolation, ProcessedDocumentRepository.save, document("new", "raw")),
    refused(ForeignKeyViolation, ProcessedDocumentRepository.save, document("new", "new"), source_id="none"),
    call(ProcessedDocumentRepository.get, "doc"),
    call(ProcessedDocumentRepository.get, "new"),
    call(ProcessedDocumentRepository.by_hash, digest("another wonderful document")),
    call(ProcessedDocumentRepository.by_hash, digest("another wonderful document")),
    call(ProcessedDocumentRepository.by_hash, digest("none")),
    call(ProcessedDocumentRepository.by_technology, "python", page_size=1),
    then(
        lambda page: call(
            ProcessedDocumentRepository.by_technology, "python", after_id=page[-1].document_id, page_size=1
        )
    ),
    call(ContentMetadataRepository.by_technology, "python"),
    # The search
    call(SearchCacheRepository.generation),
    call(ProcessedDocumentRepository.search, "words changed", now=NOW),
    call(ProcessedDocumentRepository.search, "words changed", now=NOW),
    call(SearchCacheRepository.get, search_hash("words changed", 10), now=NOW),
    call(SearchCacheRepository.get, search_hash("words changed", 10), now=LATER),
    call(ProcessedDocumentRepository.search, "nowhere", now=NOW),
    call(SearchCacheRepository.generation),
    then(
        lambda generation: call(
            SearchCacheRepository.put, "tea", 5, [ANSWER], generation=generation, expires_at=LATER
        )
    ),
    call(SearchCacheRepository.put, "late", 5, [ANSWER], generation=0, expires_at=LATER),
    call(SearchCacheRepository.get, search_hash("tea", 5), now=NOW),
    call(SearchCacheRepository.delete_expired, now=NOW),
    call(SearchCacheRepository.delete_expired, now=LATER),
    call(SearchCacheRepository.delete_expired, now=LATER),
    # What users say and do
    call(FeedbackEventRepository.add, "rating", content_id="doc", rating=4, details=DETAILS),
    call(FeedbackEventRepository.add, "rating", content_id="doc", rating=5, comment="naïve \U0001f600"),
    call(FeedbackEventRepository.add, "rating", content_id="doc", rating=4, session_id="s"),
    call(FeedbackEventRepository.add, "helpful", query_hash=digest("query")),
    call(FeedbackEventRepository.add, "outdated", content_id="doc"),
    refused(CheckViolation, FeedbackEventRepository.add, "rating", content_id="doc"),
    refused(ForeignKeyViolation, FeedbackEventRepository.add, "helpful", content_id="none"),
    call(FeedbackEventRepository.after, page_size=2),
    call(FeedbackEventRepository.on_content, "doc"),
    call(FeedbackEventRepository.on_content, "doc", after_id=2, page_size=1),
    call(FeedbackEventRepository.summary, "doc"),
    call(FeedbackEventRepository.summary, "none"),
    call(
        UsageSignalRepository.add,
        [
            NewSignal(signal_type="view", content_id="doc", occurred_at=NOW, details=DETAILS),
            NewSignal(signal_type="dwell", content_id="doc", dwell_ms=2**40, occurred_at=LATER),
            NewSignal(signal_type="view", content_id="doc", session_id="s", occurred_at=LATER),
        ],
    ),
    refused(
        ForeignKeyViolation,
        UsageSignalRepository.add,
        [
            NewSignal(signal_type="view", content_id="doc", occurred_at=NOW),
            NewSignal(signal_type="view", content_id="none", occurred_at=NOW),
        ],
    ),
    call(UsageSignalRepository.add, []),
    call(UsageSignalRepository.after, 1, page_size=1),
    call(UsageSignalRepository.on_content, "doc"),
    call(UsageSignalRepository.summary, "doc", since=NOW),
    call(UsageSignalRepository.summary, "doc", since=LATER),
    # What is taken away, and what stays of it
    call(SourceMetadataRepository.delete, "zeta"),
    call(SourceMetadataRepository.delete, "zeta"),
    call(TechnologyMappingRepository.sources_of, "python"),
    call(ContentMetadataRepository.get, "raw"),
    call(ContentMetadataRepository.delete, "raw"),
    call(ContentMetadataRepository.delete, "raw"),
    call(ProcessedDocumentRepository.delete, "doc"),
    call(ProcessedDocumentRepository.delete, "doc"),
    call(ProcessedDocumentRepository.get, "doc"),
    call(ContentMetadataRepository.get, "doc"),
    call(ProcessedDocumentRepository.search, "wonderful", now=NOW),
    call(UsageSignalRepository.after),
    call(SearchCacheRepository.generation),
)

_GAPS = "an upsert and a refused INSERT use up a number on a server"

ENGINES_OWN = {
    "SearchResult.snippet": "each engine cuts passages in its own way",
    "TechnologyMapping.mapping_id": _GAPS,
    "TechnologyMappingRepository.put": _GAPS,
    "FeedbackEvent.event_id": _GAPS,
    "UsageSignal.signal_id": _GAPS,
}
