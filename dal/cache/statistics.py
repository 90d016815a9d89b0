"""What a cache did, counted by key family."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(slots=True)
class FamilyStatistics:
    """What was done under the keys of one family, since the cache was connected.

    Attributes:
        hits: Reads that found a fresh value.
        near: Reads that were answered from a copy in this process, without a trip. They are among the hits.
        misses: Reads that found none.
        stale: Values beyond their time that were served, since their load fails.
        unreadable: Values that were damaged or of another kind, and counted as missing.
        unavailable: Calls that the store did not answer.
        loads: Loads that were begun, by whomever.
        joined: Callers that waited for a load that was under way.
        refreshed: Attempts to load in the background, while an older value is served.
        failed: Loads that raised, or were cancelled at their deadline.
        overloaded: Callers that were turned away, since the store is away and too many loads were under way.
        degraded: Counts of a rate limit that this process made by itself.
    """

    hits: int = 0
    near: int = 0
    misses: int = 0
    stale: int = 0
    unreadable: int = 0
    unavailable: int = 0
    loads: int = 0
    joined: int = 0
    refreshed: int = 0
    failed: int = 0
    overloaded: int = 0
    degraded: int = 0


class Statistics:
    """The counts of each of *families*, by name."""

    def __init__(self, families: Iterable[str]) -> None:
        self._families = {name: FamilyStatistics() for name in families}
        self._reasons: set[tuple[str, str]] = set()

    def __getitem__(self, family: str) -> FamilyStatistics:
        return self._families[family]

    def is_new_reason(self, family: str, reason: str) -> bool:
        """Whether nothing of *family* was unreadable for this *reason* before."""
        known = len(self._reasons)
        self._reasons.add((family, reason))
        return len(self._reasons) > known

    def snapshot(self) -> dict[str, FamilyStatistics]:
        """Return a copy of all counts."""
        return {name: replace(counts) for name, counts in self._families.items()}
