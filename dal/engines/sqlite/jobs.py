"""Jobs for a connection's thread, and the callers that wait for them.

A caller and a thread share nothing that is awaited: the caller waits for a future of its own, the
thread answers through the outbox. So a caller can leave at any moment, and the job is told to stop.
One timer serves all deadlines.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from dal.engines.sqlite.connection import Connection
from dal.engines.sqlite.errors import translated
from dal.errors import DalError, DatabaseError, LockTimeout, OutcomeUnknown, PoolTimeout, QueryTimeout

T = TypeVar("T")

_INTERRUPT_AGAIN = 0.002  # seconds; an interrupt between two steps of a statement is lost


class Abandoned(Exception):
    """Ends a job in its thread because its caller has left; nobody sees it."""


class Job(Generic[T]):
    """A piece of work for a connection's thread, and the caller who waits for it.

    Attributes:
        future: Settled on the event loop; done as soon as the caller has left.
        abandoned: The caller has left; the work is not begun, or is interrupted.
        begun: The work itself was begun, and not refused for a lock, so something reached the database.
        locked: Another process held the lock when the work was last tried.
    """

    __slots__ = ("_connection", "abandoned", "begun", "deadline", "future", "locked", "work")

    def __init__(self, work: Callable[[Connection], T], deadline: float | None) -> None:
        self.work = work
        self.deadline = deadline
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.abandoned = False
        self.begun = False
        self.locked = False
        self._connection: Connection | None = None

    def run(self, connection: Connection) -> T:
        """Do the work, in the connection's thread.

        Raises:
            Abandoned: The caller had left before the work began.
        """
        self._connection = connection
        connection.running = self
        try:
            # Read after `running` is set: either this sees the flag, or `abandon` sees the job run.
            if self.abandoned:
                raise Abandoned
            self.begun = True
            return self.work(connection)
        finally:
            connection.running = None
            self._connection = None

    def settle(self, value: T | None, error: BaseException | None) -> None:
        """Answer the caller, if there still is one."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)  # type: ignore[arg-type]  # None only where T allows it
        else:
            self.future.set_exception(error)

    def abandon(self) -> None:
        """Stop the work: the caller has left. Runs on the event loop."""
        self.abandoned = True
        connection = self._connection
        if connection is not None and connection.running is self:
            connection.interrupt()
            asyncio.get_running_loop().call_later(_INTERRUPT_AGAIN, self.abandon)

    def granted(self) -> bool:
        """Say whether a value came, though its caller may have been cancelled in the same step."""
        return self.future.done() and not self.future.cancelled() and self.future.exception() is None

    def expire(self) -> None:
        """Free the caller, whose deadline has passed, and stop the work."""
        if not self.future.done():
            self.future.set_exception(self._late())
            self.abandon()

    def _late(self) -> DatabaseError:
        if self.begun:
            return QueryTimeout("the statement was stopped at its timeout", code="SQLITE_INTERRUPT")
        if self.locked:
            return LockTimeout(
                "another process held the database's write lock until the timeout",
                code="SQLITE_BUSY",
                sent=False,
            )
        return PoolTimeout("no connection came free before the timeout; nothing was sent")


class CommitJob(Job[None]):
    """A COMMIT: past its deadline nobody knows how it ends."""

    __slots__ = ()

    def _late(self) -> DatabaseError:
        if self.begun:
            return OutcomeUnknown("the timeout passed during COMMIT; it may or may not have succeeded")
        return super()._late()


class Deadlines:
    """Waits for jobs, each until its deadline, with one timer for all of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, explained: Callable[[DalError], DalError]) -> None:
        self._loop = loop
        self._explained = explained
        self._jobs: set[Job[Any]] = set()
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def after(self, timeout: float | None) -> float | None:
        """Return the deadline that is *timeout* seconds away."""
        return None if timeout is None else self._loop.time() + timeout

    async def wait(self, job: Job[T]) -> T:
        """Return what *job* brings; leaving early, for any reason, stops it.

        Raises:
            DatabaseError: The driver's error, translated; a timeout.
        """
        if job.deadline is not None:
            self._jobs.add(job)
            if job.deadline < self._due:
                self._arm(job.deadline)
        try:
            return await job.future
        except asyncio.CancelledError:
            job.abandon()
            raise
        except Exception as error:
            better = self._explained(translated(error))
            if better is error:
                raise
            raise better from error
        finally:
            self._jobs.discard(job)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._due = math.inf

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        self._timer = None
        self._due = math.inf
        for job in [job for job in self._jobs if job.deadline is not None and job.deadline <= now]:
            self._jobs.discard(job)
            job.expire()
        if self._jobs:
            self._arm(min(job.deadline for job in self._jobs if job.deadline is not None))
