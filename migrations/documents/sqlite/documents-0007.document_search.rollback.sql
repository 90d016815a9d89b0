-- Undoes documents-0007.document_search, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0007.document_search';

INSERT INTO document_search (document_search) VALUES ('delete-all');

DROP TRIGGER documents_search_delete;

DROP TRIGGER documents_search_update;

DROP TRIGGER documents_search_insert;

DROP TABLE document_search;
