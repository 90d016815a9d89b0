-- Runtime settings that operators change without a deploy.
-- depends: base-0001.schema_versions
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

CREATE TABLE system_config (
    `key` VARCHAR(255) NOT NULL,
    value LONGTEXT NOT NULL, -- any JSON value
    schema_version VARCHAR(255) NOT NULL DEFAULT '1.0', -- the shape of the settings that it belongs to
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_by VARCHAR(255) NOT NULL DEFAULT 'system',
    CONSTRAINT system_config_pk PRIMARY KEY (`key`),
    CONSTRAINT system_config_key_length CHECK (char_length(`key`) BETWEEN 1 AND 200),
    CONSTRAINT system_config_value_json CHECK (json_valid(value)),
    CONSTRAINT system_config_schema_version_length CHECK (char_length(schema_version) BETWEEN 1 AND 20),
    CONSTRAINT system_config_updated_by_length CHECK (char_length(updated_by) BETWEEN 1 AND 200),
    -- All settings of one version, which applications load and cache as a whole.
    INDEX system_config_schema_version_idx (schema_version, `key`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER system_config_updated_at
BEFORE UPDATE ON system_config
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0001.system_config',
    'Runtime settings that operators change without a deploy.',
    'documents/mysql/documents-0001.system_config.sql'
);
