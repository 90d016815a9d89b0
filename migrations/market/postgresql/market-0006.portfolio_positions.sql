-- What the portfolio holds: the shares of each ticker.
-- depends: market-0005.portfolio_performance

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0006.portfolio_positions',
    'What the portfolio holds: the shares of each ticker.',
    'market/postgresql/market-0006.portfolio_positions.sql'
);
