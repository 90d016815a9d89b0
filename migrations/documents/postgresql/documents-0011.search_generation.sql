-- Lets an answer that was read before a document changed be told from one that was read after.
-- depends: documents-0010.usage_signals

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE search_generation (
    generation_id BIGINT NOT NULL, -- 1: there is one row
    generation BIGINT NOT NULL,
    CONSTRAINT search_generation_pk PRIMARY KEY (generation_id),
    CONSTRAINT search_generation_one_row CHECK (generation_id = 1),
    CONSTRAINT search_generation_generation_range CHECK (generation >= 0)
);

INSERT INTO search_generation (generation_id, generation) VALUES (1, 0);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0011.search_generation',
    'Lets an answer that was read before a document changed be told from one that was read after.',
    'documents/postgresql/documents-0011.search_generation.sql'
);
