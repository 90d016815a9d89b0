"""Costs add up exactly: to the last digit what Python's Decimal says, on every engine."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.models.chat import Session
from dal.queries import Query
from dal.queries.dialects import DIALECTS
from dal.repositories.chat import QUERIES, SessionRepository, TokenUsageRepository
from tests.chat.samples import NOW

DAY = timedelta(days=1)

LOAD: Query[None] = Query(
    name="load_usage",
    kind="batch",
    parameters=QUERIES.add_usage.parameters,
    shared=QUERIES.add_usage.text(DIALECTS["sqlite"]).partition("RETURNING")[0],
)
"""What a call used, as `add_usage` stores it, in bulk: without RETURNING rows are sent together."""

Row = dict[str, Any]


def cost(chance: random.Random) -> Decimal:
    """A cost below a thousand dollars, of any size, with every digit in use."""
    return Decimal(chance.randrange(10 ** chance.randint(1, 13))).scaleb(-10)


def used(session_ids: list[str], chance: random.Random) -> Row:
    """What a call used, of any session, model and day."""
    input_tokens, output_tokens = chance.randrange(10**9), chance.randrange(10**9)
    return {
        "session_id": chance.choice(session_ids),
        "timestamp": NOW + chance.randrange(3) * DAY,
        "agent_type": "generation",
        "model": chance.choice(["a-model", "B-model"]),
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "cost_usd": cost(chance),
    }


def totals(rows: list[Row], part: Callable[[Row], str]) -> dict[str, Row]:
    """What Python makes of the rows, part by part."""
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[part(row)].append(row)
    sums = ("input_tokens", "output_tokens", "total_tokens", "cost_usd")
    return {
        key: {"calls": len(those), **{name: sum(row[name] for row in those) for name in sums}}
        for key, those in parts.items()
    }


@pytest.mark.timeout(600)
async def test_a_hundred_thousand_rows(
    db: DatabaseManager, sessions: SessionRepository, usage: TokenUsageRepository, session: Session
) -> None:
    """Calls that were loaded in bulk have the totals that Python makes of them: by session, model and day."""
    chance = random.Random(1)
    ids = [str(session.id), str((await sessions.create("Another")).id)]
    rows = [used(ids, chance) for _ in range(100_000)]
    await db.execute_many(LOAD, rows, timeout=120)

    expected = totals(rows, lambda row: row["session_id"])
    # More digits than a float holds.
    assert all(total["cost_usd"] > Decimal(2**53).scaleb(-10) for total in expected.values())
    assert (await usage.of_session(session.id)).model_dump() == expected[str(session.id)]

    def found(by: str, rows_found: list[Any]) -> dict[str, Row]:
        return {str(getattr(row, by)): row.model_dump(exclude={by}) for row in rows_found}

    span = {"since": NOW, "until": NOW + 3 * DAY}
    assert found("session_id", await usage.by_session()) == expected
    assert found("model", await usage.by_model(**span)) == totals(rows, lambda row: row["model"])
    assert found("day", await usage.by_day(**span)) == totals(rows, lambda row: str(row["timestamp"].date()))
