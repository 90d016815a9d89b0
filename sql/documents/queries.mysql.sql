-- The `documents` system: what only MariaDB says in this way, that is upserts, full-text search and locks.
--
-- ON DUPLICATE KEY UPDATE takes a conflict on any unique key for the row that is meant. So it is used only on
-- tables with one key that a caller can meet; content_metadata, with two, has none.

-- name: claim_documents() :affected
-- session: clean
-- The first statement of a transaction that changes documents: such transactions run one after the other,
-- instead of into deadlocks. Reading goes on meanwhile.
UPDATE search_generation
SET generation = generation
WHERE generation_id = 1;

-- name: put_config(key: text, value: json, schema_version: text, updated_by: text) :affected
-- Write one setting, new or not.
INSERT INTO system_config (`key`, value, schema_version, updated_by)
VALUES (:key, :value, :schema_version, :updated_by)
ON DUPLICATE KEY UPDATE
    value = VALUES (value),
    schema_version = VALUES (schema_version),
    updated_by = VALUES (updated_by);

-- name: put_search(
--     query_hash: text, query_text: text, page_size: int, results: json, expires_at: timestamp,
--     generation: int
-- ) :affected
-- Store the answer to a search, in place of an older one; nothing if the documents have changed since
-- it was read, that is if they are of another generation.
-- The generation's row is locked, so that this waits for a change that is not committed yet.
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
LOCK IN SHARE MODE
ON DUPLICATE KEY UPDATE
    query_text = VALUES (query_text),
    page_size = VALUES (page_size),
    results = VALUES (results),
    expires_at = VALUES (expires_at);

-- name: put_document(document_id: text, title: text, full_content: text, model_version: text) :affected
-- writes: document_search, documents
-- Write the text of a content, new or not.
INSERT INTO documents (document_id, title, full_content, model_version)
VALUES (:document_id, :title, :full_content, :model_version)
ON DUPLICATE KEY UPDATE
    title = VALUES (title),
    full_content = VALUES (full_content),
    model_version = VALUES (model_version);

-- name: put_source(
--     source_id: text, source_type: text, name: text, base_url: text, reliability_score: float,
--     is_active: bool
-- ) :affected
-- Describe a source, new or not. Its counters stay.
INSERT INTO source_metadata (source_id, source_type, name, base_url, reliability_score, is_active)
VALUES (:source_id, :source_type, :name, :base_url, :reliability_score, :is_active)
ON DUPLICATE KEY UPDATE
    source_type = VALUES (source_type),
    name = VALUES (name),
    base_url = VALUES (base_url),
    reliability_score = VALUES (reliability_score),
    is_active = VALUES (is_active);

-- name: put_technology_mapping(
--     technology: text, source_id: text, priority: int, is_official: bool
-- ) :value
-- Say that a source speaks for a technology; the mapping's id comes back, new or not.
INSERT INTO technology_mappings (technology, source_id, priority, is_official)
VALUES (:technology, :source_id, :priority, :is_official)
ON DUPLICATE KEY UPDATE
    priority = VALUES (priority),
    is_official = VALUES (is_official)
RETURNING mapping_id;

