"""Does something at the very step in which a statement goes to the driver, or in which its answer comes.

The statements of the library's own count too: BEGIN, COMMIT, savepoints, and the reset of a session.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import pkgutil
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dal.errors import DalError
from tests.engine_cases import EngineCase

Action = Callable[[Any], object]
"""What to do at a step; it is given the connection, and may raise."""


class Steps:
    """Counts the statements, and does what a test wants at one of them, or at all from one on."""

    def __init__(self, dialect: str) -> None:
        self.count = 0
        self._dialect = dialect
        self._wanted: Callable[[int, str, bool], bool] = lambda *_: False
        self._action: Action = lambda _: None
        self._stalls = ""
        self._stalled_until = threading.Event()

    def at(self, number: int, action: Action, *, after: bool = False, onwards: bool = False) -> None:
        """Do *action* before, or after, the statement of this *number*, counted from now on.

        Args:
            onwards: At each of those that follow too.
        """
        self.count = 0
        self._action = action
        self._wanted = lambda n, _, ended: ended is after and (n == number or (onwards and n > number))

    def at_text(self, start: str, action: Action, *, after: bool = False) -> None:
        """Do *action* before, or after, each statement whose text has this *start*."""
        self._action = action
        self._wanted = lambda _, text, ended: ended is after and text.startswith(start)

    def at_text_with(self, part: str, action: Action) -> None:
        """Do *action* before each statement whose text has this *part*."""
        self._action = action
        self._wanted = lambda _, text, ended: not ended and part in text

    def stall_at_text(self, start: str, until: threading.Event) -> None:
        """Keep each statement whose text has this *start* from going to the driver *until* the event."""
        self._stalls, self._stalled_until = start, until

    def disarm(self) -> None:
        """Let everything pass."""
        self._wanted = lambda *_: False
        self._stalls = ""

    def fail(self, connection: Any) -> None:
        """Raise what the driver does when its connection breaks: an action."""
        if self._dialect == "sqlite":
            failure = sqlite3.OperationalError("a failure of the test")
            failure.sqlite_errorcode, failure.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
            raise failure
        if self._dialect == "postgresql":
            import asyncpg

            raise asyncpg.InterfaceError("a failure of the test")
        from asyncmy.errors import OperationalError

        error = OperationalError(2013, "a failure of the test")
        raise connection._failed(error) from error

    def stalls(self, arguments: tuple[Any, ...]) -> threading.Event | None:
        """Return what the statement has to wait for."""
        stalled = self._stalls and _text_of(arguments).startswith(self._stalls)
        return self._stalled_until if stalled else None

    def begun(self, arguments: tuple[Any, ...]) -> tuple[int, str]:
        self.count += 1
        step = self.count, _text_of(arguments)
        if self._wanted(*step, False):
            self._action(arguments[0])
        return step

    def ended(self, step: tuple[int, str], arguments: tuple[Any, ...]) -> None:
        if self._wanted(*step, True):
            self._action(arguments[0])


def cancelling(task: asyncio.Task[Any]) -> Action:
    """Return an action that cancels *task*."""
    loop = asyncio.get_running_loop()

    def cancel(connection: Any) -> None:
        loop.call_soon_threadsafe(task.cancel)

    return cancel


async def failure_of(work: Awaitable[Any]) -> BaseException | None:
    """Return what *work* raises, None if it succeeds."""
    try:
        await work
    except BaseException as error:
        return error
    return None


def is_of_the_driver(error: BaseException | None) -> bool:
    """Say whether *error* is one of ours with the failure of the test as its cause."""
    causes = itertools.takewhile(bool, itertools.accumulate(itertools.repeat(error), _cause))
    return isinstance(error, DalError) and any("failure of the test" in str(cause) for cause in causes)


def _cause(error: BaseException | None, _: object) -> BaseException | None:
    return None if error is None else error.__cause__


def _text_of(arguments: tuple[Any, ...]) -> str:
    for argument in arguments[1:]:
        if isinstance(argument, str):
            return argument
        if hasattr(argument, "sql"):
            return str(argument.sql)
    return ""


def install(case: EngineCase, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Put steps into every connection of the engine."""
    steps = Steps(case.dialect)
    for name in case.steps:
        path, _, attribute = name.replace(":", ".").rpartition(".")
        owner = pkgutil.resolve_name(path)
        monkeypatch.setattr(owner, attribute, _watched(getattr(owner, attribute), steps))
    return steps


def _watched(real: Callable[..., Any], steps: Steps) -> Callable[..., Any]:
    @functools.wraps(real)
    def run(*arguments: Any) -> Any:
        step = steps.begun(arguments)
        if until := steps.stalls(arguments):
            until.wait(60)
        value = real(*arguments)
        steps.ended(step, arguments)
        return value

    @functools.wraps(real)
    async def run_async(*arguments: Any) -> Any:
        step = steps.begun(arguments)
        if until := steps.stalls(arguments):
            while not until.is_set():
                await asyncio.sleep(0.001)
        value = await real(*arguments)
        steps.ended(step, arguments)
        return value

    return run_async if inspect.iscoroutinefunction(real) else run
