"""Figures out of durations: medians, percentiles, and ratios between contenders with their spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest of *values* that at least *share* of them, 0 to 1, do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure that was found once a round.

    Attributes:
        median: Of all rounds.
        low: The smallest.
        high: The largest.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of *values*, of which there is at least one."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratios(upper: dict[int, float], lower: dict[int, float]) -> Spread | None:
    """Return *upper* by *lower*, round by round; None if they have no round in common.

    What disturbs the machine for a while disturbs both of a round, and leaves their ratio.
    """
    common = [upper[number] / lower[number] for number in upper if number in lower]
    return Spread.of(common) if common else None
