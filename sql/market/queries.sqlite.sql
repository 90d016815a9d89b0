-- The `market` system: what only SQLite says in this way, that is upserts, and what is added up.
--
-- None of the upserts returns the row: RETURNING would show it as it was before the updated_at trigger ran.
--
-- Decimals are integers here, and SQLite rounds a product of integers that does not fit 64 bits: it becomes a REAL.
-- So factors, of at most 10^15, are cut into a high and a low half of nine digits, as are the sums of their products,
-- and the pieces are put together as text. Of the largest rows that there may be, nine million can be added up;
-- beyond that sum() is an error, and never a rounded number.

-- name: put_daily_data(
--     ticker: text, date: date, open: decimal(6), high: decimal(6), low: decimal(6), close: decimal(6),
--     volume: int, dividends: decimal(6), stock_splits: decimal(6)
-- ) :batch
-- Write bars, new or not: what was stored for a ticker and day is replaced.
INSERT INTO daily_data (ticker, date, open, high, low, close, volume, dividends, stock_splits)
VALUES (:ticker, :date, :open, :high, :low, :close, :volume, :dividends, :stock_splits)
ON CONFLICT (ticker, date) DO UPDATE
SET
    open = excluded.open,
    high = excluded.high,
    low = excluded.low,
    close = excluded.close,
    volume = excluded.volume,
    dividends = excluded.dividends,
    stock_splits = excluded.stock_splits;

-- name: put_intraday_data(
--     ticker: text, datetime: timestamp, open: decimal(6), high: decimal(6), low: decimal(6),
--     close: decimal(6), volume: int
-- ) :batch
-- Write bars, new or not: what was stored for a ticker and moment is replaced.
INSERT INTO intraday_data (ticker, datetime, open, high, low, close, volume)
VALUES (:ticker, :datetime, :open, :high, :low, :close, :volume)
ON CONFLICT (ticker, datetime) DO UPDATE
SET
    open = excluded.open,
    high = excluded.high,
    low = excluded.low,
    close = excluded.close,
    volume = excluded.volume;

-- name: put_metadata(
--     ticker: text, company_name: text, sector: text, industry: text, market_cap: decimal(2),
--     last_updated: timestamp
-- ) :affected
-- Write what is known of a company, new or not.
INSERT INTO metadata (ticker, company_name, sector, industry, market_cap, last_updated)
VALUES (:ticker, :company_name, :sector, :industry, :market_cap, :last_updated)
ON CONFLICT (ticker) DO UPDATE
SET
    company_name = excluded.company_name,
    sector = excluded.sector,
    industry = excluded.industry,
    market_cap = excluded.market_cap,
    last_updated = excluded.last_updated;

-- name: put_performance(
--     date: date, portfolio_value: decimal(6), daily_return: decimal(6), volatility: decimal(6),
--     sharpe_ratio: decimal(6), max_drawdown: decimal(6)
-- ) :affected
-- Write how the portfolio did on a day, measured for the first time or again.
INSERT INTO portfolio_performance (
    date, portfolio_value, daily_return, volatility, sharpe_ratio, max_drawdown
)
VALUES (:date, :portfolio_value, :daily_return, :volatility, :sharpe_ratio, :max_drawdown)
ON CONFLICT (date) DO UPDATE
SET
    portfolio_value = excluded.portfolio_value,
    daily_return = excluded.daily_return,
    volatility = excluded.volatility,
    sharpe_ratio = excluded.sharpe_ratio,
    max_drawdown = excluded.max_drawdown;

-- name: put_position(ticker: text, shares: decimal(6)) :affected
-- Say how many shares of a stock the portfolio holds, new or not.
INSERT INTO portfolio_positions (ticker, shares)
VALUES (:ticker, :shares)
ON CONFLICT (ticker) DO UPDATE
SET shares = excluded.shares;

