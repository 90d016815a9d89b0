-- Undoes documents-0003.technology_mappings, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0003.technology_mappings';

DROP TRIGGER technology_mappings_updated_at ON technology_mappings;

DROP INDEX technology_mappings_source_id_idx;

DROP INDEX technology_mappings_technology_priority_idx;

DROP TABLE technology_mappings;
