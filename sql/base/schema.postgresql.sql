-- What every system of this library stands on: which migrations the database has seen, and
-- whether it may be dropped.

-- One row per applied migration, written by the last statement of the migration itself: the row and
-- the change are one transaction. A difference between this table and yoyo's own _yoyo_migration
-- means that a run was killed between the two.
CREATE TABLE schema_versions (
    version_id TEXT COLLATE "C" NOT NULL, -- the migration's file name without .sql
    applied_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    description TEXT COLLATE "C",
    migration_script TEXT COLLATE "C", -- path of the file inside migrations/
    CONSTRAINT schema_versions_pk PRIMARY KEY (version_id)
);

-- Says that this database is for development or for tests, so that dropping it whole is allowed. It has
-- one row, or none: without it the database is production, and commands that drop everything refuse.
CREATE TABLE environment (
    environment_id BIGINT NOT NULL DEFAULT 1,
    name TEXT COLLATE "C" NOT NULL,
    CONSTRAINT environment_pk PRIMARY KEY (environment_id),
    CONSTRAINT environment_environment_id_one CHECK (environment_id = 1),
    CONSTRAINT environment_name_known CHECK (name IN ('development', 'test'))
);
