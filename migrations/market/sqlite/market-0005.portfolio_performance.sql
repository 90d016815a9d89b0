-- What the portfolio was worth and how it did, day by day.
-- depends: market-0004.signal_history
--
-- Decimals are integers, in millionths: 9.50 is 9500000.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0005.portfolio_performance',
    'What the portfolio was worth and how it did, day by day.',
    'market/sqlite/market-0005.portfolio_performance.sql'
);
