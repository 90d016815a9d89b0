-- The `chat` system: sessions, what was said and generated in them, and what that cost.
--
-- This file is the whole schema as the migrations in migrations/chat/mysql leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.mysql.sql only where migrations are used.
-- For MariaDB 10.6 or later. Not for MySQL 8, which has neither utf8mb4_nopad_bin nor INSERT ... RETURNING.
--
-- created_at and updated_at are written by the database, timestamp by the application, or else by the database.
-- A change of a session, of whatever column, moves its updated_at.
-- Times are DATETIME(6) in UTC: years 1000 to 9999, and no conversion by the session's time zone. The clock is
-- utc_timestamp(), since current_timestamp() is the session's local time.
-- Text is utf8mb4 and compares and sorts by code point, trailing spaces included, whatever the server's
-- defaults. A named CHECK bounds its length. Indexed columns are VARCHAR(255), for an index holds 3,072 bytes.
-- Indexes and constraints stand in CREATE TABLE: each statement that changes the schema commits by itself.
-- Creating triggers where the binary log is on takes SUPER, or log_bin_trust_function_creators = 1.

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

-- What each call of a language model used and cost, in US dollars. A row is never changed.
CREATE TABLE token_usage (
    id BIGINT NOT NULL AUTO_INCREMENT,
    session_id VARCHAR(255) NOT NULL,
    timestamp DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    agent_type VARCHAR(255) NOT NULL,
    model VARCHAR(255) NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    cost_usd DECIMAL(38, 10) NOT NULL,
    CONSTRAINT token_usage_pk PRIMARY KEY (id),
    CONSTRAINT token_usage_session_id_fk FOREIGN KEY (session_id)
    REFERENCES sessions (id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT token_usage_agent_type_known CHECK (agent_type IN ('interview', 'generation', 'refinement')),
    CONSTRAINT token_usage_model_length CHECK (char_length(model) BETWEEN 1 AND 200),
    CONSTRAINT token_usage_input_tokens_range CHECK (input_tokens BETWEEN 0 AND 1000000000),
    CONSTRAINT token_usage_output_tokens_range CHECK (output_tokens BETWEEN 0 AND 1000000000),
    CONSTRAINT token_usage_total_tokens_sum CHECK (total_tokens = input_tokens + output_tokens),
    CONSTRAINT token_usage_cost_usd_range CHECK (cost_usd BETWEEN 0 AND 1000000),
    -- The use of one session; also for the foreign key.
    INDEX token_usage_session_id_idx (session_id, id),
    -- The use of all sessions between two moments.
    INDEX token_usage_timestamp_idx (timestamp, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;
