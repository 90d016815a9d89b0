-- What was ingested, from where, and how far its processing came.
-- depends: documents-0003.technology_mappings

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0004.content_metadata',
    'What was ingested, from where, and how far its processing came.',
    'documents/sqlite/documents-0004.content_metadata.sql'
);
