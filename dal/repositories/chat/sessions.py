"""Sessions: the table sessions, and with it all that belongs to a session."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from dal.executor import Executor
from dal.models.chat import Session, WholeSession
from dal.repositories.chat.queries import QUERIES
from dal.repositories.pages import checked_page_size
from dal.repositories.snapshots import snapshot

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class SessionRepository:
    """Sessions, alone or whole."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def create(self, title: str, *, session_id: UUID | None = None) -> Session:
        """Begin a session and return it.

        Args:
            session_id: What it is known by; None makes a random one (UUID4).

        Raises:
            UniqueViolation: There is a session with this id.
        """
        params = {"session_id": str(session_id or uuid4()), "title": title}
        session: Session | None = await self._executor.fetch_one(QUERIES.add_session, params)
        assert session is not None, "INSERT ... RETURNING gives a row or raises"
        return session

    async def get(self, session_id: UUID) -> Session | None:
        """Return a session without what belongs to it."""
        return await self._executor.fetch_one(QUERIES.session_by_id, {"session_id": str(session_id)})

    async def whole(self, session_id: UUID) -> WholeSession | None:
        """Return a session with all of its messages, versions and use, as they were at one moment."""
        params = {"session_id": str(session_id)}
        async with snapshot(self._executor) as reader:
            session: Session | None = await reader.fetch_one(QUERIES.session_by_id, params)
            if session is None:
                return None
            # Three statements: one join of all would bring every message with every version.
            return WholeSession(
                **dict(session),
                messages=await reader.fetch_all(QUERIES.messages_of_session, params),
                versions=await reader.fetch_all(QUERIES.versions_of_session, params),
                token_usage=await reader.fetch_all(QUERIES.usage_of_session, params),
            )

    async def of_message(self, message_id: int) -> Session | None:
        """Return the session in which a message was said."""
        return await self._executor.fetch_one(QUERIES.session_of_message, {"message_id": message_id})

    async def recent(self, *, after: Session | None = None, page_size: int = 50) -> list[Session]:
        """Return one page of the sessions, the one that changed last first.

        Args:
            after: The last session of the page before. One that changes meanwhile moves to the front.
        """
        return await self._executor.fetch_all(
            QUERIES.recent_sessions,
            {
                "changed_before": after.updated_at if after else _END_OF_TIME,
                "before_id": str(after.id) if after else "",
                "page_size": checked_page_size(page_size),
            },
        )

    async def rename(self, session_id: UUID, title: str) -> bool:
        """Give a session another title; False if there is no such session."""
        params = {"session_id": str(session_id), "title": title}
        return await self._executor.execute(QUERIES.rename_session, params) > 0

    async def delete(self, session_id: UUID) -> bool:
        """Remove a session with its messages, versions and use; False if there was none."""
        return await self._executor.execute(QUERIES.delete_session, {"session_id": str(session_id)}) > 0
