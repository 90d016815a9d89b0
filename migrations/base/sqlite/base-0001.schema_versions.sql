-- Which migrations the database has seen, with when and why.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'base-0001.schema_versions',
    'Which migrations the database has seen, with when and why.',
    'base/sqlite/base-0001.schema_versions.sql'
);
