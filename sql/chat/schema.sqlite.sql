-- The `chat` system: sessions, what was said and generated in them, and what that cost.
--
-- This file is the whole schema as the migrations in migrations/chat/sqlite leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.sqlite.sql only where migrations are used.
--
-- Times are UTC text of one fixed width, 2026-01-02T03:04:05.678901Z, so that they sort as text.
-- created_at and updated_at are written by the database (here in milliseconds, with 000 behind), timestamp by
-- the application, or else by the database. An updated_at trigger names all columns but the two clocks, so
-- its own UPDATE cannot fire it again.
-- Foreign keys hold only on connections that say PRAGMA foreign_keys = ON.
-- Numbers of rows grow; only here the number of the last row of a table is given again once it is deleted.

-- Sessions. The id is a UUID in its usual form, made by the application.
-- version_count says how many versions a session has; current_version is the newest of them, and 0 as well
-- before the first: the trigger of versions counts both, and the CHECK holds them together.
CREATE TABLE sessions (
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    current_version INTEGER NOT NULL DEFAULT 0,
    version_count INTEGER NOT NULL DEFAULT 0, -- the number of the next version
    CONSTRAINT sessions_pk PRIMARY KEY (id),
    CONSTRAINT sessions_id_shape CHECK (
        id GLOB '????????-????-????-????-????????????'
        AND length(replace(id, '-', '')) = 32
        AND replace(id, '-', '') NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT sessions_title_length CHECK (length(title) BETWEEN 1 AND 500),
    CONSTRAINT sessions_version_count_range CHECK (version_count >= 0),
    CONSTRAINT sessions_current_version_newest CHECK (
        current_version = CASE version_count WHEN 0 THEN 0 ELSE version_count - 1 END
    ),
    CONSTRAINT sessions_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT sessions_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The sessions that changed last, page by page.
CREATE INDEX sessions_updated_at_idx ON sessions (updated_at, id);

CREATE TRIGGER sessions_updated_at
AFTER UPDATE OF id, title, current_version, version_count ON sessions
BEGIN
    UPDATE sessions
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

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

CREATE TRIGGER versions_counted
AFTER INSERT ON versions
BEGIN
    UPDATE sessions
    SET
        current_version = new.version,
        version_count = version_count + 1
    WHERE id = new.session_id;
END;

-- What each call of a language model used and cost, in US dollars. A row is never changed.
-- Costs have ten digits after the point, stored as integers of 0.0000000001 dollars.
CREATE TABLE token_usage (
    id INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    agent_type TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    cost_usd INTEGER NOT NULL, -- decimal(10)
    CONSTRAINT token_usage_pk PRIMARY KEY (id),
    CONSTRAINT token_usage_session_id_fk FOREIGN KEY (session_id)
    REFERENCES sessions (id) ON UPDATE RESTRICT ON DELETE CASCADE,
    CONSTRAINT token_usage_agent_type_known CHECK (agent_type IN ('interview', 'generation', 'refinement')),
    CONSTRAINT token_usage_model_length CHECK (length(model) BETWEEN 1 AND 200),
    CONSTRAINT token_usage_input_tokens_range CHECK (input_tokens BETWEEN 0 AND 1000000000),
    CONSTRAINT token_usage_output_tokens_range CHECK (output_tokens BETWEEN 0 AND 1000000000),
    CONSTRAINT token_usage_total_tokens_sum CHECK (total_tokens = input_tokens + output_tokens),
    CONSTRAINT token_usage_cost_usd_range CHECK (cost_usd BETWEEN 0 AND 10000000000000000), -- 1,000,000 dollars
    CONSTRAINT token_usage_timestamp_shape CHECK (
        timestamp GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The use of one session; also for the foreign key.
CREATE INDEX token_usage_session_id_idx ON token_usage (session_id, id);

-- The use of all sessions between two moments.
CREATE INDEX token_usage_timestamp_idx ON token_usage (timestamp, id);
