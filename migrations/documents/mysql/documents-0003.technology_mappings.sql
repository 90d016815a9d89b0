-- Which sources speak with authority about which technology.
-- depends: documents-0002.source_metadata
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0003.technology_mappings',
    'Which sources speak with authority about which technology.',
    'documents/mysql/documents-0003.technology_mappings.sql'
);
