-- Undoes base-0001.schema_versions, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'base-0001.schema_versions';

DROP TABLE schema_versions;
