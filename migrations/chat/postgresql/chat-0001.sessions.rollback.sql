-- Undoes chat-0001.sessions, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'chat-0001.sessions';

DROP TRIGGER sessions_updated_at ON sessions;

DROP INDEX sessions_updated_at_idx;

DROP TABLE sessions;

DROP FUNCTION chat_set_updated_at();
