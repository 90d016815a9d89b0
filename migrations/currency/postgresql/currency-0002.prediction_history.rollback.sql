-- Undoes currency-0002.prediction_history, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'currency-0002.prediction_history';

DROP TRIGGER prediction_history_updated_at ON prediction_history;

DROP INDEX prediction_history_due_time_idx;

DROP INDEX prediction_history_prediction_time_idx;

DROP INDEX prediction_history_currency_pair_idx;

DROP TABLE prediction_history;

DROP FUNCTION currency_set_updated_at();
