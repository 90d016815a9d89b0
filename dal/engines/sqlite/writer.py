"""The one connection that writes, and the line of those who wait for it.

Writes that wait at the same time share one BEGIN IMMEDIATE ... COMMIT and are acknowledged only after
the COMMIT. What one of them does wrong reaches its own caller alone: if the shared transaction dies
(an interrupt, OR ROLLBACK, a deferred foreign key found at COMMIT), nothing had been acknowledged, and
every other write is run again by itself. A transaction block has the connection to itself for its
turn. The line is first come, first served.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, TypeAlias, TypeVar

from dal.engines.sqlite.connection import COMMIT, Connection
from dal.engines.sqlite.errors import is_locked, primary_code
from dal.engines.sqlite.jobs import Abandoned, Job
from dal.engines.sqlite.statements import within_savepoint
from dal.engines.sqlite.worker import Worker
from dal.errors import DatabaseError, StorageError, TooManyWaiters, UsageError
from dal.queries.statement import Statement

T = TypeVar("T")

AnyWrite: TypeAlias = "Write[Any]"

Settled: TypeAlias = "tuple[AnyWrite, Any, BaseException | None]"
"""A write that is over, with its value or its error."""

_SHARED = 256  # writes in one commit at the most
_SHARED_SECONDS = 0.05  # after this long a shared transaction takes no further write
_SLOW_SECONDS = 0.02  # a statement that took longer holds up no neighbour a second time
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.01  # seconds between two tries for another process's lock


class Write(Job[T]):
    """Work that is a transaction of its own, alone or within a shared commit.

    Attributes:
        statement: The single statement that it runs; None for several.
        savepoint: It needs one to be undone by itself; a single change is atomic without.
        alone: It shares its commit with no other.
        outside: It runs outside of any transaction.
        shares: It may share its commit with others.
    """

    __slots__ = ("alone", "outside", "savepoint", "shares", "statement")

    def __init__(
        self,
        work: Callable[[Connection], T],
        deadline: float | None,
        *,
        statement: Statement | None = None,
        savepoint: bool = False,
        alone: bool = False,
        outside: bool = False,
    ) -> None:
        Job.__init__(self, work, deadline)
        self.statement = statement
        self.savepoint = savepoint
        self.alone = alone
        self.outside = outside
        self.shares = not (alone or outside)


class Turn(Job[Any]):
    """A transaction block's turn; it is answered with the worker once BEGIN has succeeded."""

    __slots__ = ()
    shares = False

    def __init__(self, deadline: float | None) -> None:
        super().__init__(_begin, deadline)

    def _late(self) -> DatabaseError:
        self.begun = False  # a BEGIN that runs at the deadline has changed nothing: trying again is safe
        return super()._late()


def _begin(connection: Connection) -> None:
    connection.begin_write()


@dataclass(slots=True)
class Outcome:
    """What became of the writes that went to the thread together.

    Attributes:
        settled: Each write that is over, with its value or its error.
        pending: Those still to be run, in their order.
        locked: They are pending because another process holds the lock.
    """

    settled: list[Settled] = field(default_factory=list)
    pending: list[AnyWrite] = field(default_factory=list)
    locked: bool = False


class Writer:
    """Gives the writing connection to those in line, in turn."""

    def __init__(self, worker: Worker, max_waiting: int) -> None:
        self._worker = worker
        self._max_waiting = max_waiting
        self._loop = asyncio.get_running_loop()
        self._line: deque[AnyWrite | Turn] = deque()
        self._busy = False
        self._pause = _FIRST_PAUSE
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_use(self) -> int:
        """1 while a write or a block has the connection, else 0."""
        return int(self._busy)

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._line)

    def submit(self, job: AnyWrite | Turn) -> None:
        """Put *job* at the end of the line.

        Raises:
            TooManyWaiters: The line is full.
        """
        if len(self._line) >= self._max_waiting:
            raise TooManyWaiters(f"{self._max_waiting} writes wait already")
        self._line.append(job)
        if not self._busy:
            self._next()

    def give_back(self) -> None:
        """End a turn: the connection is outside of any transaction again."""
        self._go_on()

    async def close(self, patience: float) -> None:
        """Turn away those in line, wait up to *patience* seconds for what runs, then interrupt it."""
        self._closed = True
        _turn_away(self._line)
        self._line.clear()
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
        except TimeoutError:  # a long statement, or a transaction block left open: closing rolls it back
            self._worker.interrupt()

    def _next(self) -> None:
        """Send the head of the line to the thread, and with it all that may share its commit."""
        line = self._line
        while line and line[0].future.done():
            line.popleft()
        self._busy = bool(line)
        if not line:
            self._idle.set()
            return
        self._idle.clear()
        head = line.popleft()
        if isinstance(head, Turn):
            self._worker.submit(head.run, partial(self._turn_begun, head))
        elif head.outside:
            self._worker.submit(head.run, partial(self._done_outside, head))
        else:
            writes = self._companions(head)
            self._worker.submit(partial(commit_together, writes), partial(self._done_together, writes))

    def _companions(self, head: AnyWrite) -> list[AnyWrite]:
        together: list[AnyWrite] = [head]
        line = self._line
        if head.shares:
            while line and line[0].shares and len(together) < _SHARED:
                job = line.popleft()
                if not job.future.done():
                    together.append(job)  # type: ignore[arg-type]  # a turn shares nothing
        return together

    def _go_on(self) -> None:
        """Serve the next. The callers just answered have gone on already: what they write next goes along."""
        self._pause = _FIRST_PAUSE
        self._next()

    def _try_again(self, jobs: Sequence[AnyWrite | Turn]) -> None:
        """Keep the head of the line and try again: another process holds the lock."""
        if self._closed:
            _turn_away(jobs)
            return self._go_on()
        for job in jobs:
            job.begun, job.locked = False, True
        self._line.extendleft(reversed(jobs))
        self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
        self._loop.call_later(self._pause * random.uniform(0.5, 1.0), self._next)

    def _done_together(
        self, writes: list[AnyWrite], outcome: Outcome | None, error: BaseException | None
    ) -> None:
        if outcome is None:  # the transaction could not even be left
            outcome = Outcome(settled=[(write, None, error) for write in writes])
        for write, value, raised in outcome.settled:
            write.settle(value, raised)
        if outcome.locked:
            self._try_again(outcome.pending)
        else:
            self._line.extendleft(reversed(outcome.pending))
            self._go_on()

    def _done_outside(self, write: AnyWrite, value: Any, error: BaseException | None) -> None:
        if is_locked(error) and not write.future.done():
            self._try_again([write])
        else:
            write.settle(value, error)
            self._go_on()

    def _turn_begun(self, turn: Turn, _: Any, error: BaseException | None) -> None:
        stray = error is not None and primary_code(error) == sqlite3.SQLITE_INTERRUPT
        if (is_locked(error) or stray) and not turn.future.done():
            self._try_again([turn])
        elif error is not None:
            turn.settle(None, error)
            self._go_on()
        elif turn.future.done():  # the caller left while BEGIN ran
            self._worker.submit(Connection.leave_transaction, lambda _, __: self._go_on())
        else:
            turn.settle(self._worker, None)


