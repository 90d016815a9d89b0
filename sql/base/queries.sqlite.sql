-- What every system stands on: what only SQLite says so.

-- name: server_version() :value
-- session: clean
-- The version of the engine.
SELECT sqlite_version() AS engine_version;

-- name: table_names() :many
-- session: clean
-- The tables of this database, by name.
SELECT name
FROM sqlite_schema
WHERE
    type = 'table'
    AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY name;
