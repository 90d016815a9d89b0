-- What happened to the application itself, as a log.
-- depends: market-0006.portfolio_positions
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

CREATE TABLE system_events (
    id BIGINT NOT NULL AUTO_INCREMENT,
    event_type VARCHAR(255) NOT NULL,
    description TEXT NOT NULL,
    details TEXT,
    severity VARCHAR(255) NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT system_events_pk PRIMARY KEY (id),
    CONSTRAINT system_events_event_type_length CHECK (char_length(event_type) BETWEEN 1 AND 50),
    CONSTRAINT system_events_description_length CHECK (char_length(description) BETWEEN 1 AND 255),
    CONSTRAINT system_events_details_length CHECK (char_length(details) <= 10000),
    CONSTRAINT system_events_severity_known CHECK (severity IN ('INFO', 'WARNING', 'ERROR')),
    -- The events of one severity in the order of time.
    INDEX system_events_severity_created_at_idx (severity, created_at, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER system_events_updated_at
BEFORE UPDATE ON system_events
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0007.system_events',
    'What happened to the application itself, as a log.',
    'market/mysql/market-0007.system_events.sql'
);
