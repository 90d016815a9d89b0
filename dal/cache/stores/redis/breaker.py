"""Keeps calls from waiting for a server that does not answer.

Closed, every call passes. After some failures within a second it opens: calls fail at once, but for one
probe at a time, at random intervals that grow. The first answer closes it. Each change is a line in the log.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable

FAILURES = 5
WINDOW = 1.0
PAUSE = 0.02  # seconds before the first probe, about; each further pause is twice as long, up to
LONGEST_PAUSE = 0.3

_log = logging.getLogger(__name__)


class Breaker:
    """The failures of the last second, and whether calls may pass.

    Args:
        name: What the log calls the server.
        timeout: Seconds in which a probe has ended, one way or the other.
        clock: Seconds that only go forward.
        on_open: Called when it opens, with what the last failure was.

    Attributes:
        is_open: True while calls fail at once.
        reason: What the last failure was that counted.
    """

    def __init__(
        self, name: str, timeout: float, clock: Callable[[], float], on_open: Callable[[], None]
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._clock = clock
        self._on_open = on_open
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._opened = 0.0
        self._next_probe = 0.0
        self._pause = PAUSE
        self.is_open = False
        self.reason = ""

    def lets_a_probe_pass(self) -> bool:
        """Asked by a call while it is open: True for the one that is to find out."""
        now = self._clock()
        if now < self._next_probe:
            return False
        self._next_probe = now + self._timeout + self._next_pause()
        return True

    def failed(self, reason: str) -> None:
        """Count a failure."""
        self.reason = reason
        if self.is_open:
            return
        now = self._clock()
        self._failures.append(now)
        if len(self._failures) == FAILURES and now - self._failures[0] <= WINDOW:
            self.is_open = True
            self._opened = now
            self._pause = PAUSE
            self._next_probe = now + self._next_pause()
            _log.warning("%s is away, calls fail at once until it answers: %s", self._name, reason)
            self._on_open()

    def answered(self) -> None:
        """Take note of an answer."""
        if not self.is_open:
            return
        self.is_open = False
        self._failures.clear()
        _log.warning("%s answers again after %.1f s", self._name, self._clock() - self._opened)

    def _next_pause(self) -> float:
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause * random.uniform(0.5, 1.5)
