-- The `currency` system: all of its queries; they read alike on every engine.
--
-- Times are UTC. The application's clock comes in as a parameter; created_at and updated_at are the
-- database's. A span of time reaches from :since up to, but not including, :until. What is read in the order
-- of its time is paged by time and id: pass those of the last row as :since and :after_id of the next page,
-- and 0 as :after_id to begin. What is read in the order of its id is paged by that alone.

-- ---- conversations ----

-- name: add_conversation(
--     session_id: text, user_query: text, response: text, user_params: json, timestamp: timestamp
-- ) :one
-- returns: Conversation
-- Record a question and its answer.
INSERT INTO conversations (session_id, user_query, response, user_params, timestamp)
VALUES (:session_id, :user_query, :response, :user_params, :timestamp)
RETURNING
    id,
    session_id,
    user_query,
    response,
    user_params,
    timestamp,
    created_at;

-- name: conversation_by_id(id: int) :one
-- returns: Conversation
-- session: clean
-- One question with its answer.
SELECT
    id,
    session_id,
    user_query,
    response,
    user_params,
    timestamp,
    created_at
FROM conversations
WHERE id = :id;

-- name: conversations_of_session(session_id: text, after_id: int, page_size: int) :many
-- returns: Conversation
-- session: clean
-- One page of a session, in the order in which it was stored.
SELECT
    id,
    session_id,
    user_query,
    response,
    user_params,
    timestamp,
    created_at
FROM conversations
WHERE
    session_id = :session_id
    AND id > :after_id
ORDER BY id
LIMIT :page_size;

-- name: conversations_between(since: timestamp, until: timestamp, after_id: int, page_size: int) :many
-- returns: Conversation
-- session: clean
-- One page of what was asked in a span of time, oldest first.
SELECT
    id,
    session_id,
    user_query,
    response,
    user_params,
    timestamp,
    created_at
FROM conversations
WHERE
    timestamp >= :since
    AND timestamp < :until
    AND (timestamp > :since OR id > :after_id)
ORDER BY timestamp, id
LIMIT :page_size;

-- name: delete_session(session_id: text) :affected
-- Forget all that was asked and answered in a session.
DELETE FROM conversations
WHERE session_id = :session_id;

-- ---- prediction_history ----

-- name: add_prediction(
--     currency_pair: text, prediction_horizon: int, predicted_rate: decimal(8), confidence: float,
--     prediction_time: timestamp, due_time: timestamp
-- ) :one
-- returns: PredictionHistory
-- Record a prediction. due_time is its prediction_time and as many days as its horizon says.
INSERT INTO prediction_history (
    currency_pair, prediction_horizon, predicted_rate, confidence, prediction_time, due_time
)
VALUES (
    :currency_pair, :prediction_horizon, :predicted_rate, :confidence, :prediction_time, :due_time
)
RETURNING
    id,
    currency_pair,
    prediction_horizon,
    predicted_rate,
    confidence,
    actual_rate,
    prediction_time,
    due_time,
    evaluation_time,
    created_at,
    updated_at;

-- name: prediction_by_id(id: int) :one
-- returns: PredictionHistory
-- session: clean
-- One prediction.
SELECT
    id,
    currency_pair,
    prediction_horizon,
    predicted_rate,
    confidence,
    actual_rate,
    prediction_time,
    due_time,
    evaluation_time,
    created_at,
    updated_at
FROM prediction_history
WHERE id = :id;

-- name: predictions_of_pair(
--     currency_pair: text, since: timestamp, until: timestamp, after_id: int, page_size: int
-- ) :many
-- returns: PredictionHistory
-- session: clean
-- One page of the predictions for a pair that were made in a span of time, oldest first.
SELECT
    id,
    currency_pair,
    prediction_horizon,
    predicted_rate,
    confidence,
    actual_rate,
    prediction_time,
    due_time,
    evaluation_time,
    created_at,
    updated_at
FROM prediction_history
WHERE
    currency_pair = :currency_pair
    AND prediction_time >= :since
    AND prediction_time < :until
    AND (prediction_time > :since OR id > :after_id)
ORDER BY prediction_time, id
LIMIT :page_size;

-- name: due_predictions(now: timestamp, after_time: timestamp, after_id: int, page_size: int) :many
-- returns: PredictionHistory
-- session: clean
-- One page of the predictions that can be evaluated now and are not yet, the longest due first. Pass the last
-- due_time and id seen as after_time and after_id; a moment before all and 0 to begin.
SELECT
    id,
    currency_pair,
    prediction_horizon,
    predicted_rate,
    confidence,
    actual_rate,
    prediction_time,
    due_time,
    evaluation_time,
    created_at,
    updated_at
FROM prediction_history
WHERE
    due_time <= :now
    AND due_time >= :after_time
    AND (due_time > :after_time OR id > :after_id)
ORDER BY due_time, id
LIMIT :page_size;

-- name: evaluate_prediction(id: int, actual_rate: decimal(8), now: timestamp) :affected
-- Say what became of a prediction that is due; nothing changes if it is not, or was evaluated before.
UPDATE prediction_history
SET
    actual_rate = :actual_rate,
    evaluation_time = :now,
    due_time = NULL
