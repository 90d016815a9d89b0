-- Undoes market-0004.signal_history, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'market-0004.signal_history';

DROP TRIGGER signal_history_updated_at;

DROP INDEX signal_history_ticker_date_idx;

DROP TABLE signal_history;
