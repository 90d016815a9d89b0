"""What an application does with the `market` system, call by call."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from dal.errors import CheckViolation, DataError, ParameterError, UniqueViolation
from dal.models.market import (
    NewDailyData,
    NewIntradayData,
    NewMetadata,
    NewPortfolioPerformance,
    NewSignal,
    NewSystemEvent,
)
from dal.repositories.market import (
    DailyDataRepository,
    IntradayDataRepository,
    MetadataRepository,
    PortfolioPerformanceRepository,
    PortfolioPositionRepository,
    SignalHistoryRepository,
    SystemEventRepository,
)
from tests.market.samples import NOW
from tests.systems.calls import Step, call, refused, then

PAST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE = datetime(2200, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def day(number: int) -> date:
    """A day of January."""
    return date(2026, 1, number)


FIRST = day(1)


def daily(
    ticker: str = "AAPL", of: date = FIRST, close: str | Decimal = "153", **changes: Any
) -> NewDailyData:
    """A bar of a day."""
    price = Decimal(close)
    fields = {"open": price, "high": price + 2, "low": price - 1, "close": price, "volume": 1_000_000}
    return NewDailyData(ticker=ticker, date=of, **{**fields, **changes})


def intraday(
    ticker: str = "AAPL", moment: datetime = NOW, close: str = "153", **changes: Any
) -> NewIntradayData:
    """A bar inside of a day."""
    price = Decimal(close)
    fields = {"open": price, "high": price + 2, "low": price - 1, "close": price, "volume": 1_000_000}
    return NewIntradayData(ticker=ticker, datetime=moment, **{**fields, **changes})


def signal(ticker: str = "AAPL", of: date = FIRST, **changes: Any) -> NewSignal:
    """A signal."""
    fields: dict[str, Any] = {
        "signal_type": "BUY",
        "signal_value": Decimal("0.75"),
        "confidence": Decimal("0.8"),
        "entry_price": Decimal("153"),
        "target_price": Decimal("170.5"),
        "stop_loss": Decimal("145.25"),
        "reasons": "above its mean",
    }
    return NewSignal(ticker=ticker, date=of, **{**fields, **changes})


def measured(of: date = FIRST, value: str = "100000", **changes: Any) -> NewPortfolioPerformance:
    """What the portfolio was worth on a day."""
    fields = {"daily_return": Decimal("-0.0125"), "volatility": Decimal("0.2")}
    return NewPortfolioPerformance(date=of, portfolio_value=Decimal(value), **{**fields, **changes})


def event(description: str = "started", **changes: Any) -> NewSystemEvent:
    """An event."""
    fields: dict[str, Any] = {"event_type": "startup", "severity": "INFO"}
    return NewSystemEvent(description=description, **{**fields, **changes})


_DAILY: tuple[Step, ...] = (
    call(DailyDataRepository.latest, "AAPL"),
    call(DailyDataRepository.add, daily(dividends=Decimal("0.25"), stock_splits=Decimal("0.333333"))),
    refused(UniqueViolation, DailyDataRepository.add, daily(close="160")),
    call(DailyDataRepository.get, "AAPL", day(1)),
    call(DailyDataRepository.load, [daily(of=day(2), close="9.5"), daily("MSFT", day(1), "400.000001")]),
    refused(UniqueViolation, DailyDataRepository.load, [daily(of=day(3)), daily(of=day(2))]),
    call(DailyDataRepository.get, "AAPL", day(3)),
    call(DailyDataRepository.put, [daily(of=day(2), close="10.5"), daily(of=day(4), volume=0)]),
    refused(
        CheckViolation,
        DailyDataRepository.put,
        [daily(of=day(5)), daily(of=day(6)).model_copy(update={"volume": -1})],
    ),
    refused(DataError, DailyDataRepository.add, daily("TSLA", close="1.0000001")),
    call(DailyDataRepository.latest, "AAPL"),
    call(DailyDataRepository.latest_by_ticker),
    call(DailyDataRepository.latest_by_ticker, after_ticker="AAPL", page_size=1),
    call(DailyDataRepository.between, "AAPL", day(1), day(31)),
    call(DailyDataRepository.between, "AAPL", day(2), day(31), page_size=1),
    refused(ParameterError, DailyDataRepository.between, "AAPL", day(1), day(31), page_size=0),
    call(DailyDataRepository.summary, "AAPL", day(1), day(31)),
    call(DailyDataRepository.summary, "MSFT", day(1), day(31)),
    call(DailyDataRepository.summary, "TSLA", day(1), day(31)),
)

_INTRADAY: tuple[Step, ...] = (
    call(IntradayDataRepository.add, intraday()),
    refused(UniqueViolation, IntradayDataRepository.add, intraday(close="160")),
    call(IntradayDataRepository.put, [intraday(close="154"), intraday(moment=NOW + MINUTE)]),
    call(IntradayDataRepository.get, "AAPL", NOW),
    call(IntradayDataRepository.latest, "AAPL"),
    call(IntradayDataRepository.between, "AAPL", NOW, NOW + MINUTE),
    call(IntradayDataRepository.between, "AAPL", NOW, NOW + 2 * MINUTE, page_size=1),
    call(IntradayDataRepository.delete, "AAPL", NOW),
    call(IntradayDataRepository.delete, "AAPL", NOW),
    call(IntradayDataRepository.between, "AAPL", NOW, NOW + 2 * MINUTE),
)

_METADATA: tuple[Step, ...] = (
    call(MetadataRepository.put, NewMetadata(ticker="MSFT", company_name="Mikrosoft")),
    call(
        MetadataRepository.put,
        NewMetadata(
            ticker="MSFT",
            company_name="Microsoft Corporation",
            sector="Technology",
            industry="Software and Services",
            market_cap=Decimal("3100000000000.25"),
            last_updated=NOW,
        ),
    ),
    call(MetadataRepository.put, NewMetadata(ticker="AAPL")),
    call(MetadataRepository.get, "MSFT"),
    call(MetadataRepository.get, "msft"),
    call(MetadataRepository.page),
    call(MetadataRepository.page, after_ticker="AAPL", page_size=1),
    call(MetadataRepository.delete, "AAPL"),
    call(MetadataRepository.delete, "AAPL"),
)

_SIGNALS: tuple[Step, ...] = (
    call(SignalHistoryRepository.add, signal(of=day(2))),
    then(lambda stored: call(SignalHistoryRepository.get, stored.id)),
    call(SignalHistoryRepository.add, signal(signal_type="HOLD", regime="calm")),
    call(SignalHistoryRepository.add, signal(of=day(2), signal_type="SELL", signal_value=Decimal("-0.5"))),
    call(SignalHistoryRepository.add, signal("MSFT")),
    refused(
        CheckViolation,
        SignalHistoryRepository.add,
        signal().model_copy(update={"confidence": Decimal("1.000001")}),
    ),
    call(SignalHistoryRepository.latest, "AAPL"),
    call(SignalHistoryRepository.latest_by_ticker),
    call(SignalHistoryRepository.latest_by_ticker, after_ticker="AAPL", page_size=1),
    call(SignalHistoryRepository.between, "AAPL", day(1), day(2)),
    call(SignalHistoryRepository.between, "AAPL", day(1), day(2), page_size=2),
    then(
        lambda page: call(
            SignalHistoryRepository.between, "AAPL", page[-1].date, day(2), after_id=page[-1].id
        )
    ),
    call(SignalHistoryRepository.change, 1, signal(of=day(3), reasons="")),
    call(SignalHistoryRepository.change, 99, signal()),
    call(SignalHistoryRepository.latest, "AAPL"),
    call(SignalHistoryRepository.delete, 1),
    call(SignalHistoryRepository.delete, 1),
    call(SignalHistoryRepository.get, 1),
)

_PORTFOLIO: tuple[Step, ...] = (
    call(PortfolioPositionRepository.worth, day(1)),
    call(PortfolioPositionRepository.put, "AAPL", Decimal("10")),
    call(PortfolioPositionRepository.put, "AAPL", Decimal("0.333333")),
    call(PortfolioPositionRepository.put, "MSFT", Decimal("2.5")),
    call(PortfolioPositionRepository.put, "GONE", Decimal("2.5")),
    refused(CheckViolation, PortfolioPositionRepository.put, "AAPL", Decimal("-1")),
    refused(DataError, PortfolioPositionRepository.put, "AAPL", Decimal("0.0000001")),
    call(PortfolioPositionRepository.get, "AAPL"),
    call(PortfolioPositionRepository.page),
    call(PortfolioPositionRepository.page, after_ticker="AAPL", page_size=1),
    call(PortfolioPositionRepository.shares_by_ticker),
    call(PortfolioPositionRepository.worth, day(1)),
    call(PortfolioPositionRepository.worth, day(3)),
    call(PortfolioPositionRepository.delete, "GONE"),
    call(PortfolioPositionRepository.delete, "GONE"),
    call(PortfolioPerformanceRepository.latest),
    call(PortfolioPerformanceRepository.put, measured()),
    call(PortfolioPerformanceRepository.put, measured(day(3), "99000.5")),
    call(PortfolioPerformanceRepository.put, measured(day(2), "-1", sharpe_ratio=Decimal("1.5"))),
    call(PortfolioPerformanceRepository.put, measured(day(2), "101000", max_drawdown=Decimal("-0.1"))),
    call(PortfolioPerformanceRepository.get, day(2)),
    call(PortfolioPerformanceRepository.latest),
    call(PortfolioPerformanceRepository.between, day(1), day(31)),
    call(PortfolioPerformanceRepository.between, day(2), day(31), page_size=1),
    call(PortfolioPerformanceRepository.summary, day(1), day(31)),
    call(PortfolioPerformanceRepository.summary, day(4), day(31)),
    call(PortfolioPerformanceRepository.delete, day(1)),
    call(PortfolioPerformanceRepository.delete, day(1)),
)

_EVENTS: tuple[Step, ...] = (
    call(SystemEventRepository.add, event(details="by hand")),
    call(SystemEventRepository.add, event("no prices", severity="ERROR")),
    call(SystemEventRepository.add, event("no prices", severity="ERROR", event_type="prices")),
    refused(CheckViolation, SystemEventRepository.add, event().model_copy(update={"severity": "FATAL"})),
    call(SystemEventRepository.get, 1),
    call(SystemEventRepository.after, page_size=2),
    call(SystemEventRepository.after, 2),
    call(SystemEventRepository.between, "ERROR", PAST, FUTURE),
    call(SystemEventRepository.between, "ERROR", PAST, FUTURE, page_size=1),
    then(
        lambda page: call(
            SystemEventRepository.between, "ERROR", page[-1].created_at, FUTURE, after_id=page[-1].id
        )
    ),
    call(SystemEventRepository.between, "WARNING", PAST, FUTURE),
    call(SystemEventRepository.change, 1, event("was started", severity="WARNING")),
    call(SystemEventRepository.change, 99, event()),
    call(SystemEventRepository.between, "WARNING", PAST, FUTURE),
    call(SystemEventRepository.delete, 1),
    call(SystemEventRepository.delete, 1),
)

CALLS: tuple[Step, ...] = (
    *_DAILY,
    *_INTRADAY,
    *_METADATA,
    *_SIGNALS,
    *_PORTFOLIO,
    *_EVENTS,
    call(DailyDataRepository.delete, "AAPL", day(4)),
    call(DailyDataRepository.delete, "AAPL", day(4)),
    call(DailyDataRepository.latest, "AAPL"),
)

_NUMBERED = "an upsert, and a row that was refused, may use up a number"
ENGINES_OWN = dict.fromkeys(
    (
        "DailyData.id",
        "IntradayData.id",
        "Metadata.id",
        "PortfolioPerformance.id",
        "PortfolioPosition.id",
    ),
    _NUMBERED,
)
