-- Undoes chat-0003.versions, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'chat-0003.versions';

DROP TRIGGER versions_counted ON versions;

UPDATE sessions
SET
    current_version = 0,
    version_count = 0
WHERE version_count <> 0;

DROP TABLE versions;

DROP FUNCTION chat_count_version();
