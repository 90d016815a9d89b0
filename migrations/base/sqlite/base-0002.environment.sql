-- Whether this database may be dropped whole.
-- depends: base-0001.schema_versions

CREATE TABLE environment (
    environment_id INTEGER NOT NULL DEFAULT 1,
    name TEXT NOT NULL,
    CONSTRAINT environment_pk PRIMARY KEY (environment_id),
    CONSTRAINT environment_environment_id_one CHECK (environment_id = 1),
    CONSTRAINT environment_name_known CHECK (name IN ('development', 'test'))
) STRICT;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'base-0002.environment',
    'Whether this database may be dropped whole.',
    'base/sqlite/base-0002.environment.sql'
);
