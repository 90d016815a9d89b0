-- The `chat` system: what only SQLite says in this way, that is the number of a version, and days.

-- name: add_version(session_id: text, html: text, description: text) :one
-- returns: Version
-- Add the next version to a session. There is one writer, so that no other takes the same number.
INSERT INTO versions (session_id, version, html, description)
VALUES (
    :session_id,
    coalesce(
        (
            SELECT version_count
            FROM sessions
            WHERE id = :session_id
        ),
        0
    ),
    :html,
    :description
)
RETURNING
    id,
    session_id,
    version,
    html,
    description,
    created_at;

-- name: totals_by_day(since: timestamp, until: timestamp) :many
-- returns: DayTotal
-- session: clean
-- What was used on each day in UTC, from since on and before until. Days without use are left out.
SELECT
    substr(timestamp, 1, 10) AS day,
    count(id) AS calls,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(total_tokens) AS total_tokens,
    sum(cost_usd) AS cost_usd
FROM token_usage
WHERE
    timestamp >= :since
    AND timestamp < :until
GROUP BY day
ORDER BY day;
