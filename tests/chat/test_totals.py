"""What was used in all: exact sums by session, by model and by day in UTC."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from dal.models.chat import AgentType, Session
from dal.repositories.chat import QUERIES, SessionRepository, TokenUsageRepository
from tests.chat.samples import NOW, NOWHERE
from tests.systems.engines import opened
from tests.systems.registry import SYSTEMS

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
END = datetime(2100, 1, 1, tzinfo=UTC)


async def record(
    usage: TokenUsageRepository,
    session: Session,
    cost: str,
    *,
    model: str = "a-model",
    agent_type: AgentType = "generation",
    timestamp: datetime = NOW,
) -> None:
    """Record a call that took 10 tokens in and 5 out."""
    await usage.record(
        session.id,
        agent_type=agent_type,
        model=model,
        input_tokens=10,
        output_tokens=5,
        cost_usd=Decimal(cost),
        timestamp=timestamp,
    )


@pytest.mark.parametrize("cost", ["0", "0.0000000001", "0.1", "999999.9999999999", "1000000"])
async def test_cost_comes_back_exactly(usage: TokenUsageRepository, session: Session, cost: str) -> None:
    """A cost is stored with all of its digits."""
    await record(usage, session, cost)
    (row,) = await usage.page(session.id)
    assert row.cost_usd == Decimal(cost)
    assert row.total_tokens == 15


async def test_costs_add_up_exactly(usage: TokenUsageRepository, session: Session) -> None:
    """A tenth and two tenths are three tenths, and no smallest cost of many is lost."""
    await record(usage, session, "0.1")
    await record(usage, session, "0.2")
    assert (await usage.of_session(session.id)).cost_usd == Decimal("0.3")
    for _ in range(10):
        await asyncio.gather(*(record(usage, session, "0.0000000001") for _ in range(20)))
    total = await usage.of_session(session.id)
    assert total.cost_usd == Decimal("0.3000000200")
    assert (total.calls, total.total_tokens) == (202, 3030)
    assert (total.input_tokens, total.output_tokens) == (2020, 1010)


async def test_large_sums(usage: TokenUsageRepository, session: Session) -> None:
    """Sums go beyond the bounds of a single call."""
    for _ in range(100):
        await record(usage, session, "1000000")
    assert (await usage.of_session(session.id)).cost_usd == 100_000_000


async def test_nothing_used(usage: TokenUsageRepository, session: Session) -> None:
    """The total of a session that used nothing, or is not there, is zeros."""
    for session_id in (session.id, NOWHERE):
        total = await usage.of_session(session_id)
        assert total.model_dump() == dict.fromkeys(type(total).model_fields, 0)


async def test_by_session(sessions: SessionRepository, usage: TokenUsageRepository, session: Session) -> None:
    """Each session that used anything has one total; pages go by its id."""
    others = [await sessions.create(f"Session {n}") for n in range(4)]
    for owner in (session, *others[:3]):
        await record(usage, owner, "0.5")
        await record(usage, owner, "0.25", model="B-model", agent_type="interview")
    first = await usage.by_session(page_size=3)
    rest = await usage.by_session(after_id=first[-1].session_id, page_size=3)
    assert [total.session_id for total in first + rest] == sorted(
        (owner.id for owner in (session, *others[:3])), key=str
    )
    assert {(total.calls, total.cost_usd) for total in first + rest} == {(2, Decimal("0.75"))}


async def test_by_model(sessions: SessionRepository, usage: TokenUsageRepository, session: Session) -> None:
    """Each model has one total over all sessions, by name in the order of code points."""
    other = await sessions.create("Another")
    for owner in (session, other):
        for model, cost in (("b", "0.1"), ("B", "0.01"), ("a", "0.001"), ("ä", "0.0001")):
            await record(usage, owner, cost, model=model)
    totals = await usage.by_model(since=BEGINNING, until=END)
    assert [(total.model, total.cost_usd) for total in totals] == [
        ("B", Decimal("0.02")),
        ("a", Decimal("0.002")),
        ("b", Decimal("0.2")),
        ("ä", Decimal("0.0002")),
    ]
    assert {total.total_tokens for total in totals} == {30}


async def test_day_is_of_utc(usage: TokenUsageRepository, session: Session) -> None:
    """A call belongs to the day that it is in UTC, whatever time zone its moment was given in."""
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    for offset in (-12, -5, 0, 5, 14):
        zone = timezone(timedelta(hours=offset))
        await record(usage, session, "0.1", timestamp=(midnight - timedelta(microseconds=1)).astimezone(zone))
        await record(usage, session, "0.01", timestamp=midnight.astimezone(zone))
    totals = await usage.by_day(since=BEGINNING, until=END)
    assert [(total.day, total.calls, total.cost_usd) for total in totals] == [
        (date(2026, 2, 28), 5, Decimal("0.5")),
        (date(2026, 3, 1), 5, Decimal("0.05")),
    ]


ELSEWHERE: dict[str, list[str]] = {
    "sqlite": [],  # it has no sessions with a time zone
    "postgresql": ["SET TIME ZONE 'Asia/Tokyo'"],
    "mysql": ["SET time_zone = '+09:00'"],
}


async def test_day_is_of_utc_in_any_session(usage: TokenUsageRepository, session: Session, url: str) -> None:
    """The days are the same for a session on the server whose time zone is another."""
    for hour in (0, 14, 15, 23):
        await record(usage, session, "1", timestamp=datetime(2026, 3, 1, hour, tzinfo=UTC))
    with opened(url, SYSTEMS["chat"]) as database:
        for statement in ELSEWHERE[database.engine]:
            database.rows(statement)
        found = database.run(QUERIES.totals_by_day, since=BEGINNING, until=END)
    assert [(str(day), calls) for day, calls, *_ in found] == [("2026-03-01", 4)]


async def test_from_since_on_and_before_until(usage: TokenUsageRepository, session: Session) -> None:
    """The first moment of a span belongs to it, the last does not."""
    for microseconds in range(5):
        await record(usage, session, "1", timestamp=NOW + timedelta(microseconds=microseconds))
    span = {"since": NOW + timedelta(microseconds=1), "until": NOW + timedelta(microseconds=4)}
    assert [total.calls for total in await usage.by_day(**span)] == [3]
    assert [total.calls for total in await usage.by_model(**span)] == [3]
    assert await usage.by_day(since=NOW, until=NOW) == []


async def test_at_once(usage: TokenUsageRepository, session: Session) -> None:
    """Calls that are recorded at the same time are all counted."""
    await asyncio.gather(*(record(usage, session, "0.01") for _ in range(50)))
    assert (await usage.of_session(session.id)).cost_usd == Decimal("0.5")
