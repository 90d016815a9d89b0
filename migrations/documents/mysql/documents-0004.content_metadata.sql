-- What was ingested, from where, and how far its processing came.
-- depends: documents-0003.technology_mappings
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0004.content_metadata',
    'What was ingested, from where, and how far its processing came.',
    'documents/mysql/documents-0004.content_metadata.sql'
);