-- name: search_documents(words: text, page_size: int) :many
-- returns: SearchResult
-- cache: search_results
-- reads: content_metadata, document_search, documents
-- session: clean
-- The documents in whose title or text every word occurs, best match first.
--
-- :words is plain text. What is no letter and no digit is taken out, the rest is spelt as search_words is, and
-- each word of a length that the index holds gets a + in front: it must occur. Then the texts that the index
-- found are asked for what it cannot say: that words of one piece (foo-bar, don't) stand in this order, and
-- that words are there which are too short or too long for it. If no word has a length that it holds (3 to 64
-- letters, where the server's defaults are kept), every text is read for them. Without any word nothing
-- matches. What a transaction wrote is not found before it is committed, not even by itself.
-- The snippet is a passage of the text. A match in the title comes first.
WITH search AS ( -- noqa: disable=all
    -- (sqlfluff takes no expression in AGAINST.)
    SELECT
        trim(
            regexp_replace(
                regexp_replace(
                    concat(' ', regexp_replace(lower(:words), '[[:cntrl:]]', ' '), ' '),
                    '[^[:alnum:] ]+', '-'
                ),
                '-* [- ]*', ' '
            )
        ) AS pieces -- one space between them, - for what stands inside of them
),

patterns AS (
    SELECT
        concat(
            '(?i)(?<![[:alnum:]])(', replace(replace(pieces, ' ', '|'), '-', '[^[:alnum:]]+'),
            ')(?![[:alnum:]])'
        ) AS any_piece,
        pieces != '' AND pieces NOT REGEXP concat(
            '(?<![[:alnum:]])[[:alnum:]]{', @@innodb_ft_min_token_size, ',', @@innodb_ft_max_token_size - 20,
            '}(?![[:alnum:]])'
        ) AS unindexed
    FROM search
),

unsure AS (
    SELECT DISTINCT
        concat(
            '(?i)(?<![[:alnum:]])', replace(split.piece, '-', '[^[:alnum:]]+'), '(?![[:alnum:]])'
        ) AS pattern
    FROM search
    CROSS JOIN json_table(
        concat('["', replace(search.pieces, ' ', '","'), '"]'), '$[*]' COLUMNS (
            piece LONGTEXT CHARACTER SET utf8mb4 PATH '$'
        )
    ) AS split
    WHERE
        locate('-', split.piece) > 0
        OR char_length(split.piece)
        NOT BETWEEN @@innodb_ft_min_token_size AND @@innodb_ft_max_token_size - 20
),

found AS (
    SELECT
        documents.document_number,
        documents.title REGEXP patterns.any_piece AS in_title,
        match(documents.search_words) AGAINST (
            replace(replace(replace(replace(replace(replace(replace(replace(
                regexp_replace(
                    regexp_replace(lower(concat(' ', :words)), '[^[:alnum:]]+', ' '),
                    concat(
                        ' (?=[[:alnum:]]{', @@innodb_ft_min_token_size, ',', @@innodb_ft_max_token_size - 20,
                        '}(?![[:alnum:]]))'
                    ),
                    ' +'
                ),
                'w', 'wz'
            ), 'th', 'thz'), 'bou', 'bouz'), 'are', 'arez'),
            'com', 'comz'), 'for', 'forz'), 'fro', 'froz'), 'und', 'undz')
            IN BOOLEAN MODE
        ) AS relevance
    FROM documents
    CROSS JOIN patterns
    WHERE
        match(documents.search_words) AGAINST (
            replace(replace(replace(replace(replace(replace(replace(replace(
                regexp_replace(
                    regexp_replace(lower(concat(' ', :words)), '[^[:alnum:]]+', ' '),
                    concat(
                        ' (?=[[:alnum:]]{', @@innodb_ft_min_token_size, ',', @@innodb_ft_max_token_size - 20,
                        '}(?![[:alnum:]]))'
                    ),
                    ' +'
                ),
                'w', 'wz'
            ), 'th', 'thz'), 'bou', 'bouz'), 'are', 'arez'),
            'com', 'comz'), 'for', 'forz'), 'fro', 'froz'), 'und', 'undz')
            IN BOOLEAN MODE
        )
        AND NOT EXISTS (
            SELECT 1
            FROM unsure
            WHERE
                documents.title NOT REGEXP unsure.pattern
                AND documents.full_content NOT REGEXP unsure.pattern
        )
    UNION ALL
    SELECT
        documents.document_number,
        documents.title REGEXP patterns.any_piece AS in_title,
        0 AS relevance
    FROM patterns
    CROSS JOIN documents
    WHERE
        patterns.unindexed
        AND NOT EXISTS (
            SELECT 1
            FROM unsure
            WHERE
                documents.title NOT REGEXP unsure.pattern
                AND documents.full_content NOT REGEXP unsure.pattern
        )
    ORDER BY in_title DESC, relevance DESC, document_number ASC
    LIMIT :page_size
),

placed AS (
    SELECT
        found.document_number,
        found.in_title,
        found.relevance,
        greatest(1, regexp_instr(documents.full_content, patterns.any_piece) - 60) AS beginning
    FROM found
    CROSS JOIN patterns
    INNER JOIN documents ON found.document_number = documents.document_number
)

SELECT
    documents.document_id,
    documents.title,
    content_metadata.source_url,
    content_metadata.technology,
    content_metadata.quality_score,
    concat(
        if(placed.beginning > 1, '... ', ''),
        substr(documents.full_content, placed.beginning, 200),
        if(char_length(documents.full_content) >= placed.beginning + 200, ' ...', '')
    ) AS snippet
FROM placed
INNER JOIN documents ON placed.document_number = documents.document_number
INNER JOIN content_metadata ON documents.document_id = content_metadata.content_id
ORDER BY placed.in_title DESC, placed.relevance DESC, placed.document_number ASC;
