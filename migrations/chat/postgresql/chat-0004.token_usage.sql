-- What each call of a language model used and cost.
-- depends: chat-0003.versions

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0004.token_usage',
    'What each call of a language model used and cost.',
    'chat/postgresql/chat-0004.token_usage.sql'
);
