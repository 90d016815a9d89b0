"""Tells in which phase a call is, so that a test can cancel it there.

A gate stands in the connection's thread: `Gate.arm` makes the thread stop before, or after, the next
statement of a phase until the test lets it go on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dal.engines.sqlite import connection as own
from dal.engines.sqlite import statements
from dal.engines.sqlite.connection import Connection

PHASES = ("begin", "statement", "commit", "release")

_LONGEST = 110  # seconds that a gate stays shut: longer than any wait of a test for what must not wait for it


class Gate:
    """Stops threads at a phase, and knows the phase that each connection is in."""

    def __init__(self) -> None:
        self.phase: str | None = None
        self.reached = threading.Event()
        self.open = threading.Event()
        self.dwell = 0.0  # seconds to spend in each phase, so that a random moment hits every one
        self._armed: str | None = None

    def arm(self, point: str) -> None:
        """Stop the next thread at *point*, ``before commit`` or ``after commit`` for instance."""
        self.reached.clear()
        self.open.clear()
        self._armed = point

    async def stopped(self) -> None:
        """Wait until a thread stands still at the point."""
        assert await asyncio.to_thread(self.reached.wait, 60), "no thread came to the gate"

    def disarm(self) -> None:
        """Let everything pass."""
        self._armed = None
        self.open.set()

    @contextmanager
    def passing(self, phase: str) -> Iterator[None]:
        """Go through *phase*, stopping before or after it if that is armed."""
        before, self.phase = self.phase, phase
        self._stop_if_armed(f"before {phase}")
        if self.dwell:
            time.sleep(self.dwell)
        try:
            yield
        finally:
            self._stop_if_armed(f"after {phase}")
            self.phase = before

    def _stop_if_armed(self, point: str) -> None:
        if self._armed == point:
            self._armed = None
            self.reached.set()
            assert self.open.wait(_LONGEST), "the test never opened the gate"


def install(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Put a gate around every statement of every connection."""
    gate = Gate()
    run_own, run = Connection.own, statements.opened

    def phase_of(sql: str) -> str:
        if sql.startswith("BEGIN"):
            return "begin"
        if sql.startswith("COMMIT"):
            return "commit"
        return "release" if sql.startswith(("ROLLBACK", "RELEASE")) else "statement"

    def gated_own(self: Connection, sql: str) -> None:
        with gate.passing(phase_of(sql)):
            run_own(self, sql)

    def gated(connection: Connection, sql: str, args: Any) -> Any:
        with gate.passing("statement"):
            return run(connection, sql, args)

    monkeypatch.setattr(Connection, "own", gated_own)
    monkeypatch.setattr(statements, "opened", gated)
    assert own.COMMIT.startswith("COMMIT")
    return gate
