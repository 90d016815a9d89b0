-- Undoes currency-0004.system_logs, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'currency-0004.system_logs';

DROP TABLE system_logs;
