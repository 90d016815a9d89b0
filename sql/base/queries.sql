-- What every system stands on: the queries that read alike on every engine.

-- name: applied_migrations() :many
-- returns: AppliedMigration
-- session: clean
-- The migrations that this database has seen, in the order in which they were applied.
SELECT
    version_id,
    applied_at,
    description,
    migration_script
FROM schema_versions
ORDER BY applied_at, version_id;

-- name: environment() :value
-- session: clean
-- What this database is for: development or test. No row: production.
SELECT name
FROM environment
WHERE environment_id = 1;

-- name: mark_environment(name: text) :affected
-- Say that this database is for development or for tests. It is an error if it says so already.
INSERT INTO environment (environment_id, name)
VALUES (1, :name);

-- name: probe() :value
-- session: clean
-- Any answer says that the database is there.
SELECT 1 AS alive;

-- name: yoyo_migrations() :many
-- session: clean
-- What yoyo itself remembers. Its table is there once yoyo has run.
SELECT migration_id
FROM _yoyo_migration
ORDER BY migration_id;
