-- What every system of this library stands on: which migrations the database has seen.

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
