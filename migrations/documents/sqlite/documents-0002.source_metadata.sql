-- Where content comes from, and how well each source answers.
-- depends: documents-0001.system_config

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0002.source_metadata',
    'Where content comes from, and how well each source answers.',
    'documents/sqlite/documents-0002.source_metadata.sql'
);
