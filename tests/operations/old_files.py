"""Older SQLite files, as they are made by hand or by an ORM, and what their rows are in today's models.

Each value comes in turn in every form in which it is met: prices as floats, text and whole numbers, times
with a space or T, with and without fraction and offset, days with and without a midnight.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from dal.models import chat, market

Expected = dict[str, list[BaseModel]]
"""By table: its rows in today's models, by their keys."""

_CLOCKS = "created_at DATETIME DEFAULT CURRENT_TIMESTAMP, updated_at DATETIME DEFAULT CURRENT_TIMESTAMP"
_ORM_CLOCKS = (
    "created_at DATETIME DEFAULT (CURRENT_TIMESTAMP) NOT NULL, "
    "updated_at DATETIME DEFAULT (CURRENT_TIMESTAMP) NOT NULL, PRIMARY KEY (id)"
)

BY_HAND = f"""
CREATE TABLE daily_data (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ticker TEXT, date TEXT, open REAL, high FLOAT, low DOUBLE, close,
    volume, dividends REAL DEFAULT 0, stock_splits, {_CLOCKS}, UNIQUE (ticker, date)
);
CREATE INDEX idx_daily_data_ticker_date ON daily_data (ticker, date);
CREATE TABLE intraday_data (
    id INTEGER PRIMARY KEY, ticker, datetime, open REAL, high REAL, low REAL, close REAL, volume REAL,
    {_CLOCKS}
);
CREATE INDEX idx_intraday_data_ticker_datetime ON intraday_data (ticker, datetime);
CREATE TABLE Metadata (
    id INTEGER PRIMARY KEY, Ticker TEXT UNIQUE, company_name TEXT, sector TEXT, industry TEXT,
    market_cap REAL, last_updated TIMESTAMP, {_CLOCKS}
);
CREATE TABLE signal_history (
    id INTEGER PRIMARY KEY, ticker TEXT, date TEXT, signal_type TEXT, signal_value REAL, confidence REAL,
    entry_price REAL, target_price REAL, stop_loss REAL, regime TEXT, reasons JSON, {_CLOCKS}
);
CREATE TABLE portfolio_performance (
    id INTEGER PRIMARY KEY, date TEXT, portfolio_value, daily_return REAL, volatility REAL, sharpe_ratio REAL,
    max_drawdown REAL, {_CLOCKS}
);
CREATE TABLE portfolio_positions (id INTEGER PRIMARY KEY, ticker TEXT, shares REAL, {_CLOCKS});
CREATE TABLE system_events (
    id INTEGER PRIMARY KEY, event_type TEXT, description TEXT, details JSON, severity TEXT, {_CLOCKS}
);
"""

