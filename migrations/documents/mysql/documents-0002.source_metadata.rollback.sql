-- Undoes documents-0002.source_metadata, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0002.source_metadata';

DROP TRIGGER source_metadata_updated_at;

DROP TABLE source_metadata;
