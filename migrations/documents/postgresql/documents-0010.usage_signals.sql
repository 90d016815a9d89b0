-- What users do with content and answers, as an append-only log.
-- depends: documents-0009.feedback_events

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0010.usage_signals',
    'What users do with content and answers, as an append-only log.',
    'documents/postgresql/documents-0010.usage_signals.sql'
);
