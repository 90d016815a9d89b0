-- What users asked, session by session, and what was answered.
-- depends: base-0001.schema_versions

CREATE TABLE conversations (
    id BIGINT NOT NULL AUTO_INCREMENT,
    session_id VARCHAR(500) NOT NULL,
    user_query LONGTEXT NOT NULL,
    response LONGTEXT NOT NULL,
    user_params LONGTEXT, -- JSON object; NULL: none were given
    timestamp DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT conversations_pk PRIMARY KEY (id),
    CONSTRAINT conversations_session_id_length CHECK (char_length(session_id) BETWEEN 1 AND 100),
    CONSTRAINT conversations_user_query_length CHECK (char_length(user_query) BETWEEN 1 AND 1000000),
    CONSTRAINT conversations_response_length CHECK (char_length(response) <= 1000000),
    CONSTRAINT conversations_user_params_json CHECK (
        json_valid(user_params) AND json_type(user_params) = 'OBJECT'
    ),
    -- The conversation of one session, in order.
    INDEX conversations_session_id_idx (session_id, id),
    -- The conversations of a span of time, page by page.
    INDEX conversations_timestamp_idx (timestamp, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0001.conversations',
    'What users asked, session by session, and what was answered.',
    'currency/mysql/currency-0001.conversations.sql'
);