def _turn_away(jobs: Iterable[AnyWrite | Turn]) -> None:
    for job in jobs:
        job.settle(None, UsageError("the database was disconnected before this call had its turn"))


def commit_together(writes: list[AnyWrite], connection: Connection) -> Outcome:
    """Run *writes* in one transaction, in the connection's thread."""
    outcome = Outcome()
    try:
        connection.begin_write()
    except (sqlite3.Error, StorageError) as error:
        return _not_begun(writes, error, connection)
    applied: list[Settled] = []
    survivors = _apply(writes, connection, applied, outcome)
    if survivors is None:
        survivors = _commit(applied, connection, outcome)
    for write in survivors:
        _merge(outcome, commit_together([write], connection))
    return outcome


def _not_begun(writes: list[AnyWrite], error: Exception, connection: Connection) -> Outcome:
    connection.leave_transaction()
    if is_locked(error):
        return Outcome(pending=writes, locked=True)
    if primary_code(error) == sqlite3.SQLITE_INTERRUPT:  # meant for a statement that was just over
        return commit_together(writes, connection)
    # Copies: one error object would carry the traceback of one caller to the next.
    return Outcome(settled=[(write, None, copy(error)) for write in writes])


def _apply(
    writes: list[AnyWrite], connection: Connection, applied: list[Settled], outcome: Outcome
) -> list[AnyWrite] | None:
    """Run each write; None if the transaction is whole, else those that must be run again."""
    now = time.perf_counter()
    end = now + _SHARED_SECONDS
    again: list[AnyWrite] = []
    for position, write in enumerate(writes):
        changes, begun = connection.total_changes, now
        try:
            if write.savepoint:
                value = within_savepoint(connection, "dal_write", write.run)
            else:
                value = write.run(connection)
            applied.append((write, value, None))
        except Abandoned:
            continue
        except Exception as error:
            stray = primary_code(error) == sqlite3.SQLITE_INTERRUPT and not write.abandoned
            if stray:
                again.append(write)
            else:
                outcome.settled.append((write, None, error.with_traceback(None)))
            whole = connection.in_transaction and (write.savepoint or connection.total_changes == changes)
            if not whole:
                if primary_code(error) != sqlite3.SQLITE_INTERRUPT and write.statement is not None:
                    write.statement.alone = True
                connection.leave_transaction()
                return [*(done for done, _, _ in applied), *again, *writes[position + 1 :]]
        now = time.perf_counter()
        slow = now - begun > _SLOW_SECONDS
        if (slow or write.alone) and write.statement is not None:
            write.statement.alone = slow
        if now > end:
            again.extend(writes[position + 1 :])
            break
    outcome.pending.extend(again)
    return None


def _commit(applied: list[Settled], connection: Connection, outcome: Outcome) -> list[AnyWrite]:
    """Commit; return those that must be run again by themselves because it failed for all."""
    if not applied:
        connection.leave_transaction()
        return []
    try:
        connection.own(COMMIT)
    except sqlite3.Error as error:
        connection.leave_transaction()
        if len(applied) > 1 or primary_code(error) == sqlite3.SQLITE_INTERRUPT:
            return [write for write, _, _ in applied]
        outcome.settled.append((applied[0][0], None, error.with_traceback(None)))
        return []
    outcome.settled += applied
    return []


def _merge(outcome: Outcome, part: Outcome) -> None:
    outcome.settled.extend(part.settled)
    outcome.pending = list(chain(outcome.pending, part.pending))
    outcome.locked = outcome.locked or part.locked
