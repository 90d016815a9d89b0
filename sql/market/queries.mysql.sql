-- The `market` system: what only MariaDB says in this way, that is upserts, and what SQLite adds up in another.
--
-- ON DUPLICATE KEY UPDATE takes a conflict on any unique key for the row that is meant. So it is used only on
-- tables with one key that a caller can meet.
-- DECIMAL is exact: a sum has 22 digits more than its terms, a product the digits of both; 65 are the most.

-- name: put_daily_data(
--     ticker: text, date: date, open: decimal(6), high: decimal(6), low: decimal(6), close: decimal(6),
--     volume: int, dividends: decimal(6), stock_splits: decimal(6)
-- ) :batch
-- Write bars, new or not: what was stored for a ticker and day is replaced.
INSERT INTO daily_data (ticker, date, open, high, low, close, volume, dividends, stock_splits)
VALUES (:ticker, :date, :open, :high, :low, :close, :volume, :dividends, :stock_splits)
ON DUPLICATE KEY UPDATE
    open = VALUES (open),
    high = VALUES (high),
    low = VALUES (low),
    close = VALUES (close),
    volume = VALUES (volume),
    dividends = VALUES (dividends),
    stock_splits = VALUES (stock_splits);

-- name: put_intraday_data(
--     ticker: text, datetime: timestamp, open: decimal(6), high: decimal(6), low: decimal(6),
--     close: decimal(6), volume: int
-- ) :batch
-- Write bars, new or not: what was stored for a ticker and moment is replaced.
INSERT INTO intraday_data (ticker, datetime, open, high, low, close, volume)
VALUES (:ticker, :datetime, :open, :high, :low, :close, :volume)
ON DUPLICATE KEY UPDATE
    open = VALUES (open),
    high = VALUES (high),
    low = VALUES (low),
    close = VALUES (close),
    volume = VALUES (volume);

-- name: put_metadata(
--     ticker: text, company_name: text, sector: text, industry: text, market_cap: decimal(2),
--     last_updated: timestamp
-- ) :affected
-- Write what is known of a company, new or not.
INSERT INTO metadata (ticker, company_name, sector, industry, market_cap, last_updated)
VALUES (:ticker, :company_name, :sector, :industry, :market_cap, :last_updated)
ON DUPLICATE KEY UPDATE
    company_name = VALUES (company_name),
    sector = VALUES (sector),
    industry = VALUES (industry),
    market_cap = VALUES (market_cap),
    last_updated = VALUES (last_updated);

-- name: put_performance(
--     date: date, portfolio_value: decimal(6), daily_return: decimal(6), volatility: decimal(6),
--     sharpe_ratio: decimal(6), max_drawdown: decimal(6)
-- ) :affected
-- Write how the portfolio did on a day, measured for the first time or again.
INSERT INTO portfolio_performance (
    date, portfolio_value, daily_return, volatility, sharpe_ratio, max_drawdown
)
VALUES (:date, :portfolio_value, :daily_return, :volatility, :sharpe_ratio, :max_drawdown)
ON DUPLICATE KEY UPDATE
    portfolio_value = VALUES (portfolio_value),
    daily_return = VALUES (daily_return),
    volatility = VALUES (volatility),
    sharpe_ratio = VALUES (sharpe_ratio),
    max_drawdown = VALUES (max_drawdown);

-- name: put_position(ticker: text, shares: decimal(6)) :affected
-- Say how many shares of a stock the portfolio holds, new or not.
INSERT INTO portfolio_positions (ticker, shares)
VALUES (:ticker, :shares)
ON DUPLICATE KEY UPDATE shares = VALUES (shares);

-- name: daily_data_summary(ticker: text, first_day: date, last_day: date) :one
-- returns: DailySummary
-- session: clean
-- The bars of a ticker from one day to another, both included, as one; no row if there is none.
SELECT
    count(id) AS bars,
    min(date) AS first_day,
    max(date) AS last_day,
    max(high) AS high,
    min(low) AS low,
    sum(volume) AS volume,
    sum(close * volume) AS turnover,
    coalesce(sum(dividends), 0.000000) AS dividends
FROM daily_data
WHERE
    ticker = :ticker
    AND date >= :first_day
    AND date <= :last_day
HAVING count(id) > 0;

-- name: portfolio_worth(day: date) :one
-- returns: PortfolioWorth
-- session: clean
-- What the positions are worth at their last close of a day or before. A stock without any counts nothing.
SELECT
    count(valued.id) AS positions,
    count(valued.worth) AS priced,
    coalesce(sum(valued.worth), 0.000000000000) AS value
FROM (
    SELECT
        portfolio_positions.id,
        portfolio_positions.shares * (
            SELECT daily_data.close
            FROM daily_data
            WHERE
                daily_data.ticker = portfolio_positions.ticker
                AND daily_data.date <= :day
            ORDER BY daily_data.date DESC
            LIMIT 1
        ) AS worth
    FROM portfolio_positions
) AS valued;
