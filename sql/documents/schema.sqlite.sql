-- The `documents` system: ingested documents, their full-text search, cached searches, feedback and use.
--
-- This file is the whole schema as the migrations in migrations/documents/sqlite leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.sqlite.sql only where migrations are used.
--
-- Times are UTC text of one fixed width, 2026-01-02T03:04:05.678901Z, so that they sort as text.
-- created_at and updated_at are written by the database (here in milliseconds, with 000 behind);
-- every other time is written by the application. An updated_at trigger names all columns but the two
-- clocks, so its own UPDATE cannot fire it again.
-- JSON is text that json_valid accepts; booleans are 0 and 1.
-- Foreign keys hold only on connections that say PRAGMA foreign_keys = ON.
-- trusted_schema must stay ON: the triggers write to an FTS5 table.

-- Runtime settings, one JSON value per key.
CREATE TABLE system_config (
    "key" TEXT NOT NULL,
    value TEXT NOT NULL, -- any JSON value
    schema_version TEXT NOT NULL DEFAULT '1.0', -- the shape of the settings that the value belongs to
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_by TEXT NOT NULL DEFAULT 'system',
    CONSTRAINT system_config_pk PRIMARY KEY ("key"),
    CONSTRAINT system_config_key_length CHECK (length("key") BETWEEN 1 AND 200),
    CONSTRAINT system_config_value_json CHECK (json_valid(value)),
    CONSTRAINT system_config_schema_version_length CHECK (length(schema_version) BETWEEN 1 AND 20),
    CONSTRAINT system_config_updated_by_length CHECK (length(updated_by) BETWEEN 1 AND 200),
    CONSTRAINT system_config_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- All settings of one version, which applications load and cache as a whole.
CREATE INDEX system_config_schema_version_idx ON system_config (schema_version, "key");

CREATE TRIGGER system_config_updated_at
AFTER UPDATE OF "key", value, schema_version, updated_by ON system_config
BEGIN
    UPDATE system_config
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE "key" = new."key";
END;

-- Sources of content: how reliable they are and how they answer.
-- The mean response time is total_response_ms / request_count.
CREATE TABLE source_metadata (
    source_id TEXT NOT NULL,
    source_type TEXT NOT NULL,
    name TEXT NOT NULL,
    base_url TEXT NOT NULL,
    reliability_score REAL NOT NULL DEFAULT 0.5, -- 0 worst, 1 best; the application's judgement
    is_active INTEGER NOT NULL DEFAULT 1,
    request_count INTEGER NOT NULL DEFAULT 0,
    failure_count INTEGER NOT NULL DEFAULT 0,
    total_response_ms INTEGER NOT NULL DEFAULT 0,
    last_success_at TEXT,
    last_failure_at TEXT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT, -- NULL until the first change
    CONSTRAINT source_metadata_pk PRIMARY KEY (source_id),
    CONSTRAINT source_metadata_source_id_length CHECK (length(source_id) BETWEEN 1 AND 200),
    CONSTRAINT source_metadata_source_type_known CHECK (
        source_type IN ('website', 'repository', 'package_index', 'api')
    ),
    CONSTRAINT source_metadata_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT source_metadata_base_url_length CHECK (length(base_url) BETWEEN 1 AND 2048),
    CONSTRAINT source_metadata_reliability_score_range CHECK (reliability_score BETWEEN 0.0 AND 1.0),
    CONSTRAINT source_metadata_is_active_boolean CHECK (is_active IN (0, 1)),
    CONSTRAINT source_metadata_failure_count_range CHECK (failure_count BETWEEN 0 AND request_count),
    CONSTRAINT source_metadata_total_response_ms_range CHECK (total_response_ms >= 0),
    CONSTRAINT source_metadata_last_success_at_shape CHECK (
        last_success_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT source_metadata_last_failure_at_shape CHECK (
        last_failure_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT source_metadata_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT source_metadata_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The active sources, page by page.
CREATE INDEX source_metadata_is_active_idx ON source_metadata (is_active, source_id);

CREATE TRIGGER source_metadata_updated_at
AFTER UPDATE OF
source_id, source_type, name, base_url, reliability_score, is_active, request_count, failure_count,
total_response_ms, last_success_at, last_failure_at
ON source_metadata
BEGIN
    UPDATE source_metadata
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE source_id = new.source_id;
END;

-- The authoritative sources of each technology, best first.
CREATE TABLE technology_mappings (
    mapping_id INTEGER NOT NULL,
    technology TEXT NOT NULL,
    source_id TEXT NOT NULL,
    priority INTEGER NOT NULL DEFAULT 100, -- lower is asked first
    is_official INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT, -- NULL until the first change
    CONSTRAINT technology_mappings_pk PRIMARY KEY (mapping_id),
    CONSTRAINT technology_mappings_technology_source_id_unique UNIQUE (technology, source_id),
    CONSTRAINT technology_mappings_source_id_fk FOREIGN KEY (source_id)
    REFERENCES source_metadata (source_id) ON UPDATE RESTRICT ON DELETE CASCADE,
    CONSTRAINT technology_mappings_technology_length CHECK (length(technology) BETWEEN 1 AND 100),
    CONSTRAINT technology_mappings_priority_range CHECK (priority BETWEEN 0 AND 1000),
    CONSTRAINT technology_mappings_is_official_boolean CHECK (is_official IN (0, 1)),
    CONSTRAINT technology_mappings_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT technology_mappings_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The sources of one technology in the order in which they are asked.
CREATE INDEX technology_mappings_technology_priority_idx
ON technology_mappings (technology, priority, mapping_id);

-- For the foreign key: a source that is deleted takes its mappings along.
CREATE INDEX technology_mappings_source_id_idx ON technology_mappings (source_id);

CREATE TRIGGER technology_mappings_updated_at
AFTER UPDATE OF mapping_id, technology, source_id, priority, is_official ON technology_mappings
BEGIN
    UPDATE technology_mappings
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE mapping_id = new.mapping_id;
END;

-- Ingested content: one row per content that was ever fetched, whether or not it became a document.
-- It stays small and fixed in width: title and text are in documents, under the same id.
CREATE TABLE content_metadata (
    content_id TEXT NOT NULL,
    source_id TEXT, -- NULL: no known source, or one that was deleted
    source_url TEXT NOT NULL,
    technology TEXT NOT NULL,
    content_hash TEXT NOT NULL, -- lower-case SHA-256 of the content
    word_count INTEGER NOT NULL DEFAULT 0,
    heading_count INTEGER NOT NULL DEFAULT 0,
    code_block_count INTEGER NOT NULL DEFAULT 0,
    quality_score REAL NOT NULL DEFAULT 0.0, -- 0 worst, 1 best
    status TEXT NOT NULL DEFAULT 'pending',
    failure TEXT, -- why processing failed
    model_version TEXT NOT NULL DEFAULT '1.0.0', -- of DocumentMetadata
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT, -- NULL until the first change
    CONSTRAINT content_metadata_pk PRIMARY KEY (content_id),
    CONSTRAINT content_metadata_content_hash_unique UNIQUE (content_hash),
    CONSTRAINT content_metadata_source_id_fk FOREIGN KEY (source_id)
    REFERENCES source_metadata (source_id) ON UPDATE RESTRICT ON DELETE SET NULL,
    CONSTRAINT content_metadata_content_id_length CHECK (length(content_id) BETWEEN 1 AND 200),
    CONSTRAINT content_metadata_source_url_length CHECK (length(source_url) BETWEEN 1 AND 2048),
    CONSTRAINT content_metadata_technology_length CHECK (length(technology) BETWEEN 1 AND 100),
    CONSTRAINT content_metadata_content_hash_shape CHECK (
        length(content_hash) = 64 AND content_hash NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT content_metadata_word_count_range CHECK (word_count >= 0),
    CONSTRAINT content_metadata_heading_count_range CHECK (heading_count >= 0),
    CONSTRAINT content_metadata_code_block_count_range CHECK (code_block_count >= 0),
    CONSTRAINT content_metadata_quality_score_range CHECK (quality_score BETWEEN 0.0 AND 1.0),
    CONSTRAINT content_metadata_status_known CHECK (status IN ('pending', 'processed', 'failed')),
    CONSTRAINT content_metadata_failure_only_if_failed CHECK ((failure IS NOT NULL) = (status = 'failed')),
    CONSTRAINT content_metadata_failure_length CHECK (length(failure) BETWEEN 1 AND 2000),
    CONSTRAINT content_metadata_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20),
    CONSTRAINT content_metadata_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT content_metadata_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The content of one technology, page by page.
CREATE INDEX content_metadata_technology_idx ON content_metadata (technology, content_id);

-- What waits, and what failed, page by page.
CREATE INDEX content_metadata_status_idx ON content_metadata (status, content_id);

-- For the foreign key: a source that is deleted is looked for here.
CREATE INDEX content_metadata_source_id_idx ON content_metadata (source_id);

CREATE TRIGGER content_metadata_updated_at
AFTER UPDATE OF
content_id, source_id, source_url, technology, content_hash, word_count, heading_count, code_block_count,
quality_score, status, failure, model_version
ON content_metadata
BEGIN
    UPDATE content_metadata
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE content_id = new.content_id;
END;

-- Processed documents: the title and the whole text of a content, under the content's id.
-- Texts have at most 4,000,000 characters, so that no engine's text type cuts them off.
CREATE TABLE documents (
    document_number INTEGER NOT NULL, -- what the full-text index knows the row by: never changes
    document_id TEXT NOT NULL,
    title TEXT NOT NULL,
    full_content TEXT NOT NULL,
    model_version TEXT NOT NULL DEFAULT '1.0.0', -- of ProcessedDocument
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT, -- NULL until the first change
    CONSTRAINT documents_pk PRIMARY KEY (document_number),
    CONSTRAINT documents_document_id_unique UNIQUE (document_id),
    CONSTRAINT documents_document_id_fk FOREIGN KEY (document_id)
    REFERENCES content_metadata (content_id) ON UPDATE RESTRICT ON DELETE CASCADE,
    CONSTRAINT documents_title_length CHECK (length(title) BETWEEN 1 AND 500),
    CONSTRAINT documents_full_content_length CHECK (length(full_content) <= 4000000),
    CONSTRAINT documents_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20),
    CONSTRAINT documents_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT documents_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

CREATE TRIGGER documents_updated_at
AFTER UPDATE OF document_number, document_id, title, full_content, model_version ON documents
BEGIN
    UPDATE documents
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE document_number = new.document_number;
END;

-- The chunks of each document, numbered from 0 without gaps. They are replaced, never changed.
CREATE TABLE document_chunks (
    chunk_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    chunk_index INTEGER NOT NULL,
    total_chunks INTEGER NOT NULL,
    content TEXT NOT NULL,
    model_version TEXT NOT NULL DEFAULT '1.0.0', -- of DocumentChunk
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT document_chunks_pk PRIMARY KEY (chunk_id),
    CONSTRAINT document_chunks_document_id_chunk_index_unique UNIQUE (document_id, chunk_index),
    CONSTRAINT document_chunks_document_id_fk FOREIGN KEY (document_id)
    REFERENCES documents (document_id) ON UPDATE RESTRICT ON DELETE CASCADE,
    CONSTRAINT document_chunks_chunk_id_length CHECK (length(chunk_id) BETWEEN 1 AND 200),
    CONSTRAINT document_chunks_chunk_index_range CHECK (chunk_index >= 0 AND chunk_index < total_chunks),
    CONSTRAINT document_chunks_content_length CHECK (length(content) <= 4000000),
    CONSTRAINT document_chunks_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20),
    CONSTRAINT document_chunks_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The full-text index over documents. It holds the words only and reads the texts from documents
-- (external content), so the triggers have to tell it the exact old text: INSERT OR REPLACE into
-- documents would bypass them; use ON CONFLICT DO UPDATE. Should the index ever be in doubt:
--     INSERT INTO document_search (document_search, rank) VALUES ('integrity-check', 1);
--     INSERT INTO document_search (document_search) VALUES ('rebuild');
-- Case is folded; accents count, as they do on the other engines.
CREATE VIRTUAL TABLE document_search USING fts5 (
    title,
    full_content,
    content = 'documents',
    content_rowid = 'document_number',
    tokenize = 'unicode61 remove_diacritics 0'
);

CREATE TRIGGER documents_search_insert
AFTER INSERT ON documents
BEGIN
    INSERT INTO document_search (rowid, title, full_content)
    VALUES (new.document_number, new.title, new.full_content);
END;

CREATE TRIGGER documents_search_update
AFTER UPDATE OF document_number, title, full_content ON documents
BEGIN
    INSERT INTO document_search (document_search, rowid, title, full_content)
    VALUES ('delete', old.document_number, old.title, old.full_content);
    INSERT INTO document_search (rowid, title, full_content)
    VALUES (new.document_number, new.title, new.full_content);
END;

CREATE TRIGGER documents_search_delete
AFTER DELETE ON documents
BEGIN
    INSERT INTO document_search (document_search, rowid, title, full_content)
    VALUES ('delete', old.document_number, old.title, old.full_content);
END;

-- Which generation of the documents searches see: one number, counted up by every change that an answer may
-- show, in the transaction of that change. An answer is stored only if its generation is still this one.
-- If the row is lost, no answer is stored.
CREATE TABLE search_generation (
    generation_id INTEGER NOT NULL, -- 1: there is one row
    generation INTEGER NOT NULL,
    CONSTRAINT search_generation_pk PRIMARY KEY (generation_id),
    CONSTRAINT search_generation_one_row CHECK (generation_id = 1),
    CONSTRAINT search_generation_generation_range CHECK (generation >= 0)
) STRICT;

INSERT INTO search_generation (generation_id, generation) VALUES (1, 0);

-- Cached searches. A row is good until expires_at, which the application sets by its own clock, and is
-- deleted before that when a document changes. Expired rows are removed in batches by the cleanup.
CREATE TABLE search_cache (
    query_hash TEXT NOT NULL, -- lower-case SHA-256 of the words and the page size
    query_text TEXT NOT NULL,
    page_size INTEGER NOT NULL,
    results TEXT NOT NULL, -- JSON array, best match first
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT, -- NULL until the first change
    expires_at TEXT NOT NULL,
    CONSTRAINT search_cache_pk PRIMARY KEY (query_hash),
    CONSTRAINT search_cache_query_hash_shape CHECK (
        length(query_hash) = 64 AND query_hash NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT search_cache_query_text_length CHECK (length(query_text) <= 1000),
    CONSTRAINT search_cache_page_size_range CHECK (page_size BETWEEN 1 AND 1000),
    CONSTRAINT search_cache_results_json CHECK (
        CASE WHEN json_valid(results) THEN json_type(results) = 'array' ELSE 0 END
    ),
    CONSTRAINT search_cache_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT search_cache_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT search_cache_expires_at_shape CHECK (
        expires_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- For the cleanup of expired rows, oldest first.
CREATE INDEX search_cache_expires_at_idx ON search_cache (expires_at, query_hash);

CREATE TRIGGER search_cache_updated_at
AFTER UPDATE OF query_hash, query_text, page_size, results, expires_at ON search_cache
BEGIN
    UPDATE search_cache
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE query_hash = new.query_hash;
END;

-- Explicit feedback of users. Rows are added, never changed; event_id grows, so that a reader can
-- remember how far it came.
CREATE TABLE feedback_events (
    event_id INTEGER NOT NULL,
    feedback_type TEXT NOT NULL,
    content_id TEXT, -- NULL: about a search as a whole, or the content was deleted
    query_hash TEXT, -- the search that led here; its search_cache row may be long gone
    session_id TEXT,
    rating INTEGER, -- 1 worst, 5 best; for feedback_type 'rating' only
    comment TEXT,
    details TEXT NOT NULL DEFAULT '{}', -- JSON object
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT feedback_events_pk PRIMARY KEY (event_id),
    CONSTRAINT feedback_events_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON UPDATE RESTRICT ON DELETE SET NULL,
    CONSTRAINT feedback_events_feedback_type_known CHECK (
        feedback_type IN ('helpful', 'not_helpful', 'outdated', 'incorrect', 'rating')
    ),
    CONSTRAINT feedback_events_query_hash_shape CHECK (
        length(query_hash) = 64 AND query_hash NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT feedback_events_session_id_length CHECK (length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT feedback_events_rating_range CHECK (rating BETWEEN 1 AND 5),
    CONSTRAINT feedback_events_rating_only_if_rated CHECK ((rating IS NOT NULL) = (feedback_type = 'rating')),
    CONSTRAINT feedback_events_comment_length CHECK (length(comment) BETWEEN 1 AND 4000),
    CONSTRAINT feedback_events_details_json CHECK (
        CASE WHEN json_valid(details) THEN json_type(details) = 'object' ELSE 0 END
    ),
    CONSTRAINT feedback_events_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The feedback on one content in the order in which it came; also for the foreign key.
CREATE INDEX feedback_events_content_id_idx ON feedback_events (content_id, event_id);

-- Implicit signals of use. Rows are added, mostly many at once, and never changed; signal_id grows, so
-- that a reader can remember how far it came.
CREATE TABLE usage_signals (
    signal_id INTEGER NOT NULL,
    signal_type TEXT NOT NULL,
    content_id TEXT, -- NULL: about a search as a whole, or the content was deleted
    query_hash TEXT, -- the search that led here; its search_cache row may be long gone
    session_id TEXT,
    dwell_ms INTEGER, -- how long the user stayed; for signal_type 'dwell' only
    details TEXT NOT NULL DEFAULT '{}', -- JSON object
    occurred_at TEXT NOT NULL, -- by the client's clock; created_at is when the row was stored
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT usage_signals_pk PRIMARY KEY (signal_id),
    CONSTRAINT usage_signals_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON UPDATE RESTRICT ON DELETE SET NULL,
    CONSTRAINT usage_signals_signal_type_known CHECK (
        signal_type IN ('search', 'click', 'view', 'copy', 'dwell', 'refine', 'abandon')
    ),
    CONSTRAINT usage_signals_query_hash_shape CHECK (
        length(query_hash) = 64 AND query_hash NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT usage_signals_session_id_length CHECK (length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT usage_signals_dwell_ms_range CHECK (dwell_ms >= 0),
    CONSTRAINT usage_signals_dwell_ms_only_if_dwell CHECK ((dwell_ms IS NOT NULL) = (signal_type = 'dwell')),
    CONSTRAINT usage_signals_details_json CHECK (
        CASE WHEN json_valid(details) THEN json_type(details) = 'object' ELSE 0 END
    ),
    CONSTRAINT usage_signals_occurred_at_shape CHECK (
        occurred_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT usage_signals_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The signals about one content in the order in which they came; also for the foreign key.
CREATE INDEX usage_signals_content_id_idx ON usage_signals (content_id, signal_id);
