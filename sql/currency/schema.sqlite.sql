-- The `currency` system: conversations, predictions of exchange rates, runs of agents, and an audit log.
--
-- This file is the whole schema as the migrations in migrations/currency/sqlite leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.sqlite.sql only where migrations are used.
--
-- created_at and updated_at are written by the database. Every other time is written by the application,
-- which may store a row later than what it tells of; the defaults are for rows that are inserted by hand.
-- Texts that have no bound of their own have at most 1,000,000 characters.
-- Times are UTC text of one fixed width, 2026-01-02T03:04:05.678901Z, so that they sort as text; those of the
-- database are in milliseconds, with 000 behind.
-- An updated_at trigger names all columns but the two clocks, so its own UPDATE cannot fire it again.
-- JSON is text that json_valid accepts. Rates are integers, in hundred-millionths: 0.85 is 85000000.

-- Conversations: what a user asked in a session, and what was answered. Rows are added and deleted, never
-- changed; by their ids they are in the order in which they were stored.
CREATE TABLE conversations (
    id INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    user_query TEXT NOT NULL,
    response TEXT NOT NULL,
    user_params TEXT, -- JSON object; NULL: none were given
    timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT conversations_pk PRIMARY KEY (id),
    CONSTRAINT conversations_session_id_length CHECK (length(session_id) BETWEEN 1 AND 100),
    CONSTRAINT conversations_user_query_length CHECK (length(user_query) BETWEEN 1 AND 1000000),
    CONSTRAINT conversations_response_length CHECK (length(response) <= 1000000),
    CONSTRAINT conversations_user_params_json CHECK (
        CASE WHEN json_valid(user_params) THEN json_type(user_params) = 'object' ELSE user_params IS NULL END
    ),
    CONSTRAINT conversations_timestamp_shape CHECK (
        timestamp GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT conversations_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The conversation of one session, in order.
CREATE INDEX conversations_session_id_idx ON conversations (session_id, id);

-- The conversations of a span of time, page by page.
CREATE INDEX conversations_timestamp_idx ON conversations (timestamp, id);

-- Predictions of exchange rates, and what became of them. A prediction is evaluated once, when it is due;
-- due_time ends with that, so that the few rows that wait are found by it.
CREATE TABLE prediction_history (
    id INTEGER NOT NULL,
    currency_pair TEXT NOT NULL, -- USD/EUR: what one of the first costs in the second
    prediction_horizon INTEGER NOT NULL, -- days
    predicted_rate INTEGER NOT NULL,
    confidence REAL NOT NULL, -- 0 none, 1 certain
    actual_rate INTEGER,
    prediction_time TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    due_time TEXT, -- prediction_time and the horizon; NULL: it is evaluated
    evaluation_time TEXT, -- NULL: it is not evaluated yet
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT, -- NULL until the first change
    CONSTRAINT prediction_history_pk PRIMARY KEY (id),
    CONSTRAINT prediction_history_currency_pair_shape CHECK (
        currency_pair GLOB '[A-Z][A-Z][A-Z]/[A-Z][A-Z][A-Z]'
    ),
    CONSTRAINT prediction_history_prediction_horizon_range CHECK (prediction_horizon BETWEEN 1 AND 365),
    CONSTRAINT prediction_history_predicted_rate_range CHECK (
        predicted_rate BETWEEN 1 AND 999999999999999999
    ),
    CONSTRAINT prediction_history_confidence_range CHECK (confidence BETWEEN 0.0 AND 1.0),
    CONSTRAINT prediction_history_actual_rate_range CHECK (actual_rate BETWEEN 1 AND 999999999999999999),
    CONSTRAINT prediction_history_actual_rate_only_if_evaluated CHECK (
        (actual_rate IS NOT NULL) = (evaluation_time IS NOT NULL)
    ),
    CONSTRAINT prediction_history_due_time_range CHECK (due_time > prediction_time),
    CONSTRAINT prediction_history_due_time_until_evaluated CHECK (
        (due_time IS NULL) = (evaluation_time IS NOT NULL)
    ),
    CONSTRAINT prediction_history_prediction_time_shape CHECK (
        prediction_time GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT prediction_history_due_time_shape CHECK (
        due_time GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT prediction_history_evaluation_time_shape CHECK (
        evaluation_time GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT prediction_history_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT prediction_history_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The predictions for one pair, page by page.
CREATE INDEX prediction_history_currency_pair_idx ON prediction_history (currency_pair, prediction_time, id);

-- The predictions of a span of time, whose errors are summed up.
CREATE INDEX prediction_history_prediction_time_idx ON prediction_history (prediction_time, id);

-- What is not evaluated yet, the longest due first.
CREATE INDEX prediction_history_due_time_idx ON prediction_history (due_time, id);

CREATE TRIGGER prediction_history_updated_at
AFTER UPDATE OF
id, currency_pair, prediction_horizon, predicted_rate, confidence, actual_rate, prediction_time, due_time,
evaluation_time
ON prediction_history
BEGIN
    UPDATE prediction_history
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

-- Runs of the application's agents: how long they took and how they ended. Rows are added, mostly many at
-- once, and never changed.
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

-- What the application says of its requests, for audits. Rows are added, mostly many at once, and never
-- changed.
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
