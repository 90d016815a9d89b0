-- How long each run of an agent took, and how it ended.
-- depends: currency-0002.prediction_history

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE agent_metrics (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    agent_name TEXT COLLATE "C" NOT NULL,
    execution_time_ms BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    error_message TEXT COLLATE "C",
    timestamp TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT agent_metrics_pk PRIMARY KEY (id),
    CONSTRAINT agent_metrics_agent_name_length CHECK (length(agent_name) BETWEEN 1 AND 50),
    CONSTRAINT agent_metrics_execution_time_ms_range CHECK (execution_time_ms >= 0),
    CONSTRAINT agent_metrics_status_known CHECK (status IN ('success', 'error', 'timeout')),
    CONSTRAINT agent_metrics_error_message_length CHECK (length(error_message) BETWEEN 1 AND 1000000)
);

-- The runs of one agent, page by page.
CREATE INDEX agent_metrics_agent_name_idx ON agent_metrics (agent_name, timestamp, id);

-- The runs of a span of time, whose durations are ranked.
CREATE INDEX agent_metrics_timestamp_idx ON agent_metrics (timestamp, id);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0003.agent_metrics',
    'How long each run of an agent took, and how it ended.',
    'currency/postgresql/currency-0003.agent_metrics.sql'
);
