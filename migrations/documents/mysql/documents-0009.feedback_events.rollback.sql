-- Undoes documents-0009.feedback_events, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'documents-0009.feedback_events';

DROP TABLE feedback_events;
