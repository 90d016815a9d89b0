-- Undoes documents-0006.document_chunks, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0006.document_chunks';

DROP TABLE document_chunks;
