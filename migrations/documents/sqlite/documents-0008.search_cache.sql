-- Answers to searches, kept until they expire or a document changes.
-- depends: documents-0007.document_search

CREATE TABLE search_cache (
    query_hash TEXT NOT NULL, -- lower-case SHA-256 of the words and the page size
    query_text TEXT NOT NULL,
    page_size INTEGER NOT NULL,
    results TEXT NOT NULL, -- JSON array, best match first
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT, -- NULL until the first change
    expires_at TEXT NOT NULL,
    CONSTRAINT search_cache_pk PRIMARY KEY (query_hash),
    CONSTRAINT search_cache_query_hash_shape CHECK (
        length(query_hash) = 64 AND query_hash NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT search_cache_query_text_length CHECK (length(query_text) <= 1000),
    CONSTRAINT search_cache_page_size_range CHECK (page_size BETWEEN 1 AND 1000),
    CONSTRAINT search_cache_results_json CHECK (
        CASE WHEN json_valid(results) THEN json_type(results) = 'array' ELSE 0 END
    ),
    CONSTRAINT search_cache_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT search_cache_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT search_cache_expires_at_shape CHECK (
        expires_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- For the cleanup of expired rows, oldest first.
CREATE INDEX search_cache_expires_at_idx ON search_cache (expires_at, query_hash);

CREATE TRIGGER search_cache_updated_at
AFTER UPDATE OF query_hash, query_text, page_size, results, expires_at ON search_cache
BEGIN
    UPDATE search_cache
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE query_hash = new.query_hash;
END;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0008.search_cache',
    'Answers to searches, kept until they expire or a document changes.',
    'documents/sqlite/documents-0008.search_cache.sql'
);
