-- The `documents` system: ingested documents, their full-text search, cached searches, feedback and use.
--
-- This file is the whole schema as the migrations in migrations/documents/mysql leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.mysql.sql only where migrations are used.
-- For MariaDB 10.6 or later. Not for MySQL 8, which has neither utf8mb4_nopad_bin nor INSERT ... RETURNING.
--
-- created_at and updated_at are written by the database; every other time is written by the application.
-- A change of a row, of whatever column, moves updated_at.
-- Times are DATETIME(6) in UTC: years 1000 to 9999, and no conversion by the session's time zone. TIMESTAMP
-- ends in 2038. The clock is utc_timestamp(), since current_timestamp() is the session's local time: that is
-- why a trigger moves updated_at, and not ON UPDATE.
-- Text is utf8mb4 and compares and sorts by code point, trailing spaces included, whatever the server's
-- defaults. A named CHECK bounds its length. Indexed columns are VARCHAR(255), for an index holds 3,072 bytes.
-- JSON is text that json_valid accepts, which is what the type JSON stands for, here with names for the checks.
-- Indexes and constraints stand in CREATE TABLE: each statement that changes the schema commits by itself.
-- Creating triggers where the binary log is on takes SUPER, or log_bin_trust_function_creators = 1.

-- Runtime settings, one JSON value per key.
CREATE TABLE system_config (
    `key` VARCHAR(255) NOT NULL,
    value LONGTEXT NOT NULL, -- any JSON value
    schema_version VARCHAR(255) NOT NULL DEFAULT '1.0', -- the shape of the settings that it belongs to
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_by VARCHAR(255) NOT NULL DEFAULT 'system',
    CONSTRAINT system_config_pk PRIMARY KEY (`key`),
    CONSTRAINT system_config_key_length CHECK (char_length(`key`) BETWEEN 1 AND 200),
    CONSTRAINT system_config_value_json CHECK (json_valid(value)),
    CONSTRAINT system_config_schema_version_length CHECK (char_length(schema_version) BETWEEN 1 AND 20),
    CONSTRAINT system_config_updated_by_length CHECK (char_length(updated_by) BETWEEN 1 AND 200),
    -- All settings of one version, which applications load and cache as a whole.
    INDEX system_config_schema_version_idx (schema_version, `key`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER system_config_updated_at
BEFORE UPDATE ON system_config
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- Sources of content: how reliable they are and how they answer.
-- The mean response time is total_response_ms / request_count.
CREATE TABLE source_metadata (
    source_id VARCHAR(255) NOT NULL,
    source_type VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    base_url TEXT NOT NULL,
    reliability_score DOUBLE NOT NULL DEFAULT 0.5, -- 0 worst, 1 best; the application's judgement
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    request_count BIGINT NOT NULL DEFAULT 0,
    failure_count BIGINT NOT NULL DEFAULT 0,
    total_response_ms BIGINT NOT NULL DEFAULT 0,
    last_success_at DATETIME(6),
    last_failure_at DATETIME(6),
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6), -- NULL until the first change
    CONSTRAINT source_metadata_pk PRIMARY KEY (source_id),
    CONSTRAINT source_metadata_source_id_length CHECK (char_length(source_id) BETWEEN 1 AND 200),
    CONSTRAINT source_metadata_source_type_known CHECK (
        source_type IN ('website', 'repository', 'package_index', 'api')
    ),
    CONSTRAINT source_metadata_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT source_metadata_base_url_length CHECK (char_length(base_url) BETWEEN 1 AND 2048),
    CONSTRAINT source_metadata_reliability_score_range CHECK (reliability_score BETWEEN 0.0 AND 1.0),
    CONSTRAINT source_metadata_is_active_boolean CHECK (is_active IN (0, 1)),
    CONSTRAINT source_metadata_failure_count_range CHECK (failure_count BETWEEN 0 AND request_count),
    CONSTRAINT source_metadata_total_response_ms_range CHECK (total_response_ms >= 0),
    -- The active sources, page by page.
    INDEX source_metadata_is_active_idx (is_active, source_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER source_metadata_updated_at
BEFORE UPDATE ON source_metadata
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- The authoritative sources of each technology, best first.
CREATE TABLE technology_mappings (
    mapping_id BIGINT NOT NULL AUTO_INCREMENT,
    technology VARCHAR(255) NOT NULL,
    source_id VARCHAR(255) NOT NULL,
    priority BIGINT NOT NULL DEFAULT 100, -- lower is asked first
    is_official BOOLEAN NOT NULL DEFAULT FALSE,
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6), -- NULL until the first change
    CONSTRAINT technology_mappings_pk PRIMARY KEY (mapping_id),
    CONSTRAINT technology_mappings_technology_source_id_unique UNIQUE (technology, source_id),
    CONSTRAINT technology_mappings_source_id_fk FOREIGN KEY (source_id)
    REFERENCES source_metadata (source_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT technology_mappings_technology_length CHECK (char_length(technology) BETWEEN 1 AND 100),
    CONSTRAINT technology_mappings_priority_range CHECK (priority BETWEEN 0 AND 1000),
    CONSTRAINT technology_mappings_is_official_boolean CHECK (is_official IN (0, 1)),
    -- The sources of one technology in the order in which they are asked.
    INDEX technology_mappings_technology_priority_idx (technology, priority, mapping_id),
    -- For the foreign key: a source that is deleted takes its mappings along.
    INDEX technology_mappings_source_id_idx (source_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER technology_mappings_updated_at
BEFORE UPDATE ON technology_mappings
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- Ingested content: one row per content that was ever fetched, whether or not it became a document.
-- It stays small: title and text are in documents, under the same id.
CREATE TABLE content_metadata (
    content_id VARCHAR(255) NOT NULL,
    source_id VARCHAR(255), -- NULL: no known source, or one that was deleted
    source_url TEXT NOT NULL,
    technology VARCHAR(255) NOT NULL,
    content_hash VARCHAR(255) NOT NULL, -- lower-case SHA-256 of the content
    word_count BIGINT NOT NULL DEFAULT 0,
    heading_count BIGINT NOT NULL DEFAULT 0,
    code_block_count BIGINT NOT NULL DEFAULT 0,
    quality_score DOUBLE NOT NULL DEFAULT 0.0, -- 0 worst, 1 best
    status VARCHAR(255) NOT NULL DEFAULT 'pending',
    failure TEXT, -- why processing failed
    model_version VARCHAR(255) NOT NULL DEFAULT '1.0.0', -- of DocumentMetadata
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6), -- NULL until the first change
    CONSTRAINT content_metadata_pk PRIMARY KEY (content_id),
    CONSTRAINT content_metadata_content_hash_unique UNIQUE (content_hash),
    CONSTRAINT content_metadata_source_id_fk FOREIGN KEY (source_id)
    REFERENCES source_metadata (source_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT content_metadata_content_id_length CHECK (char_length(content_id) BETWEEN 1 AND 200),
    CONSTRAINT content_metadata_source_url_length CHECK (char_length(source_url) BETWEEN 1 AND 2048),
    CONSTRAINT content_metadata_technology_length CHECK (char_length(technology) BETWEEN 1 AND 100),
    CONSTRAINT content_metadata_content_hash_shape CHECK (
        char_length(content_hash) = 64 AND content_hash NOT REGEXP '[^0-9a-f]'
    ),
    CONSTRAINT content_metadata_word_count_range CHECK (word_count >= 0),
    CONSTRAINT content_metadata_heading_count_range CHECK (heading_count >= 0),
    CONSTRAINT content_metadata_code_block_count_range CHECK (code_block_count >= 0),
    CONSTRAINT content_metadata_quality_score_range CHECK (quality_score BETWEEN 0.0 AND 1.0),
    CONSTRAINT content_metadata_status_known CHECK (status IN ('pending', 'processed', 'failed')),
    CONSTRAINT content_metadata_failure_only_if_failed CHECK ((failure IS NOT NULL) = (status = 'failed')),
    CONSTRAINT content_metadata_failure_length CHECK (char_length(failure) BETWEEN 1 AND 2000),
    CONSTRAINT content_metadata_model_version_length CHECK (char_length(model_version) BETWEEN 1 AND 20),
    -- The content of one technology, page by page.
    INDEX content_metadata_technology_idx (technology, content_id),
    -- What waits, and what failed, page by page.
    INDEX content_metadata_status_idx (status, content_id),
    -- For the foreign key: a source that is deleted is looked for here.
    INDEX content_metadata_source_id_idx (source_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER content_metadata_updated_at
BEFORE UPDATE ON content_metadata
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- A source that is deleted is taken out here, before the foreign key would do it: a foreign key's action
-- runs no trigger, and updated_at would stay.
CREATE TRIGGER content_metadata_source_deleted
BEFORE DELETE ON source_metadata
FOR EACH ROW
    UPDATE content_metadata SET source_id = NULL
    WHERE source_id = old.source_id;

-- Processed documents: the title and the whole text of a content, under the content's id.
-- Texts have at most 4,000,000 characters, so that no engine's text type cuts them off.
CREATE TABLE documents (
    document_number BIGINT NOT NULL AUTO_INCREMENT,
    document_id VARCHAR(255) NOT NULL,
    title TEXT NOT NULL,
    full_content LONGTEXT NOT NULL,
    model_version VARCHAR(255) NOT NULL DEFAULT '1.0.0', -- of ProcessedDocument
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6), -- NULL until the first change
    -- What the full-text index reads: title and text in lower case, `_` as a space (the index takes it for a
    -- letter), and a z inside of whatever could be one of the index's stopwords: about, are, com, for, from, how,
    -- that, the, this, und, was, what, when, where, who, will, with, www. Nothing is a stopword then, whatever
    -- innodb_ft_enable_stopword says when this index is made, or made again by a restore; a stopword table of
    -- one's own would still count. A search spells its words in the same way.
    search_words LONGTEXT GENERATED ALWAYS AS (
        replace(replace(replace(replace(replace(replace(replace(replace(
            replace(lower(concat(title, ' ', full_content)), '_', ' '),
            'w', 'wz'
        ), 'th', 'thz'), 'bou', 'bouz'), 'are', 'arez'),
        'com', 'comz'), 'for', 'forz'), 'fro', 'froz'), 'und', 'undz')
    ) STORED,
    CONSTRAINT documents_pk PRIMARY KEY (document_number),
    CONSTRAINT documents_document_id_unique UNIQUE (document_id),
    CONSTRAINT documents_document_id_fk FOREIGN KEY (document_id)
    REFERENCES content_metadata (content_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT documents_title_length CHECK (char_length(title) BETWEEN 1 AND 500),
    CONSTRAINT documents_full_content_length CHECK (char_length(full_content) <= 4000000),
    CONSTRAINT documents_model_version_length CHECK (char_length(model_version) BETWEEN 1 AND 20),
    FULLTEXT INDEX documents_search_words_idx (search_words)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER documents_updated_at
BEFORE UPDATE ON documents
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- The chunks of each document, numbered from 0 without gaps. They are replaced, never changed.
CREATE TABLE document_chunks (
    chunk_id VARCHAR(255) NOT NULL,
    document_id VARCHAR(255) NOT NULL,
    chunk_index BIGINT NOT NULL,
    total_chunks BIGINT NOT NULL,
    content LONGTEXT NOT NULL,
    model_version VARCHAR(255) NOT NULL DEFAULT '1.0.0', -- of DocumentChunk
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT document_chunks_pk PRIMARY KEY (chunk_id),
    CONSTRAINT document_chunks_document_id_chunk_index_unique UNIQUE (document_id, chunk_index),
    CONSTRAINT document_chunks_document_id_fk FOREIGN KEY (document_id)
    REFERENCES documents (document_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT document_chunks_chunk_id_length CHECK (char_length(chunk_id) BETWEEN 1 AND 200),
    CONSTRAINT document_chunks_chunk_index_range CHECK (chunk_index >= 0 AND chunk_index < total_chunks),
    CONSTRAINT document_chunks_content_length CHECK (char_length(content) <= 4000000),
    CONSTRAINT document_chunks_model_version_length CHECK (char_length(model_version) BETWEEN 1 AND 20)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

-- Cached searches. A row is good until expires_at, which the application sets by its own clock, and is
-- deleted before that when a document changes. Expired rows are removed in batches by the cleanup.
CREATE TABLE search_cache (
    query_hash VARCHAR(255) NOT NULL, -- lower-case SHA-256 of the words and the page size
    query_text TEXT NOT NULL,
    page_size BIGINT NOT NULL,
    results LONGTEXT NOT NULL, -- JSON array, best match first
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6), -- NULL until the first change
    expires_at DATETIME(6) NOT NULL,
    CONSTRAINT search_cache_pk PRIMARY KEY (query_hash),
    CONSTRAINT search_cache_query_hash_shape CHECK (
        char_length(query_hash) = 64 AND query_hash NOT REGEXP '[^0-9a-f]'
    ),
    CONSTRAINT search_cache_query_text_length CHECK (char_length(query_text) <= 1000),
    CONSTRAINT search_cache_page_size_range CHECK (page_size BETWEEN 1 AND 1000),
    CONSTRAINT search_cache_results_json CHECK (json_valid(results) AND json_type(results) = 'ARRAY'),
    -- For the cleanup of expired rows, oldest first.
    INDEX search_cache_expires_at_idx (expires_at, query_hash)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER search_cache_updated_at
BEFORE UPDATE ON search_cache
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- Explicit feedback of users. Rows are added, never changed; event_id grows, so that a reader can
-- remember how far it came.
CREATE TABLE feedback_events (
    event_id BIGINT NOT NULL AUTO_INCREMENT,
    feedback_type VARCHAR(255) NOT NULL,
    content_id VARCHAR(255), -- NULL: about a search as a whole, or the content was deleted
    query_hash VARCHAR(255), -- the search that led here; its search_cache row may be long gone
    session_id VARCHAR(255),
    rating BIGINT, -- 1 worst, 5 best; for feedback_type 'rating' only
    comment TEXT,
    details LONGTEXT NOT NULL DEFAULT '{}', -- JSON object
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT feedback_events_pk PRIMARY KEY (event_id),
    CONSTRAINT feedback_events_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT feedback_events_feedback_type_known CHECK (
        feedback_type IN ('helpful', 'not_helpful', 'outdated', 'incorrect', 'rating')
    ),
    CONSTRAINT feedback_events_query_hash_shape CHECK (
        char_length(query_hash) = 64 AND query_hash NOT REGEXP '[^0-9a-f]'
    ),
    CONSTRAINT feedback_events_session_id_length CHECK (char_length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT feedback_events_rating_range CHECK (rating BETWEEN 1 AND 5),
    CONSTRAINT feedback_events_rating_only_if_rated CHECK ((rating IS NOT NULL) = (feedback_type = 'rating')),
    CONSTRAINT feedback_events_comment_length CHECK (char_length(comment) BETWEEN 1 AND 4000),
    CONSTRAINT feedback_events_details_json CHECK (json_valid(details) AND json_type(details) = 'OBJECT'),
    -- The feedback on one content in the order in which it came; also for the foreign key.
    INDEX feedback_events_content_id_idx (content_id, event_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

-- Implicit signals of use. Rows are added, mostly many at once, and never changed; signal_id grows, so
-- that a reader can remember how far it came.
CREATE TABLE usage_signals (
    signal_id BIGINT NOT NULL AUTO_INCREMENT,
    signal_type VARCHAR(255) NOT NULL,
    content_id VARCHAR(255), -- NULL: about a search as a whole, or the content was deleted
    query_hash VARCHAR(255), -- the search that led here; its search_cache row may be long gone
    session_id VARCHAR(255),
    dwell_ms BIGINT, -- how long the user stayed; for signal_type 'dwell' only
    details LONGTEXT NOT NULL DEFAULT '{}', -- JSON object
    occurred_at DATETIME(6) NOT NULL, -- by the client's clock; created_at is when the row was stored
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT usage_signals_pk PRIMARY KEY (signal_id),
    CONSTRAINT usage_signals_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT usage_signals_signal_type_known CHECK (
        signal_type IN ('search', 'click', 'view', 'copy', 'dwell', 'refine', 'abandon')
    ),
    CONSTRAINT usage_signals_query_hash_shape CHECK (
        char_length(query_hash) = 64 AND query_hash NOT REGEXP '[^0-9a-f]'
    ),
    CONSTRAINT usage_signals_session_id_length CHECK (char_length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT usage_signals_dwell_ms_range CHECK (dwell_ms >= 0),
    CONSTRAINT usage_signals_dwell_ms_only_if_dwell CHECK ((dwell_ms IS NOT NULL) = (signal_type = 'dwell')),
    CONSTRAINT usage_signals_details_json CHECK (json_valid(details) AND json_type(details) = 'OBJECT'),
    -- The signals about one content in the order in which they came; also for the foreign key.
    INDEX usage_signals_content_id_idx (content_id, signal_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

-- Which generation of the documents searches see: one number, counted up by every change that an answer may
-- show, in the transaction of that change. An answer is stored only if its generation is still this one.
-- If the row is lost, no answer is stored.
CREATE TABLE search_generation (
    generation_id BIGINT NOT NULL, -- 1: there is one row
    generation BIGINT NOT NULL,
    CONSTRAINT search_generation_pk PRIMARY KEY (generation_id),
    CONSTRAINT search_generation_one_row CHECK (generation_id = 1),
    CONSTRAINT search_generation_generation_range CHECK (generation >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO search_generation (generation_id, generation) VALUES (1, 0);
