-- The `market` system: prices, signals, a portfolio and how it does, events.
--
-- This file is the whole schema as the migrations in migrations/market/mysql leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.mysql.sql only where migrations are used.
-- For MariaDB 10.6 or later. Not for MySQL 8, which has neither utf8mb4_nopad_bin nor INSERT ... RETURNING.
--
-- created_at and updated_at are written by the database; every other time is written by the application.
-- A change of a row, of whatever column, moves updated_at.
-- Times are DATETIME(6) in UTC: no conversion by the session's time zone. The clock is utc_timestamp(), since
-- current_timestamp() is the session's local time: that is why a trigger moves updated_at, and not ON UPDATE.
-- Text is utf8mb4 and compares and sorts by code point, trailing spaces included, whatever the server's
-- defaults. A named CHECK bounds its length. Numbers have more digits than their bounds, so that a value out
-- of bounds meets the named CHECK, as on the other engines, and not the type.
-- Indexes and constraints stand in CREATE TABLE: each statement that changes the schema commits by itself.
-- Creating triggers where the binary log is on takes SUPER, or log_bin_trust_function_creators = 1.

-- The price of each stock day by day: one bar for each ticker and day.
CREATE TABLE daily_data (
    id BIGINT NOT NULL AUTO_INCREMENT,
    ticker VARCHAR(255) NOT NULL,
    date DATE NOT NULL,
    open DECIMAL(19, 6) NOT NULL,
    high DECIMAL(19, 6) NOT NULL,
    low DECIMAL(19, 6) NOT NULL,
    close DECIMAL(19, 6) NOT NULL,
    volume BIGINT NOT NULL,
    dividends DECIMAL(19, 6), -- of each share on that day
    stock_splits DECIMAL(19, 6), -- new shares for an old one on that day
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT daily_data_pk PRIMARY KEY (id),
    CONSTRAINT daily_data_ticker_date_unique UNIQUE (ticker, date),
    CONSTRAINT daily_data_ticker_length CHECK (char_length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT daily_data_prices_order CHECK (
        low <= open AND open <= high AND low <= close AND close <= high
    ),
    CONSTRAINT daily_data_prices_range CHECK (low >= 0 AND high <= 1000000000),
    CONSTRAINT daily_data_volume_range CHECK (volume BETWEEN 0 AND 1000000000000000),
    CONSTRAINT daily_data_dividends_range CHECK (dividends BETWEEN 0 AND 1000000000),
    CONSTRAINT daily_data_stock_splits_range CHECK (stock_splits BETWEEN 0 AND 1000000000)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER daily_data_updated_at
BEFORE UPDATE ON daily_data
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- The price of each stock inside of a day: one bar for each ticker and moment at which a bar begins.
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

-- What is known of each stock's company.
CREATE TABLE metadata (
    id BIGINT NOT NULL AUTO_INCREMENT,
    ticker VARCHAR(255) NOT NULL,
    company_name TEXT,
    sector TEXT,
    industry TEXT,
    market_cap DECIMAL(19, 2),
    last_updated DATETIME(6), -- when this was read at its source; updated_at is when the row was written
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT metadata_pk PRIMARY KEY (id),
    CONSTRAINT metadata_ticker_unique UNIQUE (ticker),
    CONSTRAINT metadata_ticker_length CHECK (char_length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT metadata_company_name_length CHECK (char_length(company_name) BETWEEN 1 AND 255),
    CONSTRAINT metadata_sector_length CHECK (char_length(sector) BETWEEN 1 AND 255),
    CONSTRAINT metadata_industry_length CHECK (char_length(industry) BETWEEN 1 AND 255),
    CONSTRAINT metadata_market_cap_range CHECK (market_cap BETWEEN 0 AND 10000000000000000)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER metadata_updated_at
BEFORE UPDATE ON metadata
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- What to do with a stock, as it was said day by day. There may be several signals on one day: the last one counts.
CREATE TABLE signal_history (
    id BIGINT NOT NULL AUTO_INCREMENT,
    ticker VARCHAR(255) NOT NULL,
    date DATE NOT NULL,
    signal_type VARCHAR(255) NOT NULL,
    signal_value DECIMAL(19, 6) NOT NULL,
    confidence DECIMAL(19, 6) NOT NULL, -- 0 none, 1 full
    entry_price DECIMAL(19, 6) NOT NULL,
    target_price DECIMAL(19, 6) NOT NULL,
    stop_loss DECIMAL(19, 6) NOT NULL,
    regime VARCHAR(255), -- the state of the market
    reasons TEXT NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT signal_history_pk PRIMARY KEY (id),
    CONSTRAINT signal_history_ticker_length CHECK (char_length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT signal_history_signal_type_known CHECK (signal_type IN ('BUY', 'SELL', 'HOLD')),
    CONSTRAINT signal_history_signal_value_range CHECK (signal_value BETWEEN -1000000000 AND 1000000000),
    CONSTRAINT signal_history_confidence_range CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT signal_history_entry_price_range CHECK (entry_price BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_target_price_range CHECK (target_price BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_stop_loss_range CHECK (stop_loss BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_regime_length CHECK (char_length(regime) BETWEEN 1 AND 20),
    CONSTRAINT signal_history_reasons_length CHECK (char_length(reasons) <= 10000),
    -- The signals of a ticker in their order, and its last one.
    INDEX signal_history_ticker_date_idx (ticker, date, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER signal_history_updated_at
BEFORE UPDATE ON signal_history
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- What the portfolio was worth and how it did, day by day. Returns and drawdowns are fractions: 0.01 is 1 %.
CREATE TABLE portfolio_performance (
    id BIGINT NOT NULL AUTO_INCREMENT,
    date DATE NOT NULL,
    portfolio_value DECIMAL(19, 6) NOT NULL,
    daily_return DECIMAL(19, 6) NOT NULL,
    volatility DECIMAL(19, 6) NOT NULL,
    sharpe_ratio DECIMAL(19, 6),
    max_drawdown DECIMAL(19, 6),
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT portfolio_performance_pk PRIMARY KEY (id),
    CONSTRAINT portfolio_performance_date_unique UNIQUE (date),
    CONSTRAINT portfolio_performance_portfolio_value_range CHECK (
        portfolio_value BETWEEN -1000000000000 AND 1000000000000
    ),
    CONSTRAINT portfolio_performance_daily_return_range CHECK (
        daily_return BETWEEN -1000000000 AND 1000000000
    ),
    CONSTRAINT portfolio_performance_volatility_range CHECK (volatility BETWEEN 0 AND 1000000000),
    CONSTRAINT portfolio_performance_sharpe_ratio_range CHECK (
        sharpe_ratio BETWEEN -1000000000 AND 1000000000
    ),
    CONSTRAINT portfolio_performance_max_drawdown_range CHECK (
        max_drawdown BETWEEN -1000000000 AND 1000000000
    )
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER portfolio_performance_updated_at
BEFORE UPDATE ON portfolio_performance
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- What the portfolio holds: the shares of each ticker.
CREATE TABLE portfolio_positions (
    id BIGINT NOT NULL AUTO_INCREMENT,
    ticker VARCHAR(255) NOT NULL,
    shares DECIMAL(19, 6) NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT portfolio_positions_pk PRIMARY KEY (id),
    CONSTRAINT portfolio_positions_ticker_unique UNIQUE (ticker),
    CONSTRAINT portfolio_positions_ticker_length CHECK (char_length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT portfolio_positions_shares_range CHECK (shares BETWEEN 0 AND 1000000000)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER portfolio_positions_updated_at
BEFORE UPDATE ON portfolio_positions
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

-- What happened to the application itself, as a log.
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
