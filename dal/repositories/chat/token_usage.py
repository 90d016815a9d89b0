"""What calls of language models used and cost: the table token_usage.

Costs are exact. A day is one of UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from dal.executor import Executor
from dal.models.chat import AgentType, DayTotal, ModelTotal, SessionTotal, TokenUsage, UsageTotal
from dal.repositories.chat.queries import QUERIES
from dal.repositories.pages import checked_page_size


class TokenUsageRepository:
    """What was used, call by call and in sums."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def record(
        self,
        session_id: UUID,
        *,
        agent_type: AgentType,
        model: str,
        input_tokens: int,
        output_tokens: int,
        cost_usd: Decimal,
        timestamp: datetime | None = None,
    ) -> TokenUsage:
        """Record a call and return it as it was stored.

        Args:
            cost_usd: At most ten digits after the point.

        Raises:
            ForeignKeyViolation: There is no such session.
        """
        usage: TokenUsage | None = await self._executor.fetch_one(
            QUERIES.add_usage,
            {
                "session_id": str(session_id),
                "timestamp": timestamp or datetime.now(UTC),
                "agent_type": agent_type,
                "model": model,
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "total_tokens": input_tokens + output_tokens,
                "cost_usd": cost_usd,
            },
        )
        assert usage is not None, "INSERT ... RETURNING gives a row or raises"
        return usage

    async def page(self, session_id: UUID, *, after_id: int = 0, page_size: int = 100) -> list[TokenUsage]:
        """Return one page of what a session used, in order."""
        return await self._executor.fetch_all(
            QUERIES.usage_page,
            {
                "session_id": str(session_id),
                "after_id": after_id,
                "page_size": checked_page_size(page_size),
            },
        )

    async def of_session(self, session_id: UUID) -> UsageTotal:
        """Return what a session used in all; zeros if it used nothing, or is not there."""
        total: UsageTotal | None = await self._executor.fetch_one(
            QUERIES.session_total, {"session_id": str(session_id)}
        )
        assert total is not None, "a sum without GROUP BY is one row"
        return total

    async def by_session(self, *, after_id: UUID | None = None, page_size: int = 100) -> list[SessionTotal]:
        """Return one page of what each session used in all, by its id."""
        return await self._executor.fetch_all(
            QUERIES.totals_by_session,
            {"after_id": str(after_id or ""), "page_size": checked_page_size(page_size)},
        )

    async def by_model(self, *, since: datetime, until: datetime) -> list[ModelTotal]:
        """Return what was used of each model, from *since* on and before *until*."""
        return await self._executor.fetch_all(QUERIES.totals_by_model, {"since": since, "until": until})

    async def by_day(self, *, since: datetime, until: datetime) -> list[DayTotal]:
        """Return what was used on each day in UTC, from *since* on and before *until*."""
        return await self._executor.fetch_all(QUERIES.totals_by_day, {"since": since, "until": until})