BY_ORM = f"""
CREATE TABLE daily_data (
    id INTEGER NOT NULL, ticker VARCHAR(10) NOT NULL, date DATE NOT NULL, open NUMERIC NOT NULL,
    high NUMERIC(18, 6) NOT NULL, low DECIMAL NOT NULL, close DECIMAL(10, 2) NOT NULL,
    volume INTEGER NOT NULL, dividends NUMERIC, stock_splits NUMERIC, {_ORM_CLOCKS}
);
CREATE INDEX idx_daily_data_ticker_date ON daily_data (ticker, date);
CREATE TABLE intraday_data (
    id INTEGER NOT NULL, ticker VARCHAR(10) NOT NULL, datetime DATETIME NOT NULL, open NUMERIC NOT NULL,
    high NUMERIC NOT NULL, low NUMERIC NOT NULL, close NUMERIC NOT NULL, volume INTEGER NOT NULL,
    {_ORM_CLOCKS}
);
CREATE INDEX idx_intraday_data_ticker_datetime ON intraday_data (ticker, datetime);
CREATE TABLE metadata (
    id INTEGER NOT NULL, ticker VARCHAR(10) NOT NULL, company_name VARCHAR, sector VARCHAR, industry VARCHAR,
    market_cap NUMERIC, last_updated DATETIME, {_ORM_CLOCKS}, UNIQUE (ticker)
);
CREATE TABLE signal_history (
    id INTEGER NOT NULL, ticker VARCHAR(10) NOT NULL, date DATE NOT NULL, signal_type VARCHAR(20) NOT NULL,
    signal_value NUMERIC NOT NULL, confidence NUMERIC NOT NULL, entry_price NUMERIC NOT NULL,
    target_price NUMERIC NOT NULL, stop_loss NUMERIC NOT NULL, regime VARCHAR(20), reasons TEXT NOT NULL,
    {_ORM_CLOCKS}
);
CREATE INDEX idx_signal_history_ticker_date ON signal_history (ticker, date);
CREATE TABLE portfolio_performance (
    id INTEGER NOT NULL, date DATE NOT NULL, portfolio_value NUMERIC NOT NULL, daily_return NUMERIC NOT NULL,
    volatility NUMERIC NOT NULL, sharpe_ratio NUMERIC, max_drawdown NUMERIC, {_ORM_CLOCKS}
);
CREATE INDEX idx_portfolio_performance_date ON portfolio_performance (date);
CREATE TABLE portfolio_positions (
    id INTEGER NOT NULL, ticker VARCHAR(10) NOT NULL, shares NUMERIC NOT NULL, {_ORM_CLOCKS}, UNIQUE (ticker)
);
CREATE TABLE system_events (
    id INTEGER NOT NULL, event_type VARCHAR(50) NOT NULL, description VARCHAR(255) NOT NULL, details TEXT,
    severity VARCHAR(20) NOT NULL, {_ORM_CLOCKS}
);
"""

CHAT = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    current_version INTEGER DEFAULT 0
);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    role TEXT NOT NULL,  -- 'user' or 'assistant'
    content TEXT NOT NULL,
    timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE
);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    html TEXT NOT NULL,
    description TEXT,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE,
    UNIQUE(session_id, version)
);
CREATE TABLE token_usage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
    agent_type TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE
);
CREATE INDEX idx_messages_session ON messages(session_id);
CREATE INDEX idx_messages_timestamp ON messages(timestamp);
CREATE INDEX idx_versions_session ON versions(session_id);
CREATE INDEX idx_token_usage_session ON token_usage(session_id);
CREATE INDEX idx_token_usage_timestamp ON token_usage(timestamp);
CREATE INDEX idx_sessions_updated ON sessions(updated_at);
"""

CHAT_LOOSE = """
CREATE TABLE sessions (
    id VARCHAR PRIMARY KEY, title VARCHAR, created_at DATETIME, updated_at DATETIME, current_version
);
CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id VARCHAR, role VARCHAR, content, timestamp DATETIME);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY, session_id VARCHAR, version REAL, html, description VARCHAR, created_at DATETIME
);
CREATE TABLE token_usage (
    id INTEGER PRIMARY KEY, session_id VARCHAR, timestamp DATETIME, agent_type VARCHAR, model VARCHAR,
    input_tokens, output_tokens, total_tokens, cost_usd
);
"""

_DAYS = 1000  # of one ticker
_FIRST_DAY = date(2020, 1, 1)
_FIRST_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


def ticker(number: int) -> str:
    """The ticker of the row with this number."""
    return f"T{number // _DAYS:03}"


def day(number: int) -> date:
    """The day of the row with this number."""
    return _FIRST_DAY + timedelta(days=number % _DAYS)


def moment(number: int) -> datetime:
    """The time of the row with this number: every third one without a fraction."""
    return _FIRST_MOMENT + timedelta(seconds=61 * number, microseconds=number % 3 * 123_457)


def decimal_form(number: int, value: Decimal) -> object:
    """A decimal as it is met."""
    if number % 4 == 0:
        return str(value)
    if number % 4 == 1:
        return f"{value:.10f}"
    if value == value.to_integral_value():
        return int(value)
    return float(value)


def day_form(number: int, value: date) -> str:
    """A day as it is met."""
    return f"{value}{('', ' 00:00:00', 'T00:00:00', ' 00:00:00.000000', 'T00:00:00+00:00')[number % 5]}"


def moment_form(number: int, value: datetime) -> str:
    """A time as it is met; without an offset it is UTC."""
    east = timezone(timedelta(hours=5, minutes=30))
    forms: Sequence[Callable[[datetime], str]] = (
        lambda t: t.replace(tzinfo=None).isoformat(" "),
        lambda t: t.replace(tzinfo=None).isoformat("T"),
        lambda t: t.strftime("%Y-%m-%d %H:%M:%S.%f"),
        lambda t: t.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        lambda t: t.astimezone(east).isoformat("T"),
        lambda t: t.isoformat(" "),
    )
    return forms[number % len(forms)](value)


def uuid_form(number: int, value: UUID) -> str:
    """A UUID as it is met; the same for the same number."""
    return (str(value), value.hex, str(value).upper())[number % 3]


def form(number: int, value: Any) -> Any:
    """Any value as it is met in the row with this number."""
    if isinstance(value, Decimal):
        return decimal_form(number, value)
    if isinstance(value, datetime):
        return moment_form(number, value)
    if isinstance(value, date):
        return day_form(number, value)
    return value


def write(
    path: Path, ddl: str, rows: Mapping[str, Iterable[Mapping[str, object]]], *, wal: bool = False
) -> None:
    """Make a file with these tables and rows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(ddl)
        for table, values in rows.items():
            for row in values:
                names = ", ".join(row)
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
        connection.commit()
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")


