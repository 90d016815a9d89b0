-- What to do with a stock, as it was said day by day.
-- depends: market-0003.metadata
--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: what this run has made, and nothing that was there before.
-- A run that is killed in between leaves the table without a row in schema_versions: drop it, apply again.

CREATE TABLE signal_history (
    id BIGINT NOT NULL AUTO_INCREMENT,
    ticker VARCHAR(255) NOT NULL,
    date DATE NOT NULL,
    signal_type VARCHAR(255) NOT NULL,
    signal_value DECIMAL(19, 6) NOT NULL,
    confidence DECIMAL(19, 6) NOT NULL, -- 0 none, 1 full
    entry_price DECIMAL(19, 6) NOT NULL,
    target_price DECIMAL(19, 6) NOT NULL,
    stop_loss DECIMAL(19, 6) NOT NULL,
    regime VARCHAR(255), -- the state of the market
    reasons TEXT NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT signal_history_pk PRIMARY KEY (id),
    CONSTRAINT signal_history_ticker_length CHECK (char_length(ticker) BETWEEN 1 AND 10),
    CONSTRAINT signal_history_signal_type_known CHECK (signal_type IN ('BUY', 'SELL', 'HOLD')),
    CONSTRAINT signal_history_signal_value_range CHECK (signal_value BETWEEN -1000000000 AND 1000000000),
    CONSTRAINT signal_history_confidence_range CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT signal_history_entry_price_range CHECK (entry_price BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_target_price_range CHECK (target_price BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_stop_loss_range CHECK (stop_loss BETWEEN 0 AND 1000000000),
    CONSTRAINT signal_history_regime_length CHECK (char_length(regime) BETWEEN 1 AND 20),
    CONSTRAINT signal_history_reasons_length CHECK (char_length(reasons) <= 10000),
    -- The signals of a ticker in their order, and its last one.
    INDEX signal_history_ticker_date_idx (ticker, date, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

CREATE TRIGGER signal_history_updated_at
BEFORE UPDATE ON signal_history
FOR EACH ROW
    SET NEW.updated_at = utc_timestamp(6);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'market-0004.signal_history',
    'What to do with a stock, as it was said day by day.',
    'market/mysql/market-0004.signal_history.sql'
);
