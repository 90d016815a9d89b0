-- What every system of this library stands on: which migrations the database has seen, and
-- whether it may be dropped.
--
-- Times are UTC text of one fixed width, 2026-01-02T03:04:05.678901Z, so that they sort as text.

-- One row per applied migration, written by the last statement of the migration itself: the row and
-- the change are one transaction. A difference between this table and yoyo's own _yoyo_migration
-- means that a run was killed between the two.
CREATE TABLE schema_versions (
    version_id TEXT NOT NULL, -- the migration's file name without .sql
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    description TEXT,
    migration_script TEXT, -- path of the file inside migrations/
    CONSTRAINT schema_versions_pk PRIMARY KEY (version_id),
    CONSTRAINT schema_versions_applied_at_shape CHECK (
        applied_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- Says that this database is for development or for tests, so that dropping it whole is allowed. It has
-- one row, or none: without it the database is production, and commands that drop everything refuse.
CREATE TABLE environment (
    environment_id INTEGER NOT NULL DEFAULT 1,
    name TEXT NOT NULL,
    CONSTRAINT environment_pk PRIMARY KEY (environment_id),
    CONSTRAINT environment_environment_id_one CHECK (environment_id = 1),
    CONSTRAINT environment_name_known CHECK (name IN ('development', 'test'))
) STRICT;
