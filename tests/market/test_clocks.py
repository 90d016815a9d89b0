"""created_at and updated_at are kept by the database, whatever changes a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.executor import Executor
from dal.models.market import NewMetadata
from dal.repositories.market import (
    DailyDataRepository,
    IntradayDataRepository,
    MetadataRepository,
    PortfolioPerformanceRepository,
    PortfolioPositionRepository,
    SignalHistoryRepository,
    SystemEventRepository,
)
from dal.settings import Settings
from tests.market.calls import daily, event, intraday, measured, signal
from tests.market.samples import NOW, ROWS, TIME
from tests.systems.fixtures import NewDatabase
from tests.systems.registry import ENGINES, system_of

DAY = date(2026, 1, 2)

CHANGES: dict[str, tuple[Callable[[Executor], Awaitable[Any]], Callable[[Executor], Awaitable[Any]]]] = {
    "daily_data": (
        lambda db: DailyDataRepository(db).put([daily(of=DAY)]),
        lambda db: DailyDataRepository(db).get("AAPL", DAY),
    ),
    "intraday_data": (
        lambda db: IntradayDataRepository(db).put([intraday()]),
        lambda db: IntradayDataRepository(db).get("AAPL", NOW),
    ),
    "metadata": (
        lambda db: MetadataRepository(db).put(NewMetadata(ticker="AAPL")),
        lambda db: MetadataRepository(db).get("AAPL"),
    ),
    "signal_history": (
        lambda db: SignalHistoryRepository(db).change(1, signal()),
        lambda db: SignalHistoryRepository(db).get(1),
    ),
    "portfolio_performance": (
        lambda db: PortfolioPerformanceRepository(db).put(measured(DAY)),
        lambda db: PortfolioPerformanceRepository(db).get(DAY),
    ),
    "portfolio_positions": (
        lambda db: PortfolioPositionRepository(db).put("AAPL", Decimal(1)),
        lambda db: PortfolioPositionRepository(db).get("AAPL"),
    ),
    "system_events": (
        lambda db: SystemEventRepository(db).change(1, event()),
        lambda db: SystemEventRepository(db).get(1),
    ),
}
"""By table: what changes its sample row, and what reads it."""


@pytest.mark.parametrize("engine", ENGINES)
async def test_change_moves_updated_at_alone(
    new_database: NewDatabase, settings: Settings, engine: str
) -> None:
    """In every table a change moves updated_at to the present, and leaves id and created_at."""
    assert CHANGES.keys() == ROWS.keys()
    with new_database(engine, system_of("market")) as plain:
        for table, row in ROWS.items():
            plain.rows(*plain.insertion(table, {**row, "created_at": TIME, "updated_at": TIME}))
        async with DatabaseManager(plain.url, settings=settings) as db:
            for change, read in CHANGES.values():
                before = await read(db)
                assert (before.created_at, before.updated_at) == (NOW, NOW)
                await change(db)
                after = await read(db)
                assert (after.id, after.created_at) == (before.id, NOW)
                assert after.updated_at > NOW