WHERE
    id = :id
    AND due_time <= :now;

-- name: prediction_errors(since: timestamp, until: timestamp) :many
-- returns: PredictionErrors
-- session: clean
-- How far off the predictions of a span of time were, for each pair and horizon. An error is the predicted
-- rate less the actual one. Sums and no means, for sums are exact everywhere. On SQLite, where they are
-- integers of 64 bits, a sum beyond 92,233,720,368 is refused.
SELECT
    currency_pair,
    prediction_horizon,
    count(id) AS predictions,
    sum(predicted_rate - actual_rate) AS total_error,
    sum(abs(predicted_rate - actual_rate)) AS total_absolute_error,
    max(abs(predicted_rate - actual_rate)) AS largest_absolute_error
FROM prediction_history
WHERE
    prediction_time >= :since
    AND prediction_time < :until
    AND evaluation_time IS NOT NULL
GROUP BY currency_pair, prediction_horizon
ORDER BY currency_pair, prediction_horizon;

-- ---- agent_metrics ----

-- name: add_agent_metrics(
--     agent_name: text, execution_time_ms: int, status: text, error_message: text, timestamp: timestamp
-- ) :batch
-- Record runs of agents.
INSERT INTO agent_metrics (agent_name, execution_time_ms, status, error_message, timestamp)
VALUES (:agent_name, :execution_time_ms, :status, :error_message, :timestamp);

-- name: runs_of_agent(
--     agent_name: text, since: timestamp, until: timestamp, after_id: int, page_size: int
-- ) :many
-- returns: AgentMetrics
-- session: clean
-- One page of the runs of an agent in a span of time, oldest first.
SELECT
    id,
    agent_name,
    execution_time_ms,
    status,
    error_message,
    timestamp,
    created_at
FROM agent_metrics
WHERE
    agent_name = :agent_name
    AND timestamp >= :since
    AND timestamp < :until
    AND (timestamp > :since OR id > :after_id)
ORDER BY timestamp, id
LIMIT :page_size;

-- name: agent_performance(since: timestamp, until: timestamp) :many
-- returns: AgentPerformance
-- session: clean
-- How long the runs of each agent took in a span of time, and how many did not succeed. Percentiles are by
-- nearest rank: the p-th is the shortest duration that p percent of the runs, or more, did not exceed. So it
-- is the duration of a run, not between two, and is found in integers, the same everywhere.
WITH ranked AS (
    SELECT
        agent_name,
        execution_time_ms,
        status,
        row_number() OVER (PARTITION BY agent_name ORDER BY execution_time_ms, id) AS place,
        count(id) OVER (PARTITION BY agent_name) AS runs
    FROM agent_metrics
    WHERE
        timestamp >= :since
        AND timestamp < :until
)

SELECT
    agent_name,
    count(place) AS runs,
    count(CASE WHEN status != 'success' THEN 1 END) AS failures,
    min(CASE WHEN place * 100 >= runs * 50 THEN execution_time_ms END) AS p50_ms,
    min(CASE WHEN place * 100 >= runs * 95 THEN execution_time_ms END) AS p95_ms,
    min(CASE WHEN place * 100 >= runs * 99 THEN execution_time_ms END) AS p99_ms,
    max(execution_time_ms) AS longest_ms
FROM ranked
GROUP BY agent_name
ORDER BY agent_name;

-- ---- system_logs ----

-- name: add_system_log(
--     request_id: text, log_level: text, message: text, agent: text, extra_data: json, timestamp: timestamp
-- ) :batch
-- Record what happened.
INSERT INTO system_logs (request_id, log_level, message, agent, extra_data, timestamp)
VALUES (:request_id, :log_level, :message, :agent, :extra_data, :timestamp);

-- name: logs_of_request(request_id: text, after_id: int, page_size: int) :many
-- returns: SystemLog
-- session: clean
-- One page of what a request led to, in the order in which it was stored.
SELECT
    id,
    request_id,
    log_level,
    message,
    agent,
    extra_data,
    timestamp,
    created_at
FROM system_logs
WHERE
    request_id = :request_id
    AND id > :after_id
ORDER BY id
LIMIT :page_size;

-- name: logs_of_level(
--     log_level: text, since: timestamp, until: timestamp, after_id: int, page_size: int
-- ) :many
-- returns: SystemLog
-- session: clean
-- One page of the entries of a level in a span of time, oldest first.
SELECT
    id,
    request_id,
    log_level,
    message,
    agent,
    extra_data,
    timestamp,
    created_at
FROM system_logs
WHERE
    log_level = :log_level
    AND timestamp >= :since
    AND timestamp < :until
    AND (timestamp > :since OR id > :after_id)
ORDER BY timestamp, id
LIMIT :page_size;

-- name: logs_between(since: timestamp, until: timestamp, after_id: int, page_size: int) :many
-- returns: SystemLog
-- session: clean
-- One page of all entries in a span of time, oldest first.
SELECT
    id,
    request_id,
    log_level,
    message,
    agent,
    extra_data,
    timestamp,
    created_at
FROM system_logs
WHERE
    timestamp >= :since
    AND timestamp < :until
    AND (timestamp > :since OR id > :after_id)
ORDER BY timestamp, id
LIMIT :page_size;
