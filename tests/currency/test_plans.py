"""That summaries and pages read no more than they have to, beyond what is asked of every query."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from dal.queries import Query
from dal.repositories.currency import QUERIES
from tests.currency.samples import DAY, NOW
from tests.systems.fixtures import NewDatabase
from tests.systems.registry import SYSTEMS


@pytest.mark.parametrize(
    ("query", "table", "index"),
    [
        (QUERIES.agent_performance, "agent_metrics", "agent_metrics_timestamp_idx"),
        (QUERIES.prediction_errors, "prediction_history", "prediction_history_prediction_time_idx"),
    ],
    ids=["agent_performance", "prediction_errors"],
)
def test_span_is_found_by_an_index(
    new_database: NewDatabase, query: Query[Any], table: str, index: str
) -> None:
    """The rows of the span of time, and no others, are read from the table."""
    with new_database("sqlite", SYSTEMS["currency"]) as database:
        sql, args = database.bound(query, since=NOW, until=NOW + DAY)
        plan = [row[3] for row in database.rows(f"EXPLAIN QUERY PLAN {sql}", args)]
    (step,) = [step for step in plan if table in step]
    assert step.startswith(f"SEARCH {table} USING INDEX {index} ")


MANY = """
INSERT INTO prediction_history (
    currency_pair, prediction_horizon, predicted_rate, confidence, prediction_time, due_time, actual_rate,
    evaluation_time
)
SELECT
    'USD/EUR', 1, 1, 1, '2026-01-01', if(seq % 4, NULL, '2026-01-02' + INTERVAL seq SECOND),
    if(seq % 4, 1, NULL), if(seq % 4, '2026-01-02', NULL)
FROM seq_1_to_4000
"""


def test_due_page_is_not_sorted_on_mariadb(new_database: NewDatabase) -> None:
    """What waits for its evaluation comes in the order of an index."""
    with new_database("mysql", SYSTEMS["currency"]) as database:
        database.rows(MANY)
        database.rows("ANALYZE TABLE prediction_history")
        sql, args = database.bound(
            QUERIES.due_predictions,
            now=datetime(2026, 1, 2, 1),
            after_time=datetime(2026, 1, 1),
            after_id=0,
            page_size=10,
        )
        (step,) = database.rows(f"EXPLAIN {sql}", args)
    assert "prediction_history_due_time_idx" in step
    assert "filesort" not in step[-1]