-- name: daily_data_summary(ticker: text, first_day: date, last_day: date) :one
-- returns: DailySummary
-- session: clean
-- The bars of a ticker from one day to another, both included, as one; no row if there is none.
WITH bars AS (
    SELECT
        date,
        high,
        low,
        volume / 1000000000 AS volume_high,
        volume % 1000000000 AS volume_low,
        close / 1000000000 AS close_high,
        close % 1000000000 AS close_low,
        dividends / 1000000000 AS dividends_high,
        dividends % 1000000000 AS dividends_low
    FROM daily_data
    WHERE
        ticker = :ticker
        AND date >= :first_day
        AND date <= :last_day
),

products AS (
    SELECT
        date,
        high,
        low,
        volume_high,
        volume_low,
        close_high,
        close_low,
        dividends_high,
        dividends_low,
        close_high * volume_low + close_low * volume_high + close_low * volume_low / 1000000000 AS turnover
    FROM bars
),

sums AS (
    SELECT
        count(date) AS bars,
        min(date) AS first_day,
        max(date) AS last_day,
        max(high) AS high,
        min(low) AS low,
        sum(volume_high) AS volume_high,
        sum(volume_low) AS volume_low,
        sum(close_high * volume_high + turnover / 1000000000) AS turnover_high,
        sum(turnover % 1000000000) AS turnover_middle,
        sum(close_low * volume_low % 1000000000) AS turnover_low,
        coalesce(sum(dividends_high), 0) AS dividends_high,
        coalesce(sum(dividends_low), 0) AS dividends_low
    FROM products
)

SELECT
    bars,
    first_day,
    last_day,
    high,
    low,
    printf('%d%09d', volume_high + volume_low / 1000000000, volume_low % 1000000000) AS volume,
    printf(
        '%d%09d%03d.%06d',
        turnover_high + (turnover_middle + turnover_low / 1000000000) / 1000000000,
        (turnover_middle + turnover_low / 1000000000) % 1000000000,
        turnover_low % 1000000000 / 1000000,
        turnover_low % 1000000
    ) AS turnover,
    printf(
        '%d%03d.%06d',
        dividends_high + dividends_low / 1000000000,
        dividends_low % 1000000000 / 1000000,
        dividends_low % 1000000
    ) AS dividends
FROM sums
WHERE bars > 0;

-- name: portfolio_worth(day: date) :one
-- returns: PortfolioWorth
-- session: clean
-- What the positions are worth at their last close of a day or before. A stock without any counts nothing.
WITH priced AS MATERIALIZED (
    SELECT
        shares,
        (
            SELECT daily_data.close
            FROM daily_data
            WHERE
                daily_data.ticker = portfolio_positions.ticker
                AND daily_data.date <= :day
            ORDER BY daily_data.date DESC
            LIMIT 1
        ) AS close
    FROM portfolio_positions
),

halves AS (
    SELECT
        close,
        shares / 1000000000 AS shares_high,
        shares % 1000000000 AS shares_low,
        close / 1000000000 AS close_high,
        close % 1000000000 AS close_low
    FROM priced
),

products AS (
    SELECT
        close,
        shares_high * close_high AS high,
        shares_high * close_low + shares_low * close_high + shares_low * close_low / 1000000000 AS middle,
        shares_low * close_low % 1000000000 AS low
    FROM halves
),

sums AS (
    SELECT
        count(*) AS positions,
        count(close) AS priced,
        coalesce(sum(high + middle / 1000000000), 0) AS high,
        coalesce(sum(middle % 1000000000), 0) AS middle,
        coalesce(sum(low), 0) AS low
    FROM products
),

carried AS (
    SELECT
        positions,
        priced,
        high + (middle + low / 1000000000) / 1000000000 AS high,
        (middle + low / 1000000000) % 1000000000 AS middle,
        low % 1000000000 AS low
    FROM sums
)

SELECT
    positions,
    priced,
    printf('%d%06d.%03d%09d', high, middle / 1000, middle % 1000, low) AS value
FROM carried;
