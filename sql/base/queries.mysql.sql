-- What every system stands on: what only MariaDB and MySQL says so.

-- name: server_version() :value
-- session: clean
-- The version of the engine.
SELECT version() AS engine_version;

-- name: table_names() :many
-- session: clean
-- The tables of this database, by name.
SELECT tables.table_name
FROM information_schema.tables
WHERE
    tables.table_schema = database()
    AND tables.table_type = 'BASE TABLE'
ORDER BY cast(tables.table_name AS BINARY);
