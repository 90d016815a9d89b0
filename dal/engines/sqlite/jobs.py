"""Jobs for a connection's thread, and the callers that wait for them.

A caller and a thread share nothing that is awaited: the caller waits for a future of its own, the
thread answers through the outbox. So a caller can leave at any moment, and the job is told to stop.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import get_running_loop
from collections.abc import Callable
from typing import Generic, TypeVar

from dal.engines.deadlines import Deadlines
from dal.engines.sqlite.connection import Connection
from dal.engines.sqlite.errors import translated
from dal.engines.sqlite.outbox import Answer
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
        self.deadline = math.inf if deadline is None else deadline
        self.future: Answer[T] = Answer(loop=get_running_loop())
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
            late = self._late()
            self.abandon()  # first: the caller goes on at once
            self.future.set_exception(late)

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


class Waits(Deadlines):
    """Waits for jobs, each until its deadline."""

    def __init__(self, loop: asyncio.AbstractEventLoop, explained: Callable[[DalError], DalError]) -> None:
        super().__init__(loop)
        self._explained = explained

    async def wait(self, job: Job[T]) -> T:
        """Return what *job* brings; leaving early, for any reason, stops it.

        Raises:
            DatabaseError: The driver's error, translated; a timeout.
        """
        if job.deadline < math.inf:
            self.add(job)
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
            self.discard(job)
