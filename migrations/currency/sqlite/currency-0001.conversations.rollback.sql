-- Undoes currency-0001.conversations, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'currency-0001.conversations';

DROP INDEX conversations_timestamp_idx;

DROP INDEX conversations_session_id_idx;

DROP TABLE conversations;
