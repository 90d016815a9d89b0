-- What users and assistants said in a session.
-- depends: chat-0001.sessions

-- What was said in a session, in the order of the ids. timestamp is when; texts have at most 4,000,000
-- characters, so that no engine's text type cuts them off.
CREATE TABLE messages (
    id BIGINT NOT NULL AUTO_INCREMENT,
    session_id VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    content LONGTEXT NOT NULL,
    timestamp DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT messages_pk PRIMARY KEY (id),
    CONSTRAINT messages_session_id_fk FOREIGN KEY (session_id)
    REFERENCES sessions (id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT messages_role_known CHECK (role IN ('user', 'assistant')),
    CONSTRAINT messages_content_length CHECK (char_length(content) <= 4000000),
    -- The messages of one session, page by page; also for the foreign key.
    INDEX messages_session_id_idx (session_id, id),
    -- The messages of all sessions by their time, page by page.
    INDEX messages_timestamp_idx (timestamp, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0002.messages',
    'What users and assistants said in a session.',
    'chat/mysql/chat-0002.messages.sql'
);
