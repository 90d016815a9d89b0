-- Undoes market-0004.signal_history, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'market-0004.signal_history';

DROP TRIGGER signal_history_updated_at ON signal_history;

DROP INDEX signal_history_ticker_date_idx;

DROP TABLE signal_history;
