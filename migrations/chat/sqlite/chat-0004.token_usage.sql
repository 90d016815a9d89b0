-- What each call of a language model used and cost.
-- depends: chat-0003.versions

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0004.token_usage',
    'What each call of a language model used and cost.',
    'chat/sqlite/chat-0004.token_usage.sql'
);
