-- Undoes market-0006.portfolio_positions, statement by statement in reverse.

SET LOCAL lock_timeout = '5s';

DELETE FROM schema_versions
WHERE version_id = 'market-0006.portfolio_positions';

DROP TRIGGER portfolio_positions_updated_at ON portfolio_positions;

DROP TABLE portfolio_positions;
