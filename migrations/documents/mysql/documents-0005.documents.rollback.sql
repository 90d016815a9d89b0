-- Undoes documents-0005.documents, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0005.documents';

DROP TRIGGER documents_updated_at;

DROP TABLE documents;
