-- Undoes market-0007.system_events, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'market-0007.system_events';

DROP TRIGGER system_events_updated_at ON system_events;

DROP INDEX system_events_severity_created_at_idx;

DROP TABLE system_events;
