-- What users and assistants said in a session.
-- depends: chat-0001.sessions

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

-- What was said in a session, in the order of the ids. timestamp is when; texts have at most 4,000,000
-- characters, so that no engine's text type cuts them off.
CREATE TABLE messages (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    content TEXT COLLATE "C" NOT NULL,
    timestamp TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT messages_pk PRIMARY KEY (id),
    CONSTRAINT messages_session_id_fk FOREIGN KEY (session_id)
    REFERENCES sessions (id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT messages_role_known CHECK (role IN ('user', 'assistant')),
    CONSTRAINT messages_content_length CHECK (length(content) <= 4000000)
);

-- The messages of one session, page by page; also for the foreign key.
CREATE INDEX messages_session_id_idx ON messages (session_id, id);

-- The messages of all sessions by their time, page by page.
CREATE INDEX messages_timestamp_idx ON messages (timestamp, id);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0002.messages',
    'What users and assistants said in a session.',
    'chat/postgresql/chat-0002.messages.sql'
);
