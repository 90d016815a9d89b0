"""The event loop's clock in the hand of a test: a time limit passes when the test says so, not before.

So a slow machine cannot make a limit pass too early, and a quick one need not wait for it.
"""

from __future__ import annotations

import asyncio


class Clock:
    """What *loop* takes for the time, from now on until it is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._real = loop.time
        self._ahead = 0.0
        self._stopped_at: float | None = None
        loop.time = self.time  # type: ignore[method-assign]  # the loop of one test

    def time(self) -> float:
        """Return the time as the loop sees it."""
        now = self._real() if self._stopped_at is None else self._stopped_at
        return now + self._ahead

    def forward(self, seconds: float) -> None:
        """Let *seconds* pass: what is due by then has its turn at once. To be called on the loop."""
        self._ahead += seconds

    def stop(self) -> None:
        """Let no time pass but by `forward`: what ends all the same waited for no time limit."""
        self._stopped_at = self._real()

    def go_on(self) -> None:
        """Let time pass again, from where it stands."""
        if self._stopped_at is not None:
            self._ahead += self._stopped_at - self._real()
            self._stopped_at = None
