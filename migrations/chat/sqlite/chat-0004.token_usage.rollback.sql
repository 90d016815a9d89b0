-- Undoes chat-0004.token_usage, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'chat-0004.token_usage';

DROP INDEX token_usage_timestamp_idx;

DROP INDEX token_usage_session_id_idx;

DROP TABLE token_usage;
