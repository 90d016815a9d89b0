-- Undoes documents-0003.technology_mappings, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0003.technology_mappings';

DROP TRIGGER technology_mappings_updated_at;

DROP TABLE technology_mappings;
