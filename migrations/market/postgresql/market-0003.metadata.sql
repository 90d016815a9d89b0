-- What is known of each stock's company.
-- depends: market-0002.intraday_data

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

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

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0003.metadata',
    'What is known of each stock''s company.',
    'market/postgresql/market-0003.metadata.sql'
);
