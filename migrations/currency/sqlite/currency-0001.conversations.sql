-- What users asked, session by session, and what was answered.
-- depends: base-0001.schema_versions

CREATE TABLE conversations (
    id INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    user_query TEXT NOT NULL,
    response TEXT NOT NULL,
    user_params TEXT, -- JSON object; NULL: none were given
    timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT conversations_pk PRIMARY KEY (id),
    CONSTRAINT conversations_session_id_length CHECK (length(session_id) BETWEEN 1 AND 100),
    CONSTRAINT conversations_user_query_length CHECK (length(user_query) BETWEEN 1 AND 1000000),
    CONSTRAINT conversations_response_length CHECK (length(response) <= 1000000),
    CONSTRAINT conversations_user_params_json CHECK (
        CASE WHEN json_valid(user_params) THEN json_type(user_params) = 'object' ELSE user_params IS NULL END
    ),
    CONSTRAINT conversations_timestamp_shape CHECK (
        timestamp GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT conversations_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The conversation of one session, in order.
CREATE INDEX conversations_session_id_idx ON conversations (session_id, id);

-- The conversations of a span of time, page by page.
CREATE INDEX conversations_timestamp_idx ON conversations (timestamp, id);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0001.conversations',
    'What users asked, session by session, and what was answered.',
    'currency/sqlite/currency-0001.conversations.sql'
);
