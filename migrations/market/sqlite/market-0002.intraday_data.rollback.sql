-- Undoes market-0002.intraday_data, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'market-0002.intraday_data';

DROP TRIGGER intraday_data_updated_at;

DROP TABLE intraday_data;
