"""What users say: the table feedback_events.

It is a log: events are added, never changed, and outlive the content that they are about. A reader goes
on behind the last id that it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from dal.executor import Executor
from dal.models.documents import FeedbackCount, FeedbackEvent, FeedbackType
from dal.repositories.documents.queries import QUERIES
from dal.repositories.pages import checked_page_size


class FeedbackEventRepository:
    """What users say: a log that only grows."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(
        self,
        feedback_type: FeedbackType,
        *,
        content_id: str | None = None,
        query_hash: str | None = None,
        session_id: str | None = None,
        rating: int | None = None,
        comment: str | None = None,
        details: Mapping[str, JsonValue] | None = None,
    ) -> FeedbackEvent:
        """Record an event and return it as it was stored.

        Args:
            rating: 1 to 5, for the type ``rating`` and for no other.
        """
        event: FeedbackEvent | None = await self._executor.fetch_one(
            QUERIES.add_feedback,
            {
                "feedback_type": feedback_type,
                "content_id": content_id,
                "query_hash": query_hash,
                "session_id": session_id,
                "rating": rating,
                "comment": comment,
                "details": dict(details or {}),
            },
        )
        assert event is not None, "INSERT ... RETURNING gives a row or raises"
        return event

    async def after(self, after_id: int = 0, *, page_size: int = 100) -> list[FeedbackEvent]:
        """Return the next events of the log, oldest first."""
        return await self._executor.fetch_all(
            QUERIES.feedback_after, {"after_id": after_id, "page_size": checked_page_size(page_size)}
        )

    async def on_content(
        self, content_id: str, *, after_id: int = 0, page_size: int = 100
    ) -> list[FeedbackEvent]:
        """Return one page of the feedback on a content, oldest first."""
        return await self._executor.fetch_all(
            QUERIES.feedback_on_content,
            {"content_id": content_id, "after_id": after_id, "page_size": checked_page_size(page_size)},
        )

    async def summary(self, content_id: str) -> list[FeedbackCount]:
        """Return how often each type of feedback was given on a content."""
        return await self._executor.fetch_all(QUERIES.feedback_summary, {"content_id": content_id})
