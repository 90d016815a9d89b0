"""Removes what has expired from the database, a few rows at a time, so that nobody waits for it long."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Self

from dal.database import DatabaseManager
from dal.errors import DatabaseError, UsageError
from dal.repositories.documents import QUERIES
from dal.repositories.pages import checked_page_size
from dal.tasks import Background

BATCH_SIZE = 500
PAUSE = 0.05
INTERVAL = 300.0

_ATTEMPTS = 5
_LONGEST_BACKOFF = 32  # intervals

_log = logging.getLogger(__name__)


async def remove_expired(
    db: DatabaseManager, *, batch_size: int = BATCH_SIZE, pause: float = PAUSE, now: datetime | None = None
) -> int:
    """Remove the stored answers to searches that have expired, and return how many there were.

    Each batch is a transaction of its own. One that got in another's way is tried again a few times.

    Args:
        pause: Seconds between two batches, in which others have their turn.

    Raises:
        ParameterError: *batch_size* is out of range.
        DatabaseError: The database refused, or did not answer; batches before are removed.
    """
    return sum([removed async for removed in _batches(db, batch_size, pause, now or datetime.now(UTC))])


async def _batches(db: DatabaseManager, batch_size: int, pause: float, now: datetime) -> AsyncIterator[int]:
    """Remove one batch after the other, and yield the number of rows of each as soon as it is committed."""
    params = {"now": now, "batch_size": checked_page_size(batch_size)}
    failures = 0
    while True:
        try:
            removed = await db.execute(QUERIES.delete_expired_searches, params)
        except DatabaseError as error:
            failures += 1
            if not error.retryable or failures == _ATTEMPTS:
                raise
        else:
            failures = 0
            yield removed
            if removed < batch_size:
                return
        await asyncio.sleep(pause)


class Cleanup:
    """`remove_expired` again and again, beside an application, from `start` to `stop`.

    No error ends it: it is logged, and the next round comes later than usual. Several of them on one database
    share the work.

        async with Cleanup(db):
            ...

    Args:
        db: A connected manager; disconnect it after `stop`.
        interval: Seconds between two rounds, give or take a tenth, so that many processes spread.
    """

    def __init__(
        self,
        db: DatabaseManager,
        *,
        interval: float = INTERVAL,
        batch_size: int = BATCH_SIZE,
        pause: float = PAUSE,
    ) -> None:
        self._db = db
        self._interval = interval
        self._batch_size = checked_page_size(batch_size)
        self._pause = pause
        self._background = Background()
        self._task: asyncio.Task[None] | None = None
        self.removed = 0
        """Rows removed since it was made, but for those of a batch in the middle of which it was stopped."""

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Begin, with a first round at once.

        Raises:
            UsageError: It runs already.
        """
        if self._task is not None:
            raise UsageError("this cleanup runs already")
        self._task = self._background.start(self._rounds())

    async def stop(self) -> None:
        """End it, in the middle of a batch too; does nothing if it does not run."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _rounds(self) -> None:
        failures = 0
        while True:
            delay = self._interval * random.uniform(0.9, 1.1)
            before = self.removed
            try:
                async for removed in _batches(self._db, self._batch_size, self._pause, datetime.now(UTC)):
                    self.removed += removed
            except Exception as error:
                delay *= min(2**failures, _LONGEST_BACKOFF)
                failures += 1
                what = type(error).__name__
                _log.warning("expired rows stay, next round in %.3g s: %s: %s", delay, what, error)
            else:
                failures = 0
                if self.removed > before:
                    _log.info("removed expired rows", extra={"rows": self.removed - before})
            await asyncio.sleep(delay)
