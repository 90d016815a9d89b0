-- The price of each stock day by day: one bar for each ticker and day.
-- depends: base-0001.schema_versions
--
-- Decimals are integers, in millionths: 9.50 is 9500000.

CREATE TABLE daily_data (
    id INTEGER NOT NULL,
    ticker TEXT NOT NULL,
    date TEXT NOT NULL,
    open INTEGER NOT NULL,
    high INTEGER NOT NULL,
    low INTEGER NOT NULL,
    close INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    dividends INTEGER, -- of each share on that day
    stock_splits INTEGER, -- new shares for an old one on that day
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT daily_data_pk PRIMARY KEY (id),
    CONSTRAINT daily_data_ticker_date_unique UNIQUE (ticker, date),
    CONSTRAINT daily_data_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT daily_data_prices_order CHECK (
        low <= open AND open <= high AND low <= close AND close <= high
    ),
    CONSTRAINT daily_data_prices_range CHECK (low >= 0 AND high <= 1000000000000000),
    CONSTRAINT daily_data_volume_range CHECK (volume BETWEEN 0 AND 1000000000000000),
    CONSTRAINT daily_data_dividends_range CHECK (dividends BETWEEN 0 AND 1000000000000000),
    CONSTRAINT daily_data_stock_splits_range CHECK (stock_splits BETWEEN 0 AND 1000000000000000),
    CONSTRAINT daily_data_date_shape CHECK (date GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'),
    CONSTRAINT daily_data_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT daily_data_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

CREATE TRIGGER daily_data_updated_at
AFTER UPDATE OF id, ticker, date, open, high, low, close, volume, dividends, stock_splits ON daily_data
BEGIN
    UPDATE daily_data
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0001.daily_data',
    'The price of each stock day by day: one bar for each ticker and day.',
    'market/sqlite/market-0001.daily_data.sql'
);
