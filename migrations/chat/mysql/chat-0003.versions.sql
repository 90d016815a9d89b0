-- The pages that a session generated, numbered from 0.
-- depends: chat-0002.messages
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

-- What was generated in a session: version 0 first, one more for each modification. A version is never
-- changed. One without a gap follows the other: the trigger counts each in its session, where a CHECK refuses
-- any number but the next.
-- A version that is added as NULL gets the next number. The lock on the session's row comes with reading it,
-- so that of many at once one waits for the other. A query cannot do this here: what a statement reads, its
-- triggers must not change.
CREATE TABLE versions (
    id BIGINT NOT NULL AUTO_INCREMENT,
    session_id VARCHAR(255) NOT NULL,
    version BIGINT NOT NULL,
    html LONGTEXT NOT NULL,
    description TEXT,
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT versions_pk PRIMARY KEY (id),
    CONSTRAINT versions_session_id_version_unique UNIQUE (session_id, version),
    CONSTRAINT versions_session_id_fk FOREIGN KEY (session_id)
    REFERENCES sessions (id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT versions_version_range CHECK (version >= 0),
    CONSTRAINT versions_html_length CHECK (char_length(html) <= 4000000),
    CONSTRAINT versions_description_length CHECK (char_length(description) BETWEEN 1 AND 4000)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

-- No session has a version yet, also if this migration was there before and was taken back.
UPDATE sessions
SET
    current_version = 0,
    version_count = 0
WHERE version_count <> 0;

CREATE TRIGGER versions_numbered
BEFORE INSERT ON versions
FOR EACH ROW
    SET NEW.version = coalesce(
        new.version,
        (
            SELECT sessions.version_count
            FROM sessions
            WHERE sessions.id = new.session_id -- noqa: RF01
            FOR UPDATE
        ),
        0
    );

CREATE TRIGGER versions_counted
AFTER INSERT ON versions
FOR EACH ROW
    UPDATE sessions
    SET
        current_version = new.version,
        version_count = version_count + 1
    WHERE id = new.session_id;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0003.versions',
    'The pages that a session generated, numbered from 0.',
    'chat/mysql/chat-0003.versions.sql'
);
