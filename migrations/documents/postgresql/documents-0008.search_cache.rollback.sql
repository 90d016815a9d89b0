-- Undoes documents-0008.search_cache, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0008.search_cache';

DROP TRIGGER search_cache_updated_at ON search_cache;

DROP INDEX search_cache_expires_at_idx;

DROP TABLE search_cache;
