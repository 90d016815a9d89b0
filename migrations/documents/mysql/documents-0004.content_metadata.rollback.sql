-- Undoes documents-0004.content_metadata, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0004.content_metadata';

DROP TRIGGER content_metadata_source_deleted;

DROP TRIGGER content_metadata_updated_at;

DROP TABLE content_metadata;
