-- The passages of a document, small enough to be embedded or quoted.
-- depends: documents-0005.documents

CREATE TABLE document_chunks (
    chunk_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    chunk_index INTEGER NOT NULL,
    total_chunks INTEGER NOT NULL,
    content TEXT NOT NULL,
    model_version TEXT NOT NULL DEFAULT '1.0.0', -- of DocumentChunk
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT document_chunks_pk PRIMARY KEY (chunk_id),
    CONSTRAINT document_chunks_document_id_chunk_index_unique UNIQUE (document_id, chunk_index),
    CONSTRAINT document_chunks_document_id_fk FOREIGN KEY (document_id)
    REFERENCES documents (document_id) ON UPDATE RESTRICT ON DELETE CASCADE,
    CONSTRAINT document_chunks_chunk_id_length CHECK (length(chunk_id) BETWEEN 1 AND 200),
    CONSTRAINT document_chunks_chunk_index_range CHECK (chunk_index >= 0 AND chunk_index < total_chunks),
    CONSTRAINT document_chunks_content_length CHECK (length(content) <= 4000000),
    CONSTRAINT document_chunks_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20),
    CONSTRAINT document_chunks_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0006.document_chunks',
    'The passages of a document, small enough to be embedded or quoted.',
    'documents/sqlite/documents-0006.document_chunks.sql'
);
