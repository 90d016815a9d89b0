-- Predictions of exchange rates, and how far off they were.
-- depends: currency-0001.conversations
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

CREATE TABLE prediction_history (
    id BIGINT NOT NULL AUTO_INCREMENT,
    currency_pair VARCHAR(500) NOT NULL, -- USD/EUR: what one of the first costs in the second
    prediction_horizon BIGINT NOT NULL, -- days
    predicted_rate DECIMAL(20, 8) NOT NULL,
    confidence DOUBLE NOT NULL, -- 0 none, 1 certain
    actual_rate DECIMAL(20, 8),
    prediction_time DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    due_time DATETIME(6), -- prediction_time and the horizon; NULL: it is evaluated
    evaluation_time DATETIME(6), -- NULL: it is not evaluated yet
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6), -- NULL until the first change
    CONSTRAINT prediction_history_pk PRIMARY KEY (id),
    CONSTRAINT prediction_history_currency_pair_shape CHECK (
        char_length(currency_pair) = 7 AND currency_pair REGEXP '^[A-Z]{3}/[A-Z]{3}$'
    ),
    CONSTRAINT prediction_history_prediction_horizon_range CHECK (prediction_horizon BETWEEN 1 AND 365),
    CONSTRAINT prediction_history_predicted_rate_range CHECK (
        predicted_rate > 0 AND predicted_rate < 10000000000
    ),
    CONSTRAINT prediction_history_confidence_range CHECK (confidence BETWEEN 0.0 AND 1.0),
    CONSTRAINT prediction_history_actual_rate_range CHECK (actual_rate > 0 AND actual_rate < 10000000000),
    CONSTRAINT prediction_history_actual_rate_only_if_evaluated CHECK (
        (actual_rate IS NOT NULL) = (evaluation_time IS NOT NULL)
    ),
    CONSTRAINT prediction_history_due_time_range CHECK (due_time > prediction_time),
    CONSTRAINT prediction_history_due_time_until_evaluated CHECK (
        (due_time IS NULL) = (evaluation_time IS NOT NULL)
    ),
    -- The predictions for one pair, page by page.
    INDEX prediction_history_currency_pair_idx (currency_pair, prediction_time, id),
    -- The predictions of a span of time, whose errors are summed up.
    INDEX prediction_history_prediction_time_idx (prediction_time, id),
    -- What is not evaluated yet, the longest due first.
    INDEX prediction_history_due_time_idx (due_time, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER prediction_history_updated_at
BEFORE UPDATE ON prediction_history
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0002.prediction_history',
    'Predictions of exchange rates, and how far off they were.',
    'currency/mysql/currency-0002.prediction_history.sql'
);
