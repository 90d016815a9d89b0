-- Undoes market-0007.system_events, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'market-0007.system_events';

DROP TRIGGER system_events_updated_at;

DROP TABLE system_events;
