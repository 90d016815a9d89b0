"""Signals and events: several may be of the same day or moment, and pages lose none of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dal.database import DatabaseManager
from dal.models.market import SignalHistory, SystemEvent
from dal.repositories.market import SignalHistoryRepository, SystemEventRepository
from tests.market.calls import FUTURE, PAST, day, event, signal


class TestSignals:
    """What was said of a stock."""

    async def test_last_of_a_day_counts(self, db: DatabaseManager) -> None:
        """The last signal is that of the last day, and there the one that was recorded last."""
        signals = SignalHistoryRepository(db)
        for of, kind in ((day(2), "BUY"), (day(2), "SELL"), (day(1), "HOLD")):
            await signals.add(signal(of=of, signal_type=kind))
        last = await signals.latest("AAPL")
        assert last is not None
        assert (last.date, last.signal_type) == (day(2), "SELL")
        assert await signals.latest_by_ticker() == [last]
        assert await signals.latest("MSFT") is None

    async def test_pages_make_up_the_whole(self, db: DatabaseManager) -> None:
        """Pages that end inside of a day go on there: no signal is left out or comes twice."""
        signals = SignalHistoryRepository(db)
        for number in (2, 1, 2, 2, 3, 1, 4):
            await signals.add(signal(of=day(number)))
        await signals.add(signal("MSFT"))
        seen: list[SignalHistory] = []
        begin, after_id = day(1), 0
        while page := await signals.between("AAPL", begin, day(3), after_id=after_id, page_size=2):
            seen += page
            begin, after_id = page[-1].date, page[-1].id
        assert [(one.date.day, one.id) for one in seen] == [(1, 2), (1, 6), (2, 1), (2, 3), (2, 4), (3, 5)]

    async def test_confidence_has_its_bounds(self, db: DatabaseManager) -> None:
        """0 and 1 are confidences."""
        signals = SignalHistoryRepository(db)
        for confidence in (Decimal(0), Decimal(1)):
            await signals.add(signal(confidence=confidence))
        stored = await signals.between("AAPL", day(1), day(1))
        assert [one.confidence for one in stored] == [0, 1]


class TestEvents:
    """What happened to the application."""

    async def test_by_severity_and_time(self, db: DatabaseManager) -> None:
        """Only events of the severity and inside of the window are found."""
        events = SystemEventRepository(db)
        await events.add(event(severity="INFO"))
        stored = await events.add(event(severity="ERROR"))
        await events.add(event(severity="WARNING"))
        tick = timedelta(microseconds=1)
        assert await events.between("ERROR", PAST, FUTURE) == [stored]
        assert await events.between("ERROR", stored.created_at, stored.created_at + tick) == [stored]
        assert await events.between("ERROR", PAST, stored.created_at) == []
        assert await events.between("ERROR", stored.created_at + tick, FUTURE) == []

    async def test_pages_make_up_the_whole(self, db: DatabaseManager) -> None:
        """Events of the same moment are told apart by their ids: none is left out or comes twice."""
        events = SystemEventRepository(db)
        for number in range(7):
            await events.add(event(str(number)))
        same = datetime(2026, 1, 2, tzinfo=UTC)
        await db.execute("UPDATE system_events SET created_at = ? WHERE id BETWEEN ? AND ?", (same, 2, 6))
        seen: list[SystemEvent] = []
        since, after_id = PAST, 0
        while page := await events.between("INFO", since, FUTURE, after_id=after_id, page_size=2):
            seen += page
            since, after_id = page[-1].created_at, page[-1].id
        assert [one.id for one in seen] == [2, 3, 4, 5, 6, 1, 7]
