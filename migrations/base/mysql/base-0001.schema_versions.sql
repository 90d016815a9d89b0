-- Which migrations the database has seen, with when and why.

CREATE TABLE schema_versions (
    version_id VARCHAR(255) NOT NULL, -- the migration's file name without .sql
    applied_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    description TEXT,
    migration_script TEXT, -- path of the file inside migrations/
    CONSTRAINT schema_versions_pk PRIMARY KEY (version_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'base-0001.schema_versions',
    'Which migrations the database has seen, with when and why.',
    'base/mysql/base-0001.schema_versions.sql'
);
