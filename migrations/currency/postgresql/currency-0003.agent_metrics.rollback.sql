-- Undoes currency-0003.agent_metrics, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'currency-0003.agent_metrics';

DROP INDEX agent_metrics_timestamp_idx;

DROP INDEX agent_metrics_agent_name_idx;

DROP TABLE agent_metrics;
