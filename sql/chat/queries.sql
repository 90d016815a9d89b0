-- The `chat` system: the queries that read alike on every engine.
--
-- Times are UTC. Pages are taken by key: pass the last key of a page as that of the next. timestamp is the
-- application's clock; created_at and updated_at are the database's.

-- ---- sessions ----

-- name: add_session(session_id: text, title: text) :one
-- returns: Session
-- Begin a session. The id is a UUID that the application made.
INSERT INTO sessions (id, title)
VALUES (:session_id, :title)
RETURNING
    id,
    title,
    created_at,
    updated_at,
    current_version,
    version_count;

-- name: session_by_id(session_id: text) :one
-- returns: Session
-- session: clean
-- One session.
SELECT
    id,
    title,
    created_at,
    updated_at,
    current_version,
    version_count
FROM sessions
WHERE id = :session_id;

-- name: session_of_message(message_id: int) :one
-- returns: Session
-- session: clean
-- The session in which a message was said.
SELECT
    sessions.id,
    sessions.title,
    sessions.created_at,
    sessions.updated_at,
    sessions.current_version,
    sessions.version_count
FROM messages
INNER JOIN sessions ON messages.session_id = sessions.id
WHERE messages.id = :message_id;

-- name: recent_sessions(changed_before: timestamp, before_id: text, page_size: int) :many
-- returns: Session
-- session: clean
-- One page of the sessions, the one that changed last first. Pass the last page's updated_at and id; a
-- moment in the future to begin. A session that changes meanwhile moves to the front.
SELECT
    id,
    title,
    created_at,
    updated_at,
    current_version,
    version_count
FROM sessions
WHERE
    updated_at <= :changed_before
    AND (updated_at < :changed_before OR id < :before_id)
ORDER BY updated_at DESC, id DESC
LIMIT :page_size;

-- name: rename_session(session_id: text, title: text) :affected
-- Give a session another title.
UPDATE sessions
SET title = :title
WHERE id = :session_id;

-- name: delete_session(session_id: text) :affected
-- Remove a session together with its messages, versions and use.
DELETE FROM sessions
WHERE id = :session_id;

-- ---- messages ----

-- name: add_message(session_id: text, role: text, content: text, timestamp: timestamp) :one
-- returns: Message
-- Add what was said to a session.
INSERT INTO messages (session_id, role, content, timestamp)
VALUES (:session_id, :role, :content, :timestamp)
RETURNING
    id,
    session_id,
    role,
    content,
    timestamp;

-- name: add_messages(session_id: text, role: text, content: text, timestamp: timestamp) :batch
-- Add much that was said, in its order.
INSERT INTO messages (session_id, role, content, timestamp)
VALUES (:session_id, :role, :content, :timestamp);

-- name: message_by_id(message_id: int) :one
-- returns: Message
-- session: clean
-- One message.
SELECT
    id,
    session_id,
    role,
    content,
    timestamp
FROM messages
WHERE id = :message_id;

-- name: messages_of_session(session_id: text) :many
-- returns: Message
-- session: clean
-- All messages of a session, in order.
SELECT
    id,
    session_id,
    role,
    content,
    timestamp
FROM messages
WHERE session_id = :session_id
ORDER BY id;

-- name: messages_page(session_id: text, after_id: int, page_size: int) :many
-- returns: Message
-- session: clean
-- One page of the messages of a session, in order; 0 as after_id to begin.
SELECT
    id,
    session_id,
    role,
    content,
    timestamp
FROM messages
WHERE
    session_id = :session_id
    AND id > :after_id
ORDER BY id
LIMIT :page_size;

-- name: messages_since(moment: timestamp, after_id: int, page_size: int) :many
-- returns: Message
-- session: clean
-- One page of the messages of all sessions by their time, from a moment on. Pass the last page's timestamp
-- and id; 0 as after_id to begin.
SELECT
    id,
    session_id,
    role,
    content,
    timestamp
FROM messages
WHERE
    timestamp >= :moment
    AND (timestamp > :moment OR id > :after_id)
ORDER BY timestamp, id
LIMIT :page_size;

-- ---- versions ----

