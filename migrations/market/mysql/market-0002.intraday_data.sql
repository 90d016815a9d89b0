-- The price of each stock inside of a day: one bar for each ticker and moment.
-- depends: market-0001.daily_data
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

CREATE TABLE intraday_data (
    id BIGINT NOT NULL AUTO_INCREMENT,
    ticker VARCHAR(255) NOT NULL,
    datetime DATETIME(6) NOT NULL,
    open DECIMAL(19, 6) NOT NULL,
    high DECIMAL(19, 6) NOT NULL,
    low DECIMAL(19, 6) NOT NULL,
    close DECIMAL(19, 6) NOT NULL,
    volume BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT intraday_data_pk PRIMARY KEY (id),
    CONSTRAINT intraday_data_ticker_datetime_unique UNIQUE (ticker, datetime),
    CONSTRAINT intraday_data_ticker_length CHECK (char_length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT intraday_data_prices_order CHECK (
        low <= open AND open <= high AND low <= close AND close <= high
    ),
    CONSTRAINT intraday_data_prices_range CHECK (low >= 0 AND high <= 1000000000),
    CONSTRAINT intraday_data_volume_range CHECK (volume BETWEEN 0 AND 1000000000000000)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER intraday_data_updated_at
BEFORE UPDATE ON intraday_data
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0002.intraday_data',
    'The price of each stock inside of a day: one bar for each ticker and moment.',
    'market/mysql/market-0002.intraday_data.sql'
);
