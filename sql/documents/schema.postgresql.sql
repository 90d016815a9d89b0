-- The `documents` system: ingested documents, their full-text search, cached searches, feedback and use.
--
-- This file is the whole schema as the migrations in migrations/documents/postgresql leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.postgresql.sql only where migrations are used.
-- PostgreSQL 14 or later, in a database whose encoding is UTF8, whatever its locale.
--
-- created_at and updated_at are written by the database; every other time is written by the application.
-- An updated_at trigger names all columns but the two clocks: who sets updated_at alone, sets it.
-- Text compares and sorts by code point: COLLATE "C" on every column. Integers are 64 bits wide, so that a
-- value out of bounds meets the named CHECK, as on the other engines, and not the type.

-- What every updated_at trigger of this system runs.
CREATE FUNCTION documents_set_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    new.updated_at := statement_timestamp();
    RETURN new;
END;
$$;

-- Runtime settings, one JSON value per key.
CREATE TABLE system_config (
    key TEXT COLLATE "C" NOT NULL,
    value JSONB NOT NULL, -- any JSON value
    schema_version TEXT COLLATE "C" NOT NULL DEFAULT '1.0', -- the shape of the settings that it belongs to
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_by TEXT COLLATE "C" NOT NULL DEFAULT 'system',
    CONSTRAINT system_config_pk PRIMARY KEY (key),
    CONSTRAINT system_config_key_length CHECK (length(key) BETWEEN 1 AND 200),
    CONSTRAINT system_config_schema_version_length CHECK (length(schema_version) BETWEEN 1 AND 20),
    CONSTRAINT system_config_updated_by_length CHECK (length(updated_by) BETWEEN 1 AND 200)
);

-- All settings of one version, which applications load and cache as a whole.
CREATE INDEX system_config_schema_version_idx ON system_config (schema_version, key);

CREATE TRIGGER system_config_updated_at
BEFORE UPDATE OF key, value, schema_version, updated_by ON system_config
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

-- Sources of content: how reliable they are and how they answer.
-- The mean response time is total_response_ms / request_count.
CREATE TABLE source_metadata (
    source_id TEXT COLLATE "C" NOT NULL,
    source_type TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    base_url TEXT COLLATE "C" NOT NULL,
    reliability_score DOUBLE PRECISION NOT NULL DEFAULT 0.5, -- 0 worst, 1 best; the application's judgement
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    request_count BIGINT NOT NULL DEFAULT 0,
    failure_count BIGINT NOT NULL DEFAULT 0,
    total_response_ms BIGINT NOT NULL DEFAULT 0,
    last_success_at TIMESTAMPTZ,
    last_failure_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    CONSTRAINT source_metadata_pk PRIMARY KEY (source_id),
    CONSTRAINT source_metadata_source_id_length CHECK (length(source_id) BETWEEN 1 AND 200),
    CONSTRAINT source_metadata_source_type_known CHECK (
        source_type IN ('website', 'repository', 'package_index', 'api')
    ),
    CONSTRAINT source_metadata_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT source_metadata_base_url_length CHECK (length(base_url) BETWEEN 1 AND 2048),
    CONSTRAINT source_metadata_reliability_score_range CHECK (reliability_score BETWEEN 0.0 AND 1.0),
    CONSTRAINT source_metadata_failure_count_range CHECK (failure_count BETWEEN 0 AND request_count),
    CONSTRAINT source_metadata_total_response_ms_range CHECK (total_response_ms >= 0)
);

-- The active sources, page by page.
CREATE INDEX source_metadata_is_active_idx ON source_metadata (is_active, source_id);

CREATE TRIGGER source_metadata_updated_at
BEFORE UPDATE OF
source_id, source_type, name, base_url, reliability_score, is_active, request_count, failure_count,
total_response_ms, last_success_at, last_failure_at
ON source_metadata
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

