-- Undoes chat-0001.sessions, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'chat-0001.sessions';

DROP TRIGGER sessions_updated_at;

DROP TABLE sessions;
