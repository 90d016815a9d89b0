"""What users say."""

from __future__ import annotations

from dal.database import DatabaseManager
from dal.repositories.documents import FeedbackEventRepository, ProcessedDocumentRepository
from tests.documents.samples import digest, document


class TestFeedback:
    """What users say."""

    async def test_comes_back(self, db: DatabaseManager) -> None:
        """The event is returned as it was stored, with its id and time."""
        feedback = FeedbackEventRepository(db)
        event = await feedback.add(
            "rating", query_hash=digest("q"), session_id="s", rating=4, comment="good", details={"page": 1}
        )
        assert await feedback.after() == [event]
        assert (event.event_id, event.rating, event.details) == (1, 4, {"page": 1})

    async def test_log_is_read_in_order(self, db: DatabaseManager) -> None:
        """A reader goes on where it stopped."""
        feedback = FeedbackEventRepository(db)
        events = [await feedback.add("helpful", comment=str(number)) for number in range(3)]
        assert await feedback.after(events[0].event_id, page_size=1) == [events[1]]

    async def test_summary(self, db: DatabaseManager, documents: ProcessedDocumentRepository) -> None:
        """Types are counted, ratings averaged, other contents left out."""
        await documents.save(document())
        feedback = FeedbackEventRepository(db)
        for rating in (2, 5):
            await feedback.add("rating", content_id="doc", rating=rating)
        await feedback.add("outdated", content_id="doc")
        await feedback.add("helpful")
        counts = [(one.feedback_type, one.events, one.mean_rating) for one in await feedback.summary("doc")]
        assert counts == [("outdated", 1, None), ("rating", 2, 3.5)]
        assert len(await feedback.on_content("doc")) == 3

    async def test_outlives_its_content(
        self, db: DatabaseManager, documents: ProcessedDocumentRepository
    ) -> None:
        """Feedback stays when its content goes."""
        await documents.save(document())
        await FeedbackEventRepository(db).add("incorrect", content_id="doc")
        await documents.delete("doc")
        (event,) = await FeedbackEventRepository(db).after()
        assert event.content_id is None
