"""What users asked and what was answered: the table conversations.

A session is read in the order in which its rows were stored, whatever clocks say.
"""

from __future__ import annotations

from datetime import datetime

from dal.executor import Executor
from dal.models.currency import Conversation, NewConversation
from dal.repositories.currency.queries import QUERIES
from dal.repositories.pages import checked_page_size


class ConversationRepository:
    """What users asked, session by session, and what was answered."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, conversation: NewConversation) -> Conversation:
        """Record a question with its answer, and return the row."""
        row: Conversation | None = await self._executor.fetch_one(
            QUERIES.add_conversation, conversation.model_dump()
        )
        assert row is not None, "INSERT ... RETURNING gives a row or raises"
        return row

    async def get(self, conversation_id: int) -> Conversation | None:
        """Return one question with its answer."""
        return await self._executor.fetch_one(QUERIES.conversation_by_id, {"id": conversation_id})

    async def of_session(
        self, session_id: str, *, after_id: int = 0, page_size: int = 100
    ) -> list[Conversation]:
        """Return one page of a session, in order."""
        return await self._executor.fetch_all(
            QUERIES.conversations_of_session,
            {"session_id": session_id, "after_id": after_id, "page_size": checked_page_size(page_size)},
        )

    async def between(
        self, since: datetime, until: datetime, *, after: Conversation | None = None, page_size: int = 100
    ) -> list[Conversation]:
        """Return one page of what was asked in a span of time, oldest first."""
        return await self._executor.fetch_all(
            QUERIES.conversations_between,
            {
                "since": since if after is None else after.timestamp,
                "until": until,
                "after_id": 0 if after is None else after.id,
                "page_size": checked_page_size(page_size),
            },
        )

    async def delete_session(self, session_id: str) -> int:
        """Forget a session, and return how many questions it had."""
        return await self._executor.execute(QUERIES.delete_session, {"session_id": session_id})
