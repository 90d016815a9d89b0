-- Undoes chat-0002.messages, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'chat-0002.messages';

DROP INDEX messages_timestamp_idx;

DROP INDEX messages_session_id_idx;

DROP TABLE messages;
