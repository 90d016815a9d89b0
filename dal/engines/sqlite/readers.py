"""The connections that only read.

A few are kept for single statements; the one used last is used next, its page cache is warm. A
transaction block that only reads, or a stream, holds a connection for long, so it borrows one beside
them, opened when needed: neither can stop the single statements.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from dal.engines.sqlite.connection import Connection
from dal.engines.sqlite.errors import is_locked
from dal.engines.sqlite.jobs import Job
from dal.engines.sqlite.worker import Worker
from dal.errors import TooManyWaiters, UsageError
from dal.tasks import Background

_PAUSE = 0.003  # seconds between two tries while another process recovers or resets the WAL
_KEPT = 2  # borrowed connections that stay open for the next borrower


class Readers:
    """Runs single statements on the reading connections, first come, first served."""

    def __init__(self, workers: list[Worker], max_waiting: int) -> None:
        self._all = list(workers)
        self._idle = list(workers)
        self._max_waiting = max_waiting
        self._line: deque[Job[Any]] = deque()
        self._closed = False
        self._all_idle = asyncio.Event()  # set only while closing

    @property
    def in_use(self) -> int:
        """Connections on which a statement runs."""
        return len(self._all) - len(self._idle)

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._line)

    def submit(self, job: Job[Any]) -> None:
        """Have *job* run on the next connection that is free.

        Raises:
            TooManyWaiters: The line is full.
        """
        if self._idle:
            self._start(self._idle.pop(), job)
        elif len(self._line) >= self._max_waiting:
            raise TooManyWaiters(f"{self._max_waiting} reads wait already")
        else:
            self._line.append(job)

    async def close(self, patience: float) -> None:
        """Turn away those in line; wait up to *patience* seconds for what runs, then interrupt it."""
        self._closed = True
        for job in self._line:
            job.settle(None, UsageError("the database was disconnected before this call had its turn"))
        self._line.clear()
        if len(self._idle) < len(self._all):
            try:
                async with asyncio.timeout(patience):
                    await self._all_idle.wait()
            except TimeoutError:
                for worker in self._all:
                    worker.interrupt()

    def _start(self, worker: Worker, job: Job[Any]) -> None:
        worker.submit(job.run, partial(self._finished, worker, job))

    def _finished(self, worker: Worker, job: Job[Any], value: Any, error: BaseException | None) -> None:
        while self._line and self._line[0].future.done():
            self._line.popleft()
        if self._line:
            self._start(worker, self._line.popleft())
        else:
            self._idle.append(worker)
            if self._closed and len(self._idle) == len(self._all):
                self._all_idle.set()
        if error is not None and is_locked(error) and not job.future.done() and not self._closed:
            job.begun, job.locked = False, True
            asyncio.get_running_loop().call_later(_PAUSE * random.uniform(0.5, 1.5), self._again, job)
        else:
            job.settle(value, error)

    def _again(self, job: Job[Any]) -> None:
        if self._closed:
            job.settle(None, UsageError("the database was disconnected before this call had its turn"))
        elif self._idle:
            self._start(self._idle.pop(), job)
        else:
            self._line.appendleft(job)


class Loan(Job[Worker]):
    """A wait for a borrowed connection."""

    __slots__ = ()

    def __init__(self, deadline: float | None) -> None:
        super().__init__(_never, deadline)


def _never(connection: Connection) -> Worker:
    raise AssertionError("a loan is granted on the event loop, not run in a thread")


class Lender:
    """Lends reading connections for longer than a statement, at most *limit* at once.

    Connections are opened and closed in the background: a caller who leaves breaks neither.
    """

    def __init__(
        self,
        open_worker: Callable[[], Coroutine[Any, Any, Worker]],
        close_worker: Callable[[Worker], Coroutine[Any, Any, None]],
        limit: int,
        max_waiting: int,
    ) -> None:
        self._open_worker = open_worker
        self._close_worker = close_worker
        self._limit = limit
        self._max_waiting = max_waiting
        self._lent = 0
        self._kept: list[Worker] = []
        self._line: deque[Loan] = deque()
        self._background = Background()
        self._closed = False
        self._all_back = asyncio.Event()  # set only while closing

    @property
    def in_use(self) -> int:
        """Connections that are lent."""
        return self._lent

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._line)

    def submit(self, loan: Loan) -> None:
        """Put *loan* in line.

        Raises:
            TooManyWaiters: The line is full.
        """
        if len(self._line) >= self._max_waiting:
            raise TooManyWaiters(f"{self._max_waiting} calls wait already for a connection to hold")
        self._line.append(loan)
        self._next()

    def give_back(self, worker: Worker) -> None:
        """Take back a connection that is outside of any transaction."""
        self._lent -= 1
        if self._closed:  # whoever closes the lender closes its connections
            if not self._lent:
                self._all_back.set()
        elif len(self._kept) >= _KEPT:
            self._background.start(self._close_worker(worker))
        else:
            self._kept.append(worker)
        self._next()

    async def close(self, patience: float) -> None:
        """Turn away those in line; wait up to *patience* seconds for what is lent."""
        self._closed = True
        for loan in self._line:
            loan.settle(None, UsageError("the database was disconnected before this call had its turn"))
        self._line.clear()
        if self._lent:
            with contextlib.suppress(TimeoutError):  # a block or a stream left open: closing ends it
                async with asyncio.timeout(patience):
                    await self._all_back.wait()
        await self._background.join(patience)

    def _next(self) -> None:
        while self._line and self._lent < self._limit:
            loan = self._line.popleft()
            if loan.future.done():
                continue
            self._lent += 1
            if self._kept:
                loan.settle(self._kept.pop(), None)
            else:
                self._background.start(self._open_for(loan))

    async def _open_for(self, loan: Loan) -> None:
        try:
            worker = await self._open_worker()
        except Exception as error:
            self._lent -= 1
            loan.settle(None, error)
            self._next()
            return
        if loan.future.done():
            self.give_back(worker)
        else:
            loan.settle(worker, None)
