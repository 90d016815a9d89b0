-- What every system stands on: what an adopted file keeps of the records in the old one. `dal adopt` runs this in
-- the new database, after its migrations, with the old file attached as `old`. What the old one lacks is left out.

-- name: environment() :affected
-- What the database is for.
INSERT INTO environment (environment_id, name)
SELECT
    environment_id,
    name
FROM old.environment;

-- name: schema_versions() :affected
-- When each migration was applied, if it was before, and those of other systems.
INSERT OR REPLACE INTO schema_versions (version_id, applied_at, description, migration_script)
SELECT
    version_id,
    applied_at,
    description,
    migration_script
FROM old.schema_versions;

-- name: yoyo_migration() :affected
-- What yoyo itself remembers of other systems.
INSERT OR IGNORE INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)
SELECT
    migration_hash,
    migration_id,
    applied_at_utc
FROM old._yoyo_migration;

-- name: yoyo_log() :affected
-- Who applied what, and when.
INSERT OR IGNORE INTO _yoyo_log (
    id, migration_hash, migration_id, operation, username, hostname, comment, created_at_utc
)
SELECT
    id,
    migration_hash,
    migration_id,
    operation,
    username,
    hostname,
    comment,
    created_at_utc
FROM old._yoyo_log;
