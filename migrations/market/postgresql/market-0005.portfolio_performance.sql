-- What the portfolio was worth and how it did, day by day.
-- depends: market-0004.signal_history

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0005.portfolio_performance',
    'What the portfolio was worth and how it did, day by day.',
    'market/postgresql/market-0005.portfolio_performance.sql'
);
