-- What the application says of its requests, for audits.
-- depends: currency-0003.agent_metrics

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE system_logs (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    log_level TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    agent TEXT COLLATE "C", -- NULL: the application itself
    extra_data JSONB, -- JSON object
    timestamp TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT system_logs_pk PRIMARY KEY (id),
    CONSTRAINT system_logs_request_id_length CHECK (length(request_id) BETWEEN 1 AND 100),
    CONSTRAINT system_logs_log_level_known CHECK (
        log_level IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
    ),
    CONSTRAINT system_logs_message_length CHECK (length(message) <= 1000000),
    CONSTRAINT system_logs_agent_length CHECK (length(agent) BETWEEN 1 AND 50),
    CONSTRAINT system_logs_extra_data_json CHECK (jsonb_typeof(extra_data) = 'object')
);

-- All that one request led to, in order.
CREATE INDEX system_logs_request_id_idx ON system_logs (request_id, id);

-- The entries of one level in a span of time, page by page.
CREATE INDEX system_logs_log_level_idx ON system_logs (log_level, timestamp, id);

-- All entries of a span of time, page by page.
CREATE INDEX system_logs_timestamp_idx ON system_logs (timestamp, id);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0004.system_logs',
    'What the application says of its requests, for audits.',
    'currency/postgresql/currency-0004.system_logs.sql'
);
