-- Which sources speak with authority about which technology.
-- depends: documents-0002.source_metadata

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE technology_mappings (
    mapping_id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    technology TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C" NOT NULL,
    priority BIGINT NOT NULL DEFAULT 100, -- lower is asked first
    is_official BOOLEAN NOT NULL DEFAULT FALSE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    CONSTRAINT technology_mappings_pk PRIMARY KEY (mapping_id),
    CONSTRAINT technology_mappings_technology_source_id_unique UNIQUE (technology, source_id),
    CONSTRAINT technology_mappings_source_id_fk FOREIGN KEY (source_id)
    REFERENCES source_metadata (source_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT technology_mappings_technology_length CHECK (length(technology) BETWEEN 1 AND 100),
    CONSTRAINT technology_mappings_priority_range CHECK (priority BETWEEN 0 AND 1000)
);

-- The sources of one technology in the order in which they are asked.
CREATE INDEX technology_mappings_technology_priority_idx
ON technology_mappings (technology, priority, mapping_id);

-- For the foreign key: a source that is deleted takes its mappings along.
CREATE INDEX technology_mappings_source_id_idx ON technology_mappings (source_id);

CREATE TRIGGER technology_mappings_updated_at
BEFORE UPDATE OF mapping_id, technology, source_id, priority, is_official ON technology_mappings
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0003.technology_mappings',
    'Which sources speak with authority about which technology.',
    'documents/postgresql/documents-0003.technology_mappings.sql'
);
