-- The pages that a session generated, numbered from 0.
-- depends: chat-0002.messages

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

-- What the trigger of versions runs.
CREATE FUNCTION chat_count_version() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE sessions
    SET
        current_version = new.version,
        version_count = version_count + 1
    WHERE id = new.session_id;
    RETURN new;
END;
$$;

-- What was generated in a session: version 0 first, one more for each modification. A version is never
-- changed. One without a gap follows the other: the trigger counts each in its session, where a CHECK refuses
-- any number but the next.
CREATE TABLE versions (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    html TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT versions_pk PRIMARY KEY (id),
    CONSTRAINT versions_session_id_version_unique UNIQUE (session_id, version),
    CONSTRAINT versions_session_id_fk FOREIGN KEY (session_id)
    REFERENCES sessions (id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT versions_version_range CHECK (version >= 0),
    CONSTRAINT versions_html_length CHECK (length(html) <= 4000000),
    CONSTRAINT versions_description_length CHECK (length(description) BETWEEN 1 AND 4000)
);

-- No session has a version yet, also if this migration was there before and was taken back.
UPDATE sessions
SET
    current_version = 0,
    version_count = 0
WHERE version_count <> 0;

CREATE TRIGGER versions_counted
AFTER INSERT ON versions
FOR EACH ROW EXECUTE FUNCTION chat_count_version();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0003.versions',
    'The pages that a session generated, numbered from 0.',
    'chat/postgresql/chat-0003.versions.sql'
);
