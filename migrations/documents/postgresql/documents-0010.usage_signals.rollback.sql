-- Undoes documents-0010.usage_signals, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0010.usage_signals';

DROP INDEX usage_signals_content_id_idx;

DROP TABLE usage_signals;
