-- What users and assistants said in a session.
-- depends: chat-0001.sessions

-- What was said in a session, in the order of the ids. timestamp is when; texts have at most 4,000,000
-- characters, so that no engine's text type cuts them off.
CREATE TABLE messages (
    id INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT messages_pk PRIMARY KEY (id),
    CONSTRAINT messages_session_id_fk FOREIGN KEY (session_id)
    REFERENCES sessions (id) ON UPDATE RESTRICT ON DELETE CASCADE,
    CONSTRAINT messages_role_known CHECK (role IN ('user', 'assistant')),
    CONSTRAINT messages_content_length CHECK (length(content) <= 4000000),
    CONSTRAINT messages_timestamp_shape CHECK (
        timestamp GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The messages of one session, page by page; also for the foreign key.
CREATE INDEX messages_session_id_idx ON messages (session_id, id);

-- The messages of all sessions by their time, page by page.
CREATE INDEX messages_timestamp_idx ON messages (timestamp, id);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0002.messages',
    'What users and assistants said in a session.',
    'chat/sqlite/chat-0002.messages.sql'
);
