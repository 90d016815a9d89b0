"""What was generated in a session: the table versions.

Versions are added, never changed, and go with their session. They are numbered from 0 without a gap.
"""

from __future__ import annotations

from uuid import UUID

from dal.executor import Executor
from dal.models.chat import Version
from dal.repositories.chat.queries import QUERIES
from dal.repositories.pages import checked_page_size


class VersionRepository:
    """The versions of sessions."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, session_id: UUID, html: str, *, description: str | None = None) -> Version:
        """Add the next version to a session, which is its current one from now on, and return it.

        It is one statement, which waits for others on the same session. Inside of a serializable transaction
        it may meet a conflict instead, as any write: `run_transaction` begins such work anew.

        Raises:
            ForeignKeyViolation: There is no such session.
        """
        version: Version | None = await self._executor.fetch_one(
            QUERIES.add_version,
            {"session_id": str(session_id), "html": html, "description": description},
        )
        assert version is not None, "INSERT ... RETURNING gives a row or raises"
        return version

    async def get(self, session_id: UUID, version: int) -> Version | None:
        """Return one version of a session."""
        return await self._executor.fetch_one(
            QUERIES.version_by_number, {"session_id": str(session_id), "version": version}
        )

    async def current(self, session_id: UUID) -> Version | None:
        """Return the newest version of a session, None if it has none."""
        return await self._executor.fetch_one(QUERIES.current_version, {"session_id": str(session_id)})

    async def page(self, session_id: UUID, *, after_version: int = -1, page_size: int = 100) -> list[Version]:
        """Return one page of the versions of a session, in order."""
        return await self._executor.fetch_all(
            QUERIES.versions_page,
            {
                "session_id": str(session_id),
                "after_version": after_version,
                "page_size": checked_page_size(page_size),
            },
        )
