-- What users asked, session by session, and what was answered.
-- depends: base-0001.schema_versions

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE conversations (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    user_query TEXT COLLATE "C" NOT NULL,
    response TEXT COLLATE "C" NOT NULL,
    user_params JSONB, -- JSON object; NULL: none were given
    timestamp TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT conversations_pk PRIMARY KEY (id),
    CONSTRAINT conversations_session_id_length CHECK (length(session_id) BETWEEN 1 AND 100),
    CONSTRAINT conversations_user_query_length CHECK (length(user_query) BETWEEN 1 AND 1000000),
    CONSTRAINT conversations_response_length CHECK (length(response) <= 1000000),
    CONSTRAINT conversations_user_params_json CHECK (jsonb_typeof(user_params) = 'object')
);

-- The conversation of one session, in order.
CREATE INDEX conversations_session_id_idx ON conversations (session_id, id);

-- The conversations of a span of time, page by page.
CREATE INDEX conversations_timestamp_idx ON conversations (timestamp, id);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0001.conversations',
    'What users asked, session by session, and what was answered.',
    'currency/postgresql/currency-0001.conversations.sql'
);
