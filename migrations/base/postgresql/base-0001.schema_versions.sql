-- Which migrations the database has seen, with when and why.

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE schema_versions (
    version_id TEXT COLLATE "C" NOT NULL, -- the migration's file name without .sql
    applied_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    description TEXT COLLATE "C",
    migration_script TEXT COLLATE "C", -- path of the file inside migrations/
    CONSTRAINT schema_versions_pk PRIMARY KEY (version_id)
);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'base-0001.schema_versions',
    'Which migrations the database has seen, with when and why.',
    'base/postgresql/base-0001.schema_versions.sql'
);
