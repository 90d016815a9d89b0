-- Undoes currency-0004.system_logs, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'currency-0004.system_logs';

DROP INDEX system_logs_timestamp_idx;

DROP INDEX system_logs_log_level_idx;

DROP INDEX system_logs_request_id_idx;

DROP TABLE system_logs;
