-- Conversations with a generator of pages, each counting the versions that it made.
-- depends: base-0001.schema_versions
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

-- Sessions. The id is a UUID in its usual form, made by the application.
-- version_count says how many versions a session has; current_version is the newest of them, and 0 as well
-- before the first: the trigger of versions counts both, and the CHECK holds them together.
CREATE TABLE sessions (
    id VARCHAR(255) NOT NULL,
    title TEXT NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    current_version BIGINT NOT NULL DEFAULT 0,
    version_count BIGINT NOT NULL DEFAULT 0, -- the number of the next version
    CONSTRAINT sessions_pk PRIMARY KEY (id),
    CONSTRAINT sessions_id_shape CHECK (
        char_length(id) = 36 AND id REGEXP '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
    ),
    CONSTRAINT sessions_title_length CHECK (char_length(title) BETWEEN 1 AND 500),
    CONSTRAINT sessions_version_count_range CHECK (version_count >= 0),
    CONSTRAINT sessions_current_version_newest CHECK (
        current_version = CASE version_count WHEN 0 THEN 0 ELSE version_count - 1 END
    ),
    -- The sessions that changed last, page by page.
    INDEX sessions_updated_at_idx (updated_at, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER sessions_updated_at
BEFORE UPDATE ON sessions
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0001.sessions',
    'Conversations with a generator of pages, each counting the versions that it made.',
    'chat/mysql/chat-0001.sessions.sql'
);
