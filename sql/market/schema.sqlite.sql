-- The `market` system: prices, signals, a portfolio and how it does, events.
--
-- This file is the whole schema as the migrations in migrations/market/sqlite leave it; a test holds
-- both to the same catalog. It needs sql/base/schema.sqlite.sql only where migrations are used.
--
-- Decimals are integers: shares, prices and ratios in millionths (9.50 is 9500000), market_cap in hundredths.
-- So they compare as numbers, and add up without rounding. Prices, shares and volumes have at most 10^15 of
-- these units, so that products and sums stay inside of 64 bits in the way in which the queries make them.
-- Times are UTC text of one fixed width, 2026-01-02T03:04:05.678901Z, and days 2026-01-02, so that they
-- sort as text. created_at and updated_at are written by the database (here in milliseconds, with 000
-- behind); every other time is written by the application. An updated_at trigger names all columns but the
-- two clocks, so its own UPDATE cannot fire it again.

-- The price of each stock day by day: one bar for each ticker and day.
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

-- The price of each stock inside of a day: one bar for each ticker and moment at which a bar begins.
CREATE TABLE intraday_data (
    id INTEGER NOT NULL,
    ticker TEXT NOT NULL,
    datetime TEXT NOT NULL,
    open INTEGER NOT NULL,
    high INTEGER NOT NULL,
    low INTEGER NOT NULL,
    close INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT intraday_data_pk PRIMARY KEY (id),
    CONSTRAINT intraday_data_ticker_datetime_unique UNIQUE (ticker, datetime),
    CONSTRAINT intraday_data_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT intraday_data_prices_order CHECK (
        low <= open AND open <= high AND low <= close AND close <= high
    ),
    CONSTRAINT intraday_data_prices_range CHECK (low >= 0 AND high <= 1000000000000000),
    CONSTRAINT intraday_data_volume_range CHECK (volume BETWEEN 0 AND 1000000000000000),
    CONSTRAINT intraday_data_datetime_shape CHECK (
        datetime GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT intraday_data_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT intraday_data_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

CREATE TRIGGER intraday_data_updated_at
AFTER UPDATE OF id, ticker, datetime, open, high, low, close, volume ON intraday_data
BEGIN
    UPDATE intraday_data
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

-- What is known of each stock's company.
CREATE TABLE metadata (
    id INTEGER NOT NULL,
    ticker TEXT NOT NULL,
    company_name TEXT,
    sector TEXT,
    industry TEXT,
    market_cap INTEGER,
    last_updated TEXT, -- when this was read at its source; updated_at is when the row was written
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT metadata_pk PRIMARY KEY (id),
    CONSTRAINT metadata_ticker_unique UNIQUE (ticker),
    CONSTRAINT metadata_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT metadata_company_name_length CHECK (length(company_name) BETWEEN 1 AND 255),
    CONSTRAINT metadata_sector_length CHECK (length(sector) BETWEEN 1 AND 255),
    CONSTRAINT metadata_industry_length CHECK (length(industry) BETWEEN 1 AND 255),
    CONSTRAINT metadata_market_cap_range CHECK (market_cap BETWEEN 0 AND 1000000000000000000),
    CONSTRAINT metadata_last_updated_shape CHECK (
        last_updated GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT metadata_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT metadata_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

CREATE TRIGGER metadata_updated_at
AFTER UPDATE OF id, ticker, company_name, sector, industry, market_cap, last_updated ON metadata
BEGIN
    UPDATE metadata
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

-- What to do with a stock, as it was said day by day. There may be several signals on one day: the last one counts.
CREATE TABLE signal_history (
    id INTEGER NOT NULL,
    ticker TEXT NOT NULL,
    date TEXT NOT NULL,
    signal_type TEXT NOT NULL,
    signal_value INTEGER NOT NULL,
    confidence INTEGER NOT NULL, -- 0 none, 1 full
    entry_price INTEGER NOT NULL,
    target_price INTEGER NOT NULL,
    stop_loss INTEGER NOT NULL,
    regime TEXT, -- the state of the market
    reasons TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT signal_history_pk PRIMARY KEY (id),
    CONSTRAINT signal_history_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT signal_history_signal_type_known CHECK (signal_type IN ('BUY', 'SELL', 'HOLD')),
    CONSTRAINT signal_history_signal_value_range CHECK (
        signal_value BETWEEN -1000000000000000 AND 1000000000000000
    ),
    CONSTRAINT signal_history_confidence_range CHECK (confidence BETWEEN 0 AND 1000000),
    CONSTRAINT signal_history_entry_price_range CHECK (entry_price BETWEEN 0 AND 1000000000000000),
    CONSTRAINT signal_history_target_price_range CHECK (target_price BETWEEN 0 AND 1000000000000000),
    CONSTRAINT signal_history_stop_loss_range CHECK (stop_loss BETWEEN 0 AND 1000000000000000),
    CONSTRAINT signal_history_regime_length CHECK (length(regime) BETWEEN 1 AND 20),
    CONSTRAINT signal_history_reasons_length CHECK (length(reasons) <= 10000),
    CONSTRAINT signal_history_date_shape CHECK (date GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'),
    CONSTRAINT signal_history_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT signal_history_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The signals of a ticker in their order, and its last one.
CREATE INDEX signal_history_ticker_date_idx ON signal_history (ticker, date, id);

CREATE TRIGGER signal_history_updated_at
AFTER UPDATE OF
id, ticker, date, signal_type, signal_value, confidence, entry_price, target_price, stop_loss, regime,
reasons
ON signal_history
BEGIN
    UPDATE signal_history
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

-- What the portfolio was worth and how it did, day by day. Returns and drawdowns are fractions: 0.01 is 1 %.
CREATE TABLE portfolio_performance (
    id INTEGER NOT NULL,
    date TEXT NOT NULL,
    portfolio_value INTEGER NOT NULL,
    daily_return INTEGER NOT NULL,
    volatility INTEGER NOT NULL,
    sharpe_ratio INTEGER,
    max_drawdown INTEGER,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT portfolio_performance_pk PRIMARY KEY (id),
    CONSTRAINT portfolio_performance_date_unique UNIQUE (date),
    CONSTRAINT portfolio_performance_portfolio_value_range CHECK (
        portfolio_value BETWEEN -1000000000000000000 AND 1000000000000000000
    ),
    CONSTRAINT portfolio_performance_daily_return_range CHECK (
        daily_return BETWEEN -1000000000000000 AND 1000000000000000
    ),
    CONSTRAINT portfolio_performance_volatility_range CHECK (volatility BETWEEN 0 AND 1000000000000000),
    CONSTRAINT portfolio_performance_sharpe_ratio_range CHECK (
        sharpe_ratio BETWEEN -1000000000000000 AND 1000000000000000
    ),
    CONSTRAINT portfolio_performance_max_drawdown_range CHECK (
        max_drawdown BETWEEN -1000000000000000 AND 1000000000000000
    ),
    CONSTRAINT portfolio_performance_date_shape CHECK (
        date GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
    ),
    CONSTRAINT portfolio_performance_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT portfolio_performance_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

CREATE TRIGGER portfolio_performance_updated_at
AFTER UPDATE OF
id, date, portfolio_value, daily_return, volatility, sharpe_ratio, max_drawdown
ON portfolio_performance
BEGIN
    UPDATE portfolio_performance
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

-- What the portfolio holds: the shares of each ticker.
CREATE TABLE portfolio_positions (
    id INTEGER NOT NULL,
    ticker TEXT NOT NULL,
    shares INTEGER NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT portfolio_positions_pk PRIMARY KEY (id),
    CONSTRAINT portfolio_positions_ticker_unique UNIQUE (ticker),
    CONSTRAINT portfolio_positions_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT portfolio_positions_shares_range CHECK (shares BETWEEN 0 AND 1000000000000000),
    CONSTRAINT portfolio_positions_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT portfolio_positions_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

CREATE TRIGGER portfolio_positions_updated_at
AFTER UPDATE OF id, ticker, shares ON portfolio_positions
BEGIN
    UPDATE portfolio_positions
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

-- What happened to the application itself, as a log.
CREATE TABLE system_events (
    id INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    description TEXT NOT NULL,
    details TEXT,
    severity TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT system_events_pk PRIMARY KEY (id),
    CONSTRAINT system_events_event_type_length CHECK (length(event_type) BETWEEN 1 AND 50),
    CONSTRAINT system_events_description_length CHECK (length(description) BETWEEN 1 AND 255),
    CONSTRAINT system_events_details_length CHECK (length(details) <= 10000),
    CONSTRAINT system_events_severity_known CHECK (severity IN ('INFO', 'WARNING', 'ERROR')),
    CONSTRAINT system_events_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT system_events_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The events of one severity in the order of time.
CREATE INDEX system_events_severity_created_at_idx ON system_events (severity, created_at, id);

CREATE TRIGGER system_events_updated_at
AFTER UPDATE OF id, event_type, description, details, severity ON system_events
BEGIN
    UPDATE system_events
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;
