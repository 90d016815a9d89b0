-- Where content comes from, and how well each source answers.
-- depends: documents-0001.system_config
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0002.source_metadata',
    'Where content comes from, and how well each source answers.',
    'documents/mysql/documents-0002.source_metadata.sql'
);
