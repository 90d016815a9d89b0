-- Undoes market-0001.daily_data, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'market-0001.daily_data';

DROP TRIGGER daily_data_updated_at;

DROP TABLE daily_data;
