-- Undoes market-0003.metadata, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'market-0003.metadata';

DROP TRIGGER metadata_updated_at ON metadata;

DROP TABLE metadata;
