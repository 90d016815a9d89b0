-- Where content comes from, and how well each source answers.
-- depends: documents-0001.system_config

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE source_metadata (
    source_id TEXT COLLATE "C" NOT NULL,
    source_type TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    base_url TEXT COLLATE "C" NOT NULL,
    reliability_score DOUBLE PRECISION NOT NULL DEFAULT 0.5, -- 0 worst, 1 best; the application's judgement
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    request_count BIGINT NOT NULL DEFAULT 0,
    failure_count BIGINT NOT NULL DEFAULT 0,
    total_response_ms BIGINT NOT NULL DEFAULT 0,
    last_success_at TIMESTAMPTZ,
    last_failure_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    CONSTRAINT source_metadata_pk PRIMARY KEY (source_id),
    CONSTRAINT source_metadata_source_id_length CHECK (length(source_id) BETWEEN 1 AND 200),
    CONSTRAINT source_metadata_source_type_known CHECK (
        source_type IN ('website', 'repository', 'package_index', 'api')
    ),
    CONSTRAINT source_metadata_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT source_metadata_base_url_length CHECK (length(base_url) BETWEEN 1 AND 2048),
    CONSTRAINT source_metadata_reliability_score_range CHECK (reliability_score BETWEEN 0.0 AND 1.0),
    CONSTRAINT source_metadata_failure_count_range CHECK (failure_count BETWEEN 0 AND request_count),
    CONSTRAINT source_metadata_total_response_ms_range CHECK (total_response_ms >= 0)
);

-- The active sources, page by page.
CREATE INDEX source_metadata_is_active_idx ON source_metadata (is_active, source_id);

CREATE TRIGGER source_metadata_updated_at
BEFORE UPDATE OF
source_id, source_type, name, base_url, reliability_score, is_active, request_count, failure_count,
total_response_ms, last_success_at, last_failure_at
ON source_metadata
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0002.source_metadata',
    'Where content comes from, and how well each source answers.',
    'documents/postgresql/documents-0002.source_metadata.sql'
);
