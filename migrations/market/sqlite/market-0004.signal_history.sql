-- What to do with a stock, as it was said day by day.
-- depends: market-0003.metadata
--
-- Decimals are integers, in millionths: 9.50 is 9500000.

CREATE TABLE signal_history (
    id INTEGER NOT NULL,
    ticker TEXT NOT NULL,
    date TEXT NOT NULL,
    signal_type TEXT NOT NULL,
    signal_value INTEGER NOT NULL,
    confidence INTEGER NOT NULL, -- 0 none, 1 full
    entry_price INTEGER NOT NULL,
    target_price INTEGER NOT NULL,
    stop_loss INTEGER NOT NULL,
    regime TEXT, -- the state of the market
    reasons TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    CONSTRAINT signal_history_pk PRIMARY KEY (id),
    CONSTRAINT signal_history_ticker_length CHECK (length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT signal_history_signal_type_known CHECK (signal_type IN ('BUY', 'SELL', 'HOLD')),
    CONSTRAINT signal_history_signal_value_range CHECK (
        signal_value BETWEEN -1000000000000000 AND 1000000000000000
    ),
    CONSTRAINT signal_history_confidence_range CHECK (confidence BETWEEN 0 AND 1000000),
    CONSTRAINT signal_history_entry_price_range CHECK (entry_price BETWEEN 0 AND 1000000000000000),
    CONSTRAINT signal_history_target_price_range CHECK (target_price BETWEEN 0 AND 1000000000000000),
    CONSTRAINT signal_history_stop_loss_range CHECK (stop_loss BETWEEN 0 AND 1000000000000000),
    CONSTRAINT signal_history_regime_length CHECK (length(regime) BETWEEN 1 AND 20),
    CONSTRAINT signal_history_reasons_length CHECK (length(reasons) <= 10000),
    CONSTRAINT signal_history_date_shape CHECK (date GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'),
    CONSTRAINT signal_history_created_at_shape CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    ),
    CONSTRAINT signal_history_updated_at_shape CHECK (
        updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'
        || 'T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'
    )
) STRICT;

-- The signals of a ticker in their order, and its last one.
CREATE INDEX signal_history_ticker_date_idx ON signal_history (ticker, date, id);

CREATE TRIGGER signal_history_updated_at
AFTER UPDATE OF
id, ticker, date, signal_type, signal_value, confidence, entry_price, target_price, stop_loss, regime,
reasons
ON signal_history
BEGIN
    UPDATE signal_history
    SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE id = new.id;
END;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0004.signal_history',
    'What to do with a stock, as it was said day by day.',
    'market/sqlite/market-0004.signal_history.sql'
);
