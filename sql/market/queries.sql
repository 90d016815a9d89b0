-- The `market` system: the queries that read alike on every engine.
--
-- Times are UTC. Pages are taken by key: where a page begins with a day or a moment, that of the last row seen
-- plus one day or one microsecond begins the next; where it begins behind a key, pass the last one seen, '' or 0 to
-- begin. created_at and updated_at are the database's. Decimals are exact: what has more digits than a column keeps
-- is refused.

-- ---- daily_data ----

-- name: add_daily_data(
--     ticker: text, date: date, open: decimal(6), high: decimal(6), low: decimal(6), close: decimal(6),
--     volume: int, dividends: decimal(6), stock_splits: decimal(6)
-- ) :one
-- returns: DailyData
-- Store the bar of a day. A second bar for this ticker and day is an error.
INSERT INTO daily_data (ticker, date, open, high, low, close, volume, dividends, stock_splits)
VALUES (:ticker, :date, :open, :high, :low, :close, :volume, :dividends, :stock_splits)
RETURNING
    id,
    ticker,
    date,
    open,
    high,
    low,
    close,
    volume,
    dividends,
    stock_splits,
    created_at,
    updated_at;

-- name: load_daily_data(
--     ticker: text, date: date, open: decimal(6), high: decimal(6), low: decimal(6), close: decimal(6),
--     volume: int, dividends: decimal(6), stock_splits: decimal(6)
-- ) :batch
-- Store bars that are all new, in bulk. A second bar for a ticker and day is an error.
INSERT INTO daily_data (ticker, date, open, high, low, close, volume, dividends, stock_splits)
VALUES (:ticker, :date, :open, :high, :low, :close, :volume, :dividends, :stock_splits);

-- name: daily_data_of_day(ticker: text, date: date) :one
-- returns: DailyData
-- session: clean
-- The bar of one day.
SELECT
    id,
    ticker,
    date,
    open,
    high,
    low,
    close,
    volume,
    dividends,
    stock_splits,
    created_at,
    updated_at
FROM daily_data
WHERE
    ticker = :ticker
    AND date = :date;

-- name: latest_daily_data(ticker: text) :one
-- returns: DailyData
-- session: clean
-- The last bar of a ticker.
SELECT
    id,
    ticker,
    date,
    open,
    high,
    low,
    close,
    volume,
    dividends,
    stock_splits,
    created_at,
    updated_at
FROM daily_data
WHERE ticker = :ticker
ORDER BY date DESC
LIMIT 1;

-- name: latest_daily_data_by_ticker(after_ticker: text, page_size: int) :many
-- returns: DailyData
-- session: clean
-- One page of tickers, each with its last bar.
SELECT
    daily_data.id,
    daily_data.ticker,
    daily_data.date,
    daily_data.open,
    daily_data.high,
    daily_data.low,
    daily_data.close,
    daily_data.volume,
    daily_data.dividends,
    daily_data.stock_splits,
    daily_data.created_at,
    daily_data.updated_at
FROM (
    SELECT
        candidate.ticker,
        max(candidate.date) AS last_date
    FROM daily_data AS candidate
    WHERE candidate.ticker > :after_ticker
    GROUP BY candidate.ticker
    ORDER BY candidate.ticker
    LIMIT :page_size
) AS latest
INNER JOIN daily_data ON latest.ticker = daily_data.ticker AND latest.last_date = daily_data.date
ORDER BY latest.ticker;

-- name: daily_data_between(ticker: text, first_day: date, last_day: date, page_size: int) :many
-- returns: DailyData
-- session: clean
-- One page of the bars of a ticker from one day to another, both included, in the order of their days.
SELECT
    id,
    ticker,
    date,
    open,
    high,
    low,
    close,
    volume,
    dividends,
    stock_splits,
    created_at,
    updated_at
FROM daily_data
WHERE
    ticker = :ticker
    AND date >= :first_day
    AND date <= :last_day
ORDER BY date
LIMIT :page_size;

-- name: delete_daily_data(ticker: text, date: date) :affected
-- session: clean
-- Remove the bar of one day.
DELETE FROM daily_data
WHERE
    ticker = :ticker
    AND date = :date;

-- ---- intraday_data ----

