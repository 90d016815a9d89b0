"""The models of the `market` system: a row of each table, what is new, and what queries add up.

Money, shares and ratios are exact decimals. `Scale` says how many digits a column keeps; a value with more is
refused when it is stored, never rounded: ``quantize`` it. Bounds are those of the tables. Models are frozen.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dal.values import Scale, UtcDatetime

Day = date  # a field called date hides the type

Ticker = Annotated[str, Field(min_length=1, max_length=10)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Text = Annotated[str, Field(max_length=10_000)]
Volume = Annotated[int, Field(ge=0, le=10**15)]
Price = Annotated[Decimal, Field(ge=0, le=10**9), Scale(6)]
Shares = Annotated[Decimal, Field(ge=0, le=10**9), Scale(6)]
Confidence = Annotated[Decimal, Field(ge=0, le=1), Scale(6)]
Volatility = Annotated[Decimal, Field(ge=0, le=10**9), Scale(6)]
Ratio = Annotated[Decimal, Field(ge=-(10**9), le=10**9), Scale(6)]
PortfolioValue = Annotated[Decimal, Field(ge=-(10**12), le=10**12), Scale(6)]
MarketCap = Annotated[Decimal, Field(ge=0, le=10**16), Scale(2)]

SignalType = Literal["BUY", "SELL", "HOLD"]
Severity = Literal["INFO", "WARNING", "ERROR"]


class _Record(BaseModel):
    """A row: a column that the model does not name is a mistake in the query."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Numbered(_Record):
    id: int


class _Daily(_Record):
    ticker: Ticker
    date: Day
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Volume
    dividends: Price | None = Field(default=None, description="Of each share on that day")
    stock_splits: Price | None = Field(default=None, description="New shares for an old one on that day")


class _Intraday(_Record):
    ticker: Ticker
    datetime: UtcDatetime = Field(description="When the bar begins")
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Volume


Bar = TypeVar("Bar", _Daily, _Intraday)


def _in_order(bar: Bar) -> Bar:
    if not (bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high):
        raise ValueError("open and close must lie between low and high")
    return bar


class NewDailyData(_Daily):
    """A bar of a day that is to be stored."""

    _check = model_validator(mode="after")(_in_order)


class DailyData(_Daily, _Numbered):
    """A row of daily_data: the prices of a stock on one day."""

    created_at: UtcDatetime
    updated_at: UtcDatetime


class NewIntradayData(_Intraday):
    """A bar inside of a day that is to be stored."""

    _check = model_validator(mode="after")(_in_order)


class IntradayData(_Intraday, _Numbered):
    """A row of intraday_data: the prices of a stock from one moment on."""

    created_at: UtcDatetime
    updated_at: UtcDatetime


class DailySummary(_Record):
    """The bars of a stock over some days as one.

    Attributes:
        bars: How many there are.
        high: The highest price.
        low: The lowest price.
        volume: How many shares changed hands.
        turnover: What they cost at each day's close: the sum of close times volume.
        dividends: What one share brought.
    """

    bars: int
    first_day: Day
    last_day: Day
    high: Price
    low: Price
    volume: int
    turnover: Annotated[Decimal, Scale(6)]
    dividends: Annotated[Decimal, Scale(6)]


class NewMetadata(_Record):
    """What is known of a company, to be stored."""

    ticker: Ticker
    company_name: Name | None = None
    sector: Name | None = None
    industry: Name | None = None
    market_cap: MarketCap | None = None
    last_updated: UtcDatetime | None = Field(default=None, description="When its source was read")


class Metadata(NewMetadata, _Numbered):
    """A row of metadata: the company behind a ticker."""

    created_at: UtcDatetime
    updated_at: UtcDatetime


class NewSignal(_Record):
    """A signal that is to be stored."""

    ticker: Ticker
    date: Day
    signal_type: SignalType
    signal_value: Ratio
    confidence: Confidence
    entry_price: Price
    target_price: Price
    stop_loss: Price
    regime: Annotated[str, Field(min_length=1, max_length=20)] | None = None
    reasons: Text


class SignalHistory(NewSignal, _Numbered):
    """A row of signal_history: what was said of a stock on one day."""

    created_at: UtcDatetime
    updated_at: UtcDatetime


class NewPortfolioPerformance(_Record):
    """What the portfolio was worth on a day, to be stored."""

    date: Day
    portfolio_value: PortfolioValue
    daily_return: Ratio
    volatility: Volatility
    sharpe_ratio: Ratio | None = None
    max_drawdown: Ratio | None = None


class PortfolioPerformance(NewPortfolioPerformance, _Numbered):
    """A row of portfolio_performance: what the portfolio was worth on a day, and how it did."""

    created_at: UtcDatetime
    updated_at: UtcDatetime


class PerformanceSummary(_Record):
    """How the portfolio did over some days."""

    days: int
    first_day: Day
    last_day: Day
    first_value: PortfolioValue
    last_value: PortfolioValue
    lowest_value: PortfolioValue
    highest_value: PortfolioValue


class PortfolioPosition(_Numbered):
    """A row of portfolio_positions: how many shares of a stock the portfolio holds."""

    ticker: Ticker
    shares: Shares
    created_at: UtcDatetime
    updated_at: UtcDatetime


class TickerShares(_Record):
    """How many shares of a stock there are."""

    ticker: Ticker
    total_shares: Annotated[Decimal, Scale(6)]


class PortfolioWorth(_Record):
    """What the positions are worth.

    Attributes:
        positions: How many there are.
        priced: How many of them have a bar, and so are in the value.
        value: The sum of shares times last close, with all of its digits.
    """

    positions: int
    priced: int
    value: Annotated[Decimal, Scale(12)]


class NewSystemEvent(_Record):
    """An event that is to be stored."""

    event_type: Annotated[str, Field(min_length=1, max_length=50)]
    description: Name
    details: Text | None = None
    severity: Severity


class SystemEvent(NewSystemEvent, _Numbered):
    """A row of system_events: what happened to the application itself."""

    created_at: UtcDatetime
    updated_at: UtcDatetime


MODELS: tuple[type[BaseModel], ...] = (
    DailyData,
    DailySummary,
    IntradayData,
    Metadata,
    PerformanceSummary,
    PortfolioPerformance,
    PortfolioPosition,
    PortfolioWorth,
    SignalHistory,
    SystemEvent,
    TickerShares,
)
"""What the queries return."""
