-- The text of what was processed, apart from the narrow rows that describe it.
-- depends: documents-0004.content_metadata

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE documents (
    document_number BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    document_id TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    full_content TEXT COLLATE "C" NOT NULL,
    model_version TEXT COLLATE "C" NOT NULL DEFAULT '1.0.0', -- of ProcessedDocument
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    CONSTRAINT documents_pk PRIMARY KEY (document_number),
    CONSTRAINT documents_document_id_unique UNIQUE (document_id),
    CONSTRAINT documents_document_id_fk FOREIGN KEY (document_id)
    REFERENCES content_metadata (content_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT documents_title_length CHECK (length(title) BETWEEN 1 AND 500),
    CONSTRAINT documents_full_content_length CHECK (length(full_content) <= 4000000),
    CONSTRAINT documents_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20)
);

CREATE TRIGGER documents_updated_at
BEFORE UPDATE OF document_number, document_id, title, full_content, model_version ON documents
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0005.documents',
    'The text of what was processed, apart from the narrow rows that describe it.',
    'documents/postgresql/documents-0005.documents.sql'
);
