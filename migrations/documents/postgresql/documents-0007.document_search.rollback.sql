-- Undoes documents-0007.document_search, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0007.document_search';

DROP INDEX documents_search_words_idx;

ALTER TABLE documents
DROP COLUMN search_words;

DROP FUNCTION documents_hold(TEXT[], TEXT[]);

DROP FUNCTION documents_words(TEXT);
