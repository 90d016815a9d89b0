-- Undoes documents-0004.content_metadata, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0004.content_metadata';

DROP TRIGGER content_metadata_updated_at ON content_metadata;

DROP INDEX content_metadata_source_id_idx;

DROP INDEX content_metadata_status_idx;

DROP INDEX content_metadata_technology_idx;

DROP TABLE content_metadata;
