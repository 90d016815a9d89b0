-- What the application says of its requests, for audits.
-- depends: currency-0003.agent_metrics

CREATE TABLE system_logs (
    id INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    log_level TEXT NOT NULL,
    message TEXT NOT NULL,
    agent TEXT, -- NULL: the application itself
    extra_data TEXT, -- JSON object
    timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT system_logs_pk PRIMARY KEY (id),
    CONSTRAINT system_logs_request_id_length CHECK (length(request_id) BETWEEN 1 AND 100),
    CONSTRAINT system_logs_log_level_known CHECK (
        log_level IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
    ),
    CONSTRAINT system_logs_message_length CHECK (length(message) <= 1000000),
    CONSTRAINT system_logs_agent_length CHECK (length(agent) BETWEEN 1 AND 50),
    CONSTRAINT system_logs_extra_data_json CHECK (
        CASE WHEN json_valid(extra_data) THEN json_type(extra_data) = 'object' ELSE extra_data IS NULL END
    ),
    CONSTRAINT system_logs_timestamp_shape CHECK (
        timestamp GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT system_logs_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

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
    'currency/sqlite/currency-0004.system_logs.sql'
);
