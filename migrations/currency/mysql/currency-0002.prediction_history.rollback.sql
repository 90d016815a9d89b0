-- Undoes currency-0002.prediction_history, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'currency-0002.prediction_history';

DROP TRIGGER prediction_history_updated_at;

DROP TABLE prediction_history;
