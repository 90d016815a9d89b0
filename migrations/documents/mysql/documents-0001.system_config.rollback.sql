-- Undoes documents-0001.system_config, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0001.system_config';

DROP TRIGGER system_config_updated_at;

DROP TABLE system_config;
