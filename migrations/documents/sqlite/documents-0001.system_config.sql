-- Runtime settings that operators change without a deploy.
-- depends: base-0001.schema_versions

CREATE TABLE system_config (
    "key" TEXT NOT NULL,
    value TEXT NOT NULL, -- any JSON value
    schema_version TEXT NOT NULL DEFAULT '1.0', -- the shape of the settings that the value belongs to
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_by TEXT NOT NULL DEFAULT 'system',
    CONSTRAINT system_config_pk PRIMARY KEY ("key"),
    CONSTRAINT system_config_key_length CHECK (length("key") BETWEEN 1 AND 200),
    CONSTRAINT system_config_value_json CHECK (json_valid(value)),
    CONSTRAINT system_config_schema_version_length CHECK (length(schema_version) BETWEEN 1 AND 20),
    CONSTRAINT system_config_updated_by_length CHECK (length(updated_by) BETWEEN 1 AND 200),
    CONSTRAINT system_config_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- All settings of one version, which applications load and cache as a whole.
CREATE INDEX system_config_schema_version_idx ON system_config (schema_version, "key");

CREATE TRIGGER system_config_updated_at
AFTER UPDATE OF "key", value, schema_version, updated_by ON system_config
BEGIN
    UPDATE system_config
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE "key" = new."key";
END;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0001.system_config',
    'Runtime settings that operators change without a deploy.',
    'documents/sqlite/documents-0001.system_config.sql'
);
