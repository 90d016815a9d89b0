-- Undoes documents-0009.feedback_events, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'documents-0009.feedback_events';

DROP INDEX feedback_events_content_id_idx;

DROP TABLE feedback_events;
