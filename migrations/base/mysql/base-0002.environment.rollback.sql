-- Undoes base-0002.environment, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'base-0002.environment';

DROP TABLE environment;
