-- What was ingested, from where, and how far its processing came.
-- depends: documents-0003.technology_mappings

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE content_metadata (
    content_id TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C", -- NULL: no known source, or one that was deleted
    source_url TEXT COLLATE "C" NOT NULL,
    technology TEXT COLLATE "C" NOT NULL,
    content_hash TEXT COLLATE "C" NOT NULL, -- lower-case SHA-256 of the content
    word_count BIGINT NOT NULL DEFAULT 0,
    heading_count BIGINT NOT NULL DEFAULT 0,
    code_block_count BIGINT NOT NULL DEFAULT 0,
    quality_score DOUBLE PRECISION NOT NULL DEFAULT 0.0, -- 0 worst, 1 best
    status TEXT COLLATE "C" NOT NULL DEFAULT 'pending',
    failure TEXT COLLATE "C", -- why processing failed
    model_version TEXT COLLATE "C" NOT NULL DEFAULT '1.0.0', -- of DocumentMetadata
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    CONSTRAINT content_metadata_pk PRIMARY KEY (content_id),
    CONSTRAINT content_metadata_content_hash_unique UNIQUE (content_hash),
    CONSTRAINT content_metadata_source_id_fk FOREIGN KEY (source_id)
    REFERENCES source_metadata (source_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT content_metadata_content_id_length CHECK (length(content_id) BETWEEN 1 AND 200),
    CONSTRAINT content_metadata_source_url_length CHECK (length(source_url) BETWEEN 1 AND 2048),
    CONSTRAINT content_metadata_technology_length CHECK (length(technology) BETWEEN 1 AND 100),
    CONSTRAINT content_metadata_content_hash_shape CHECK (
        length(content_hash) = 64 AND content_hash !~ '[^0-9a-f]'
    ),
    CONSTRAINT content_metadata_word_count_range CHECK (word_count >= 0),
    CONSTRAINT content_metadata_heading_count_range CHECK (heading_count >= 0),
    CONSTRAINT content_metadata_code_block_count_range CHECK (code_block_count >= 0),
    CONSTRAINT content_metadata_quality_score_range CHECK (quality_score BETWEEN 0.0 AND 1.0),
    CONSTRAINT content_metadata_status_known CHECK (status IN ('pending', 'processed', 'failed')),
    CONSTRAINT content_metadata_failure_only_if_failed CHECK ((failure IS NOT NULL) = (status = 'failed')),
    CONSTRAINT content_metadata_failure_length CHECK (length(failure) BETWEEN 1 AND 2000),
    CONSTRAINT content_metadata_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20)
);

-- The content of one technology, page by page.
CREATE INDEX content_metadata_technology_idx ON content_metadata (technology, content_id);

-- What waits, and what failed, page by page.
CREATE INDEX content_metadata_status_idx ON content_metadata (status, content_id);

-- For the foreign key: a source that is deleted is looked for here.
CREATE INDEX content_metadata_source_id_idx ON content_metadata (source_id);

CREATE TRIGGER content_metadata_updated_at
BEFORE UPDATE OF
content_id, source_id, source_url, technology, content_hash, word_count, heading_count, code_block_count,
quality_score, status, failure, model_version
ON content_metadata
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0004.content_metadata',
    'What was ingested, from where, and how far its processing came.',
    'documents/postgresql/documents-0004.content_metadata.sql'
);
