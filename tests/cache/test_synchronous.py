"""The cache for code that does not await: its contract, its bounds, and many threads at a time."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from dal.cache import synchronous
from dal.cache.synchronous import DEFAULT_TTL, SynchronousCache
from dal.errors import CacheError, CacheValueError
from tests.cache.conftest import Clock

THREADS = 8


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> SynchronousCache:
    return SynchronousCache(clock=clock)


def in_threads(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """What *work* returns in each of several threads that begin together."""
    together = threading.Barrier(threads)

    def begin(number: int) -> Any:
        together.wait(100)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def test_set_and_get(cache: SynchronousCache) -> None:
    """A value comes back under its key, and nothing under another one."""
    cache.set("key1", "value1", ttl_seconds=10)
    assert (cache.get("key1"), cache.get("key2")) == ("value1", None)


def test_value_ends_with_its_time(cache: SynchronousCache, clock: Clock) -> None:
    """A value of one second is there before the second has passed, and not after."""
    cache.set("key1", "value1", ttl_seconds=1)
    clock.now += 0.999
    before = cache.get("key1")
    clock.now += 0.001
    assert (before, cache.get("key1")) == ("value1", None)


def test_five_minutes_unless_told(cache: SynchronousCache, clock: Clock) -> None:
    """Without a time of its own a value lives for 300 seconds."""
    assert DEFAULT_TTL == 300
    cache.set("key1", "value1")
    clock.now += 299
    before = cache.get("key1")
    clock.now += 1
    assert (before, cache.get("key1")) == ("value1", None)


def test_later_value_takes_the_place_and_the_time(cache: SynchronousCache, clock: Clock) -> None:
    """A second set replaces value and time, whether the new time is longer or shorter."""
    cache.set("longer", 1, ttl_seconds=10)
    cache.set("longer", 2, ttl_seconds=100)
    cache.set("shorter", 1, ttl_seconds=100)
    cache.set("shorter", 2, ttl_seconds=10)
    clock.now += 50
    assert (cache.get("longer"), cache.get("shorter")) == (2, None)


def test_delete(cache: SynchronousCache) -> None:
    """A deleted value is gone; deleting what is not there does nothing."""
    cache.set("key1", "value1")
    cache.delete("key1")
    cache.delete("key1")
    assert cache.get("key1") is None


def test_clear(cache: SynchronousCache) -> None:
    """Afterwards nothing is there."""
    cache.set("key1", "value1")
    cache.set("key2", "value2")
    cache.clear()
    assert (cache.get("key1"), cache.get("key2")) == (None, None)


def test_cleanup_counts_what_it_removes(cache: SynchronousCache, clock: Clock) -> None:
    """All expired values go at once, and only they; a second time there is nothing left to remove."""
    for number in range(100):
        cache.set(str(number), number, ttl_seconds=10 if number % 4 else 1000)
    clock.now += 10
    assert (cache.cleanup_expired(), cache.cleanup_expired()) == (75, 0)
    assert [cache.get(str(number)) for number in range(0, 100, 4)] == list(range(0, 100, 4))


def test_expired_values_go_without_a_cleanup(cache: SynchronousCache, clock: Clock) -> None:
    """Whoever never calls cleanup_expired does not fill the memory: other calls remove a few each."""
    for number in range(100):
        cache.set(str(number), number, ttl_seconds=1)
    clock.now += 1
    for _ in range(25):
        cache.get("other")
    assert cache.cleanup_expired() == 0


@pytest.mark.parametrize(
    "value",
    [
        Decimal("0.85000000"),
        {"rates": [Decimal("1.1"), None], "at": datetime(2026, 1, 2, tzinfo=UTC)},
        ("a", 1, 2.5, b"\x00", {1, 2}),
        False,
        "",
        {},
    ],
    ids=str,
)
def test_value_comes_back_equal(cache: SynchronousCache, value: object) -> None:
    """Rates, times, tuples and empty values are what they were, of the same type."""
    cache.set("key1", value)
    found = cache.get("key1")
    assert (found, type(found)) == (value, type(value))


def test_nobody_shares_a_value(cache: SynchronousCache) -> None:
    """What a caller does to its value, before or after, is not seen by another one."""
    rates = {"USD/EUR": [Decimal("0.85")]}
    cache.set("rates", rates)
    rates["USD/EUR"].append(Decimal(0))
    cache.get("rates")["USD/EUR"].clear()  # type: ignore[index]  # it is there
    assert cache.get("rates") == {"USD/EUR": [Decimal("0.85")]}


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [threading.Lock(), lambda: 1, _nested(100_000)], ids=["lock", "lambda", "deep"]
)
def test_value_that_cannot_be_copied_is_refused(cache: SynchronousCache, value: object) -> None:
    """It raises, and what was there before stays."""
    cache.set("key1", "value1")
    with pytest.raises(CacheValueError, match="cannot be pickled"):
        cache.set("key1", value)
    assert cache.get("key1") == "value1"


@pytest.mark.parametrize("ttl", [0, -1, 1.5, True, "10", None, 10**10])
def test_time_that_is_none_is_refused(cache: SynchronousCache, ttl: Any) -> None:
    """A time to live is a whole number of seconds, from 1 to ten years."""
    with pytest.raises(CacheError, match="ttl_seconds"):
        cache.set("key1", "value1", ttl_seconds=ttl)
    assert cache.get("key1") is None


def test_value_used_longest_ago_makes_room(clock: Clock) -> None:
    """Beyond max_entries the value goes that was longest not asked for."""
    cache = SynchronousCache(max_entries=2, clock=clock)
    cache.set("a", 1)
    cache.set("b", 2)
    cache.get("a")
    cache.set("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_bytes_are_bounded(clock: Clock) -> None:
    """Values make room for each other; one that is larger than the whole is refused."""
    cache = SynchronousCache(max_bytes=10_000, clock=clock)
    for key in "abc":
        cache.set(key, bytes(4_000))
    assert [cache.get(key) is not None for key in "abc"] == [False, True, True]
    with pytest.raises(CacheValueError, match="the whole store may take 10000"):
        cache.set("d", bytes(10_000))


def test_clock_of_the_machine_does_not_count() -> None:
    """Times are measured by a clock that no correction of the date moves."""
    defaults = SynchronousCache.__init__.__kwdefaults__
    assert defaults is not None
    assert defaults["clock"].__name__ == "monotonic"


def test_one_cache_for_the_process() -> None:
    """All threads see the one instance of the module."""
    try:
        synchronous.cache.set("shared", "value")
        assert in_threads(lambda _: synchronous.cache.get("shared")) == ["value"] * THREADS
    finally:
        synchronous.cache.clear()


async def test_called_without_await_from_a_task(cache: SynchronousCache) -> None:
    """It may be called on an event loop too: nothing waits but for another thread's call."""
    cache.set("key1", "value1")
    assert cache.get("key1") == "value1"


