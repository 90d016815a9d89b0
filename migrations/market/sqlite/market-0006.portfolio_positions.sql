-- What the portfolio holds: the shares of each ticker.
-- depends: market-0005.portfolio_performance
--
-- Decimals are integers, in millionths: 9.50 is 9500000.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0006.portfolio_positions',
    'What the portfolio holds: the shares of each ticker.',
    'market/sqlite/market-0006.portfolio_positions.sql'
);
