-- Runtime settings that operators change without a deploy.
-- depends: base-0001.schema_versions

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

-- What every updated_at trigger of this system runs.
CREATE FUNCTION documents_set_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    new.updated_at := statement_timestamp();
    RETURN new;
END;
$$;

-- Runtime settings, one JSON value per key.
CREATE TABLE system_config (
    key TEXT COLLATE "C" NOT NULL,
    value JSONB NOT NULL, -- any JSON value
    schema_version TEXT COLLATE "C" NOT NULL DEFAULT '1.0', -- the shape of the settings that it belongs to
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_by TEXT COLLATE "C" NOT NULL DEFAULT 'system',
    CONSTRAINT system_config_pk PRIMARY KEY (key),
    CONSTRAINT system_config_key_length CHECK (length(key) BETWEEN 1 AND 200),
    CONSTRAINT system_config_schema_version_length CHECK (length(schema_version) BETWEEN 1 AND 20),
    CONSTRAINT system_config_updated_by_length CHECK (length(updated_by) BETWEEN 1 AND 200)
);

-- All settings of one version, which applications load and cache as a whole.
CREATE INDEX system_config_schema_version_idx ON system_config (schema_version, key);

CREATE TRIGGER system_config_updated_at
BEFORE UPDATE OF key, value, schema_version, updated_by ON system_config
FOR EACH ROW EXECUTE FUNCTION documents_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0001.system_config',
    'Runtime settings that operators change without a deploy.',
    'documents/postgresql/documents-0001.system_config.sql'
);
