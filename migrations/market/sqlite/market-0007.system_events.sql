-- What happened to the application itself, as a log.
-- depends: market-0006.portfolio_positions

CREATE TABLE system_events (
    id INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    description TEXT NOT NULL,
    details TEXT,
    severity TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT system_events_pk PRIMARY KEY (id),
    CONSTRAINT system_events_event_type_length CHECK (length(event_type) BETWEEN 1 AND 50),
    CONSTRAINT system_events_description_length CHECK (length(description) BETWEEN 1 AND 255),
    CONSTRAINT system_events_details_length CHECK (length(details) <= 10000),
    CONSTRAINT system_events_severity_known CHECK (severity IN ('INFO', 'WARNING', 'ERROR')),
    CONSTRAINT system_events_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT system_events_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The events of one severity in the order of time.
CREATE INDEX system_events_severity_created_at_idx ON system_events (severity, created_at, id);

CREATE TRIGGER system_events_updated_at
AFTER UPDATE OF id, event_type, description, details, severity ON system_events
BEGIN
    UPDATE system_events
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0007.system_events',
    'What happened to the application itself, as a log.',
    'market/sqlite/market-0007.system_events.sql'
);
