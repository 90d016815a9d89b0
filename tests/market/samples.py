"""Rows to test with, all valid until a test changes them, and what the suites for every system ask."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from pydantic import BaseModel

from dal.models.market import (
    DailyData,
    IntradayData,
    Metadata,
    PortfolioPerformance,
    PortfolioPosition,
    Severity,
    SignalHistory,
    SignalType,
    SystemEvent,
)

TIME = "2026-01-02T03:04:05.678901Z"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

BAR: dict[str, object] = {
    "open": Decimal("150.000000"),
    "high": Decimal("155.000000"),
    "low": Decimal("149.000000"),
    "close": Decimal("153.000000"),
    "volume": 1_000_000,
}

ROWS: dict[str, dict[str, object]] = {
    "daily_data": {
        "id": 1,
        "ticker": "AAPL",
        "date": "2026-01-02",
        **BAR,
        "dividends": Decimal("0.250000"),
        "stock_splits": Decimal("4.000000"),
    },
    "intraday_data": {"id": 1, "ticker": "AAPL", "datetime": TIME, **BAR},
    "metadata": {
        "id": 1,
        "ticker": "AAPL",
        "company_name": "Apple Inc.",
        "sector": "Technology",
        "industry": "Consumer Electronics",
        "market_cap": Decimal("3500000000000.00"),
        "last_updated": TIME,
    },
    "signal_history": {
        "id": 1,
        "ticker": "AAPL",
        "date": "2026-01-02",
        "signal_type": "BUY",
        "signal_value": Decimal("0.750000"),
        "confidence": Decimal("0.800000"),
        "entry_price": Decimal("153.000000"),
        "target_price": Decimal("170.000000"),
        "stop_loss": Decimal("145.000000"),
        "regime": "trending",
        "reasons": "above its mean",
    },
    "portfolio_performance": {
        "id": 1,
        "date": "2026-01-02",
        "portfolio_value": Decimal("100000.000000"),
        "daily_return": Decimal("-0.012500"),
        "volatility": Decimal("0.200000"),
        "sharpe_ratio": Decimal("1.500000"),
        "max_drawdown": Decimal("-0.100000"),
    },
    "portfolio_positions": {"id": 1, "ticker": "AAPL", "shares": Decimal("10.500000")},
    "system_events": {
        "id": 1,
        "event_type": "startup",
        "description": "The application was started",
        "details": "by hand",
        "severity": "INFO",
    },
}

MILLIONTH = Decimal("0.000001")
BELOW_ZERO = -MILLIONTH
ABOVE_BILLION = 10**9 + MILLIONTH

_BAD_BARS: list[tuple[dict[str, object], str]] = [
    ({"ticker": ""}, "ticker_length"),
    ({"ticker": "TICKERNAMES"}, "ticker_length"),
    # As text the prices of this one would be in order: 10.2 before 10.5 before 9.5.
    (
        {
            "low": Decimal("10.200000"),
            "open": Decimal("10.500000"),
            "close": Decimal("10.500000"),
            "high": Decimal("9.500000"),
        },
        "prices_order",
    ),
    ({"high": Decimal("148.999999")}, "prices_order"),
    ({"open": Decimal("155.000001")}, "prices_order"),
    ({"open": Decimal("148.999999")}, "prices_order"),
    ({"close": Decimal("155.000001")}, "prices_order"),
    ({"close": Decimal("148.999999")}, "prices_order"),
    ({"low": BELOW_ZERO}, "prices_range"),
    ({"high": ABOVE_BILLION}, "prices_range"),
    ({"volume": -1}, "volume_range"),
    ({"volume": 10**15 + 1}, "volume_range"),
]

BAD: list[tuple[str, dict[str, object], str]] = [
    *(
        (table, changes, f"{table}_{constraint}")
        for table in ("daily_data", "intraday_data")
        for changes, constraint in _BAD_BARS
    ),
    ("daily_data", {"dividends": BELOW_ZERO}, "daily_data_dividends_range"),
    ("daily_data", {"dividends": ABOVE_BILLION}, "daily_data_dividends_range"),
    ("daily_data", {"stock_splits": BELOW_ZERO}, "daily_data_stock_splits_range"),
    ("daily_data", {"stock_splits": ABOVE_BILLION}, "daily_data_stock_splits_range"),
    ("daily_data", {"date": "02.01.2026"}, "daily_data_date_shape"),
    ("intraday_data", {"datetime": "2026-01-02 03:04:05"}, "intraday_data_datetime_shape"),
    ("metadata", {"ticker": ""}, "metadata_ticker_length"),
    ("metadata", {"company_name": ""}, "metadata_company_name_length"),
    ("metadata", {"sector": ""}, "metadata_sector_length"),
    ("metadata", {"industry": ""}, "metadata_industry_length"),
    ("metadata", {"market_cap": Decimal("-0.01")}, "metadata_market_cap_range"),
    ("metadata", {"market_cap": Decimal("10000000000000000.01")}, "metadata_market_cap_range"),
    ("metadata", {"last_updated": "2026-01-02T03:04:05Z"}, "metadata_last_updated_shape"),
    ("signal_history", {"ticker": "TICKERNAMES"}, "signal_history_ticker_length"),
    ("signal_history", {"date": "2026-1-2"}, "signal_history_date_shape"),
    ("signal_history", {"signal_type": "WAIT"}, "signal_history_signal_type_known"),
    ("signal_history", {"signal_type": "buy"}, "signal_history_signal_type_known"),
    ("signal_history", {"signal_value": -ABOVE_BILLION}, "signal_history_signal_value_range"),
    ("signal_history", {"confidence": BELOW_ZERO}, "signal_history_confidence_range"),
    ("signal_history", {"confidence": Decimal("1.000001")}, "signal_history_confidence_range"),
    ("signal_history", {"entry_price": BELOW_ZERO}, "signal_history_entry_price_range"),
    ("signal_history", {"target_price": BELOW_ZERO}, "signal_history_target_price_range"),
    ("signal_history", {"stop_loss": BELOW_ZERO}, "signal_history_stop_loss_range"),
    ("signal_history", {"regime": "r" * 21}, "signal_history_regime_length"),
    ("signal_history", {"reasons": "r" * 10_001}, "signal_history_reasons_length"),
    ("portfolio_performance", {"date": ""}, "portfolio_performance_date_shape"),
    (
        "portfolio_performance",
        {"portfolio_value": 10**12 + MILLIONTH},
        "portfolio_performance_portfolio_value_range",
    ),
    ("portfolio_performance", {"daily_return": -ABOVE_BILLION}, "portfolio_performance_daily_return_range"),
    ("portfolio_performance", {"volatility": BELOW_ZERO}, "portfolio_performance_volatility_range"),
    ("portfolio_performance", {"sharpe_ratio": ABOVE_BILLION}, "portfolio_performance_sharpe_ratio_range"),
    ("portfolio_performance", {"max_drawdown": ABOVE_BILLION}, "portfolio_performance_max_drawdown_range"),
    ("portfolio_positions", {"ticker": ""}, "portfolio_positions_ticker_length"),
    ("portfolio_positions", {"shares": BELOW_ZERO}, "portfolio_positions_shares_range"),
    ("portfolio_positions", {"shares": ABOVE_BILLION}, "portfolio_positions_shares_range"),
    ("system_events", {"event_type": "e" * 51}, "system_events_event_type_length"),
    ("system_events", {"description": "d" * 256}, "system_events_description_length"),
    ("system_events", {"details": "d" * 10_001}, "system_events_details_length"),
    ("system_events", {"severity": "FATAL"}, "system_events_severity_known"),
]

TABLES: dict[str, type[BaseModel]] = {
    "daily_data": DailyData,
    "intraday_data": IntradayData,
    "metadata": Metadata,
    "signal_history": SignalHistory,
    "portfolio_performance": PortfolioPerformance,
    "portfolio_positions": PortfolioPosition,
    "system_events": SystemEvent,
}

ENUMERATIONS: dict[str, object] = {
    "signal_history_signal_type_known": SignalType,
    "system_events_severity_known": Severity,
}

PARAMETERS: dict[str, object] = {
    "ticker": "MSFT",
    "signal_type": "HOLD",
    "severity": "ERROR",
    "until": datetime(2026, 2, 1, tzinfo=UTC),
}

_DAY: dict[str, object] = {"date": date(2026, 1, 5)}
PARAMETERS_OF: dict[str, dict[str, object]] = {
    "add_daily_data": _DAY,
    "load_daily_data": _DAY,
    "put_daily_data": _DAY,
}

_POSITIONS = {
    "shares_by_ticker": "all positions are asked for",
    "portfolio_worth": "all positions are added up",
}
_PAGE = "the page that an index gave is read, and joined"
_ONE_ROW = "the one row of what was added up is read"
SCANS = {
    "postgresql": _POSITIONS,
    "sqlite": {
        **_POSITIONS,
        "daily_data_summary": _ONE_ROW,
        "latest_daily_data_by_ticker": _PAGE,
        "latest_performance": "the last entry of the index is read",
        "latest_signal_by_ticker": _PAGE,
        "performance_summary": _ONE_ROW,
    },
}

_SORTED = "the page that an index gave is sorted again, after it was joined"
SORTED = {"sqlite": {"latest_daily_data_by_ticker": _SORTED, "latest_signal_by_ticker": _SORTED}}

_SUMS = "SQLite cuts its integers into halves, so that no product and no sum passes 64 bits"
_UPSERT = "MariaDB has another form of upsert"
VARIANTS = {
    "daily_data_summary": _SUMS,
    "portfolio_worth": _SUMS,
    "put_daily_data": _UPSERT,
    "put_intraday_data": _UPSERT,
    "put_metadata": _UPSERT,
    "put_performance": _UPSERT,
    "put_position": _UPSERT,
}

_TYPED = "a day and a time have types, and need no check of their shape"
_SHAPES = {
    "daily_data_date_shape": _TYPED,
    "intraday_data_datetime_shape": _TYPED,
    "metadata_last_updated_shape": _TYPED,
    "portfolio_performance_date_shape": _TYPED,
    "signal_history_date_shape": _TYPED,
}
ALLOWED = {"postgresql": {"checks": _SHAPES}, "mysql": {"checks": _SHAPES}}
