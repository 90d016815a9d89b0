-- How long each run of an agent took, and how it ended.
-- depends: currency-0002.prediction_history

CREATE TABLE agent_metrics (
    id BIGINT NOT NULL AUTO_INCREMENT,
    agent_name VARCHAR(500) NOT NULL,
    execution_time_ms BIGINT NOT NULL,
    status VARCHAR(500) NOT NULL,
    error_message LONGTEXT,
    timestamp DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT agent_metrics_pk PRIMARY KEY (id),
    CONSTRAINT agent_metrics_agent_name_length CHECK (char_length(agent_name) BETWEEN 1 AND 50),
    CONSTRAINT agent_metrics_execution_time_ms_range CHECK (execution_time_ms >= 0),
    CONSTRAINT agent_metrics_status_known CHECK (status IN ('success', 'error', 'timeout')),
    CONSTRAINT agent_metrics_error_message_length CHECK (char_length(error_message) BETWEEN 1 AND 1000000),
    -- The runs of one agent, page by page.
    INDEX agent_metrics_agent_name_idx (agent_name, timestamp, id),
    -- The runs of a span of time, whose durations are ranked.
    INDEX agent_metrics_timestamp_idx (timestamp, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0003.agent_metrics',
    'How long each run of an agent took, and how it ended.',
    'currency/mysql/currency-0003.agent_metrics.sql'
);
