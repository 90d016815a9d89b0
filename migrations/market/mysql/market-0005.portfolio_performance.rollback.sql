-- Undoes market-0005.portfolio_performance, statement by statement in reverse.

DELETE FROM schema_versions
WHERE version_id = 'market-0005.portfolio_performance';

DROP TRIGGER portfolio_performance_updated_at;

DROP TABLE portfolio_performance;
