-- Undoes currency-0001.conversations, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'currency-0001.conversations';

DROP TABLE conversations;
