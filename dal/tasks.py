"""Tasks of the library's own: they see nothing of a caller's context, and no caller cancels them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Work that goes on without a caller; what it raises goes to whoever awaits its task, if anybody does."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(
        self, work: Coroutine[Any, Any, T], context: contextvars.Context | None = None
    ) -> asyncio.Task[T]:
        """Begin *work*, in a clean context unless one is given."""
        task = asyncio.create_task(work, context=contextvars.Context() if context is None else context)
        # A process may end without disconnect: what was about to be done is then lost, without noise.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def join(self, patience: float) -> None:
        """Wait until all work has ended, what it begins too; cancel it after *patience* seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while self._tasks:
            if loop.time() >= end:
                for task in self._tasks:
                    task.cancel()
            await asyncio.wait(self._tasks, timeout=max(end - loop.time(), 0.1))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, so that the loop does not complain of it


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Return what *work* brings. A caller who is cancelled stays until it has ended, and leaves then."""
    task = asyncio.create_task(work, context=contextvars.Context())
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen, so that the loop does not complain of it
        raise cancelled
    return task.result()
