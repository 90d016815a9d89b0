-- Undoes documents-0002.source_metadata, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0002.source_metadata';

DROP TRIGGER source_metadata_updated_at ON source_metadata;

DROP INDEX source_metadata_is_active_idx;

DROP TABLE source_metadata;