-- The authoritative sources of each technology, best first.
CREATE TABLE technology_mappings (
    mapping_id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    technology TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C" NOT NULL,
    priority BIGINT NOT NULL DEFAULT 100, -- lower is asked first
    is_official BOOLEAN NOT NULL DEFAULT FALSE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    CONSTRAINT technology_mappings_pk PRIMARY KEY (mapping_id),
    CONSTRAINT technology_mappings_technology_source_id_unique UNIQUE (technology, source_id),
    CONSTRAINT technology_mappings_source_id_fk FOREIGN KEY (source_id)
    REFERENCES source_metadata (source_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT technology_mappings_technology_length CHECK (length(technology) BETWEEN 1 AND 100),
    CONSTRAINT technology_mappings_priority_range CHECK (priority BETWEEN 0 AND 1000)
);

-- The sources of one technology in the order in which they are asked.
CREATE INDEX technology_mappings_technology_priority_idx
ON technology_mappings (technology, priority, mapping_id);

-- For the foreign key: a source that is deleted takes its mappings along.
CREATE INDEX technology_mappings_source_id_idx ON technology_mappings (source_id);

CREATE TRIGGER technology_mappings_updated_at
BEFORE UPDATE OF mapping_id, technology, source_id, priority, is_official ON technology_mappings
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

-- Ingested content: one row per content that was ever fetched, whether or not it became a document.
-- It stays small: title and text are in documents, under the same id.
CREATE TABLE content_metadata (
    content_id TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C", -- NULL: no known source, or one that was deleted
    source_url TEXT COLLATE "C" NOT NULL,
    technology TEXT COLLATE "C" NOT NULL,
    content_hash TEXT COLLATE "C" NOT NULL, -- lower-case SHA-256 of the content
    word_count BIGINT NOT NULL DEFAULT 0,
    heading_count BIGINT NOT NULL DEFAULT 0,
    code_block_count BIGINT NOT NULL DEFAULT 0,
    quality_score DOUBLE PRECISION NOT NULL DEFAULT 0.0, -- 0 worst, 1 best
    status TEXT COLLATE "C" NOT NULL DEFAULT 'pending',
    failure TEXT COLLATE "C", -- why processing failed
    model_version TEXT COLLATE "C" NOT NULL DEFAULT '1.0.0', -- of DocumentMetadata
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    CONSTRAINT content_metadata_pk PRIMARY KEY (content_id),
    CONSTRAINT content_metadata_content_hash_unique UNIQUE (content_hash),
    CONSTRAINT content_metadata_source_id_fk FOREIGN KEY (source_id)
    REFERENCES source_metadata (source_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT content_metadata_content_id_length CHECK (length(content_id) BETWEEN 1 AND 200),
    CONSTRAINT content_metadata_source_url_length CHECK (length(source_url) BETWEEN 1 AND 2048),
    CONSTRAINT content_metadata_technology_length CHECK (length(technology) BETWEEN 1 AND 100),
    CONSTRAINT content_metadata_content_hash_shape CHECK (
        length(content_hash) = 64 AND content_hash !~ '[^0-9a-f]'
    ),
    CONSTRAINT content_metadata_word_count_range CHECK (word_count >= 0),
    CONSTRAINT content_metadata_heading_count_range CHECK (heading_count >= 0),
    CONSTRAINT content_metadata_code_block_count_range CHECK (code_block_count >= 0),
    CONSTRAINT content_metadata_quality_score_range CHECK (quality_score BETWEEN 0.0 AND 1.0),
    CONSTRAINT content_metadata_status_known CHECK (status IN ('pending', 'processed', 'failed')),
    CONSTRAINT content_metadata_failure_only_if_failed CHECK ((failure IS NOT NULL) = (status = 'failed')),
    CONSTRAINT content_metadata_failure_length CHECK (length(failure) BETWEEN 1 AND 2000),
    CONSTRAINT content_metadata_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20)
);

-- The content of one technology, page by page.
CREATE INDEX content_metadata_technology_idx ON content_metadata (technology, content_id);

-- What waits, and what failed, page by page.
CREATE INDEX content_metadata_status_idx ON content_metadata (status, content_id);

-- For the foreign key: a source that is deleted is looked for here.
CREATE INDEX content_metadata_source_id_idx ON content_metadata (source_id);

CREATE TRIGGER content_metadata_updated_at
BEFORE UPDATE OF
content_id, source_id, source_url, technology, content_hash, word_count, heading_count, code_block_count,
quality_score, status, failure, model_version
ON content_metadata
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

-- The words of a text, in their order: cut at whatever is no letter and no digit, in lower case, accents
-- kept. A word of more than 64 letters is cut into pieces, marked as such, since an index entry has a
-- limit; a search cuts it alike. Neither the database's locale nor a C library's tables are asked, so that
-- words are the same on every server and the index outlives an upgrade of the system: a letter of a script
-- whose case is not listed here is found as it was written.
CREATE FUNCTION documents_words(words TEXT) RETURNS TEXT[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN string_to_array(
    btrim(
        regexp_replace(
            regexp_replace(
                CASE
                    -- Latin, Greek and Cyrillic capitals; slow, and so only where there may be some
                    WHEN words ~ '[\u00c0-\u00de\u0100-\u017d\u0386-\u03ab\u0400-\u042f\u0490\u1ea0-\u1ef8]'
                        THEN translate(
                            lower(words COLLATE "C"),
                            U&'\00c0\00c1\00c2\00c3\00c4\00c5\00c6\00c7\00c8\00c9\00ca\00cb\00cc\00cd'
                            '\00ce\00cf\00d0\00d1\00d2\00d3\00d4\00d5\00d6\00d8\00d9\00da\00db\00dc'
                            '\00dd\00de\0100\0102\0104\0106\0108\010a\010c\010e\0110\0112\0114\0116'
                            '\0118\011a\011c\011e\0120\0122\0124\0126\0128\012a\012c\012e\0132\0134'
                            '\0136\0139\013b\013d\013f\0141\0143\0145\0147\014a\014c\014e\0150\0152'
                            '\0154\0156\0158\015a\015c\015e\0160\0162\0164\0166\0168\016a\016c\016e'
                            '\0170\0172\0174\0176\0178\0179\017b\017d\0386\0388\0389\038a\038c\038e'
                            '\038f\0391\0392\0393\0394\0395\0396\0397\0398\0399\039a\039b\039c\039d'
                            '\039e\039f\03a0\03a1\03a3\03a4\03a5\03a6\03a7\03a8\03a9\03aa\03ab\0400'
                            '\0401\0402\0403\0404\0405\0406\0407\0408\0409\040a\040b\040c\040d\040e'
                            '\040f\0410\0411\0412\0413\0414\0415\0416\0417\0418\0419\041a\041b\041c'
                            '\041d\041e\041f\0420\0421\0422\0423\0424\0425\0426\0427\0428\0429\042a'
                            '\042b\042c\042d\042e\042f\0490\1ea0\1ea2\1ea4\1ea6\1ea8\1eaa\1eac\1eae'
                            '\1eb0\1eb2\1eb4\1eb6\1eb8\1eba\1ebc\1ebe\1ec0\1ec2\1ec4\1ec6\1ec8\1eca'
                            '\1ecc\1ece\1ed0\1ed2\1ed4\1ed6\1ed8\1eda\1edc\1ede\1ee0\1ee2\1ee4\1ee6'
                            '\1ee8\1eea\1eec\1eee\1ef0\1ef2\1ef4\1ef6\1ef8',
                            U&'\00e0\00e1\00e2\00e3\00e4\00e5\00e6\00e7\00e8\00e9\00ea\00eb\00ec\00ed'
                            '\00ee\00ef\00f0\00f1\00f2\00f3\00f4\00f5\00f6\00f8\00f9\00fa\00fb\00fc'
                            '\00fd\00fe\0101\0103\0105\0107\0109\010b\010d\010f\0111\0113\0115\0117'
                            '\0119\011b\011d\011f\0121\0123\0125\0127\0129\012b\012d\012f\0133\0135'
                            '\0137\013a\013c\013e\0140\0142\0144\0146\0148\014b\014d\014f\0151\0153'
                            '\0155\0157\0159\015b\015d\015f\0161\0163\0165\0167\0169\016b\016d\016f'
                            '\0171\0173\0175\0177\00ff\017a\017c\017e\03ac\03ad\03ae\03af\03cc\03cd'
                            '\03ce\03b1\03b2\03b3\03b4\03b5\03b6\03b7\03b8\03b9\03ba\03bb\03bc\03bd'
                            '\03be\03bf\03c0\03c1\03c3\03c4\03c5\03c6\03c7\03c8\03c9\03ca\03cb\0450'
                            '\0451\0452\0453\0454\0455\0456\0457\0458\0459\045a\045b\045c\045d\045e'
                            '\045f\0430\0431\0432\0433\0434\0435\0436\0437\0438\0439\043a\043b\043c'
                            '\043d\043e\043f\0440\0441\0442\0443\0444\0445\0446\0447\0448\0449\044a'
                            '\044b\044c\044d\044e\044f\0491\1ea1\1ea3\1ea5\1ea7\1ea9\1eab\1ead\1eaf'
                            '\1eb1\1eb3\1eb5\1eb7\1eb9\1ebb\1ebd\1ebf\1ec1\1ec3\1ec5\1ec7\1ec9\1ecb'
                            '\1ecd\1ecf\1ed1\1ed3\1ed5\1ed7\1ed9\1edb\1edd\1edf\1ee1\1ee3\1ee5\1ee7'
                            '\1ee9\1eeb\1eed\1eef\1ef1\1ef3\1ef5\1ef7\1ef9'
                        )
                    ELSE lower(words COLLATE "C")
                END,
                '[\u0001-/:-@[-`{-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7'
                '\u2000-\u206f\u20a0-\u20cf\u2190-\u245f\u2500-\u2775\u2794-\u2bff\u3000-\u3004\u3008-\u3020'
                '\u30fb\ufeff\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\U0001f000-\U0001faff]+',
                ' ',
                'g'
            ),
            '([^ ]{64})(?=[^ ])',
            '\1- -',
            'g'
        )
    ),
    ' '
);

-- Whether each of the phrases, words with one space between, before and behind them, stands in the words of a
-- document. The cost is what keeps the planner with the index over the words: it cannot know how long they are.
CREATE FUNCTION documents_hold(words TEXT[], phrases TEXT[]) RETURNS BOOLEAN
LANGUAGE sql STABLE PARALLEL SAFE COST 10000
RETURN NOT EXISTS (
    SELECT 1
    FROM unnest(phrases) AS phrase
    WHERE strpos(concat(' ', array_to_string(words, ' '), ' '), phrase) = 0
);

-- Processed documents: the title and the whole text of a content, under the content's id.
-- Texts have at most 4,000,000 characters, so that no engine's text type cuts them off.
CREATE TABLE documents (
    document_number BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    document_id TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    full_content TEXT COLLATE "C" NOT NULL,
    model_version TEXT COLLATE "C" NOT NULL DEFAULT '1.0.0', -- of ProcessedDocument
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    -- The words of each document, the title's and then the text's; no word is `|`, so that no phrase reaches
    -- from one into the other. Not a tsvector: that refuses a text with too many different words, forgets where
    -- words stand after the 16,383rd, and its parser takes `docs.example.com` or `and/or` for one word.
    search_words TEXT[] COLLATE "C" NOT NULL
    GENERATED ALWAYS AS (documents_words(title) || ARRAY['|'] || documents_words(full_content)) STORED,
    CONSTRAINT documents_pk PRIMARY KEY (document_number),
    CONSTRAINT documents_document_id_unique UNIQUE (document_id),
    CONSTRAINT documents_document_id_fk FOREIGN KEY (document_id)
    REFERENCES content_metadata (content_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT documents_title_length CHECK (length(title) BETWEEN 1 AND 500),
    CONSTRAINT documents_full_content_length CHECK (length(full_content) <= 4000000),
    CONSTRAINT documents_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20)
);

-- The documents in which all words of a search occur.
CREATE INDEX documents_search_words_idx ON documents USING gin (search_words);

CREATE TRIGGER documents_updated_at
BEFORE UPDATE OF document_number, document_id, title, full_content, model_version ON documents
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

-- The chunks of each document, numbered from 0 without gaps. They are replaced, never changed.
CREATE TABLE document_chunks (
    chunk_id TEXT COLLATE "C" NOT NULL,
    document_id TEXT COLLATE "C" NOT NULL,
    chunk_index BIGINT NOT NULL,
    total_chunks BIGINT NOT NULL,
    content TEXT COLLATE "C" NOT NULL,
    model_version TEXT COLLATE "C" NOT NULL DEFAULT '1.0.0', -- of DocumentChunk
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT document_chunks_pk PRIMARY KEY (chunk_id),
    CONSTRAINT document_chunks_document_id_chunk_index_unique UNIQUE (document_id, chunk_index),
    CONSTRAINT document_chunks_document_id_fk FOREIGN KEY (document_id)
    REFERENCES documents (document_id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT document_chunks_chunk_id_length CHECK (length(chunk_id) BETWEEN 1 AND 200),
    CONSTRAINT document_chunks_chunk_index_range CHECK (chunk_index >= 0 AND chunk_index < total_chunks),
    CONSTRAINT document_chunks_content_length CHECK (length(content) <= 4000000),
    CONSTRAINT document_chunks_model_version_length CHECK (length(model_version) BETWEEN 1 AND 20)
);

-- Cached searches. A row is good until expires_at, which the application sets by its own clock, and is
-- deleted before that when a document changes. Expired rows are removed in batches by the cleanup.
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

-- Explicit feedback of users. Rows are added, never changed; event_id grows, so that a reader can
-- remember how far it came.
CREATE TABLE feedback_events (
    event_id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    feedback_type TEXT COLLATE "C" NOT NULL,
    content_id TEXT COLLATE "C", -- NULL: about a search as a whole, or the content was deleted
    query_hash TEXT COLLATE "C", -- the search that led here; its search_cache row may be long gone
    session_id TEXT COLLATE "C",
    rating BIGINT, -- 1 worst, 5 best; for feedback_type 'rating' only
    comment TEXT COLLATE "C",
    details JSONB NOT NULL DEFAULT '{}', -- JSON object
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT feedback_events_pk PRIMARY KEY (event_id),
    CONSTRAINT feedback_events_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT feedback_events_feedback_type_known CHECK (
        feedback_type IN ('helpful', 'not_helpful', 'outdated', 'incorrect', 'rating')
    ),
    CONSTRAINT feedback_events_query_hash_shape CHECK (
        length(query_hash) = 64 AND query_hash !~ '[^0-9a-f]'
    ),
    CONSTRAINT feedback_events_session_id_length CHECK (length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT feedback_events_rating_range CHECK (rating BETWEEN 1 AND 5),
    CONSTRAINT feedback_events_rating_only_if_rated CHECK ((rating IS NOT NULL) = (feedback_type = 'rating')),
    CONSTRAINT feedback_events_comment_length CHECK (length(comment) BETWEEN 1 AND 4000),
    CONSTRAINT feedback_events_details_json CHECK (jsonb_typeof(details) = 'object')
);

-- The feedback on one content in the order in which it came; also for the foreign key.
CREATE INDEX feedback_events_content_id_idx ON feedback_events (content_id, event_id);

-- Implicit signals of use. Rows are added, mostly many at once, and never changed; signal_id grows, so
-- that a reader can remember how far it came.
CREATE TABLE usage_signals (
    signal_id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    signal_type TEXT COLLATE "C" NOT NULL,
    content_id TEXT COLLATE "C", -- NULL: about a search as a whole, or the content was deleted
    query_hash TEXT COLLATE "C", -- the search that led here; its search_cache row may be long gone
    session_id TEXT COLLATE "C",
    dwell_ms BIGINT, -- how long the user stayed; for signal_type 'dwell' only
    details JSONB NOT NULL DEFAULT '{}', -- JSON object
    occurred_at TIMESTAMPTZ NOT NULL, -- by the client's clock; created_at is when the row was stored
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT usage_signals_pk PRIMARY KEY (signal_id),
    CONSTRAINT usage_signals_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT usage_signals_signal_type_known CHECK (
        signal_type IN ('search', 'click', 'view', 'copy', 'dwell', 'refine', 'abandon')
    ),
    CONSTRAINT usage_signals_query_hash_shape CHECK (
        length(query_hash) = 64 AND query_hash !~ '[^0-9a-f]'
    ),
    CONSTRAINT usage_signals_session_id_length CHECK (length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT usage_signals_dwell_ms_range CHECK (dwell_ms >= 0),
    CONSTRAINT usage_signals_dwell_ms_only_if_dwell CHECK ((dwell_ms IS NOT NULL) = (signal_type = 'dwell')),
    CONSTRAINT usage_signals_details_json CHECK (jsonb_typeof(details) = 'object')
);

-- The signals about one content in the order in which they came; also for the foreign key.
CREATE INDEX usage_signals_content_id_idx ON usage_signals (content_id, signal_id);

-- Which generation of the documents searches see: one number, counted up by every change that an answer may
-- show, in the transaction of that change. An answer is stored only if its generation is still this one.
-- If the row is lost, no answer is stored.
CREATE TABLE search_generation (
    generation_id BIGINT NOT NULL, -- 1: there is one row
    generation BIGINT NOT NULL,
    CONSTRAINT search_generation_pk PRIMARY KEY (generation_id),
    CONSTRAINT search_generation_one_row CHECK (generation_id = 1),
    CONSTRAINT search_generation_generation_range CHECK (generation >= 0)
);

INSERT INTO search_generation (generation_id, generation) VALUES (1, 0);
