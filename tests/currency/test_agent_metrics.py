"""How long runs of agents took, and how they ended."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from dal.errors import CheckViolation
from dal.models.currency import AgentMetrics, NewAgentMetrics
from dal.repositories.currency import AgentMetricsRepository
from tests.currency.samples import DAY, NOW, run


async def test_rows_come_back_as_they_were_given(metrics: AgentMetricsRepository) -> None:
    """Runs of each status, with and without a message, are stored in their order."""
    given = [
        run(),
        run(status="error", error_message="no answer: \U0001f600", execution_time_ms=0),
        run(status="timeout", execution_time_ms=2**63 - 1, timestamp=NOW + DAY),
    ]
    await metrics.add(given)
    stored = await metrics.of_agent("forecast", NOW, NOW + 2 * DAY)
    assert [row.model_dump(exclude={"id", "created_at"}) for row in stored] == [
        one.model_dump() for one in given
    ]


async def test_all_or_none(metrics: AgentMetricsRepository) -> None:
    """One bad run among many, and none is stored."""
    bad = NewAgentMetrics.model_construct(**{**run().model_dump(), "execution_time_ms": -1})
    with pytest.raises(CheckViolation) as caught:
        await metrics.add([run()] * 1500 + [bad] + [run()])
    assert caught.value.constraint == "agent_metrics_execution_time_ms_range"
    assert await metrics.of_agent("forecast", NOW, NOW + DAY) == []


async def test_pages(metrics: AgentMetricsRepository) -> None:
    """Runs of one agent come oldest first, and by pages neither twice nor never, also of the same moment."""
    days = [2, 0, 1, 1, 1, 1, 3]
    await metrics.add(run(timestamp=NOW + day * DAY) for day in days)
    await metrics.add([run(agent_name="news")])
    found: list[AgentMetrics] = []
    while page := await metrics.of_agent(
        "forecast", NOW, NOW + 3 * DAY, after=found[-1] if found else None, page_size=3
    ):
        found += page
    assert [row.id for row in found] == [2, 3, 4, 5, 6, 1]


def nearest_rank(percent: int, durations: list[int]) -> int:
    """The first value, in order, that *percent* of all, or more, do not exceed."""
    return sorted(durations)[-(-percent * len(durations) // 100) - 1]


class TestPerformance:
    """Percentiles are by nearest rank, and the same numbers on every engine."""

    async def test_percentiles(self, metrics: AgentMetricsRepository) -> None:
        """For counts around each rank's edges, and with durations that occur often, they are right."""
        chance = random.Random(1)
        durations = {
            f"agent {count:03}": [
                chance.choice([*(chance.randrange(10**9) for _ in range(4)), 7]) for _ in range(count)
            ]
            for count in (1, 2, 3, 4, 5, 19, 20, 21, 39, 40, 41, 99, 100, 101, 200, 201, 333)
        }
        await metrics.add(
            run(agent_name=name, execution_time_ms=duration)
            for name, times in durations.items()
            for duration in times
        )
        found = await metrics.performance(NOW, NOW + DAY)
        assert [row.agent_name for row in found] == sorted(durations)
        for row in found:
            times = durations[row.agent_name]
            percentiles = [nearest_rank(percent, times) for percent in (50, 95, 99)]
            assert [row.p50_ms, row.p95_ms, row.p99_ms] == percentiles
            assert (row.runs, row.longest_ms) == (len(times), max(times))

    async def test_it_is_the_duration_of_a_run(self, metrics: AgentMetricsRepository) -> None:
        """Nothing is interpolated: of 10, 20, 30 and 40 the median is 20, and the 95th percentile 40."""
        await metrics.add(run(execution_time_ms=duration) for duration in (40, 10, 30, 20))
        (row,) = await metrics.performance(NOW, NOW + DAY)
        assert (row.p50_ms, row.p95_ms, row.p99_ms, row.longest_ms) == (20, 40, 40, 40)

    async def test_durations_are_not_cut(self, metrics: AgentMetricsRepository) -> None:
        """The longest duration that can be stored comes out whole."""
        await metrics.add([run(execution_time_ms=2**63 - 1)])
        (row,) = await metrics.performance(NOW, NOW + DAY)
        assert (row.p50_ms, row.longest_ms) == (2**63 - 1, 2**63 - 1)

    async def test_failures(self, metrics: AgentMetricsRepository) -> None:
        """Whatever did not succeed is a failure; the rate is their share of the runs."""
        await metrics.add(run(status=status) for status in ("success", "error", "timeout", "success"))
        await metrics.add([run(agent_name="news", status="error")])
        found = await metrics.performance(NOW, NOW + DAY)
        assert [(row.agent_name, row.failures, row.failure_rate) for row in found] == [
            ("forecast", 2, 0.5),
            ("news", 1, 1.0),
        ]

    async def test_span_of_time(self, metrics: AgentMetricsRepository) -> None:
        """Runs before it, and from its end on, do not count; without a run there is no row."""
        moment = timedelta(microseconds=1)
        for number, when in enumerate((NOW - moment, NOW, NOW + DAY - moment, NOW + DAY)):
            await metrics.add([run(execution_time_ms=number, timestamp=when)])
        (row,) = await metrics.performance(NOW, NOW + DAY)
        assert (row.runs, row.p50_ms, row.longest_ms) == (2, 1, 2)
        assert await metrics.performance(NOW + 2 * DAY, NOW + 3 * DAY) == []
