-- Undoes documents-0008.search_cache, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0008.search_cache';

DROP TRIGGER search_cache_updated_at;

DROP TABLE search_cache;
