-- Predictions of exchange rates, and how far off they were.
-- depends: currency-0001.conversations

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

-- What every updated_at trigger of this system runs.
CREATE FUNCTION currency_set_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    new.updated_at := statement_timestamp();
    RETURN new;
END;
$$;

CREATE TABLE prediction_history (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    currency_pair TEXT COLLATE "C" NOT NULL, -- USD/EUR: what one of the first costs in the second
    prediction_horizon BIGINT NOT NULL, -- days
    predicted_rate NUMERIC(20, 8) NOT NULL,
    confidence DOUBLE PRECISION NOT NULL, -- 0 none, 1 certain
    actual_rate NUMERIC(20, 8),
    prediction_time TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    due_time TIMESTAMPTZ, -- prediction_time and the horizon; NULL: it is evaluated
    evaluation_time TIMESTAMPTZ, -- NULL: it is not evaluated yet
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ, -- NULL until the first change
    CONSTRAINT prediction_history_pk PRIMARY KEY (id),
    CONSTRAINT prediction_history_currency_pair_shape CHECK (currency_pair ~ '^[A-Z]{3}/[A-Z]{3}$'),
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
    )
);

-- The predictions for one pair, page by page.
CREATE INDEX prediction_history_currency_pair_idx ON prediction_history (currency_pair, prediction_time, id);

-- The predictions of a span of time, whose errors are summed up.
CREATE INDEX prediction_history_prediction_time_idx ON prediction_history (prediction_time, id);

-- What is not evaluated yet, the longest due first.
CREATE INDEX prediction_history_due_time_idx ON prediction_history (due_time, id);

CREATE TRIGGER prediction_history_updated_at
BEFORE UPDATE OF
id, currency_pair, prediction_horizon, predicted_rate, confidence, actual_rate, prediction_time, due_time,
evaluation_time
ON prediction_history
FOR EACH ROW EXECUTE FUNCTION currency_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'currency-0002.prediction_history',
    'Predictions of exchange rates, and how far off they were.',
    'currency/postgresql/currency-0002.prediction_history.sql'
);
