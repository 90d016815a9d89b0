"""What every store does alike, asked without a CacheManager before it."""

from __future__ import annotations

import asyncio
import math
from typing import cast

import pytest

from dal.cache import CacheManager
from dal.cache.stores.base import Store, WrongType
from tests.cache.conftest import Backend, RedisBackend, store_of

LEASE = "lease:k"


@pytest.fixture
def store(cache: CacheManager) -> Store:
    return store_of(cache)


async def test_value_comes_with_what_is_left(backend: Backend, store: Store) -> None:
    """get_with_ttl gives the seconds that a value still has."""
    await store.set("k", b"v", 100)
    await backend.elapse(40)
    value, left = await store.get_with_ttl("k") or (None, 0)
    assert value == b"v"
    assert 0 < left <= 60


async def test_nothing_has_no_time(store: Store) -> None:
    """get_with_ttl of nothing is None."""
    assert await store.get_with_ttl("k") is None


async def test_value_without_end(redis: RedisBackend) -> None:
    """What another program stored without an end has all the time there is."""
    await redis.client.set("k", b"v")
    assert await store_of(redis.cache).get_with_ttl("k") == (b"v", math.inf)


async def test_fractions_of_a_second_count(store: Store) -> None:
    """A time to live need not be a whole number."""
    await store.set("k", b"v", 0.4)
    found = await store.get_with_ttl("k")
    assert found is None or found[1] <= 0.4


async def test_many_values(store: Store) -> None:
    """get_many keeps the order; what is missing, or a hash, is None."""
    await store.set_many([("a", b"1", 60), ("b", b"2", 60)])
    await store.set_hash("h", {"x": b"1"}, 60)
    assert await store.get_many(["b", "missing", "h", "a", "b"]) == [b"2", None, None, b"1", b"2"]


async def test_many_values_each_have_their_time(backend: Backend, store: Store) -> None:
    """set_many takes a time for each."""
    await store.set_many([("a", b"1", 50), ("b", b"2", 500)])
    await backend.elapse(100)
    assert await store.get_many(["a", "b"]) == [None, b"2"]


async def test_nothing_to_do_is_done(store: Store) -> None:
    """No keys are no error."""
    await store.set_many([])
    await store.delete_many([])
    await store.delete_with_leases([])
    assert await store.get_many([]) == []


async def test_many_are_deleted(store: Store) -> None:
    """delete_many removes values and hashes, and takes what is missing."""
    await store.set_many([("a", b"1", 60), ("b", b"2", 60)])
    await store.set_hash("h", {"x": b"1"}, 60)
    await store.delete_many(["a", "h", "missing"])
    assert await store.get_many(["a", "b"]) == [None, b"2"]
    assert await store.get_hash("h") is None


@pytest.mark.parametrize("prefix", ["p:", "*", "p[ab]:", "p?", "\\", "^", "ü:", "p:\n"])
async def test_prefix_means_its_own_characters(store: Store, prefix: str) -> None:
    """delete_prefix takes no character of the prefix for a pattern."""
    others = ["pa:1", "p", "x", "other:" + prefix]
    await store.set_many([(key, b"", 60) for key in [prefix + "1", prefix + "2", *others]])
    assert await store.delete_prefix(prefix) == 2 + sum(key.startswith(prefix) for key in others)
    assert await store.get_many([prefix + "1", prefix + "2", "x"]) == [None, None, b""]


async def test_prefix_of_thousands(store: Store) -> None:
    """delete_prefix finds all keys, however many."""
    await store.set_many([(f"p:{n}", b"", 60) for n in range(5000)] + [("q:1", b"", 60)])
    assert await store.delete_prefix("p:") == 5000
    assert await store.delete_prefix("p:") == 0
    assert await store.get("q:1") == b""


async def test_increment_tells_what_is_left(backend: Backend, store: Store) -> None:
    """The sum comes with the seconds until the counter ends, which no increment moves."""
    first, left_of_first = await store.increment("c", 60)
    await backend.elapse(20)
    second, left_of_second = await store.increment("c", 60)
    assert (first, second) == (1, 2)
    assert (left_of_first, 0 < left_of_second <= 40) == (60, True)


