-- The price of each stock inside of a day: one bar for each ticker and moment.
-- depends: market-0001.daily_data

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE intraday_data (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    ticker TEXT COLLATE "C" NOT NULL,
    datetime TIMESTAMPTZ NOT NULL,
    open NUMERIC(19, 6) NOT NULL,
    high NUMERIC(19, 6) NOT NULL,
    low NUMERIC(19, 6) NOT NULL,
    close NUMERIC(19, 6) NOT NULL,
    volume BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT intraday_data_pk PRIMARY KEY (id),
    CONSTRAINT intraday_data_ticker_datetime_unique UNIQUE (ticker, datetime),
    CONSTRAINT intraday_data_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT intraday_data_prices_order CHECK (
        low <= open AND open <= high AND low <= close AND close <= high
    ),
    CONSTRAINT intraday_data_prices_range CHECK (low >= 0 AND high <= 1000000000),
    CONSTRAINT intraday_data_volume_range CHECK (volume BETWEEN 0 AND 1000000000000000)
);

CREATE TRIGGER intraday_data_updated_at
BEFORE UPDATE OF id, ticker, datetime, open, high, low, close, volume ON intraday_data
FOR EACH ROW EXECUTE FUNCTION market_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0002.intraday_data',
    'The price of each stock inside of a day: one bar for each ticker and moment.',
    'market/postgresql/market-0002.intraday_data.sql'
);
