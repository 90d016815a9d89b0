-- The `chat` system: sessions, what was said and generated in them, and what that cost.
--
-- This file is the whole schema as the migrations in migrations/chat/postgresql leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.postgresql.sql only where migrations are used.
-- PostgreSQL 14 or later, in a database whose encoding is UTF8, whatever its locale.
--
-- created_at and updated_at are written by the database, timestamp by the application, or else by the database.
-- An updated_at trigger names all columns but the two clocks: who sets updated_at alone, sets it.
-- Text compares and sorts by code point: COLLATE "C" on every column. Integers are 64 bits wide, so that a
-- value out of bounds meets the named CHECK, as on the other engines, and not the type.

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

CREATE TRIGGER versions_counted
AFTER INSERT ON versions
FOR EACH ROW EXECUTE FUNCTION chat_count_version();

-- What each call of a language model used and cost, in US dollars. A row is never changed.
CREATE TABLE token_usage (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    timestamp TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    agent_type TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    cost_usd NUMERIC(38, 10) NOT NULL,
    CONSTRAINT token_usage_pk PRIMARY KEY (id),
    CONSTRAINT token_usage_session_id_fk FOREIGN KEY (session_id)
    REFERENCES sessions (id) ON DELETE CASCADE ON UPDATE RESTRICT,
    CONSTRAINT token_usage_agent_type_known CHECK (agent_type IN ('interview', 'generation', 'refinement')),
    CONSTRAINT token_usage_model_length CHECK (length(model) BETWEEN 1 AND 200),
    CONSTRAINT token_usage_input_tokens_range CHECK (input_tokens BETWEEN 0 AND 1000000000),
    CONSTRAINT token_usage_output_tokens_range CHECK (output_tokens BETWEEN 0 AND 1000000000),
    CONSTRAINT token_usage_total_tokens_sum CHECK (total_tokens = input_tokens + output_tokens),
    CONSTRAINT token_usage_cost_usd_range CHECK (cost_usd BETWEEN 0 AND 1000000)
);

-- The use of one session; also for the foreign key.
CREATE INDEX token_usage_session_id_idx ON token_usage (session_id, id);

-- The use of all sessions between two moments.
CREATE INDEX token_usage_timestamp_idx ON token_usage (timestamp, id);
