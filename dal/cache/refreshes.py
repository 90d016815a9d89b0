"""When a value is loaded anew although it is still fresh.

XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, 2015): each
read that finds the value decides by itself, at random, the more likely the nearer the end is and the longer
a load takes. So one of many readers begins early enough, without any word between them.
"""

from __future__ import annotations

import math
import random

EARLIEST, LATEST = 0.70, 0.95
"""The parts of its time after which a value may be, and certainly is, loaded anew."""

_WEIGHT = 0.2  # of the newest load in the average


class LoadTimes:
    """How long the loads of each family take: an average in which newer ones count more."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def add(self, family: str, seconds: float) -> None:
        """Count a load of *family* that took *seconds*."""
        before = self._seconds.get(family, seconds)
        self._seconds[family] = before + _WEIGHT * (seconds - before)

    def of(self, family: str) -> float:
        """Return the average, zero if there was no load yet."""
        return self._seconds.get(family, 0.0)


def is_due(left: float, ttl: float, load_time: float) -> bool:
    """Whether a value that stays fresh for *left* of *ttl* seconds is to be loaded anew."""
    if left > (1 - EARLIEST) * ttl and left != math.inf:  # what has no end is given one
        return False
    return left <= (1 - LATEST) * ttl or left == math.inf or left <= load_time * random.expovariate(1)