async def test_counter_without_end_is_given_one(redis: RedisBackend) -> None:
    """An increment repairs a counter that would live for ever."""
    await redis.client.set("c", b"7")
    count, left = await store_of(redis.cache).increment("c", 60)
    assert count == 8
    assert left == 60


async def test_fields_are_added(backend: Backend, store: Store) -> None:
    """update_hash keeps the other fields and begins the time anew."""
    await store.set_hash("h", {"a": b"1", "b": b"2"}, 600)
    await backend.elapse(400)
    await store.update_hash("h", {"b": b"3", "ü": b"4"}, 600)
    await backend.elapse(400)
    assert await store.get_hash("h") == {"a": b"1", "b": b"3", "ü": b"4"}


async def test_fields_of_nothing_are_a_hash(store: Store) -> None:
    """update_hash begins a hash."""
    await store.update_hash("h", {"a": b"1"}, 60)
    assert await store.get_hash("h") == {"a": b"1"}


async def test_fields_of_a_value_are_refused(store: Store) -> None:
    """update_hash of a single value raises and changes nothing."""
    await store.set("k", b"v", 60)
    with pytest.raises(WrongType):
        await store.update_hash("k", {"a": b"1"}, 60)
    assert await store.get("k") == b"v"


async def test_get_with_ttl_of_a_hash_is_refused(store: Store) -> None:
    """A hash is no single value."""
    await store.set_hash("h", {"a": b"1"}, 60)
    with pytest.raises(WrongType):
        await store.get_with_ttl("h")


async def test_touch_prolongs(backend: Backend, store: Store) -> None:
    """touch begins the time anew, and says if there is nothing."""
    await store.set("k", b"v", 600)
    await backend.elapse(400)
    assert await store.touch("k", 600) is True
    await backend.elapse(400)
    assert await store.get("k") == b"v"
    await backend.elapse(400)
    assert await store.touch("k", 600) is False


async def test_lease_has_one_holder(store: Store) -> None:
    """Of many who want a lease one gets it."""
    got = await asyncio.gather(*(store.acquire(LEASE, f"token{n}", 60) for n in range(20)))
    assert got.count(True) == 1


async def test_lease_ends(backend: Backend, store: Store) -> None:
    """A lease can be taken again when its time is over; the first holder cannot store then."""
    await store.acquire(LEASE, "one", 60)
    await backend.elapse(61)
    assert await store.acquire(LEASE, "two", 60) is True
    assert await store.set_if_held(LEASE, "one", "k", b"1", 60) is False
    assert await store.get("k") is None


async def test_holder_stores_once(backend: Backend, store: Store) -> None:
    """set_if_held stores for its seconds and drops the lease."""
    await store.acquire(LEASE, "one", 60)
    assert await store.set_if_held(LEASE, "one", "k", b"1", 600) is True
    assert await store.set_if_held(LEASE, "one", "k", b"2", 600) is False
    await backend.elapse(500)
    assert await store.get("k") == b"1"
    assert await store.acquire(LEASE, "two", 60) is True


async def test_only_the_holder_releases(store: Store) -> None:
    """release by somebody else does nothing."""
    await store.acquire(LEASE, "one", 60)
    await store.release(LEASE, "two")
    assert await store.acquire(LEASE, "two", 60) is False
    await store.release(LEASE, "one")
    assert await store.acquire(LEASE, "two", 60) is True


async def test_deletion_takes_the_lease(store: Store) -> None:
    """After delete_with_leases who held a lease cannot store."""
    await store.set_many([("k", b"0", 60), ("l", b"0", 60)])
    await store.acquire(LEASE, "one", 60)
    await store.delete_with_leases([("k", LEASE), ("l", "lease:l")])
    assert await store.set_if_held(LEASE, "one", "k", b"1", 60) is False
    assert await store.get_many(["k", "l"]) == [None, None]


async def test_value_given_is_copied(store: Store) -> None:
    """Changing a hash after set_hash or get_hash does not change what is stored."""
    fields = {"a": b"1"}
    await store.set_hash("h", fields, 60)
    fields["b"] = b"2"
    cast(dict[str, bytes], await store.get_hash("h"))["c"] = b"3"
    assert await store.get_hash("h") == {"a": b"1"}
