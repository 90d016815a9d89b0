-- Undoes market-0003.metadata, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'market-0003.metadata';

DROP TRIGGER metadata_updated_at;

DROP TABLE metadata;
