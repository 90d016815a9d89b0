-- Predictions of exchange rates, and how far off they were.
-- depends: currency-0001.conversations

CREATE TABLE prediction_history (
    id INTEGER NOT NULL,
    currency_pair TEXT NOT NULL, -- USD/EUR: what one of the first costs in the second
    prediction_horizon INTEGER NOT NULL, -- days
    predicted_rate INTEGER NOT NULL,
    confidence REAL NOT NULL, -- 0 none, 1 certain
    actual_rate INTEGER,
    prediction_time TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    due_time TEXT, -- prediction_time and the horizon; NULL: it is evaluated
    evaluation_time TEXT, -- NULL: it is not evaluated yet
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT, -- NULL until the first change
    CONSTRAINT prediction_history_pk PRIMARY KEY (id),
    CONSTRAINT prediction_history_currency_pair_shape CHECK (
        currency_pair GLOB '[A-Z][A-Z][A-Z]/[A-Z][A-Z][A-Z]'
    ),
    CONSTRAINT prediction_history_prediction_horizon_range CHECK (prediction_horizon BETWEEN 1 AND 365),
    CONSTRAINT prediction_history_predicted_rate_range CHECK (
        predicted_rate BETWEEN 1 AND 999999999999999999
    ),
    CONSTRAINT prediction_history_confidence_range CHECK (confidence BETWEEN 0.0 AND 1.0),
    CONSTRAINT prediction_history_actual_rate_range CHECK (actual_rate BETWEEN 1 AND 999999999999999999),
    CONSTRAINT prediction_history_actual_rate_only_if_evaluated CHECK (
        (actual_rate IS NOT NULL) = (evaluation_time IS NOT NULL)
    ),
    CONSTRAINT prediction_history_due_time_range CHECK (due_time > prediction_time),
    CONSTRAINT prediction_history_due_time_until_evaluated CHECK (
        (due_time IS NULL) = (evaluation_time IS NOT NULL)
    ),
    CONSTRAINT prediction_history_prediction_time_shape CHECK (
        prediction_time GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT prediction_history_due_time_shape CHECK (
        due_time GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT prediction_history_evaluation_time_shape CHECK (
        evaluation_time GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT prediction_history_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT prediction_history_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The predictions for one pair, page by page.
CREATE INDEX prediction_history_currency_pair_idx ON prediction_history (currency_pair, prediction_time, id);

-- The predictions of a span of time, whose errors are summed up.
CREATE INDEX prediction_history_prediction_time_idx ON prediction_history (prediction_time, id);

-- What is not evaluated yet, the longest due first.
CREATE INDEX prediction_history_due_time_idx ON prediction_history (due_time, id);

CREATE TRIGGER prediction_history_updated_at
AFTER UPDATE OF
id, currency_pair, prediction_horizon, predicted_rate, confidence, actual_rate, prediction_time, due_time,
evaluation_time
ON prediction_history
BEGIN
    UPDATE prediction_history
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0002.prediction_history',
    'Predictions of exchange rates, and how far off they were.',
    'currency/sqlite/currency-0002.prediction_history.sql'
);
