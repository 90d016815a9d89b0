-- The `documents` system: what only SQLite says in this way, that is upserts, full-text search and locks.
--
-- None of the upserts returns the row: RETURNING would show it as it was before the updated_at
-- trigger ran.

-- name: claim_documents() :affected
-- The first statement of a transaction that changes documents: such transactions run one after the other.
-- SQLite has one writer, so that there is nothing more to wait for.
UPDATE search_generation
SET generation = generation
WHERE generation_id = 0;

-- name: put_config(key: text, value: json, schema_version: text, updated_by: text) :affected
-- Write one setting, new or not.
INSERT INTO system_config ("key", value, schema_version, updated_by)
VALUES (:key, :value, :schema_version, :updated_by)
ON CONFLICT ("key") DO UPDATE
SET
    value = excluded.value,
    schema_version = excluded.schema_version,
    updated_by = excluded.updated_by;

-- name: put_search(
--     query_hash: text, query_text: text, page_size: int, results: json, expires_at: timestamp,
--     generation: int
-- ) :affected
-- Store the answer to a search, in place of an older one; nothing if the documents have changed since
-- it was read, that is if they are of another generation.
INSERT INTO search_cache (query_hash, query_text, page_size, results, expires_at)
SELECT
    :query_hash,
    :query_text,
    :page_size,
    :results,
    :expires_at
FROM search_generation
WHERE
    generation_id = 1
    AND generation = :generation
ON CONFLICT (query_hash) DO UPDATE
SET
    query_text = excluded.query_text,
    page_size = excluded.page_size,
    results = excluded.results,
    expires_at = excluded.expires_at;

-- name: put_document(document_id: text, title: text, full_content: text, model_version: text) :affected
-- writes: document_search, documents
-- Write the text of a content, new or not.
INSERT INTO documents (document_id, title, full_content, model_version)
VALUES (:document_id, :title, :full_content, :model_version)
ON CONFLICT (document_id) DO UPDATE
SET
    title = excluded.title,
    full_content = excluded.full_content,
    model_version = excluded.model_version;

-- name: put_source(
--     source_id: text, source_type: text, name: text, base_url: text, reliability_score: float,
--     is_active: bool
-- ) :affected
-- Describe a source, new or not. Its counters stay.
INSERT INTO source_metadata (source_id, source_type, name, base_url, reliability_score, is_active)
VALUES (:source_id, :source_type, :name, :base_url, :reliability_score, :is_active)
ON CONFLICT (source_id) DO UPDATE
SET
    source_type = excluded.source_type,
    name = excluded.name,
    base_url = excluded.base_url,
    reliability_score = excluded.reliability_score,
    is_active = excluded.is_active;

-- name: put_technology_mapping(
--     technology: text, source_id: text, priority: int, is_official: bool
-- ) :value
-- Say that a source speaks for a technology; the mapping's id comes back, new or not.
INSERT INTO technology_mappings (technology, source_id, priority, is_official)
VALUES (:technology, :source_id, :priority, :is_official)
ON CONFLICT (technology, source_id) DO UPDATE
SET
    priority = excluded.priority,
    is_official = excluded.is_official
RETURNING mapping_id;

-- name: search_documents(words: text, page_size: int) :many
-- returns: SearchResult
-- cache: search_results
-- reads: content_metadata, document_search, documents
-- The documents in whose title or text every word occurs, best match first.
--
-- :words is plain text. It is cut at white space, and each word becomes a quoted FTS5 string, in which
-- no character has a meaning: words -> "words". FTS5 asks for all of them, reads one with punctuation
-- inside (foo-bar, don't) as a phrase, and leaves out one without any letter or digit; if nothing is
-- left, nothing matches. The snippet is a passage of the text. A match in the title weighs ten times
-- one in the text. Equal matches come in the order of the index: with a second ORDER BY term SQLite would
-- sort, and cut a snippet for each match that is among the first for a while.
SELECT
    documents.document_id,
    documents.title,
    content_metadata.source_url,
    content_metadata.technology,
    content_metadata.quality_score,
    snippet(document_search, 1, '', '', ' ... ', 24) AS snippet
FROM document_search
INNER JOIN documents ON document_search.rowid = documents.document_number
INNER JOIN content_metadata ON documents.document_id = content_metadata.content_id
WHERE
    document_search.rank MATCH 'bm25(10.0, 1.0)'
    AND document_search MATCH '"' || replace(
        replace(
            replace(replace(replace(coalesce(:words, ''), '"', ' '), char(9), ' '), char(10), ' '),
            char(13), ' '
        ), ' ', '" "'
    ) || '"'
ORDER BY document_search.rank
LIMIT :page_size;
