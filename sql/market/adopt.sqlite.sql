-- The `market` system: how the rows of an older file become those of today's tables. `dal adopt` runs this.
--
-- It runs in a new, empty database, one statement for each table in the order of this file. old_daily_data is
-- the old table daily_data: with all columns that today's has, NULL where the old one has none, and old_row,
-- which numbers the rows. :first_row and :last_row are a stretch of them, :now is the moment of the adoption.
--
-- What is called as_... comes with dal. Each takes a value in any form in which it is met, returns today's form,
-- NULL for NULL, and for what has none a BLOB, which no column of today's takes. So nothing is put in that was
-- guessed, and each row that is refused is found and named.
--
--     as_integer           4, 4.0, '4'
--     as_key               the same, from 1 on, where pages begin; NULL is refused
--     as_units(x, 6)       decimals as millionths: 0.1, '0.10' and 1e-1 are 100000. A binary float is the
--                          shortest decimal that reads back as it.
--     as_day               '2026-01-02', also with a midnight behind
--     as_moment            '2026-01-02 03:04:05.678901', with T or a space, Z, an offset, or neither: then UTC
--     as_text              text, and whole numbers in a column that takes anything
--
-- A clock that is missing takes the other of its row, else :now.

-- name: daily_data(first_row: int, last_row: int, now: text) :affected
-- A bar for each day.
INSERT INTO daily_data (
    id, ticker, date, open, high, low, close, volume, dividends, stock_splits, created_at, updated_at
)
SELECT
    as_key(id) AS id,
    as_text(ticker) AS ticker,
    as_day(date) AS date,
    as_units(open, 6) AS open,
    as_units(high, 6) AS high,
    as_units(low, 6) AS low,
    as_units(close, 6) AS close,
    as_integer(volume) AS volume,
    as_units(dividends, 6) AS dividends,
    as_units(stock_splits, 6) AS stock_splits,
    coalesce(as_moment(created_at), as_moment(updated_at), :now) AS created_at,
    coalesce(as_moment(updated_at), as_moment(created_at), :now) AS updated_at
FROM old_daily_data
WHERE old_row BETWEEN :first_row AND :last_row;

-- name: intraday_data(first_row: int, last_row: int, now: text) :affected
-- A bar for each moment at which one begins.
INSERT INTO intraday_data (
    id, ticker, datetime, open, high, low, close, volume, created_at, updated_at
)
SELECT
    as_key(id) AS id,
    as_text(ticker) AS ticker,
    as_moment(datetime) AS datetime,
    as_units(open, 6) AS open,
    as_units(high, 6) AS high,
    as_units(low, 6) AS low,
    as_units(close, 6) AS close,
    as_integer(volume) AS volume,
    coalesce(as_moment(created_at), as_moment(updated_at), :now) AS created_at,
    coalesce(as_moment(updated_at), as_moment(created_at), :now) AS updated_at
FROM old_intraday_data
WHERE old_row BETWEEN :first_row AND :last_row;

-- name: metadata(first_row: int, last_row: int, now: text) :affected
-- The company behind each ticker; its market_cap in hundredths.
INSERT INTO metadata (
    id, ticker, company_name, sector, industry, market_cap, last_updated, created_at, updated_at
)
SELECT
    as_key(id) AS id,
    as_text(ticker) AS ticker,
    as_text(company_name) AS company_name,
    as_text(sector) AS sector,
    as_text(industry) AS industry,
    as_units(market_cap, 2) AS market_cap,
    as_moment(last_updated) AS last_updated,
    coalesce(as_moment(created_at), as_moment(updated_at), :now) AS created_at,
    coalesce(as_moment(updated_at), as_moment(created_at), :now) AS updated_at
FROM old_metadata
WHERE old_row BETWEEN :first_row AND :last_row;

-- name: signal_history(first_row: int, last_row: int, now: text) :affected
-- What was said of a stock.
INSERT INTO signal_history (
    id, ticker, date, signal_type, signal_value, confidence, entry_price, target_price, stop_loss, regime,
    reasons, created_at, updated_at
)
SELECT
    as_key(id) AS id,
    as_text(ticker) AS ticker,
    as_day(date) AS date,
    as_text(signal_type) AS signal_type,
    as_units(signal_value, 6) AS signal_value,
    as_units(confidence, 6) AS confidence,
    as_units(entry_price, 6) AS entry_price,
    as_units(target_price, 6) AS target_price,
    as_units(stop_loss, 6) AS stop_loss,
    as_text(regime) AS regime,
    as_text(reasons) AS reasons,
    coalesce(as_moment(created_at), as_moment(updated_at), :now) AS created_at,
    coalesce(as_moment(updated_at), as_moment(created_at), :now) AS updated_at
FROM old_signal_history
WHERE old_row BETWEEN :first_row AND :last_row;

-- name: portfolio_performance(first_row: int, last_row: int, now: text) :affected
-- What the portfolio was worth, and how it did.
INSERT INTO portfolio_performance (
    id, date, portfolio_value, daily_return, volatility, sharpe_ratio, max_drawdown, created_at, updated_at
)
SELECT
    as_key(id) AS id,
    as_day(date) AS date,
    as_units(portfolio_value, 6) AS portfolio_value,
    as_units(daily_return, 6) AS daily_return,
    as_units(volatility, 6) AS volatility,
    as_units(sharpe_ratio, 6) AS sharpe_ratio,
    as_units(max_drawdown, 6) AS max_drawdown,
    coalesce(as_moment(created_at), as_moment(updated_at), :now) AS created_at,
    coalesce(as_moment(updated_at), as_moment(created_at), :now) AS updated_at
FROM old_portfolio_performance
WHERE old_row BETWEEN :first_row AND :last_row;

-- name: portfolio_positions(first_row: int, last_row: int, now: text) :affected
-- What the portfolio holds.
INSERT INTO portfolio_positions (id, ticker, shares, created_at, updated_at)
SELECT
    as_key(id) AS id,
    as_text(ticker) AS ticker,
    as_units(shares, 6) AS shares,
    coalesce(as_moment(created_at), as_moment(updated_at), :now) AS created_at,
    coalesce(as_moment(updated_at), as_moment(created_at), :now) AS updated_at
FROM old_portfolio_positions
WHERE old_row BETWEEN :first_row AND :last_row;

-- name: system_events(first_row: int, last_row: int, now: text) :affected
-- What happened to the application.
INSERT INTO system_events (id, event_type, description, details, severity, created_at, updated_at)
SELECT
    as_key(id) AS id,
    as_text(event_type) AS event_type,
    as_text(description) AS description,
    as_text(details) AS details,
    as_text(severity) AS severity,
    coalesce(as_moment(created_at), as_moment(updated_at), :now) AS created_at,
    coalesce(as_moment(updated_at), as_moment(created_at), :now) AS updated_at
FROM old_system_events
WHERE old_row BETWEEN :first_row AND :last_row;
