-- Undoes chat-0002.messages, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'chat-0002.messages';

DROP TABLE messages;