class TestThreads:
    """Many threads at a time, which take turns after every few instructions."""

    @pytest.fixture(autouse=True)
    def turns(self) -> Iterator[None]:
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(interval)

    def test_everybody_reads_what_somebody_wrote(self, clock: Clock) -> None:
        """No value is torn or lies under another key, no call fails, and the account of bytes holds."""
        cache = SynchronousCache(max_entries=20, clock=clock)
        keys = [f"key{number}" for number in range(40)]

        def work(thread: int) -> Counter[str]:
            chance = random.Random(thread)
            seen: Counter[str] = Counter()
            for step in range(3_000):
                key = chance.choice(keys)
                act = chance.random()
                if act < 0.4:
                    cache.set(key, (key, [thread, step] * 20), ttl_seconds=chance.randint(1, 50))
                elif act < 0.9:
                    value = cache.get(key)
                    if value is not None:
                        assert value[0] == key
                        assert value[1] == value[1][:2] * 20
                        seen["found"] += 1
                elif act < 0.95:
                    cache.delete(key)
                elif act < 0.99:
                    seen["expired"] += cache.cleanup_expired()
                else:
                    clock.now += 5
            return seen

        seen: Counter[str] = sum(in_threads(work), Counter())
        assert min(seen["found"], seen["expired"]) > 0
        assert len(cache._entries) <= 20
        for key in keys:
            cache.delete(key)
        assert (len(cache._entries), cache._entries.bytes) == (0, 0)

    def test_each_expired_value_is_counted_once(self, clock: Clock) -> None:
        """Cleanups of several threads together count every value, and none twice."""
        cache = SynchronousCache(clock=clock)
        for number in range(5_000):
            cache.set(str(number), number, ttl_seconds=1)
        clock.now += 1
        assert sum(in_threads(lambda _: cache.cleanup_expired())) == 5_000
