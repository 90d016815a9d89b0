"""What is the present for a test: a clock that is hours off, as in another time zone, is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BEGUN = datetime.now(UTC)


def is_now(moment: object) -> bool:
    """True for a moment since these tests were begun, to the minute; however long they take."""
    minute = timedelta(minutes=1)
    return isinstance(moment, datetime) and BEGUN - minute < moment < datetime.now(UTC) + minute