-- name: add_intraday_data(
--     ticker: text, datetime: timestamp, open: decimal(6), high: decimal(6), low: decimal(6),
--     close: decimal(6), volume: int
-- ) :one
-- returns: IntradayData
-- Store the bar that begins at a moment. A second bar for this ticker and moment is an error.
INSERT INTO intraday_data (ticker, datetime, open, high, low, close, volume)
VALUES (:ticker, :datetime, :open, :high, :low, :close, :volume)
RETURNING
    id,
    ticker,
    datetime,
    open,
    high,
    low,
    close,
    volume,
    created_at,
    updated_at;

-- name: intraday_data_at(ticker: text, datetime: timestamp) :one
-- returns: IntradayData
-- session: clean
-- The bar that begins at a moment.
SELECT
    id,
    ticker,
    datetime,
    open,
    high,
    low,
    close,
    volume,
    created_at,
    updated_at
FROM intraday_data
WHERE
    ticker = :ticker
    AND datetime = :datetime;

-- name: latest_intraday_data(ticker: text) :one
-- returns: IntradayData
-- session: clean
-- The last bar of a ticker.
SELECT
    id,
    ticker,
    datetime,
    open,
    high,
    low,
    close,
    volume,
    created_at,
    updated_at
FROM intraday_data
WHERE ticker = :ticker
ORDER BY datetime DESC
LIMIT 1;

-- name: intraday_data_between(ticker: text, since: timestamp, until: timestamp, page_size: int) :many
-- returns: IntradayData
-- session: clean
-- One page of the bars of a ticker that begin at :since or later and before :until, in their order.
SELECT
    id,
    ticker,
    datetime,
    open,
    high,
    low,
    close,
    volume,
    created_at,
    updated_at
FROM intraday_data
WHERE
    ticker = :ticker
    AND datetime >= :since
    AND datetime < :until
ORDER BY datetime
LIMIT :page_size;

-- name: delete_intraday_data(ticker: text, datetime: timestamp) :affected
-- session: clean
-- Remove the bar that begins at a moment.
DELETE FROM intraday_data
WHERE
    ticker = :ticker
    AND datetime = :datetime;

-- ---- metadata ----

-- name: metadata_of_ticker(ticker: text) :one
-- returns: Metadata
-- session: clean
-- What is known of one company.
SELECT
    id,
    ticker,
    company_name,
    sector,
    industry,
    market_cap,
    last_updated,
    created_at,
    updated_at
FROM metadata
WHERE ticker = :ticker;

-- name: metadata_after(after_ticker: text, page_size: int) :many
-- returns: Metadata
-- session: clean
-- One page of the companies, by ticker.
SELECT
    id,
    ticker,
    company_name,
    sector,
    industry,
    market_cap,
    last_updated,
    created_at,
    updated_at
FROM metadata
WHERE ticker > :after_ticker
ORDER BY ticker
LIMIT :page_size;

-- name: delete_metadata(ticker: text) :affected
-- session: clean
-- Forget a company. Its bars, signals and shares stay.
DELETE FROM metadata
WHERE ticker = :ticker;

-- ---- signal_history ----

-- name: add_signal(
--     ticker: text, date: date, signal_type: text, signal_value: decimal(6), confidence: decimal(6),
--     entry_price: decimal(6), target_price: decimal(6), stop_loss: decimal(6), regime: text,
--     reasons: text
-- ) :one
-- returns: SignalHistory
-- Record a signal.
INSERT INTO signal_history (
    ticker, date, signal_type, signal_value, confidence, entry_price, target_price, stop_loss, regime,
    reasons
)
VALUES (
    :ticker, :date, :signal_type, :signal_value, :confidence, :entry_price, :target_price, :stop_loss,
    :regime, :reasons
)
RETURNING
    id,
    ticker,
    date,
    signal_type,
    signal_value,
    confidence,
    entry_price,
    target_price,
    stop_loss,
    regime,
    reasons,
    created_at,
    updated_at;

-- name: signal_by_id(id: int) :one
-- returns: SignalHistory
-- session: clean
-- One signal.
SELECT
    id,
    ticker,
    date,
    signal_type,
    signal_value,
    confidence,
    entry_price,
    target_price,
    stop_loss,
    regime,
    reasons,
    created_at,
    updated_at
FROM signal_history
WHERE id = :id;

