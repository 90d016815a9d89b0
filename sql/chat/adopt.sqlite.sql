-- The `chat` system: how the rows of an older file become those of today's tables. `dal adopt` runs this.
--
-- It runs in a new, empty database, one statement for each table in the order of this file, without foreign
-- keys, which are checked at the end. old_versions is the old table versions: with all columns that today's has,
-- NULL where the old one has none, and old_row, which numbers the rows. :first_row and :last_row are a stretch of
-- them, :now is the moment of the adoption. sql/market/adopt.sqlite.sql says what as_key, as_text and so on are;
-- as_uuid takes a UUID in capitals or without hyphens as well.
--
-- A clock that is missing takes the other of its row if there is one, else :now.

-- name: versions(first_row: int, last_row: int, now: text) :affected
-- What was generated. It comes before its sessions: their counts and clocks are then not touched by the trigger
-- that counts versions.
INSERT INTO versions (id, session_id, version, html, description, created_at)
SELECT
    as_key(id) AS id,
    as_uuid(session_id) AS session_id,
    as_integer(version) AS version,
    as_text(html) AS html,
    as_text(description) AS description,
    coalesce(as_moment(created_at), :now) AS created_at
FROM old_versions
WHERE old_row BETWEEN :first_row AND :last_row;

-- name: sessions(first_row: int, last_row: int, now: text) :affected
-- version_count is new: it is counted here. A CHECK of the table then refuses a session whose versions are not
-- 0, 1, 2 ... without a gap, or whose current one is not the newest.
INSERT INTO sessions (id, title, created_at, updated_at, current_version, version_count)
SELECT
    as_uuid(id) AS id,
    as_text(title) AS title,
    coalesce(as_moment(created_at), as_moment(updated_at), :now) AS created_at,
    coalesce(as_moment(updated_at), as_moment(created_at), :now) AS updated_at,
    coalesce(
        as_integer(current_version),
        (
            SELECT max(v.version)
            FROM versions AS v
            WHERE v.session_id = as_uuid(old_sessions.id)
        ),
        0
    ) AS current_version,
    (
        SELECT count(*)
        FROM versions AS v
        WHERE v.session_id = as_uuid(old_sessions.id)
    ) AS version_count
FROM old_sessions
WHERE old_row BETWEEN :first_row AND :last_row;

-- name: messages(first_row: int, last_row: int, now: text) :affected
-- What was said.
INSERT INTO messages (id, session_id, role, content, timestamp)
SELECT
    as_key(id) AS id,
    as_uuid(session_id) AS session_id,
    as_text(role) AS role,
    as_text(content) AS content,
    coalesce(as_moment(timestamp), :now) AS timestamp
FROM old_messages
WHERE old_row BETWEEN :first_row AND :last_row;

-- name: token_usage(first_row: int, last_row: int, now: text) :affected
-- What calls of a language model cost: ten digits after the point.
INSERT INTO token_usage (
    id, session_id, timestamp, agent_type, model, input_tokens, output_tokens, total_tokens, cost_usd
)
SELECT
    as_key(id) AS id,
    as_uuid(session_id) AS session_id,
    coalesce(as_moment(timestamp), :now) AS timestamp,
    as_text(agent_type) AS agent_type,
    as_text(model) AS model,
    as_integer(input_tokens) AS input_tokens,
    as_integer(output_tokens) AS output_tokens,
    as_integer(total_tokens) AS total_tokens,
    as_units(cost_usd, 10) AS cost_usd
FROM old_token_usage
WHERE old_row BETWEEN :first_row AND :last_row;
