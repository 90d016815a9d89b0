-- The `currency` system: conversations, predictions of exchange rates, runs of agents, and an audit log.
--
-- This file is the whole schema as the migrations in migrations/currency/postgresql leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.postgresql.sql only where migrations are used.
-- PostgreSQL 14 or later, in a database whose encoding is UTF8, whatever its locale.
--
-- created_at and updated_at are written by the database. Every other time is written by the application,
-- which may store a row later than what it tells of; the defaults are for rows that are inserted by hand.
-- Texts that have no bound of their own have at most 1,000,000 characters.
-- An updated_at trigger names all columns but the two clocks: who sets updated_at alone, sets it.
-- Text compares and sorts by code point: COLLATE "C" on every column. Integers are 64 bits wide, and rates
-- two digits wider than they may be, so that a value out of bounds meets the named CHECK, as on the other
-- engines, and not the type.

-- What every updated_at trigger of this system runs.
CREATE FUNCTION currency_set_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    new.updated_at := statement_timestamp();
    RETURN new;
END;
$$;

-- Conversations: what a user asked in a session, and what was answered. Rows are added and deleted, never
-- changed; by their ids they are in the order in which they were stored.
CREATE TABLE conversations (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    user_query TEXT COLLATE "C" NOT NULL,
    response TEXT COLLATE "C" NOT NULL,
    user_params JSONB, -- JSON object; NULL: none were given
    timestamp TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT conversations_pk PRIMARY KEY (id),
    CONSTRAINT conversations_session_id_length CHECK (length(session_id) BETWEEN 1 AND 100),
    CONSTRAINT conversations_user_query_length CHECK (length(user_query) BETWEEN 1 AND 1000000),
    CONSTRAINT conversations_response_length CHECK (length(response) <= 1000000),
    CONSTRAINT conversations_user_params_json CHECK (jsonb_typeof(user_params) = 'object')
);

-- The conversation of one session, in order.
CREATE INDEX conversations_session_id_idx ON conversations (session_id, id);

-- The conversations of a span of time, page by page.
CREATE INDEX conversations_timestamp_idx ON conversations (timestamp, id);

-- Predictions of exchange rates, and what became of them. A prediction is evaluated once, when it is due;
-- due_time ends with that, so that the few rows that wait are found by it.
CREATE TABLE prediction_history (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    currency_pair TEXT COLLATE "C" NOT NULL, -- USD/EUR: what one of the first costs in the second
    prediction_horizon BIGINT NOT NULL, -- days
    predicted_rate NUMERIC(20, 8) NOT NULL,
    confidence DOUBLE PRECISION NOT NULL, -- 0 none, 1 certain
    actual_rate NUMERIC(20, 8),
    prediction_time TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    due_time TIMESTAMPTZ, -- prediction_time and the horizon; NULL: it is evaluated
    evaluation_time TIMESTAMPTZ, -- NULL: it is not evaluated yet
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    CONSTRAINT prediction_history_pk PRIMARY KEY (id),
    CONSTRAINT prediction_history_currency_pair_shape CHECK (currency_pair ~ '^[A-Z]{3}/[A-Z]{3}$'),
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
    )
);

-- The predictions for one pair, page by page.
CREATE INDEX prediction_history_currency_pair_idx ON prediction_history (currency_pair, prediction_time, id);

-- The predictions of a span of time, whose errors are summed up.
CREATE INDEX prediction_history_prediction_time_idx ON prediction_history (prediction_time, id);

-- What is not evaluated yet, the longest due first.
CREATE INDEX prediction_history_due_time_idx ON prediction_history (due_time, id);

CREATE TRIGGER prediction_history_updated_at
BEFORE UPDATE OF
id, currency_pair, prediction_horizon, predicted_rate, confidence, actual_rate, prediction_time, due_time,
evaluation_time
ON prediction_history
FOR EACH ROW EXECUTE FUNCTION currency_set_updated_at();

-- Runs of the application's agents: how long they took and how they ended. Rows are added, mostly many at
-- once, and never changed.
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

-- What the application says of its requests, for audits. Rows are added, mostly many at once, and never
-- changed.
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
