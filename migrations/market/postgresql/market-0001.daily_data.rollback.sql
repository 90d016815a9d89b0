-- Undoes market-0001.daily_data, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'market-0001.daily_data';

DROP TRIGGER daily_data_updated_at ON daily_data;

DROP TABLE daily_data;

DROP FUNCTION market_set_updated_at();
