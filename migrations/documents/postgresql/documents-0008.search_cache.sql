-- Answers to searches, kept until they expire or a document changes.
-- depends: documents-0007.document_search

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE search_cache (
    query_hash TEXT COLLATE "C" NOT NULL, -- lower-case SHA-256 of the words and the page size
    query_text TEXT COLLATE "C" NOT NULL,
    page_size BIGINT NOT NULL,
    results JSONB NOT NULL, -- JSON array, best match first
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    expires_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT search_cache_pk PRIMARY KEY (query_hash),
    CONSTRAINT search_cache_query_hash_shape CHECK (
        length(query_hash) = 64 AND query_hash !~ '[^0-9a-f]'
    ),
    CONSTRAINT search_cache_query_text_length CHECK (length(query_text) <= 1000),
    CONSTRAINT search_cache_page_size_range CHECK (page_size BETWEEN 1 AND 1000),
    CONSTRAINT search_cache_results_json CHECK (jsonb_typeof(results) = 'array')
);

-- For the cleanup of expired rows, oldest first.
CREATE INDEX search_cache_expires_at_idx ON search_cache (expires_at, query_hash);

CREATE TRIGGER search_cache_updated_at
BEFORE UPDATE OF query_hash, query_text, page_size, results, expires_at ON search_cache
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0008.search_cache',
    'Answers to searches, kept until they expire or a document changes.',
    'documents/postgresql/documents-0008.search_cache.sql'
);
