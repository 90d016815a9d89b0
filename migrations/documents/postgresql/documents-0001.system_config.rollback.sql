-- Undoes documents-0001.system_config, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0001.system_config';

DROP TRIGGER system_config_updated_at ON system_config;

DROP INDEX system_config_schema_version_idx;

DROP TABLE system_config;

DROP FUNCTION documents_set_updated_at();
