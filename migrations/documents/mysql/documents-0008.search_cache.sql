-- Answers to searches, kept until they expire or a document changes.
-- depends: documents-0007.document_search
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

CREATE TABLE search_cache (
    query_hash VARCHAR(255) NOT NULL, -- lower-case SHA-256 of the words and the page size
    query_text TEXT NOT NULL,
    page_size BIGINT NOT NULL,
    results LONGTEXT NOT NULL, -- JSON array, best match first
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6), -- NULL until the first change
    expires_at DATETIME(6) NOT NULL,
    CONSTRAINT search_cache_pk PRIMARY KEY (query_hash),
    CONSTRAINT search_cache_query_hash_shape CHECK (
        char_length(query_hash) = 64 AND query_hash NOT REGEXP '[^0-9a-f]'
    ),
    CONSTRAINT search_cache_query_text_length CHECK (char_length(query_text) <= 1000),
    CONSTRAINT search_cache_page_size_range CHECK (page_size BETWEEN 1 AND 1000),
    CONSTRAINT search_cache_results_json CHECK (json_valid(results) AND json_type(results) = 'ARRAY'),
    -- For the cleanup of expired rows, oldest first.
    INDEX search_cache_expires_at_idx (expires_at, query_hash)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER search_cache_updated_at
BEFORE UPDATE ON search_cache
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0008.search_cache',
    'Answers to searches, kept until they expire or a document changes.',
    'documents/mysql/documents-0008.search_cache.sql'
);
