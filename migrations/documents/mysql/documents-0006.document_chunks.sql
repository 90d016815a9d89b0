-- The passages of a document, small enough to be embedded or quoted.
-- depends: documents-0005.documents

CREATE TABLE document_chunks (
    chunk_id VARCHAR(255) NOT NULL,
    document_id VARCHAR(255) NOT NULL,
    chunk_index BIGINT NOT NULL,
    total_chunks BIGINT NOT NULL,
    content LONGTEXT NOT NULL,
    model_version VARCHAR(255) NOT NULL DEFAULT '1.0.0', -- of DocumentChunk
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT document_chunks_pk PRIMARY KEY (chunk_id),
    CONSTRAINT document_chunks_document_id_chunk_index_unique UNIQUE (document_id, chunk_index),
    CONSTRAINT document_chunks_document_id_fk FOREIGN KEY (document_id)
    REFERENCES documents (document_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT document_chunks_chunk_id_length CHECK (char_length(chunk_id) BETWEEN 1 AND 200),
    CONSTRAINT document_chunks_chunk_index_range CHECK (chunk_index >= 0 AND chunk_index < total_chunks),
    CONSTRAINT document_chunks_content_length CHECK (char_length(content) <= 4000000),
    CONSTRAINT document_chunks_model_version_length CHECK (char_length(model_version) BETWEEN 1 AND 20)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0006.document_chunks',
    'The passages of a document, small enough to be embedded or quoted.',
    'documents/mysql/documents-0006.document_chunks.sql'
);
