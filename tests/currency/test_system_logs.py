"""What the application says of its requests."""

from __future__ import annotations

import pytest

from dal.errors import CheckViolation
from dal.models.currency import NewSystemLog, SystemLog
from dal.repositories.currency import SystemLogRepository
from tests.currency.samples import DAY, NOW, entry


async def test_rows_come_back_as_they_were_given(logs: SystemLogRepository) -> None:
    """Texts and JSON are the same in Python; what was not given is None."""
    given = [
        entry(agent="forecast", extra_data={"step": 1, "more": {"ü": [True, None, 0.1, "\u2028"]}}),
        entry(message="", log_level="debug"),
    ]
    await logs.add(given)
    stored = await logs.of_request("request-1")
    assert [row.model_dump(exclude={"id", "created_at"}) for row in stored] == [
        one.model_dump() for one in given
    ]
    assert (stored[1].log_level, stored[1].agent, stored[1].extra_data) == ("DEBUG", None, None)


async def test_all_or_none(logs: SystemLogRepository) -> None:
    """One bad entry among many, and none is stored."""
    bad = NewSystemLog.model_construct(**{**entry().model_dump(), "request_id": "r" * 300})
    with pytest.raises(CheckViolation) as caught:
        await logs.add([entry(), bad])
    assert caught.value.constraint == "system_logs_request_id_length"
    assert await logs.between(NOW, NOW + DAY) == []


async def test_request_is_read_in_order(logs: SystemLogRepository) -> None:
    """What one request led to comes in the order of storing, whatever its clocks say."""
    await logs.add(entry(message=str(number), timestamp=NOW - number * DAY) for number in range(7))
    await logs.add([entry(request_id="request-2")])
    found: list[SystemLog] = []
    while page := await logs.of_request("request-1", after_id=found[-1].id if found else 0, page_size=3):
        found += page
    assert [row.message for row in found] == [str(number) for number in range(7)]


async def test_level_in_a_span_of_time(logs: SystemLogRepository) -> None:
    """Entries of the one level come oldest first; the span's beginning is in, its end is out."""
    await logs.add(
        entry(log_level=level, timestamp=NOW + day * DAY)
        for level, day in [("ERROR", 2), ("ERROR", 0), ("INFO", 0), ("ERROR", 0), ("ERROR", 1), ("ERROR", -1)]
    )
    found: list[SystemLog] = []
    while page := await logs.of_level(
        "ERROR", NOW, NOW + 2 * DAY, after=found[-1] if found else None, page_size=1
    ):
        found += page
    assert [row.id for row in found] == [2, 4, 5]


async def test_span_of_time(logs: SystemLogRepository) -> None:
    """Entries of all levels and requests come oldest first, by pages each once."""
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    await logs.add(
        entry(request_id=f"request-{number}", log_level=levels[number % 5], timestamp=NOW + number // 4 * DAY)
        for number in range(13)
    )
    found: list[SystemLog] = []
    while page := await logs.between(NOW, NOW + 3 * DAY, after=found[-1] if found else None, page_size=5):
        found += page
    assert [row.id for row in found] == list(range(1, 13))
