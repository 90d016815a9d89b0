-- What is known of each stock's company.
-- depends: market-0002.intraday_data
--
-- Decimals are integers, in hundredths: 9.50 is 950.

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0003.metadata',
    'What is known of each stock''s company.',
    'market/sqlite/market-0003.metadata.sql'
);
