-- Whether this database may be dropped whole.
-- depends: base-0001.schema_versions

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE environment (
    environment_id BIGINT NOT NULL DEFAULT 1,
    name TEXT COLLATE "C" NOT NULL,
    CONSTRAINT environment_pk PRIMARY KEY (environment_id),
    CONSTRAINT environment_environment_id_one CHECK (environment_id = 1),
    CONSTRAINT environment_name_known CHECK (name IN ('development', 'test'))
);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'base-0002.environment',
    'Whether this database may be dropped whole.',
    'base/postgresql/base-0002.environment.sql'
);
