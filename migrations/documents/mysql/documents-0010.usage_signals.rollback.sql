-- Undoes documents-0010.usage_signals, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0010.usage_signals';

DROP TABLE usage_signals;
