-- The `documents` system: the queries that read alike on every engine.
--
-- Times are UTC. Pages are taken by key: pass the last id of a page as after_id of the next, '' (or 0
-- where ids are numbers) to begin. :now is the application's clock; created_at and updated_at are the
-- database's. content_hash and query_hash are lower-case SHA-256.

-- ---- system_config ----
-- KEY is a reserved word on MariaDB and MySQL, except behind a table's name.

-- name: config_entry(key: text) :one
-- returns: SystemConfig
-- session: clean
-- One setting.
SELECT
    system_config.key,
    system_config.value,
    system_config.schema_version,
    system_config.updated_at,
    system_config.updated_by
FROM system_config
WHERE system_config.key = :key;

-- name: config_of_version(schema_version: text) :many
-- returns: SystemConfig
-- session: clean
-- All settings of one version. They are few by nature: operators write them by hand.
SELECT
    system_config.key,
    system_config.value,
    system_config.schema_version,
    system_config.updated_at,
    system_config.updated_by
FROM system_config
WHERE system_config.schema_version = :schema_version
ORDER BY system_config.key;

-- name: delete_config(key: text) :affected
-- session: clean
-- Remove one setting.
DELETE FROM system_config
WHERE system_config.key = :key;

-- ---- search_generation and search_cache ----

-- name: search_generation() :one
-- returns: SearchGeneration
-- session: clean
-- Which generation of the documents a search sees now.
SELECT
    generation_id,
    generation
FROM search_generation
WHERE generation_id = 1;

-- name: begin_search_generation() :affected
-- session: clean
-- Say that the documents changed, so that no answer that was read before is stored from now on.
UPDATE search_generation
SET generation = generation + 1
WHERE generation_id = 1;

-- name: cached_search(query_hash: text, now: timestamp) :one
-- returns: SearchCacheEntry
-- session: clean
-- The stored answer to a search, unless it has expired.
SELECT
    query_hash,
    query_text,
    page_size,
    results,
    created_at,
    updated_at,
    expires_at
FROM search_cache
WHERE
    query_hash = :query_hash
    AND expires_at > :now;

-- name: delete_searches() :affected
-- session: clean
-- Forget all stored answers, since a document changed that any of them may show.
DELETE FROM search_cache;

-- name: delete_expired_searches(now: timestamp, batch_size: int) :affected
-- session: clean
-- Remove the oldest expired answers, at most batch_size of them. The derived table is for MariaDB,
-- which has no LIMIT directly inside of IN.
DELETE FROM search_cache
WHERE
    query_hash IN (
        SELECT expired.query_hash
        FROM (
            SELECT candidate.query_hash
            FROM search_cache AS candidate
            WHERE candidate.expires_at <= :now
            ORDER BY candidate.expires_at, candidate.query_hash
            LIMIT :batch_size
        ) AS expired
    );

-- ---- content_metadata ----

-- name: content_by_id(content_id: text) :one
-- returns: ContentMetadata
-- session: clean
-- One ingested content.
SELECT
    content_id,
    source_id,
    source_url,
    technology,
    content_hash,
    word_count,
    heading_count,
    code_block_count,
    quality_score,
    status,
    failure,
    model_version,
    created_at,
    updated_at
FROM content_metadata
WHERE content_id = :content_id;

-- name: content_by_hash(content_hash: text) :one
-- returns: ContentMetadata
-- session: clean
-- The content with this hash, if it was ever ingested.
SELECT
    content_id,
    source_id,
    source_url,
    technology,
    content_hash,
    word_count,
    heading_count,
    code_block_count,
    quality_score,
    status,
    failure,
    model_version,
    created_at,
    updated_at
FROM content_metadata
WHERE content_hash = :content_hash;

-- name: content_by_technology(technology: text, after_id: text, page_size: int) :many
-- returns: ContentMetadata
-- session: clean
-- One page of the content of a technology, by content_id.
SELECT
    content_id,
    source_id,
    source_url,
    technology,
    content_hash,
    word_count,
    heading_count,
    code_block_count,
    quality_score,
    status,
    failure,
    model_version,
    created_at,
    updated_at
FROM content_metadata
WHERE
    technology = :technology
    AND content_id > :after_id
ORDER BY content_id
LIMIT :page_size;