def market_file(
    path: Path, bars: int, others: int | None = None, *, ddl: str = BY_HAND, wal: bool = False
) -> Expected:
    """Make a file of the `market` system with *bars* in daily_data, and *others* in each other table."""
    rows = market_rows(bars, bars if others is None else others)
    old = {
        table: ({k: form(m.id, v) for k, v in m.model_dump().items()} for m in models)  # type: ignore[attr-defined]
        for table, models in rows.items()
    }
    write(path, ddl, old, wal=wal)
    return rows


def market_rows(bars: int, others: int) -> Expected:
    """What such a file holds."""

    def clocks(number: int) -> dict[str, Any]:
        return {"id": number + 1, "created_at": moment(number), "updated_at": moment(number + 1)}

    def prices(number: int) -> dict[str, Any]:
        low = Decimal(number % 900) / 100 + Decimal("0.1")
        return {
            "open": low + Decimal("0.000001"),
            "high": low + 7,
            "low": low,
            "close": low + Decimal("0.25"),
            "volume": number * 1_000_003 % 10**12,
        }

    return {
        "daily_data": [
            market.DailyData(
                ticker=ticker(n),
                date=day(n),
                dividends=None if n % 2 else Decimal(n % 7) / 8,
                stock_splits=None if n % 3 else Decimal(4),
                **prices(n),
                **clocks(n),
            )
            for n in range(bars)
        ],
        "intraday_data": [
            market.IntradayData(ticker=ticker(n), datetime=moment(n), **prices(n), **clocks(n))
            for n in range(others)
        ],
        "metadata": [
            market.Metadata(
                ticker=f"M{n:06}",
                company_name=None if n % 4 == 0 else f"Kaffee Ünï {n}",
                sector=None if n % 3 == 0 else "Food",
                industry="Coffee",
                market_cap=None if n % 5 == 0 else Decimal(n) * 10**9 + Decimal("0.25"),
                last_updated=None if n % 2 else moment(n),
                **clocks(n),
            )
            for n in range(others)
        ],
        "signal_history": [
            market.SignalHistory(
                ticker=ticker(n),
                date=day(n),
                signal_type=("BUY", "SELL", "HOLD")[n % 3],
                signal_value=Decimal(-n) / 1000,
                confidence=Decimal(n % 11) / 10,
                entry_price=Decimal(n) / 64,
                target_price=Decimal(n),
                stop_loss=Decimal("0.3"),
                regime=None if n % 2 else "trending",
                reasons='["above its mean", 0.1]',
                **clocks(n),
            )
            for n in range(others)
        ],
        "portfolio_performance": [
            market.PortfolioPerformance(
                date=_FIRST_DAY + timedelta(days=n),
                portfolio_value=Decimal(n) * 1_000_000 + Decimal("0.1"),
                daily_return=Decimal(n % 100 - 50) / 10_000,
                volatility=Decimal("0.2"),
                sharpe_ratio=None if n % 2 else Decimal("-1.5"),
                max_drawdown=None if n % 3 else Decimal("-0.000001"),
                **clocks(n),
            )
            for n in range(others)
        ],
        "portfolio_positions": [
            market.PortfolioPosition(ticker=f"P{n:06}", shares=Decimal(n) / 8, **clocks(n))
            for n in range(others)
        ],
        "system_events": [
            market.SystemEvent(
                event_type="startup",
                description=f"The {n}th",
                details=None if n % 2 else '{"ok": true}',
                severity=("INFO", "WARNING", "ERROR")[n % 3],
                **clocks(n),
            )
            for n in range(others)
        ],
    }


