-- What users do with content and answers, as an append-only log.
-- depends: documents-0009.feedback_events

CREATE TABLE usage_signals (
    signal_id BIGINT NOT NULL AUTO_INCREMENT,
    signal_type VARCHAR(255) NOT NULL,
    content_id VARCHAR(255), -- NULL: about a search as a whole, or the content was deleted
    query_hash VARCHAR(255), -- the search that led here; its search_cache row may be long gone
    session_id VARCHAR(255),
    dwell_ms BIGINT, -- how long the user stayed; for signal_type 'dwell' only
    details LONGTEXT NOT NULL DEFAULT '{}', -- JSON object
    occurred_at DATETIME(6) NOT NULL, -- by the client's clock; created_at is when the row was stored
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT usage_signals_pk PRIMARY KEY (signal_id),
    CONSTRAINT usage_signals_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT usage_signals_signal_type_known CHECK (
        signal_type IN ('search', 'click', 'view', 'copy', 'dwell', 'refine', 'abandon')
    ),
    CONSTRAINT usage_signals_query_hash_shape CHECK (
        char_length(query_hash) = 64 AND query_hash NOT REGEXP '[^0-9a-f]'
    ),
    CONSTRAINT usage_signals_session_id_length CHECK (char_length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT usage_signals_dwell_ms_range CHECK (dwell_ms >= 0),
    CONSTRAINT usage_signals_dwell_ms_only_if_dwell CHECK ((dwell_ms IS NOT NULL) = (signal_type = 'dwell')),
    CONSTRAINT usage_signals_details_json CHECK (json_valid(details) AND json_type(details) = 'OBJECT'),
    -- The signals about one content in the order in which they came; also for the foreign key.
    INDEX usage_signals_content_id_idx (content_id, signal_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0010.usage_signals',
    'What users do with content and answers, as an append-only log.',
    'documents/mysql/documents-0010.usage_signals.sql'
);