-- name: content_by_status(status: text, after_id: text, page_size: int) :many
-- returns: ContentMetadata
-- session: clean
-- One page of the content that is pending, processed or failed, by content_id.
SELECT
    content_id,
    source_id,
    source_url,
    technology,
    content_hash,
    word_count,
    heading_count,
    code_block_count,
    quality_score,
    status,
    failure,
    model_version,
    created_at,
    updated_at
FROM content_metadata
WHERE
    status = :status
    AND content_id > :after_id
ORDER BY content_id
LIMIT :page_size;

-- name: add_content(
--     content_id: text, source_id: text, source_url: text, technology: text, content_hash: text,
--     word_count: int, heading_count: int, code_block_count: int, quality_score: float, status: text,
--     failure: text, model_version: text
-- ) :affected
-- writes: content_metadata
-- session: clean
-- Write what is known of a new content. Another content with the same hash is an error.
-- Not an upsert: MariaDB's would take that other content for the one that is meant.
INSERT INTO content_metadata (
    content_id, source_id, source_url, technology, content_hash, word_count, heading_count,
    code_block_count, quality_score, status, failure, model_version
)
VALUES (
    :content_id, :source_id, :source_url, :technology, :content_hash, :word_count, :heading_count,
    :code_block_count, :quality_score, :status, :failure, :model_version
);

-- name: change_content(
--     content_id: text, source_id: text, source_url: text, technology: text, content_hash: text,
--     word_count: int, heading_count: int, code_block_count: int, quality_score: float, status: text,
--     failure: text, model_version: text
-- ) :affected
-- writes: content_metadata
-- Write what is known of a content that is there. Another content with the same hash is an error.
UPDATE content_metadata
SET
    source_id = :source_id,
    source_url = :source_url,
    technology = :technology,
    content_hash = :content_hash,
    word_count = :word_count,
    heading_count = :heading_count,
    code_block_count = :code_block_count,
    quality_score = :quality_score,
    status = :status,
    failure = :failure,
    model_version = :model_version
WHERE content_id = :content_id;

-- name: set_content_status(content_id: text, status: text, failure: text) :affected
-- writes: content_metadata
-- Say how far the processing of a content came; failure is for status 'failed' alone.
UPDATE content_metadata
SET
    status = :status,
    failure = :failure
WHERE content_id = :content_id;

-- name: delete_content(content_id: text) :affected
-- writes: content_metadata, document_search, documents
-- session: clean
-- Remove a content together with its document and chunks. Feedback and signals about it stay.
DELETE FROM content_metadata
WHERE content_id = :content_id;

-- ---- documents and document_chunks ----

-- name: document_by_id(document_id: text) :one
-- returns: StoredDocument
-- session: clean
-- A processed document, without its chunks.
SELECT
    documents.document_id,
    documents.title,
    documents.full_content,
    documents.model_version,
    documents.created_at,
    documents.updated_at,
    content_metadata.source_url,
    content_metadata.technology,
    content_metadata.quality_score,
    content_metadata.content_hash,
    content_metadata.word_count,
    content_metadata.heading_count,
    content_metadata.code_block_count,
    content_metadata.model_version AS metadata_model_version,
    content_metadata.created_at AS metadata_created_at,
    content_metadata.updated_at AS metadata_updated_at
FROM documents
INNER JOIN content_metadata ON documents.document_id = content_metadata.content_id
WHERE documents.document_id = :document_id;

-- name: document_by_hash(content_hash: text) :one
-- returns: StoredDocument
-- session: clean
-- The processed document with this content, without its chunks.
SELECT
    documents.document_id,
    documents.title,
    documents.full_content,
    documents.model_version,
    documents.created_at,
    documents.updated_at,
    content_metadata.source_url,
    content_metadata.technology,
    content_metadata.quality_score,
    content_metadata.content_hash,
    content_metadata.word_count,
    content_metadata.heading_count,
    content_metadata.code_block_count,
    content_metadata.model_version AS metadata_model_version,
    content_metadata.created_at AS metadata_created_at,
    content_metadata.updated_at AS metadata_updated_at
FROM content_metadata
INNER JOIN documents ON content_metadata.content_id = documents.document_id
WHERE content_metadata.content_hash = :content_hash;

-- name: stored_document_id(content_hash: text) :value
-- returns: text
-- session: clean
-- The id of the processed document with this content, if there is one.
SELECT documents.document_id
FROM content_metadata
INNER JOIN documents ON content_metadata.content_id = documents.document_id
WHERE content_metadata.content_hash = :content_hash;