def session_id(number: int) -> UUID:
    """The id of the session with this number."""
    return UUID(int=(number + 1) * 0xABCDEF0123456789ABCDEF)


def chat_file(path: Path, messages: int, *, ddl: str = CHAT, wal: bool = False) -> Expected:
    """Make a file of the `chat` system: a session for a hundred messages, three versions for each second.

    Where the tables are loose, ids of sessions come in every form of a UUID.
    """
    rows = chat_rows(messages)
    numbers = {session_id(number): number for number in range(len(rows["sessions"]))}

    def old(model: BaseModel, number: int) -> dict[str, object]:
        found = {}
        for name, value in model.model_dump().items():
            if isinstance(value, UUID):
                value = str(value) if ddl == CHAT else uuid_form(numbers[value], value)
            found[name] = form(number, value)
        found.pop("version_count", None)
        return found

    write(
        path,
        ddl,
        {table: (old(m, number) for number, m in enumerate(models)) for table, models in rows.items()},
        wal=wal,
    )
    return rows


def chat_rows(messages: int) -> Expected:
    """What such a file holds."""
    sessions = -(-messages // 100)
    return {
        "sessions": [
            chat.Session(
                id=session_id(n),
                title=f"Session {n}",
                created_at=moment(n),
                updated_at=moment(n + 5),
                current_version=0 if n % 2 else 2,
                version_count=0 if n % 2 else 3,
            )
            for n in range(sessions)
        ],
        "messages": [
            chat.Message(
                id=n + 1,
                session_id=session_id(n // 100),
                role=("user", "assistant")[n % 2],
                content=f"☕ {n}" if n % 10 else "",
                timestamp=moment(n),
            )
            for n in range(messages)
        ],
        "versions": [
            chat.Version(
                id=n * 3 + version + 1,
                session_id=session_id(n),
                version=version,
                html=f"<p>{version}</p>",
                description=None if version else "The first",
                created_at=moment(n + version),
            )
            for n in range(0, sessions, 2)
            for version in range(3)
        ],
        "token_usage": [
            chat.TokenUsage(
                id=n + 1,
                session_id=session_id(n // 100),
                timestamp=moment(n),
                agent_type=("interview", "generation", "refinement")[n % 3],
                model="a-model",
                input_tokens=n,
                output_tokens=2 * n,
                total_tokens=3 * n,
                cost_usd=Decimal(n) / 10**9 + Decimal("0.0000000001"),
            )
            for n in range(0, messages, 2)
        ],
    }
