-- Which sources speak with authority about which technology.
-- depends: documents-0002.source_metadata

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0003.technology_mappings',
    'Which sources speak with authority about which technology.',
    'documents/sqlite/documents-0003.technology_mappings.sql'
);