-- name: document_number(document_id: text) :value
-- returns: int
-- session: clean
-- The number of a document in the full-text index; nothing if there is no such document.
SELECT document_number
FROM documents
WHERE document_id = :document_id;

-- name: document_record(document_id: text) :one
-- returns: DocumentRecord
-- session: clean
-- The row of documents alone.
SELECT
    document_number,
    document_id,
    title,
    full_content,
    model_version,
    created_at,
    updated_at
FROM documents
WHERE document_id = :document_id;

-- name: documents_by_technology(technology: text, after_id: text, page_size: int) :many
-- returns: DocumentSummary
-- session: clean
-- One page of the processed documents of a technology, by document_id, without their texts.
SELECT
    documents.document_id,
    documents.title,
    content_metadata.source_url,
    content_metadata.technology,
    content_metadata.quality_score,
    content_metadata.content_hash,
    content_metadata.word_count,
    documents.created_at,
    documents.updated_at
FROM content_metadata
INNER JOIN documents ON content_metadata.content_id = documents.document_id
WHERE
    content_metadata.technology = :technology
    AND content_metadata.content_id > :after_id
ORDER BY content_metadata.content_id
LIMIT :page_size;

-- name: chunks_of_document(document_id: text) :many
-- returns: DocumentChunk
-- session: clean
-- All chunks of a document, in order.
SELECT
    model_version,
    chunk_id AS id,
    document_id AS parent_document_id,
    content,
    chunk_index,
    total_chunks,
    created_at
FROM document_chunks
WHERE document_id = :document_id
ORDER BY chunk_index;

-- name: add_chunk(
--     chunk_id: text, document_id: text, chunk_index: int, total_chunks: int, content: text,
--     model_version: text
-- ) :batch
-- session: clean
-- Store chunks of a document.
INSERT INTO document_chunks (
    chunk_id, document_id, chunk_index, total_chunks, content, model_version
)
VALUES (
    :chunk_id, :document_id, :chunk_index, :total_chunks, :content, :model_version
);

-- name: delete_chunks(document_id: text) :affected
-- session: clean
-- Remove the chunks of a document, to make room for new ones.
DELETE FROM document_chunks
WHERE document_id = :document_id;

-- ---- feedback_events ----

-- name: add_feedback(
--     feedback_type: text, content_id: text, query_hash: text, session_id: text, rating: int, comment:
--     text, details: json
-- ) :one
-- returns: FeedbackEvent
-- Record what a user said.
INSERT INTO feedback_events (
    feedback_type, content_id, query_hash, session_id, rating, comment, details
)
VALUES (
    :feedback_type, :content_id, :query_hash, :session_id, :rating, :comment, :details
)
RETURNING
    event_id,
    feedback_type,
    content_id,
    query_hash,
    session_id,
    rating,
    comment,
    details,
    created_at;

-- name: feedback_after(after_id: int, page_size: int) :many
-- returns: FeedbackEvent
-- session: clean
-- The next events of the log, oldest first.
SELECT
    event_id,
    feedback_type,
    content_id,
    query_hash,
    session_id,
    rating,
    comment,
    details,
    created_at
FROM feedback_events
WHERE event_id > :after_id
ORDER BY event_id
LIMIT :page_size;

-- name: feedback_on_content(content_id: text, after_id: int, page_size: int) :many
-- returns: FeedbackEvent
-- session: clean
-- One page of the feedback on one content, oldest first.
SELECT
    event_id,
    feedback_type,
    content_id,
    query_hash,
    session_id,
    rating,
    comment,
    details,
    created_at
FROM feedback_events
WHERE
    content_id = :content_id
    AND event_id > :after_id
ORDER BY event_id
LIMIT :page_size;

-- name: feedback_summary(content_id: text) :many
-- returns: FeedbackCount
-- session: clean
-- How often each type of feedback was given on one content, with the mean of its ratings. The cast keeps
-- it a float: the mean of integers is a decimal elsewhere, and on MariaDB one that is rounded.
SELECT
    feedback_type,
    count(event_id) AS events,
    avg(cast(rating AS FLOAT)) AS mean_rating
FROM feedback_events
WHERE content_id = :content_id
GROUP BY feedback_type
ORDER BY feedback_type;

-- ---- usage_signals ----

