-- What each call of a language model used and cost.
-- depends: chat-0003.versions

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'chat-0004.token_usage',
    'What each call of a language model used and cost.',
    'chat/mysql/chat-0004.token_usage.sql'
);
