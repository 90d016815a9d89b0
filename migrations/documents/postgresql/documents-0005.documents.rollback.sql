-- Undoes documents-0005.documents, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0005.documents';

DROP TRIGGER documents_updated_at ON documents;

DROP TABLE documents;
