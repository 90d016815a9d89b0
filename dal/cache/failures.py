"""Loads that failed a short while ago: what keeps a load that fails from being tried at every read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

MAX_FAILURES = 1000
"""Keys whose failure is remembered; beyond, the one that failed longest ago is forgotten."""


class Failure(NamedTuple):
    """A load that failed.

    Attributes:
        age: Seconds since then.
    """

    error: Exception
    age: float


class Failures:
    """The last failed load of each key, by a *clock* of seconds that only go forward."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_key: OrderedDict[str, tuple[Exception, float]] = OrderedDict()

    def add(self, key: str, error: Exception) -> None:
        """Remember that the load of *key* failed now."""
        self._by_key.pop(key, None)
        self._by_key[key] = (error, self._clock())
        if len(self._by_key) > MAX_FAILURES:
            self._by_key.popitem(last=False)

    def find(self, key: str) -> Failure | None:
        """Return the failure of *key*, None if its last load went well."""
        found = self._by_key.get(key)
        return None if found is None else Failure(found[0], self._clock() - found[1])

    def forget(self, key: str) -> None:
        """Forget the failure of *key*."""
        self._by_key.pop(key, None)

    def forget_prefix(self, prefix: str) -> None:
        """Forget the failure of every key that begins with *prefix*."""
        for key in [key for key in self._by_key if key.startswith(prefix)]:
            self.forget(key)
