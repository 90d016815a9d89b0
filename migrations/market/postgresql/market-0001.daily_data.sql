-- The price of each stock day by day: one bar for each ticker and day.
-- depends: base-0001.schema_versions

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

-- What every updated_at trigger of this system runs.
CREATE FUNCTION market_set_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    new.updated_at := statement_timestamp();
    RETURN new;
END;
$$;

CREATE TABLE daily_data (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    ticker TEXT COLLATE "C" NOT NULL,
    date DATE NOT NULL,
    open NUMERIC(19, 6) NOT NULL,
    high NUMERIC(19, 6) NOT NULL,
    low NUMERIC(19, 6) NOT NULL,
    close NUMERIC(19, 6) NOT NULL,
    volume BIGINT NOT NULL,
    dividends NUMERIC(19, 6), -- of each share on that day
    stock_splits NUMERIC(19, 6), -- new shares for an old one on that day
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT daily_data_pk PRIMARY KEY (id),
    CONSTRAINT daily_data_ticker_date_unique UNIQUE (ticker, date),
    CONSTRAINT daily_data_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT daily_data_prices_order CHECK (
        low <= open AND open <= high AND low <= close AND close <= high
    ),
    CONSTRAINT daily_data_prices_range CHECK (low >= 0 AND high <= 1000000000),
    CONSTRAINT daily_data_volume_range CHECK (volume BETWEEN 0 AND 1000000000000000),
    CONSTRAINT daily_data_dividends_range CHECK (dividends BETWEEN 0 AND 1000000000),
    CONSTRAINT daily_data_stock_splits_range CHECK (stock_splits BETWEEN 0 AND 1000000000)
);

CREATE TRIGGER daily_data_updated_at
BEFORE UPDATE OF id, ticker, date, open, high, low, close, volume, dividends, stock_splits ON daily_data
FOR EACH ROW EXECUTE FUNCTION market_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0001.daily_data',
    'The price of each stock day by day: one bar for each ticker and day.',
    'market/postgresql/market-0001.daily_data.sql'
);
