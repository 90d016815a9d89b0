-- The `documents` system: what only PostgreSQL says in this way, that is upserts, full-text search and locks.
--
-- None of the upserts but one returns anything, as on the other engines.

-- name: claim_documents() :affected
-- The first statement of a transaction that changes documents: such transactions run one after the other.
-- A table lock, for it is taken before the transaction's snapshot: what waited for a row's lock instead would
-- find that its snapshot is too old, and fail. Reading goes on meanwhile.
LOCK TABLE search_generation IN EXCLUSIVE MODE;

-- name: put_config(key: text, value: json, schema_version: text, updated_by: text) :affected
-- Write one setting, new or not.
INSERT INTO system_config (key, value, schema_version, updated_by)
VALUES (:key, :value, :schema_version, :updated_by)
ON CONFLICT (key) DO UPDATE
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
-- The generation's row is written, not only locked: it waits for a change that is not committed yet, and a
-- change whose snapshot is older than this answer, so that it could not remove it, fails and is retried.
WITH unchanged AS (
    UPDATE search_generation
    SET generation = generation
    WHERE
        generation_id = 1
        AND generation = :generation
    RETURNING generation
)

INSERT INTO search_cache (query_hash, query_text, page_size, results, expires_at)
SELECT
    cast(:query_hash AS TEXT) AS query_hash,
    cast(:query_text AS TEXT) AS query_text,
    cast(:page_size AS BIGINT) AS page_size,
    cast(:results AS JSONB) AS results,
    cast(:expires_at AS TIMESTAMPTZ) AS expires_at
FROM unchanged
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
-- session: clean
-- The documents in whose title or text every word occurs, best match first.
--
-- :words is plain text. It is cut at white space, and each piece by documents_words(), which leaves letters
-- and digits only; several words in one piece (foo-bar, don't) are a phrase, which must stand in the text in
-- this order. If nothing is left, nothing matches. The snippet is a passage of the text. A match in the
-- title comes first, then where the words are frequent.
WITH search AS (
    SELECT
        documents_words(:words) AS words,
        array(
            SELECT concat(' ', array_to_string(documents_words(piece), ' '), ' ')
            FROM unnest(string_to_array(translate(:words, chr(9) || chr(10) || chr(13), '   '), ' ')) AS piece
            WHERE cardinality(documents_words(piece)) > 1
        ) AS phrases
),

found AS (
    SELECT
        documents.document_number,
        documents_words(documents.title) && search.words AS in_title,
        (
            SELECT sum(cardinality(array_positions(documents.search_words, word)))
            FROM unnest(search.words) AS word
        ) / cardinality(documents.search_words) AS frequency
    FROM search
    INNER JOIN documents ON search.words <@ documents.search_words
    WHERE
        cardinality(search.words) > 0
        AND documents_hold(documents.search_words, search.phrases)
    ORDER BY in_title DESC, frequency DESC, documents.document_number ASC
    LIMIT :page_size
),

placed AS (
    SELECT
        found.document_number,
        found.in_title,
        found.frequency,
        greatest(1, strpos(lower(documents.full_content), search.words[1]) - 60) AS beginning
    FROM found
    CROSS JOIN search
    INNER JOIN documents ON found.document_number = documents.document_number
)

SELECT
    documents.document_id,
    documents.title,
    content_metadata.source_url,
    content_metadata.technology,
    content_metadata.quality_score,
    concat(
        CASE WHEN placed.beginning > 1 THEN '... ' END,
        substr(documents.full_content, placed.beginning, 200),
        CASE WHEN length(documents.full_content) >= placed.beginning + 200 THEN ' ...' END
    ) AS snippet
FROM placed
INNER JOIN documents ON placed.document_number = documents.document_number
INNER JOIN content_metadata ON documents.document_id = content_metadata.content_id
ORDER BY placed.in_title DESC, placed.frequency DESC, placed.document_number ASC;