-- name: signals_between(ticker: text, first_day: date, last_day: date, after_id: int, page_size: int) :many
-- returns: SignalHistory
-- session: clean
-- One page of the signals of a ticker from one day to another, both included, in the order of their days and then
-- of their ids. Go on with the day and the id of the last one as :first_day and :after_id.
SELECT
    id,
    ticker,
    date,
    signal_type,
    signal_value,
    confidence,
    entry_price,
    target_price,
    stop_loss,
    regime,
    reasons,
    created_at,
    updated_at
FROM signal_history
WHERE
    ticker = :ticker
    AND date >= :first_day
    AND (date > :first_day OR id > :after_id)
    AND date <= :last_day
ORDER BY date, id
LIMIT :page_size;

-- name: latest_signal(ticker: text) :one
-- returns: SignalHistory
-- session: clean
-- The last signal of a ticker: of its last day the one with the highest id.
SELECT
    id,
    ticker,
    date,
    signal_type,
    signal_value,
    confidence,
    entry_price,
    target_price,
    stop_loss,
    regime,
    reasons,
    created_at,
    updated_at
FROM signal_history
WHERE ticker = :ticker
ORDER BY date DESC, id DESC
LIMIT 1;

-- name: latest_signal_by_ticker(after_ticker: text, page_size: int) :many
-- returns: SignalHistory
-- session: clean
-- One page of tickers, each with its last signal.
SELECT
    signal_history.id,
    signal_history.ticker,
    signal_history.date,
    signal_history.signal_type,
    signal_history.signal_value,
    signal_history.confidence,
    signal_history.entry_price,
    signal_history.target_price,
    signal_history.stop_loss,
    signal_history.regime,
    signal_history.reasons,
    signal_history.created_at,
    signal_history.updated_at
FROM (
    SELECT
        candidate.ticker,
        max(candidate.date) AS last_date
    FROM signal_history AS candidate
    WHERE candidate.ticker > :after_ticker
    GROUP BY candidate.ticker
    ORDER BY candidate.ticker
    LIMIT :page_size
) AS latest
INNER JOIN signal_history ON latest.ticker = signal_history.ticker AND latest.last_date = signal_history.date
WHERE
    signal_history.id = (
        SELECT max(same_day.id)
        FROM signal_history AS same_day
        WHERE
            same_day.ticker = latest.ticker
            AND same_day.date = latest.last_date
    )
ORDER BY latest.ticker;

-- name: change_signal(
--     id: int, ticker: text, date: date, signal_type: text, signal_value: decimal(6),
--     confidence: decimal(6), entry_price: decimal(6), target_price: decimal(6), stop_loss: decimal(6),
--     regime: text, reasons: text
-- ) :affected
-- Write a signal anew.
UPDATE signal_history
SET
    ticker = :ticker,
    date = :date,
    signal_type = :signal_type,
    signal_value = :signal_value,
    confidence = :confidence,
    entry_price = :entry_price,
    target_price = :target_price,
    stop_loss = :stop_loss,
    regime = :regime,
    reasons = :reasons
WHERE id = :id;

-- name: delete_signal(id: int) :affected
-- session: clean
-- Remove a signal.
DELETE FROM signal_history
WHERE id = :id;

-- ---- portfolio_performance ----

-- name: performance_of_day(date: date) :one
-- returns: PortfolioPerformance
-- session: clean
-- How the portfolio did on one day.
SELECT
    id,
    date,
    portfolio_value,
    daily_return,
    volatility,
    sharpe_ratio,
    max_drawdown,
    created_at,
    updated_at
FROM portfolio_performance
WHERE date = :date;

-- name: latest_performance() :one
-- returns: PortfolioPerformance
-- session: clean
-- How the portfolio did on the last day that was measured.
SELECT
    id,
    date,
    portfolio_value,
    daily_return,
    volatility,
    sharpe_ratio,
    max_drawdown,
    created_at,
    updated_at
FROM portfolio_performance
ORDER BY date DESC
LIMIT 1;

-- name: performance_between(first_day: date, last_day: date, page_size: int) :many
-- returns: PortfolioPerformance
-- session: clean
-- One page of the days from one to another, both included, in their order.
SELECT
    id,
    date,
    portfolio_value,
    daily_return,
    volatility,
    sharpe_ratio,
    max_drawdown,
    created_at,
    updated_at
FROM portfolio_performance
WHERE
    date >= :first_day
    AND date <= :last_day
