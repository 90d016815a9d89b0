-- What happened to the application itself, as a log.
-- depends: market-0006.portfolio_positions

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE system_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    details TEXT COLLATE "C",
    severity TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT system_events_pk PRIMARY KEY (id),
    CONSTRAINT system_events_event_type_length CHECK (length(event_type) BETWEEN 1 AND 50),
    CONSTRAINT system_events_description_length CHECK (length(description) BETWEEN 1 AND 255),
    CONSTRAINT system_events_details_length CHECK (length(details) <= 10000),
    CONSTRAINT system_events_severity_known CHECK (severity IN ('INFO', 'WARNING', 'ERROR'))
);

-- The events of one severity in the order of time.
CREATE INDEX system_events_severity_created_at_idx ON system_events (severity, created_at, id);

CREATE TRIGGER system_events_updated_at
BEFORE UPDATE OF id, event_type, description, details, severity ON system_events
FOR EACH ROW EXECUTE FUNCTION market_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0007.system_events',
    'What happened to the application itself, as a log.',
    'market/postgresql/market-0007.system_events.sql'
);
