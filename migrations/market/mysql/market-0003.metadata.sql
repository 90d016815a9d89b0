-- What is known of each stock's company.
-- depends: market-0002.intraday_data
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0003.metadata',
    'What is known of each stock''s company.',
    'market/mysql/market-0003.metadata.sql'
);
