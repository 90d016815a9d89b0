-- Undoes chat-0004.token_usage, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'chat-0004.token_usage';

DROP TABLE token_usage;
