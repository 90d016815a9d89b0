-- What every system of this library stands on: which migrations the database has seen, and
-- whether it may be dropped.
--
-- Times are DATETIME in UTC, by utc_timestamp(), whatever the time zone of the session.

-- One row per applied migration, written by the last statement of the migration itself: the row and
-- the change are one transaction. A difference between this table and yoyo's own _yoyo_migration
-- means that a run was killed between the two.
CREATE TABLE schema_versions (
    version_id VARCHAR(255) NOT NULL, -- the migration's file name without .sql
    applied_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    description TEXT,
    migration_script TEXT, -- path of the file inside migrations/
    CONSTRAINT schema_versions_pk PRIMARY KEY (version_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

-- Says that this database is for development or for tests, so that dropping it whole is allowed. It has
-- one row, or none: without it the database is production, and commands that drop everything refuse.
CREATE TABLE environment (
    environment_id BIGINT NOT NULL DEFAULT 1,
    name VARCHAR(255) NOT NULL,
    CONSTRAINT environment_pk PRIMARY KEY (environment_id),
    CONSTRAINT environment_environment_id_one CHECK (environment_id = 1),
    CONSTRAINT environment_name_known CHECK (name IN ('development', 'test'))
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;
