"""The breaker, with a clock that is told what time it is."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

from dal.cache.stores.redis.breaker import FAILURES, LONGEST_PAUSE, PAUSE, WINDOW, Breaker
from tests.cache.conftest import Clock

TIMEOUT = 0.05


class Watched:
    """A breaker, its clock, and how often it opened."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.openings = 0
        self.breaker = Breaker("the cache", TIMEOUT, self.clock, self._opened)

    def _opened(self) -> None:
        self.openings += 1

    def fail(self, times: int, apart: float = 0.0) -> None:
        for _ in range(times):
            self.breaker.failed("no answer")
            self.clock.now += apart


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_opens_after_some_failures_within_its_window(watched: Watched) -> None:
    """Not before the last of them, and once."""
    watched.fail(FAILURES - 1)
    assert not watched.breaker.is_open
    watched.fail(3)
    assert (watched.breaker.is_open, watched.openings) == (True, 1)


def test_rare_failures_do_not_open_it(watched: Watched) -> None:
    """As many failures over a longer time are no outage."""
    watched.fail(5 * FAILURES, apart=WINDOW / (FAILURES - 1) * 1.01)
    assert not watched.breaker.is_open


def test_one_probe_at_a_time_at_random_intervals(watched: Watched) -> None:
    """The next probe may pass when the one before has ended, after a pause that grows from short to long."""
    watched.fail(FAILURES)
    begun = watched.clock.now
    probes = []
    for step in range(100_000):
        watched.clock.now = begun + step / 1000
        if watched.breaker.lets_a_probe_pass():
            probes.append(step / 1000)
    pauses = [after - before - TIMEOUT for before, after in pairwise(probes)]
    assert PAUSE / 2 <= probes[0] <= 1.5 * PAUSE + 0.001
    assert min(pauses) >= PAUSE
    assert max(pauses) <= 1.5 * LONGEST_PAUSE + 0.002
    assert min(pauses[5:]) >= LONGEST_PAUSE / 2
    assert max(pauses) - min(pauses[5:]) > LONGEST_PAUSE / 2


def test_each_outage_begins_with_short_pauses(watched: Watched) -> None:
    """A server that was away for long before is soon looked for again."""
    for _ in range(3):
        watched.fail(FAILURES)
        for _ in range(20):
            while not watched.breaker.lets_a_probe_pass():
                watched.clock.now += 0.001
        watched.breaker.answered()
    watched.fail(FAILURES)
    watched.clock.now += 1.5 * PAUSE
    assert watched.breaker.lets_a_probe_pass()


def test_an_answer_closes_it(watched: Watched) -> None:
    """And it takes as many failures as before to open it again."""
    watched.fail(FAILURES)
    watched.breaker.answered()
    assert not watched.breaker.is_open
    watched.fail(FAILURES - 1)
    assert not watched.breaker.is_open
    watched.fail(1)
    assert watched.breaker.is_open


def test_each_change_is_one_line_in_the_log(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """However many failures and answers there are."""
    with caplog.at_level(logging.DEBUG, "dal"):
        watched.fail(100)
        watched.clock.now += 12.3
        for _ in range(100):
            watched.breaker.answered()
    assert [record.getMessage() for record in caplog.records] == [
        "the cache is away, calls fail at once until it answers: no answer",
        "the cache answers again after 12.3 s",
    ]
