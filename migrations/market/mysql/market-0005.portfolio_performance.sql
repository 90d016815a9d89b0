-- What the portfolio was worth and how it did, day by day.
-- depends: market-0004.signal_history
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0005.portfolio_performance',
    'What the portfolio was worth and how it did, day by day.',
    'market/mysql/market-0005.portfolio_performance.sql'
);
