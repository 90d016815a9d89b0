-- Undoes chat-0003.versions, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'chat-0003.versions';

DROP TRIGGER versions_counted;

DROP TRIGGER versions_numbered;

UPDATE sessions
SET
    current_version = 0,
    version_count = 0
WHERE version_count <> 0;

DROP TABLE versions;