-- name: add_signal(
--     signal_type: text, content_id: text, query_hash: text, session_id: text, dwell_ms: int, details:
--     json, occurred_at: timestamp
-- ) :batch
-- Record what users did.
INSERT INTO usage_signals (
    signal_type, content_id, query_hash, session_id, dwell_ms, details, occurred_at
)
VALUES (
    :signal_type, :content_id, :query_hash, :session_id, :dwell_ms, :details, :occurred_at
);

-- name: signals_after(after_id: int, page_size: int) :many
-- returns: UsageSignal
-- session: clean
-- The next signals of the log, in the order in which they were stored.
SELECT
    signal_id,
    signal_type,
    content_id,
    query_hash,
    session_id,
    dwell_ms,
    details,
    occurred_at,
    created_at
FROM usage_signals
WHERE signal_id > :after_id
ORDER BY signal_id
LIMIT :page_size;

-- name: signals_on_content(content_id: text, after_id: int, page_size: int) :many
-- returns: UsageSignal
-- session: clean
-- One page of the signals about one content, in the order in which they were stored.
SELECT
    signal_id,
    signal_type,
    content_id,
    query_hash,
    session_id,
    dwell_ms,
    details,
    occurred_at,
    created_at
FROM usage_signals
WHERE
    content_id = :content_id
    AND signal_id > :after_id
ORDER BY signal_id
LIMIT :page_size;

-- name: signal_summary(content_id: text, since: timestamp) :many
-- returns: SignalCount
-- session: clean
-- How often each type of signal was seen about one content since a moment.
SELECT
    signal_type,
    count(signal_id) AS signals,
    max(occurred_at) AS last_occurred_at
FROM usage_signals
WHERE
    content_id = :content_id
    AND occurred_at >= :since
GROUP BY signal_type
ORDER BY signal_type;

-- ---- source_metadata ----

-- name: source_by_id(source_id: text) :one
-- returns: SourceMetadata
-- session: clean
-- One source.
SELECT
    source_id,
    source_type,
    name,
    base_url,
    reliability_score,
    is_active,
    request_count,
    failure_count,
    total_response_ms,
    last_success_at,
    last_failure_at,
    created_at,
    updated_at
FROM source_metadata
WHERE source_id = :source_id;

-- name: sources(is_active: bool, after_id: text, page_size: int) :many
-- returns: SourceMetadata
-- session: clean
-- One page of the sources that are in use, or of those that are not, by source_id.
SELECT
    source_id,
    source_type,
    name,
    base_url,
    reliability_score,
    is_active,
    request_count,
    failure_count,
    total_response_ms,
    last_success_at,
    last_failure_at,
    created_at,
    updated_at
FROM source_metadata
WHERE
    is_active = :is_active
    AND source_id > :after_id
ORDER BY source_id
LIMIT :page_size;

-- name: add_source_success(source_id: text, response_ms: int, now: timestamp) :affected
-- Count a request that the source answered.
UPDATE source_metadata
SET
    request_count = request_count + 1,
    total_response_ms = total_response_ms + :response_ms,
    last_success_at = :now
WHERE source_id = :source_id;

-- name: add_source_failure(source_id: text, response_ms: int, now: timestamp) :affected
-- Count a request that the source failed.
UPDATE source_metadata
SET
    request_count = request_count + 1,
    failure_count = failure_count + 1,
    total_response_ms = total_response_ms + :response_ms,
    last_failure_at = :now
WHERE source_id = :source_id;

-- name: delete_source(source_id: text) :affected
-- writes: content_metadata
-- Remove a source together with its mappings. What was ingested from it stays.
DELETE FROM source_metadata
WHERE source_id = :source_id;

-- ---- technology_mappings ----

-- name: sources_of_technology(technology: text, page_size: int) :many
-- returns: TechnologyMapping
-- session: clean
-- The best sources of a technology, in the order in which to ask them.
SELECT
    mapping_id,
    technology,
    source_id,
    priority,
    is_official,
    created_at,
    updated_at
FROM technology_mappings
WHERE technology = :technology
ORDER BY priority, mapping_id
LIMIT :page_size;

-- name: delete_technology_mapping(technology: text, source_id: text) :affected
-- session: clean
-- Say that a source no longer speaks for a technology.
DELETE FROM technology_mappings
WHERE
    technology = :technology
    AND source_id = :source_id;
