-- Conversations with a generator of pages, each counting the versions that it made.
-- depends: base-0001.schema_versions

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

-- What every updated_at trigger of this system runs.
CREATE FUNCTION chat_set_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    new.updated_at := statement_timestamp();
    RETURN new;
END;
$$;

-- Sessions. The id is a UUID in its usual form, made by the application.
-- version_count says how many versions a session has; current_version is the newest of them, and 0 as well
-- before the first: the trigger of versions counts both, and the CHECK holds them together.
CREATE TABLE sessions (
    id TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    current_version BIGINT NOT NULL DEFAULT 0,
    version_count BIGINT NOT NULL DEFAULT 0, -- the number of the next version
    CONSTRAINT sessions_pk PRIMARY KEY (id),
    CONSTRAINT sessions_id_shape CHECK (id ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'),
    CONSTRAINT sessions_title_length CHECK (length(title) BETWEEN 1 AND 500),
    CONSTRAINT sessions_version_count_range CHECK (version_count >= 0),
    CONSTRAINT sessions_current_version_newest CHECK (
        current_version = CASE version_count WHEN 0 THEN 0 ELSE version_count - 1 END
    )
);

-- The sessions that changed last, page by page.
CREATE INDEX sessions_updated_at_idx ON sessions (updated_at, id);

CREATE TRIGGER sessions_updated_at
BEFORE UPDATE OF id, title, current_version, version_count ON sessions
FOR EACH ROW EXECUTE FUNCTION chat_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0001.sessions',
    'Conversations with a generator of pages, each counting the versions that it made.',
    'chat/postgresql/chat-0001.sessions.sql'
);
