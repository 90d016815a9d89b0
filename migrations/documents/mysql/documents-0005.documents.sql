-- The text of what was processed, apart from the narrow rows that describe it.
-- depends: documents-0004.content_metadata
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

CREATE TABLE documents (
    document_number BIGINT NOT NULL AUTO_INCREMENT,
    document_id VARCHAR(255) NOT NULL,
    title TEXT NOT NULL,
    full_content LONGTEXT NOT NULL,
    model_version VARCHAR(255) NOT NULL DEFAULT '1.0.0', -- of ProcessedDocument
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6), -- NULL until the first change
    CONSTRAINT documents_pk PRIMARY KEY (document_number),
    CONSTRAINT documents_document_id_unique UNIQUE (document_id),
    CONSTRAINT documents_document_id_fk FOREIGN KEY (document_id)
    REFERENCES content_metadata (content_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT documents_title_length CHECK (char_length(title) BETWEEN 1 AND 500),
    CONSTRAINT documents_full_content_length CHECK (char_length(full_content) <= 4000000),
    CONSTRAINT documents_model_version_length CHECK (char_length(model_version) BETWEEN 1 AND 20)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER documents_updated_at
BEFORE UPDATE ON documents
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0005.documents',
    'The text of what was processed, apart from the narrow rows that describe it.',
    'documents/mysql/documents-0005.documents.sql'
);
