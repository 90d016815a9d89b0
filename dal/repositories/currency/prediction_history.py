"""Predicted exchange rates and what became of them: the table prediction_history.

A prediction can be evaluated when as many days have passed as its horizon says, and once. Of several
processes that evaluate the same one at a time, one is told that it did.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from dal.errors import ParameterError
from dal.executor import Executor
from dal.models.currency import NewPrediction, PredictionErrors, PredictionHistory
from dal.repositories.currency.queries import QUERIES
from dal.repositories.pages import checked_page_size

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class PredictionHistoryRepository:
    """Predictions of exchange rates, and how far off they were."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, prediction: NewPrediction) -> PredictionHistory:
        """Record a prediction, and return the row."""
        row: PredictionHistory | None = await self._executor.fetch_one(
            QUERIES.add_prediction, {**prediction.model_dump(), "due_time": prediction.due_time}
        )
        assert row is not None, "INSERT ... RETURNING gives a row or raises"
        return row

    async def get(self, prediction_id: int) -> PredictionHistory | None:
        """Return one prediction."""
        return await self._executor.fetch_one(QUERIES.prediction_by_id, {"id": prediction_id})

    async def of_pair(
        self,
        currency_pair: str,
        since: datetime,
        until: datetime,
        *,
        after: PredictionHistory | None = None,
        page_size: int = 100,
    ) -> list[PredictionHistory]:
        """Return one page of the predictions for a pair made in a span of time, oldest first."""
        return await self._executor.fetch_all(
            QUERIES.predictions_of_pair,
            {
                "currency_pair": currency_pair,
                "since": since if after is None else after.prediction_time,
                "until": until,
                "after_id": 0 if after is None else after.id,
                "page_size": checked_page_size(page_size),
            },
        )

    async def due(
        self, *, now: datetime | None = None, after: PredictionHistory | None = None, page_size: int = 100
    ) -> list[PredictionHistory]:
        """Return one page of the predictions that can be evaluated and are not yet, the longest due first.

        Raises:
            ParameterError: *after* was on no such page: it is evaluated.
        """
        after_time, after_id = (_BEGINNING, 0) if after is None else (after.due_time, after.id)
        if after_time is None:
            raise ParameterError(
                f"prediction {after_id} is evaluated; a page of due ones goes on after a due one"
            )
        return await self._executor.fetch_all(
            QUERIES.due_predictions,
            {
                "now": now or datetime.now(UTC),
                "after_time": after_time,
                "after_id": after_id,
                "page_size": checked_page_size(page_size),
            },
        )

    async def evaluate(
        self, prediction_id: int, actual_rate: Decimal, *, now: datetime | None = None
    ) -> bool:
        """Say what the rate really was.

        False if there is no such prediction, it is not due yet, or it was evaluated before.
        """
        params = {"id": prediction_id, "actual_rate": actual_rate, "now": now or datetime.now(UTC)}
        return await self._executor.execute(QUERIES.evaluate_prediction, params) > 0

    async def errors(self, since: datetime, until: datetime) -> list[PredictionErrors]:
        """Return how far off the predictions made in a span of time were, by pair and horizon."""
        return await self._executor.fetch_all(QUERIES.prediction_errors, {"since": since, "until": until})
