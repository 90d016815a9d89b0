-- The pages that a session generated, numbered from 0.
-- depends: chat-0002.messages

-- What was generated in a session: version 0 first, one more for each modification. A version is never
-- changed. One without a gap follows the other: the trigger counts each in its session, where a CHECK refuses
-- any number but the next.
CREATE TABLE versions (
    id INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    html TEXT NOT NULL,
    description TEXT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT versions_pk PRIMARY KEY (id),
    CONSTRAINT versions_session_id_version_unique UNIQUE (session_id, version),
    CONSTRAINT versions_session_id_fk FOREIGN KEY (session_id)
    REFERENCES sessions (id) ON UPDATE RESTRICT ON DELETE CASCADE,
    CONSTRAINT versions_version_range CHECK (version >= 0),
    CONSTRAINT versions_html_length CHECK (length(html) <= 4000000),
    CONSTRAINT versions_description_length CHECK (length(description) BETWEEN 1 AND 4000),
    CONSTRAINT versions_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- No session has a version yet, also if this migration was there before and was taken back.
UPDATE sessions
SET
    current_version = 0,
    version_count = 0
WHERE version_count <> 0;

CREATE TRIGGER versions_counted
AFTER INSERT ON versions
BEGIN
    UPDATE sessions
    SET
        current_version = new.version,
        version_count = version_count + 1
    WHERE id = new.session_id;
END;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0003.versions',
    'The pages that a session generated, numbered from 0.',
    'chat/sqlite/chat-0003.versions.sql'
);
