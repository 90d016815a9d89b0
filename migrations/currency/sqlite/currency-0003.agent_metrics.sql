-- How long each run of an agent took, and how it ended.
-- depends: currency-0002.prediction_history

CREATE TABLE agent_metrics (
    id INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    execution_time_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    error_message TEXT,
    timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT agent_metrics_pk PRIMARY KEY (id),
    CONSTRAINT agent_metrics_agent_name_length CHECK (length(agent_name) BETWEEN 1 AND 50),
    CONSTRAINT agent_metrics_execution_time_ms_range CHECK (execution_time_ms >= 0),
    CONSTRAINT agent_metrics_status_known CHECK (status IN ('success', 'error', 'timeout')),
    CONSTRAINT agent_metrics_error_message_length CHECK (length(error_message) BETWEEN 1 AND 1000000),
    CONSTRAINT agent_metrics_timestamp_shape CHECK (
        timestamp GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT agent_metrics_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The runs of one agent, page by page.
CREATE INDEX agent_metrics_agent_name_idx ON agent_metrics (agent_name, timestamp, id);

-- The runs of a span of time, whose durations are ranked.
CREATE INDEX agent_metrics_timestamp_idx ON agent_metrics (timestamp, id);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0003.agent_metrics',
    'How long each run of an agent took, and how it ended.',
    'currency/sqlite/currency-0003.agent_metrics.sql'
);
