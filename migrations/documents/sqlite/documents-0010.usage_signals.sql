-- What users do with content and answers, as an append-only log.
-- depends: documents-0009.feedback_events

CREATE TABLE usage_signals (
    signal_id INTEGER NOT NULL,
    signal_type TEXT NOT NULL,
    content_id TEXT, -- NULL: about a search as a whole, or the content was deleted
    query_hash TEXT, -- the search that led here; its search_cache row may be long gone
    session_id TEXT,
    dwell_ms INTEGER, -- how long the user stayed; for signal_type 'dwell' only
    details TEXT NOT NULL DEFAULT '{}', -- JSON object
    occurred_at TEXT NOT NULL, -- by the client's clock; created_at is when the row was stored
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT usage_signals_pk PRIMARY KEY (signal_id),
    CONSTRAINT usage_signals_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON UPDATE RESTRICT ON DELETE SET NULL,
    CONSTRAINT usage_signals_signal_type_known CHECK (
        signal_type IN ('search', 'click', 'view', 'copy', 'dwell', 'refine', 'abandon')
    ),
    CONSTRAINT usage_signals_query_hash_shape CHECK (
        length(query_hash) = 64 AND query_hash NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT usage_signals_session_id_length CHECK (length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT usage_signals_dwell_ms_range CHECK (dwell_ms >= 0),
    CONSTRAINT usage_signals_dwell_ms_only_if_dwell CHECK ((dwell_ms IS NOT NULL) = (signal_type = 'dwell')),
    CONSTRAINT usage_signals_details_json CHECK (
        CASE WHEN json_valid(details) THEN json_type(details) = 'object' ELSE 0 END
    ),
    CONSTRAINT usage_signals_occurred_at_shape CHECK (
        occurred_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT usage_signals_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The signals about one content in the order in which they came; also for the foreign key.
CREATE INDEX usage_signals_content_id_idx ON usage_signals (content_id, signal_id);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0010.usage_signals',
    'What users do with content and answers, as an append-only log.',
    'documents/sqlite/documents-0010.usage_signals.sql'
);
