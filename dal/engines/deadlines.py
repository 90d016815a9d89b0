"""Deadlines of calls, with one timer for all of them.

A timer of its own for each call would cost several microseconds; most calls end long before.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import current_task
from collections.abc import Callable
from types import TracebackType
from typing import Protocol


class Timed(Protocol):
    """Something with a deadline in the event loop's time, `math.inf` for none."""

    deadline: float

    def expire(self) -> None:
        """Called once, at the deadline."""


class Deadlines:
    """The calls that run now, and the timer of the one that is due first."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: set[Timed] = set()
        self.discard = self._watched.discard
        """Stop watching one."""
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def after(self, timeout: float | None) -> float | None:
        """Return the deadline that is *timeout* seconds away."""
        return None if timeout is None else self._loop.time() + timeout

    def has_passed(self, deadline: float | None) -> bool:
        """Say whether *deadline* has passed."""
        return deadline is not None and deadline <= self._loop.time()

    def limit(self, deadline: float | None, late: Callable[[], Exception]) -> Limit:
        """Return a block that is cancelled at *deadline* and then raises what *late* returns."""
        return Limit(self, deadline, late)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._due = math.inf

    def add(self, timed: Timed) -> None:
        """Watch *timed*, which has a deadline."""
        self._watched.add(timed)
        if timed.deadline < self._due:
            self._arm(timed.deadline)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        self._timer = None
        self._due = math.inf
        for timed in [timed for timed in self._watched if timed.deadline <= now]:
            self._watched.discard(timed)
            timed.expire()
        if self._watched:
            self._arm(min(timed.deadline for timed in self._watched))


class Limit:
    """A block of one task with a deadline; `asyncio.timeout` with a shared timer."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_late", "_task", "deadline")

    def __init__(self, deadlines: Deadlines, deadline: float | None, late: Callable[[], Exception]) -> None:
        self._deadlines = deadlines
        self._late = late
        self.deadline = math.inf if deadline is None else deadline

    def __enter__(self) -> None:
        if self.deadline != math.inf:
            self._task = task = current_task()
            assert task is not None, "calls run in tasks"
            self._cancelling = task.cancelling()
            self._expired = False
            self._deadlines.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.deadline != math.inf:
            self._deadlines.discard(self)
            if self._expired:
                self._end(kind, error)

    def _end(self, kind: type[BaseException] | None, error: BaseException | None) -> None:
        """Raise what the passed deadline means, unless someone else has cancelled the task as well."""
        assert self._task is not None
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self._late() from error

    def expire(self) -> None:
        """Cancel the block; called once, at its deadline."""
        assert self._task is not None
        self._expired = True
        self._task.cancel()
