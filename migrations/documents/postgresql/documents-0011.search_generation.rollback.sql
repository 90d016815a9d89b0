-- Undoes documents-0011.search_generation, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0011.search_generation';

DELETE FROM search_generation;

DROP TABLE search_generation;
