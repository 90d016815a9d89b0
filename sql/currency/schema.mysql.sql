-- The `currency` system: conversations, predictions of exchange rates, runs of agents, and an audit log.
--
-- This file is the whole schema as the migrations in migrations/currency/mysql leave it; a test holds both
-- to the same catalog. It needs sql/base/schema.mysql.sql only where migrations are used.
-- For MariaDB 10.6 or later. Not for MySQL 8, which has neither utf8mb4_nopad_bin nor INSERT ... RETURNING.
--
-- created_at and updated_at are written by the database. Every other time is written by the application,
-- which may store a row later than what it tells of; the defaults are for rows that are inserted by hand.
-- Texts that have no bound of their own have at most 1,000,000 characters.
-- A change of a row, of whatever column, moves updated_at.
-- Times are DATETIME(6) in UTC: years 1000 to 9999, and no conversion by the session's time zone. The clock
-- is utc_timestamp(), since current_timestamp() is the session's local time: that is why a trigger moves
-- updated_at, and not ON UPDATE.
-- Text is utf8mb4 and compares and sorts by code point, trailing spaces included, whatever the server's
-- defaults. A named CHECK bounds its length. Short texts are VARCHAR(500), far wider than their bounds, and
-- rates two digits wider, so that a value out of bounds meets the CHECK, as on the other engines, and not the
-- type; no index may hold more than 3,072 bytes.
-- JSON is text that json_valid accepts, which is what the type JSON stands for, here with named checks.
-- Indexes and constraints stand in CREATE TABLE: each statement that changes the schema commits by itself.
-- Creating triggers where the binary log is on takes SUPER, or log_bin_trust_function_creators = 1.

-- Conversations: what a user asked in a session, and what was answered. Rows are added and deleted, never
-- changed; by their ids they are in the order in which they were stored.
CREATE TABLE conversations (
    id BIGINT NOT NULL AUTO_INCREMENT,
    session_id VARCHAR(500) NOT NULL,
    user_query LONGTEXT NOT NULL,
    response LONGTEXT NOT NULL,
    user_params LONGTEXT, -- JSON object; NULL: none were given
    timestamp DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT conversations_pk PRIMARY KEY (id),
    CONSTRAINT conversations_session_id_length CHECK (char_length(session_id) BETWEEN 1 AND 100),
    CONSTRAINT conversations_user_query_length CHECK (char_length(user_query) BETWEEN 1 AND 1000000),
    CONSTRAINT conversations_response_length CHECK (char_length(response) <= 1000000),
    CONSTRAINT conversations_user_params_json CHECK (
        json_valid(user_params) AND json_type(user_params) = 'OBJECT'
    ),
    -- The conversation of one session, in order.
    INDEX conversations_session_id_idx (session_id, id),
    -- The conversations of a span of time, page by page.
    INDEX conversations_timestamp_idx (timestamp, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

-- Predictions of exchange rates, and what became of them. A prediction is evaluated once, when it is due;
-- due_time ends with that, so that the few rows that wait are found by it.
CREATE TABLE prediction_history (
    id BIGINT NOT NULL AUTO_INCREMENT,
    currency_pair VARCHAR(500) NOT NULL, -- USD/EUR: what one of the first costs in the second
    prediction_horizon BIGINT NOT NULL, -- days
    predicted_rate DECIMAL(20, 8) NOT NULL,
    confidence DOUBLE NOT NULL, -- 0 none, 1 certain
    actual_rate DECIMAL(20, 8),
    prediction_time DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    due_time DATETIME(6), -- prediction_time and the horizon; NULL: it is evaluated
    evaluation_time DATETIME(6), -- NULL: it is not evaluated yet
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6), -- NULL until the first change
    CONSTRAINT prediction_history_pk PRIMARY KEY (id),
    CONSTRAINT prediction_history_currency_pair_shape CHECK (
        char_length(currency_pair) = 7 AND currency_pair REGEXP '^[A-Z]{3}/[A-Z]{3}$'
    ),
    CONSTRAINT prediction_history_prediction_horizon_range CHECK (prediction_horizon BETWEEN 1 AND 365),
    CONSTRAINT prediction_history_predicted_rate_range CHECK (
        predicted_rate > 0 AND predicted_rate < 10000000000
    ),
    CONSTRAINT prediction_history_confidence_range CHECK (confidence BETWEEN 0.0 AND 1.0),
    CONSTRAINT prediction_history_actual_rate_range CHECK (actual_rate > 0 AND actual_rate < 10000000000),
    CONSTRAINT prediction_history_actual_rate_only_if_evaluated CHECK (
        (actual_rate IS NOT NULL) = (evaluation_time IS NOT NULL)
    ),
    CONSTRAINT prediction_history_due_time_range CHECK (due_time > prediction_time),
    CONSTRAINT prediction_history_due_time_until_evaluated CHECK (
        (due_time IS NULL) = (evaluation_time IS NOT NULL)
    ),
    -- The predictions for one pair, page by page.
    INDEX prediction_history_currency_pair_idx (currency_pair, prediction_time, id),
    -- The predictions of a span of time, whose errors are summed up.
    INDEX prediction_history_prediction_time_idx (prediction_time, id),
    -- What is not evaluated yet, the longest due first.
    INDEX prediction_history_due_time_idx (due_time, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER prediction_history_updated_at
BEFORE UPDATE ON prediction_history
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- Runs of the application's agents: how long they took and how they ended. Rows are added, mostly many at
-- once, and never changed.
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

-- What the application says of its requests, for audits. Rows are added, mostly many at once, and never
-- changed.
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
