-- What every system stands on: what only PostgreSQL says so.

-- name: server_version() :value
-- session: clean
-- The version of the engine.
SELECT current_setting('server_version') AS engine_version;

-- name: table_names() :many
-- session: clean
-- The tables of this database, by name.
SELECT tables.table_name
FROM information_schema.tables
WHERE
    tables.table_schema = current_schema()
    AND tables.table_type = 'BASE TABLE'
ORDER BY tables.table_name COLLATE "C";
