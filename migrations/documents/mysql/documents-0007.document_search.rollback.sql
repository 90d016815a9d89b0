-- Undoes documents-0007.document_search, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0007.document_search';

ALTER TABLE documents
DROP INDEX documents_search_words_idx,
DROP COLUMN search_words;
