-- The `market` system: prices, signals, a portfolio and how it does, events.
--
-- This file is the whole schema as the migrations in migrations/market/postgresql leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.postgresql.sql only where migrations are used.
-- PostgreSQL 14 or later, in a database whose encoding is UTF8, whatever its locale.
--
-- created_at and updated_at are written by the database; every other time is written by the application.
-- An updated_at trigger names all columns but the two clocks: who sets updated_at alone, sets it.
-- Text compares and sorts by code point: COLLATE "C" on every column. Numbers have more digits than their
-- bounds, so that a value out of bounds meets the named CHECK, as on the other engines, and not the type.

-- What every updated_at trigger of this system runs.
CREATE FUNCTION market_set_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    new.updated_at := statement_timestamp();
    RETURN new;
END;
$$;

-- The price of each stock day by day: one bar for each ticker and day.
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

-- The price of each stock inside of a day: one bar for each ticker and moment at which a bar begins.
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

-- What is known of each stock's company.
CREATE TABLE metadata (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    ticker TEXT COLLATE "C" NOT NULL,
    company_name TEXT COLLATE "C",
    sector TEXT COLLATE "C",
    industry TEXT COLLATE "C",
    market_cap NUMERIC(19, 2),
    last_updated TIMESTAMPTZ, -- when this was read at its source; updated_at is when the row was written
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT metadata_pk PRIMARY KEY (id),
    CONSTRAINT metadata_ticker_unique UNIQUE (ticker),
    CONSTRAINT metadata_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT metadata_company_name_length CHECK (length(company_name) BETWEEN 1 AND 255),
    CONSTRAINT metadata_sector_length CHECK (length(sector) BETWEEN 1 AND 255),
    CONSTRAINT metadata_industry_length CHECK (length(industry) BETWEEN 1 AND 255),
    CONSTRAINT metadata_market_cap_range CHECK (market_cap BETWEEN 0 AND 10000000000000000)
);

CREATE TRIGGER metadata_updated_at
BEFORE UPDATE OF id, ticker, company_name, sector, industry, market_cap, last_updated ON metadata
FOR EACH ROW EXECUTE FUNCTION market_set_updated_at();

-- What to do with a stock, as it was said day by day. There may be several signals on one day: the last one counts.
CREATE TABLE signal_history (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    ticker TEXT COLLATE "C" NOT NULL,
    date DATE NOT NULL,
    signal_type TEXT COLLATE "C" NOT NULL,
    signal_value NUMERIC(19, 6) NOT NULL,
    confidence NUMERIC(19, 6) NOT NULL, -- 0 none, 1 full
    entry_price NUMERIC(19, 6) NOT NULL,
    target_price NUMERIC(19, 6) NOT NULL,
    stop_loss NUMERIC(19, 6) NOT NULL,
    regime TEXT COLLATE "C", -- the state of the market
    reasons TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT signal_history_pk PRIMARY KEY (id),
    CONSTRAINT signal_history_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT signal_history_signal_type_known CHECK (signal_type IN ('BUY', 'SELL', 'HOLD')),
    CONSTRAINT signal_history_signal_value_range CHECK (signal_value BETWEEN -1000000000 AND 1000000000),
    CONSTRAINT signal_history_confidence_range CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT signal_history_entry_price_range CHECK (entry_price BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_target_price_range CHECK (target_price BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_stop_loss_range CHECK (stop_loss BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_regime_length CHECK (length(regime) BETWEEN 1 AND 20),
    CONSTRAINT signal_history_reasons_length CHECK (length(reasons) <= 10000)
);

-- The signals of a ticker in their order, and its last one.
CREATE INDEX signal_history_ticker_date_idx ON signal_history (ticker, date, id);

CREATE TRIGGER signal_history_updated_at
BEFORE UPDATE OF
id, ticker, date, signal_type, signal_value, confidence, entry_price, target_price, stop_loss, regime,
reasons
ON signal_history
FOR EACH ROW EXECUTE FUNCTION market_set_updated_at();

-- What the portfolio was worth and how it did, day by day. Returns and drawdowns are fractions: 0.01 is 1 %.
CREATE TABLE portfolio_performance (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    date DATE NOT NULL,
    portfolio_value NUMERIC(19, 6) NOT NULL,
    daily_return NUMERIC(19, 6) NOT NULL,
    volatility NUMERIC(19, 6) NOT NULL,
    sharpe_ratio NUMERIC(19, 6),
    max_drawdown NUMERIC(19, 6),
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
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
);

CREATE TRIGGER portfolio_performance_updated_at
BEFORE UPDATE OF
id, date, portfolio_value, daily_return, volatility, sharpe_ratio, max_drawdown
ON portfolio_performance
FOR EACH ROW EXECUTE FUNCTION market_set_updated_at();

-- What the portfolio holds: the shares of each ticker.
CREATE TABLE portfolio_positions (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    ticker TEXT COLLATE "C" NOT NULL,
    shares NUMERIC(19, 6) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT portfolio_positions_pk PRIMARY KEY (id),
    CONSTRAINT portfolio_positions_ticker_unique UNIQUE (ticker),
    CONSTRAINT portfolio_positions_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT portfolio_positions_shares_range CHECK (shares BETWEEN 0 AND 1000000000)
);

CREATE TRIGGER portfolio_positions_updated_at
BEFORE UPDATE OF id, ticker, shares ON portfolio_positions
FOR EACH ROW EXECUTE FUNCTION market_set_updated_at();

-- What happened to the application itself, as a log.
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
