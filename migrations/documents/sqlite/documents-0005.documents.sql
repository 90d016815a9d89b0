-- The text of what was processed, apart from the narrow rows that describe it.
-- depends: documents-0004.content_metadata

CREATE TABLE documents (
    document_number INTEGER NOT NULL, -- what the full-text index knows the row by: never changes
    document_id TEXT NOT NULL,
    title TEXT NOT NULL,
    full_content TEXT NOT NULL,
    model_version TEXT NOT NULL DEFAULT '1.0.0', -- of ProcessedDocument
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT, -- NULL until the first change
    CONSTRAINT documents_pk PRIMARY KEY (document_number),
    CONSTRAINT documents_document_id_unique UNIQUE (document_id),
    CONSTRAINT documents_document_id_fk FOREIGN KEY (document_id)
    REFERENCES content_metadata (content_id) ON UPDATE RESTRICT ON DELETE CASCADE,
    CONSTRAINT documents_title_length CHECK (length(title) BETWEEN 1 AND 500),
    CONSTRAINT documents_full_content_length CHECK (length(full_content) <= 4000000),
    CONSTRAINT documents_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20),
    CONSTRAINT documents_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT documents_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

CREATE TRIGGER documents_updated_at
AFTER UPDATE OF document_number, document_id, title, full_content, model_version ON documents
BEGIN
    UPDATE documents
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE document_number = new.document_number;
END;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0005.documents',
    'The text of what was processed, apart from the narrow rows that describe it.',
    'documents/sqlite/documents-0005.documents.sql'
);
