-- What the portfolio holds: the shares of each ticker.
-- depends: market-0005.portfolio_performance
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0006.portfolio_positions',
    'What the portfolio holds: the shares of each ticker.',
    'market/mysql/market-0006.portfolio_positions.sql'
);
