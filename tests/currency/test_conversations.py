"""What users asked, and what was answered."""

from __future__ import annotations

import asyncio

import pytest

from dal.database import DatabaseManager
from dal.models.currency import Conversation
from dal.repositories.currency import ConversationRepository
from tests.currency.samples import DAY, NOW, conversation
from tests.systems.moments import is_now


async def test_row_comes_back_as_it_was_given(conversations: ConversationRepository) -> None:
    """Texts and JSON are the same in Python, and the row has an id and the database's clock."""
    given = conversation(
        user_params={"risk": "moderate", "amounts": [1, 2.5, None], "ü": {"\U0001f600": True}}
    )
    stored = await conversations.add(given)
    assert stored.model_dump(exclude={"id", "created_at"}) == given.model_dump()
    assert stored.user_params is not None
    assert stored.user_params["risk"] == "moderate"
    assert is_now(stored.created_at)
    assert await conversations.get(stored.id) == stored


@pytest.mark.parametrize("user_params", [None, {}])
async def test_no_parameters_are_not_empty_ones(
    conversations: ConversationRepository, user_params: dict[str, object] | None
) -> None:
    """None and an empty object stay what they are."""
    stored = await conversations.add(conversation(user_params=user_params))
    found = await conversations.get(stored.id)
    assert found is not None
    assert found.user_params == user_params


async def test_longest_texts(conversations: ConversationRepository) -> None:
    """A million characters of four bytes come back, none cut off."""
    text = "\U0001f600" * 1_000_000
    stored = await conversations.add(conversation(user_query=text, response=text))
    assert (stored.user_query, stored.response) == (text, text)


async def test_session_is_read_in_order(conversations: ConversationRepository) -> None:
    """Page by page a session, and no other, comes in the order of storing, whatever its clocks say."""
    for number in range(10):
        await conversations.add(conversation(user_query=str(number), timestamp=NOW - number * DAY))
        await conversations.add(conversation(session_id="other"))
    found: list[Conversation] = []
    while page := await conversations.of_session(
        "test-123", after_id=found[-1].id if found else 0, page_size=3
    ):
        found += page
    assert [row.user_query for row in found] == [str(number) for number in range(10)]


async def test_span_of_time(conversations: ConversationRepository) -> None:
    """Its beginning is in, its end is out; rows of the same moment are neither lost nor doubled by pages."""
    for number in (-1, 0, 0, 0, 0, 0, 1, 2):
        await conversations.add(conversation(timestamp=NOW + number * DAY))
    found: list[Conversation] = []
    while page := await conversations.between(
        NOW, NOW + 2 * DAY, after=found[-1] if found else None, page_size=2
    ):
        found += page
    assert [row.id for row in found] == [2, 3, 4, 5, 6, 7]


async def test_forgotten_session(conversations: ConversationRepository) -> None:
    """All of a session goes, and nothing else."""
    for session_id in ("test-123", "other", "test-123"):
        await conversations.add(conversation(session_id=session_id))
    assert await conversations.delete_session("test-123") == 2
    assert await conversations.of_session("test-123") == []
    assert len(await conversations.of_session("other")) == 1


async def test_many_at_once(conversations: ConversationRepository) -> None:
    """Questions that are stored at the same time are all there, each under an id of its own."""
    stored = await asyncio.gather(
        *(conversations.add(conversation(user_query=str(number))) for number in range(50))
    )
    assert len({row.id for row in stored}) == 50
    assert await conversations.of_session("test-123") == sorted(stored, key=lambda row: row.id)


async def test_part_of_a_caller_s_transaction(db: DatabaseManager) -> None:
    """Bound to a transaction, a repository writes and reads inside it, and is undone with it."""
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            inside = ConversationRepository(tx)
            await inside.add(conversation())
            assert len(await inside.of_session("test-123")) == 1
            raise ZeroDivisionError
    assert await ConversationRepository(db).of_session("test-123") == []
