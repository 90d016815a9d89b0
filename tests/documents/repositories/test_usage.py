"""What users do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from dal.database import DatabaseManager
from dal.errors import ForeignKeyViolation
from dal.models.documents import NewSignal
from dal.repositories.documents import ProcessedDocumentRepository, UsageSignalRepository
from tests.documents.samples import NOW, document


class TestUsageSignals:
    """What users do."""

    async def test_many_at_once(self, db: DatabaseManager) -> None:
        """Signals are stored in their order, each with the client's time."""
        signals = [
            NewSignal(signal_type="dwell", dwell_ms=number, occurred_at=NOW + timedelta(microseconds=number))
            for number in range(2500)
        ]
        usage = UsageSignalRepository(db)
        await usage.add(signals)
        stored = await usage.after(2498)
        assert [(one.dwell_ms, one.occurred_at) for one in stored] == [
            (signal.dwell_ms, signal.occurred_at) for signal in signals[2498:]
        ]

    async def test_all_or_none(self, db: DatabaseManager) -> None:
        """One bad signal and none is stored."""
        good, bad = NewSignal(signal_type="view"), NewSignal(signal_type="view", content_id="nowhere")
        with pytest.raises(ForeignKeyViolation):
            await UsageSignalRepository(db).add([good, bad, good])
        assert await UsageSignalRepository(db).after() == []

    @pytest.mark.parametrize("fields", [{"signal_type": "dwell"}, {"signal_type": "click", "dwell_ms": 1}])
    def test_dwell_and_its_time(self, fields: dict[str, Any]) -> None:
        """A time without a dwell, or a dwell without its time, is refused as the table refuses it."""
        with pytest.raises(ValidationError, match="dwell_ms"):
            NewSignal(**fields)

    async def test_none(self, db: DatabaseManager) -> None:
        """No signals are no work."""
        await UsageSignalRepository(db).add([])
        assert await UsageSignalRepository(db).after() == []

    async def test_summary(self, db: DatabaseManager, documents: ProcessedDocumentRepository) -> None:
        """Signals about one content are counted by type, since a moment."""
        await documents.save(document())
        usage = UsageSignalRepository(db)
        await usage.add(
            NewSignal(
                signal_type="view" if hour < 2 else "click",
                content_id="doc",
                occurred_at=NOW + timedelta(hours=hour),
            )
            for hour in range(3)
        )
        counts = await usage.summary("doc", since=NOW + timedelta(hours=1))
        assert [(one.signal_type, one.signals) for one in counts] == [("click", 1), ("view", 1)]
        assert counts[0].last_occurred_at == NOW + timedelta(hours=2)
        assert len(await usage.on_content("doc", page_size=2)) == 2
