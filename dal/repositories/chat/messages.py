"""What was said in a session: the table messages.

Messages are added, never changed, and go with their session. Their order is that of their ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from dal.executor import Executor
from dal.models.chat import Message, NewMessage, Role
from dal.repositories.chat.queries import QUERIES
from dal.repositories.pages import checked_page_size


class MessageRepository:
    """The messages of sessions."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(
        self, session_id: UUID, role: Role, content: str, *, timestamp: datetime | None = None
    ) -> Message:
        """Add a message to a session and return it.

        Raises:
            ForeignKeyViolation: There is no such session.
        """
        message: Message | None = await self._executor.fetch_one(
            QUERIES.add_message,
            {
                "session_id": str(session_id),
                "role": role,
                "content": content,
                "timestamp": timestamp or datetime.now(UTC),
            },
        )
        assert message is not None, "INSERT ... RETURNING gives a row or raises"
        return message

    async def add_many(self, session_id: UUID, messages: Iterable[NewMessage]) -> None:
        """Add messages to a session, in their order: all of them, or none.

        Raises:
            ForeignKeyViolation: There is no such session.
        """
        rows = ({"session_id": str(session_id), **dict(message)} for message in messages)
        await self._executor.execute_many(QUERIES.add_messages, rows)

    async def get(self, message_id: int) -> Message | None:
        """Return one message."""
        return await self._executor.fetch_one(QUERIES.message_by_id, {"message_id": message_id})

    async def of_session(self, session_id: UUID) -> list[Message]:
        """Return all messages of a session, in order."""
        return await self._executor.fetch_all(QUERIES.messages_of_session, {"session_id": str(session_id)})

    async def page(self, session_id: UUID, *, after_id: int = 0, page_size: int = 100) -> list[Message]:
        """Return one page of the messages of a session, in order."""
        return await self._executor.fetch_all(
            QUERIES.messages_page,
            {
                "session_id": str(session_id),
                "after_id": after_id,
                "page_size": checked_page_size(page_size),
            },
        )

    async def since(self, moment: datetime, *, after_id: int = 0, page_size: int = 100) -> list[Message]:
        """Return one page of the messages of all sessions by their time, from *moment* on.

        Args:
            moment: The ``timestamp`` of the last message of the page before, or where to begin.
            after_id: The ``id`` of that message.
        """
        return await self._executor.fetch_all(
            QUERIES.messages_since,
            {"moment": moment, "after_id": after_id, "page_size": checked_page_size(page_size)},
        )
