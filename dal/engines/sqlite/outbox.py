"""Answers on their way from the connections' threads to the callers on the event loop.

Waking the loop and going on in the caller are most of what a short statement costs beside SQLite itself,
so both are done in the fewest steps. The loop is woken by an eventfd, where the system has one: asyncio's
own wake-up takes two more system calls. And a caller goes on in the very callback that brings its answer,
not in the loop's next turn.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from asyncio import current_task
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

Done = Callable[[Any, BaseException | None], None]


class Outbox:
    """Takes answers from threads to callbacks on the event loop, with one wake-up for all that are there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answers: deque[tuple[Done, Any, BaseException | None]] = deque()
        self._awake = False
        self._bell: int | None = None
        if hasattr(os, "eventfd"):  # Linux
            self._bell = bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            loop.add_reader(bell, _answer_the_bell, weakref.ref(self), bell)
            self._remove_bell = weakref.finalize(self, _remove_bell, loop, bell, os.getpid())
            self._remove_bell.atexit = False

    def post(self, done: Done, value: Any, error: BaseException | None) -> None:
        """Have ``done(value, error)`` called on the loop. Runs in any thread."""
        self._answers.append((done, value, error))
        if self._awake:
            return
        self._awake = True
        if self._bell is not None:
            os.eventfd_write(self._bell, 1)
            return
        try:
            self._loop.call_soon_threadsafe(self.deliver)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._answers.clear()

    def deliver(self) -> None:
        """Call back for the answers that are there now; those that come meanwhile wake the loop again."""
        self._awake = False  # before any answer is taken
        for _ in range(len(self._answers)):
            done, value, error = self._answers.popleft()
            done(value, error)

    def close(self) -> None:
        """Give the eventfd back, once every thread has ended; what is posted later still arrives."""
        if self._bell is not None:
            self._bell = None
            self._remove_bell()


def _answer_the_bell(outbox: weakref.ref[Outbox], bell: int) -> None:
    os.eventfd_read(bell)
    if (found := outbox()) is not None:
        found.deliver()


def _remove_bell(loop: asyncio.AbstractEventLoop, bell: int, owner: int) -> None:
    """Close an outbox's eventfd. May run in any thread: the collector chooses it."""
    if os.getpid() != owner:  # a forked process shares what the loop watches with its parent
        return

    def remove() -> None:
        loop.remove_reader(bell)
        os.close(bell)

    try:
        loop.call_soon_threadsafe(remove)
    except RuntimeError:  # the loop is closed, and watches nothing
        os.close(bell)


_set_result = asyncio.Future.set_result  # super() costs a search each time


class Answer(asyncio.Future[T]):
    """A future whose caller goes on inside `set_result` or `set_exception`, if no other task runs then."""

    _waiter: Callable[[Any], object] | None = None
    _waiter_context: Context

    def add_done_callback(
        self, callback: Callable[[Any], object], /, *, context: Context | None = None
    ) -> None:
        """Keep the callback of the task that awaits; any other is the loop's to call."""
        if self._waiter is None and context is not None and not self.done():
            self._waiter, self._waiter_context = callback, context
        else:
            super().add_done_callback(callback, context=context)

    def set_result(self, result: T, /) -> None:
        """Bring *result* to the caller."""
        _set_result(self, result)
        self._go_on()

    def set_exception(self, error: type[BaseException] | BaseException, /) -> None:
        """Bring *error* to the caller."""
        super().set_exception(error)
        self._go_on()

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel; the caller goes on in the loop's next turn, since now it may be in `Task.cancel`."""
        cancelled = super().cancel(msg)
        if cancelled and self._waiter is not None:
            self.get_loop().call_soon(self._waiter, self, context=self._waiter_context)
        return cancelled

    def _go_on(self) -> None:
        waiter = self._waiter
        if waiter is None:
            return
        if current_task() is not None:
            self.get_loop().call_soon(waiter, self, context=self._waiter_context)
            return
        try:
            self._waiter_context.run(waiter, self)
        except (KeyboardInterrupt, SystemExit) as error:  # the caller's; what is to be done here goes on
            self.get_loop().call_soon(_raise, error)


def _raise(error: BaseException) -> None:
    raise error