-- name: version_by_number(session_id: text, version: int) :one
-- returns: Version
-- session: clean
-- One version of a session.
SELECT
    id,
    session_id,
    version,
    html,
    description,
    created_at
FROM versions
WHERE
    session_id = :session_id
    AND version = :version;

-- name: current_version(session_id: text) :one
-- returns: Version
-- session: clean
-- The newest version of a session, if it has any.
SELECT
    versions.id,
    versions.session_id,
    versions.version,
    versions.html,
    versions.description,
    versions.created_at
FROM sessions
INNER JOIN versions
    ON
        sessions.id = versions.session_id
        AND sessions.current_version = versions.version
WHERE sessions.id = :session_id;

-- name: versions_of_session(session_id: text) :many
-- returns: Version
-- session: clean
-- All versions of a session, in order.
SELECT
    id,
    session_id,
    version,
    html,
    description,
    created_at
FROM versions
WHERE session_id = :session_id
ORDER BY version;

-- name: versions_page(session_id: text, after_version: int, page_size: int) :many
-- returns: Version
-- session: clean
-- One page of the versions of a session, in order; -1 as after_version to begin.
SELECT
    id,
    session_id,
    version,
    html,
    description,
    created_at
FROM versions
WHERE
    session_id = :session_id
    AND version > :after_version
ORDER BY version
LIMIT :page_size;

-- ---- token_usage ----

-- name: add_usage(
--     session_id: text, timestamp: timestamp, agent_type: text, model: text, input_tokens: int,
--     output_tokens: int, total_tokens: int, cost_usd: decimal(10)
-- ) :one
-- returns: TokenUsage
-- Record what a call of a language model used.
INSERT INTO token_usage (
    session_id, timestamp, agent_type, model, input_tokens, output_tokens, total_tokens, cost_usd
)
VALUES (
    :session_id, :timestamp, :agent_type, :model, :input_tokens, :output_tokens, :total_tokens, :cost_usd
)
RETURNING
    id,
    session_id,
    timestamp,
    agent_type,
    model,
    input_tokens,
    output_tokens,
    total_tokens,
    cost_usd;

-- name: usage_of_session(session_id: text) :many
-- returns: TokenUsage
-- session: clean
-- All that a session used, in order.
SELECT
    id,
    session_id,
    timestamp,
    agent_type,
    model,
    input_tokens,
    output_tokens,
    total_tokens,
    cost_usd
FROM token_usage
WHERE session_id = :session_id
ORDER BY id;

-- name: usage_page(session_id: text, after_id: int, page_size: int) :many
-- returns: TokenUsage
-- session: clean
-- One page of what a session used, in order; 0 as after_id to begin.
SELECT
    id,
    session_id,
    timestamp,
    agent_type,
    model,
    input_tokens,
    output_tokens,
    total_tokens,
    cost_usd
FROM token_usage
WHERE
    session_id = :session_id
    AND id > :after_id
ORDER BY id
LIMIT :page_size;

-- name: session_total(session_id: text) :one
-- returns: UsageTotal
-- session: clean
-- What a session used in all; zeros if it used nothing.
SELECT
    count(id) AS calls,
    coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens,
    coalesce(sum(total_tokens), 0) AS total_tokens,
    coalesce(sum(cost_usd), 0) AS cost_usd
FROM token_usage
WHERE session_id = :session_id;

-- name: totals_by_session(after_id: text, page_size: int) :many
-- returns: SessionTotal
-- session: clean
-- One page of what each session used in all, by session_id; '' as after_id to begin. A session that used
-- nothing is left out.
SELECT
    session_id,
    count(id) AS calls,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(total_tokens) AS total_tokens,
    sum(cost_usd) AS cost_usd
FROM token_usage
WHERE session_id > :after_id
GROUP BY session_id
ORDER BY session_id
LIMIT :page_size;

-- name: totals_by_model(since: timestamp, until: timestamp) :many
-- returns: ModelTotal
-- session: clean
-- What was used of each model, from since on and before until.
SELECT
    model,
    count(id) AS calls,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(total_tokens) AS total_tokens,
    sum(cost_usd) AS cost_usd
FROM token_usage
WHERE
    timestamp >= :since
    AND timestamp < :until
GROUP BY model
ORDER BY model;
