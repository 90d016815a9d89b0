-- What to do with a stock, as it was said day by day.
-- depends: market-0003.metadata

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE signal_history (
    id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    ticker TEXT COLLATE "C" NOT NULL,
    date DATE NOT NULL,
    signal_type TEXT COLLATE "C" NOT NULL,
    signal_value NUMERIC(19, 6) NOT NULL,
    confidence NUMERIC(19, 6) NOT NULL, -- 0 none, 1 full
    entry_price NUMERIC(19, 6) NOT NULL,
    target_price NUMERIC(19, 6) NOT NULL,
    stop_loss NUMERIC(19, 6) NOT NULL,
    regime TEXT COLLATE "C", -- the state of the market
    reasons TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT signal_history_pk PRIMARY KEY (id),
    CONSTRAINT signal_history_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT signal_history_signal_type_known CHECK (signal_type IN ('BUY', 'SELL', 'HOLD')),
    CONSTRAINT signal_history_signal_value_range CHECK (signal_value BETWEEN -1000000000 AND 1000000000),
    CONSTRAINT signal_history_confidence_range CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT signal_history_entry_price_range CHECK (entry_price BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_target_price_range CHECK (target_price BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_stop_loss_range CHECK (stop_loss BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_regime_length CHECK (length(regime) BETWEEN 1 AND 20),
    CONSTRAINT signal_history_reasons_length CHECK (length(reasons) <= 10000)
);

-- The signals of a ticker in their order, and its last one.
CREATE INDEX signal_history_ticker_date_idx ON signal_history (ticker, date, id);

CREATE TRIGGER signal_history_updated_at
BEFORE UPDATE OF
id, ticker, date, signal_type, signal_value, confidence, entry_price, target_price, stop_loss, regime,
reasons
ON signal_history
FOR EACH ROW EXECUTE FUNCTION market_set_updated_at();

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0004.signal_history',
    'What to do with a stock, as it was said day by day.',
    'market/postgresql/market-0004.signal_history.sql'
);