ORDER BY date
LIMIT :page_size;

-- name: performance_summary(first_day: date, last_day: date) :one
-- returns: PerformanceSummary
-- session: clean
-- How the portfolio did from one day to another, both included; no row if no day of these was measured.
SELECT
    measured.days,
    measured.first_day,
    measured.last_day,
    opening.portfolio_value AS first_value,
    closing.portfolio_value AS last_value,
    measured.lowest_value,
    measured.highest_value
FROM (
    SELECT
        count(id) AS days,
        min(date) AS first_day,
        max(date) AS last_day,
        min(portfolio_value) AS lowest_value,
        max(portfolio_value) AS highest_value
    FROM portfolio_performance
    WHERE
        date >= :first_day
        AND date <= :last_day
) AS measured
INNER JOIN portfolio_performance AS opening ON measured.first_day = opening.date
INNER JOIN portfolio_performance AS closing ON measured.last_day = closing.date;

-- name: delete_performance(date: date) :affected
-- session: clean
-- Remove what was measured on a day.
DELETE FROM portfolio_performance
WHERE date = :date;

-- ---- portfolio_positions ----

-- name: position_of_ticker(ticker: text) :one
-- returns: PortfolioPosition
-- session: clean
-- How many shares of a stock the portfolio holds.
SELECT
    id,
    ticker,
    shares,
    created_at,
    updated_at
FROM portfolio_positions
WHERE ticker = :ticker;

-- name: positions_after(after_ticker: text, page_size: int) :many
-- returns: PortfolioPosition
-- session: clean
-- One page of the positions, by ticker.
SELECT
    id,
    ticker,
    shares,
    created_at,
    updated_at
FROM portfolio_positions
WHERE ticker > :after_ticker
ORDER BY ticker
LIMIT :page_size;

-- name: shares_by_ticker() :many
-- returns: TickerShares
-- session: clean
-- How many shares of each stock there are, most first. A ticker has one position: where its shares fit, so does
-- their sum.
SELECT
    ticker,
    sum(shares) AS total_shares
FROM portfolio_positions
GROUP BY ticker
ORDER BY total_shares DESC, ticker ASC;

-- name: delete_position(ticker: text) :affected
-- session: clean
-- Take a stock out of the portfolio.
DELETE FROM portfolio_positions
WHERE ticker = :ticker;

-- ---- system_events ----

-- name: add_event(event_type: text, description: text, details: text, severity: text) :one
-- returns: SystemEvent
-- Record an event.
INSERT INTO system_events (event_type, description, details, severity)
VALUES (:event_type, :description, :details, :severity)
RETURNING
    id,
    event_type,
    description,
    details,
    severity,
    created_at,
    updated_at;

-- name: event_by_id(id: int) :one
-- returns: SystemEvent
-- session: clean
-- One event.
SELECT
    id,
    event_type,
    description,
    details,
    severity,
    created_at,
    updated_at
FROM system_events
WHERE id = :id;

-- name: events_between(
--     severity: text, since: timestamp, until: timestamp, after_id: int, page_size: int
-- ) :many
-- returns: SystemEvent
-- session: clean
-- One page of the events of a severity that were recorded at :since or later and before :until, oldest first.
-- Go on with created_at and id of the last one as :since and :after_id.
SELECT
    id,
    event_type,
    description,
    details,
    severity,
    created_at,
    updated_at
FROM system_events
WHERE
    severity = :severity
    AND created_at >= :since
    AND (created_at > :since OR id > :after_id)
    AND created_at < :until
ORDER BY created_at, id
LIMIT :page_size;

-- name: events_after(after_id: int, page_size: int) :many
-- returns: SystemEvent
-- session: clean
-- The next events of the log, in the order in which they were numbered.
SELECT
    id,
    event_type,
    description,
    details,
    severity,
    created_at,
    updated_at
FROM system_events
WHERE id > :after_id
ORDER BY id
LIMIT :page_size;

-- name: change_event(id: int, event_type: text, description: text, details: text, severity: text) :affected
-- Write an event anew.
UPDATE system_events
SET
    event_type = :event_type,
    description = :description,
    details = :details,
    severity = :severity
WHERE id = :id;

-- name: delete_event(id: int) :affected
-- session: clean
-- Remove an event.
DELETE FROM system_events
WHERE id = :id;
