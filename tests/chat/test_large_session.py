"""A session with a hundred thousand messages: read page by page and whole, by its index."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from dal.database import DatabaseManager
from dal.models.chat import Message, NewMessage, Session
from dal.repositories.chat import QUERIES, MessageRepository, SessionRepository, VersionRepository
from dal.repositories.pages import MAX_PAGE_SIZE
from tests.chat.samples import NOW
from tests.systems.engines import Plain, opened
from tests.systems.registry import SYSTEMS

_log = logging.getLogger(__name__)

MESSAGES = 100_000
VERSIONS = 20


def message(number: int) -> NewMessage:
    """What was said as the one of this number."""
    return NewMessage(
        role="assistant" if number % 2 else "user",
        content=f"message {number}",
        timestamp=NOW + timedelta(seconds=number),
    )


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Log the seconds that a block took: ``pytest --log-cli-level=INFO`` shows them."""
    begun = time.perf_counter()
    yield
    _log.info("%s: %.3f s", what, time.perf_counter() - begun)


def steps(database: Plain, session_id: UUID, after_id: int) -> str:
    """How the engine goes about a page of a session."""
    explain = "EXPLAIN QUERY PLAN" if database.engine == "sqlite" else "EXPLAIN"
    params = {"session_id": str(session_id), "after_id": after_id, "page_size": 100}
    sql, args = database.bound(QUERIES.messages_page, **params)
    return "\n".join(" ".join(map(str, row)) for row in database.rows(f"{explain} {sql}", args))


STATISTICS = {"sqlite": "ANALYZE", "postgresql": "ANALYZE", "mysql": "ANALYZE TABLE messages"}
WHOLE_TABLE = re.compile(r"SCAN|Seq Scan|\bALL\b|Sort|filesort|TEMP B-TREE")


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_large_session(
    db: DatabaseManager,
    sessions: SessionRepository,
    messages: MessageRepository,
    versions: VersionRepository,
    session: Session,
    url: str,
) -> None:
    """Every message comes once and in order, page by page and whole, and the index leads to them."""
    other = await sessions.create("Another")
    with measured("store"):
        await messages.add_many(session.id, map(message, range(MESSAGES)))
    await messages.add_many(other.id, map(message, range(1000)))
    for number in range(VERSIONS):
        await versions.add(session.id, f"<p>{number}</p>" * 1000)

    paged: list[Message] = []
    with measured("pages"):
        while page := await messages.page(
            session.id, after_id=paged[-1].id if paged else 0, page_size=MAX_PAGE_SIZE
        ):
            paged += page
    assert [one.content for one in paged] == [f"message {number}" for number in range(MESSAGES)]

    with measured("whole"):
        whole = await sessions.whole(session.id)
    assert whole is not None
    assert whole.messages == paged
    assert [version.version for version in whole.versions] == list(range(VERSIONS))

    with opened(url, SYSTEMS["chat"]) as database:
        database.rows(STATISTICS[database.engine])
        assert not WHOLE_TABLE.search(steps(database, session.id, paged[MESSAGES // 2].id))
        assert "messages_session_id_idx" in steps(database, other.id, paged[MESSAGES // 2].id)

    with measured("delete"):
        assert await sessions.delete(session.id)
    assert await db.fetch_value("SELECT count(*) FROM messages") == 1000
