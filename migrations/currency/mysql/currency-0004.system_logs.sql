-- What the application says of its requests, for audits.
-- depends: currency-0003.agent_metrics

CREATE TABLE system_logs (
    id BIGINT NOT NULL AUTO_INCREMENT,
    request_id VARCHAR(500) NOT NULL,
    log_level VARCHAR(500) NOT NULL,
    message LONGTEXT NOT NULL,
    agent VARCHAR(500), -- NULL: the application itself
    extra_data LONGTEXT, -- JSON object
    timestamp DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT system_logs_pk PRIMARY KEY (id),
    CONSTRAINT system_logs_request_id_length CHECK (char_length(request_id) BETWEEN 1 AND 100),
    CONSTRAINT system_logs_log_level_known CHECK (
        log_level IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
    ),
    CONSTRAINT system_logs_message_length CHECK (char_length(message) <= 1000000),
    CONSTRAINT system_logs_agent_length CHECK (char_length(agent) BETWEEN 1 AND 50),
    CONSTRAINT system_logs_extra_data_json CHECK (
        json_valid(extra_data) AND json_type(extra_data) = 'OBJECT'
    ),
    -- All that one request led to, in order.
    INDEX system_logs_request_id_idx (request_id, id),
    -- The entries of one level in a span of time, page by page.
    INDEX system_logs_log_level_idx (log_level, timestamp, id),
    -- All entries of a span of time, page by page.
    INDEX system_logs_timestamp_idx (timestamp, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0004.system_logs',
    'What the application says of its requests, for audits.',
    'currency/mysql/currency-0004.system_logs.sql'
);
