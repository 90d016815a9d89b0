"""How the application's agents run: the table agent_metrics. It is a log: runs are added, never changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dal.executor import Executor
from dal.models.currency import AgentMetrics, AgentPerformance, NewAgentMetrics
from dal.repositories.currency.queries import QUERIES
from dal.repositories.pages import checked_page_size


class AgentMetricsRepository:
    """How long runs of agents took, and how they ended: a log that only grows."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, runs: Iterable[NewAgentMetrics]) -> None:
        """Record runs: all of them, or none."""
        await self._executor.execute_many(QUERIES.add_agent_metrics, (run.model_dump() for run in runs))

    async def of_agent(
        self,
        agent_name: str,
        since: datetime,
        until: datetime,
        *,
        after: AgentMetrics | None = None,
        page_size: int = 100,
    ) -> list[AgentMetrics]:
        """Return one page of the runs of an agent in a span of time, oldest first."""
        return await self._executor.fetch_all(
            QUERIES.runs_of_agent,
            {
                "agent_name": agent_name,
                "since": since if after is None else after.timestamp,
                "until": until,
                "after_id": 0 if after is None else after.id,
                "page_size": checked_page_size(page_size),
            },
        )

    async def performance(self, since: datetime, until: datetime) -> list[AgentPerformance]:
        """Return the percentiles of durations, by nearest rank, and the failures of each agent's runs."""
        return await self._executor.fetch_all(QUERIES.agent_performance, {"since": since, "until": until})
