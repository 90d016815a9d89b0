"""What the Redis store does with keys on a Redis and on a Valkey server, seen by another client."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from dal.cache.stores.base import WrongType
from dal.cache.stores.redis import RedisStore
from dal.cache.stores.redis.store import LARGE
from dal.cache.stores.url import StoreUrl
from dal.errors import CacheError
from tests.cache.conftest import PATIENT, client_of
from tests.servers import RedisServer


@pytest.fixture
async def direct(any_server: RedisServer) -> AsyncIterator[Redis]:
    async with client_of(any_server) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def store(any_server: RedisServer, direct: Redis) -> AsyncIterator[RedisStore]:
    found = RedisStore(StoreUrl.parse(f"{any_server.url}?timeout={PATIENT}"))
    yield found
    await found.close()


@pytest.mark.parametrize("ttl", [0.0001, 0.5, 60, 86_400.5])
async def test_times_to_live_are_kept_to_the_millisecond(
    store: RedisStore, direct: Redis, ttl: float
) -> None:
    """Every way to store sets the end, never none and never zero."""
    await store.set("set", b"x", ttl)
    await store.set_many([("set_many", b"x", ttl)])
    await store.set_hash("set_hash", {"a": b"1"}, ttl)
    await store.update_hash("update_hash", {"a": b"1"}, ttl)
    await store.acquire("lease", "token", ttl)
    await store.increment("increment", ttl)
    for key in ("set", "set_many", "set_hash", "update_hash", "lease", "increment"):
        left = await direct.pttl(key)
        assert left != -1, key
        assert left <= math.ceil(ttl * 1000), key
        assert left > ttl * 1000 - 59_000, key


async def test_get_with_ttl(store: RedisStore, direct: Redis) -> None:
    """The value comes with the seconds that it has left, without an end with infinity."""
    await store.set("a", b"a", 60)
    await direct.set("for ever", b"b")
    found = await store.get_with_ttl("a")
    assert found is not None
    assert found[0] == b"a"
    assert 0 < found[1] <= 60
    assert await store.get_with_ttl("for ever") == (b"b", math.inf)
    assert await store.get_with_ttl("nothing") is None


async def test_many(store: RedisStore) -> None:
    """Values come in the order of their keys, repeated ones and missing ones too, from every lane."""
    items = [(f"key {number}", b"%d" % number, 60.0) for number in range(2000)]
    large = ("large", bytes(LARGE), 60.0)
    await store.set_many([*items, large])
    keys = [key for key, _, _ in items]
    assert await store.get_many([*keys, "large", "none", "key 0"]) == [
        *(data for _, data, _ in items), large[1], None, b"0",
    ]  # fmt: skip
    await store.delete_many([*keys[1:], "none"])
    assert await store.get_many(keys) == [b"0"] + [None] * 1999
    assert await store.get_many([]) == []
    await store.delete_many([])
    await store.set_many([])


async def test_get_many_takes_a_hash_for_nothing(store: RedisStore) -> None:
    """A value of another kind does not fail the others."""
    await store.set_hash("hash", {"a": b"1"}, 60)
    await store.set("a", b"a", 60)
    assert await store.get_many(["a", "hash"]) == [b"a", None]


PREFIXES = [
    "a*",
    "a?",
    "a[b]",
    "a[^b]",
    "a[b-d]",
    "a\\",
    "a\\*",
    "a\n",
    "a'\"",
    "ä:\U0001f600",
    "a b",
    "a{b}",
]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_prefix_is_taken_literally(store: RedisStore, direct: Redis, prefix: str) -> None:
    """No character of a prefix is a pattern."""
    others = ["a", "ab", "ac", "abc", "b", "a*"[:1] + "x", "aä", "[b]", "A*", "a]"]
    others = [other for other in others if not other.startswith(prefix)]
    for key in (prefix, f"{prefix}:1", f"{prefix}*", *others):
        await direct.set(key, "x")
    assert await store.delete_prefix(prefix) == 3
    assert set(await direct.keys()) == {other.encode() for other in others}


async def test_prefix_of_many_keys(store: RedisStore, direct: Redis) -> None:
    """Thousands of keys go, their number is told, the others stay; no KEYS is used."""
    await direct.config_resetstat()
    await store.set_many([(f"a:{number}", b"x", 60) for number in range(3500)])
    await store.set_many([(f"b:{number}", b"x", 60) for number in range(100)])
    assert await store.delete_prefix("a:") == 3500
    assert await store.delete_prefix("a:") == 0
    assert await direct.dbsize() == 100
    assert "cmdstat_keys" not in await direct.info("commandstats")


async def test_hash(store: RedisStore) -> None:
    """set_hash replaces all fields, update_hash some of them; names are text of any kind."""
    await store.set_hash("hash", {"a": b"1", "ü": b"2", "": b"3"}, 60)
    await store.update_hash("hash", {"a": b"4", "b": b"\xff\x00"}, 60)
    assert await store.get_hash("hash") == {"a": b"4", "ü": b"2", "": b"3", "b": b"\xff\x00"}
    await store.set_hash("hash", {"c": b"1"}, 60)
    assert await store.get_hash("hash") == {"c": b"1"}
    assert await store.get_hash("nothing") is None


async def test_hash_of_many_fields(store: RedisStore) -> None:
    """More fields than a script may have arguments on its stack."""
    fields = {f"field {number}": b"%d" % number for number in range(20_000)}
    await store.set_hash("hash", {"a": b"1"}, 60)
    await store.update_hash("hash", fields, 60)
    assert await store.get_hash("hash") == {"a": b"1", **fields}
    await store.set_hash("hash", fields, 60)
    assert await store.get_hash("hash") == fields


async def test_touch(store: RedisStore, direct: Redis) -> None:
    """The time to live begins anew, if there is something."""
    await store.set_hash("hash", {"a": b"1"}, 60)
    assert await store.touch("hash", 600)
    assert await direct.pttl("hash") > 300_000
    assert not await store.touch("nothing", 600)
    assert await direct.exists("nothing") == 0


async def test_lease(store: RedisStore, direct: Redis) -> None:
    """One holds it; nobody else can store or give it back; a delete takes it away."""
    assert await store.acquire("lease", "mine", 60)
    assert not await store.acquire("lease", "yours", 60)
    assert not await store.set_if_held("lease", "yours", "key", b"yours", 60)
    await store.release("lease", "yours")
    assert await direct.get("lease") == b"mine"
    assert await store.set_if_held("lease", "mine", "key", b"mine", 60)
    assert (await direct.get("key"), await direct.exists("lease")) == (b"mine", 0)
    assert 0 < await direct.pttl("key") <= 60_000
    assert not await store.set_if_held("lease", "mine", "key", b"again", 60)
    assert await store.acquire("lease", "yours", 60)
    await store.release("lease", "yours")
    assert await direct.exists("lease") == 0


async def test_delete_with_leases_stops_a_load_under_way(store: RedisStore, direct: Redis) -> None:
    """Who took its lease before the delete cannot store after it."""
    pairs = [(f"key {number}", f"lease {number}") for number in range(1500)]
    for key, lease in pairs[:20]:
        await store.acquire(lease, "mine", 60)
        await store.set(key, b"old", 60)
    await store.delete_with_leases(pairs)
    assert await direct.dbsize() == 0
    stored = [await store.set_if_held(lease, "mine", key, b"old", 60) for key, lease in pairs[:20]]
    assert not any(stored)
    assert await direct.dbsize() == 0


async def test_only_one_of_many_takes_a_lease(store: RedisStore) -> None:
    """However many ask at once."""
    taken = await asyncio.gather(*(store.acquire("lease", str(number), 60) for number in range(100)))
    assert taken.count(True) == 1


WRONG: dict[str, Any] = {
    "get": lambda store: store.get("hash"),
    "get_with_ttl": lambda store: store.get_with_ttl("hash"),
    "increment hash": lambda store: store.increment("hash", 60),
    "increment text": lambda store: store.increment("text", 60),
    "get_hash": lambda store: store.get_hash("text"),
    "update_hash": lambda store: store.update_hash("text", {"a": b"1"}, 60),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
async def test_wrong_type_is_told_and_changes_nothing(store: RedisStore, direct: Redis, call: Any) -> None:
    """What is of another kind stays as it is, its end too; calls beside it are not disturbed."""
    await direct.hset("hash", "a", "1")
    await direct.set("text", "x")
    results = await asyncio.gather(call(store), store.get("text"), return_exceptions=True)
    assert isinstance(results[0], WrongType)
    assert results[1] == b"x"
    assert (await direct.hgetall("hash"), await direct.get("text")) == ({b"a": b"1"}, b"x")
    assert (await direct.pttl("hash"), await direct.pttl("text")) == (-1, -1)


async def test_writes_replace_what_is_of_another_kind(store: RedisStore) -> None:
    """set and set_hash do not ask what was there."""
    await store.set("a", b"x", 60)
    await store.set_hash("a", {"a": b"1"}, 60)
    assert await store.get_hash("a") == {"a": b"1"}
    await store.set("a", b"x", 60)
    assert await store.get("a") == b"x"


async def test_field_that_is_no_text(store: RedisStore, direct: Redis) -> None:
    """A hash of another program with such a name is of the wrong kind."""
    await direct.execute_command("HSET", "hash", b"\xff", b"1")  # type: ignore[no-untyped-call]
    with pytest.raises(WrongType):
        await store.get_hash("hash")


@pytest.mark.parametrize("key", ["", "a\r\n$1\r\nb", "\0", "ü\U0001f600", "x" * 100_000])
async def test_any_text_is_a_key(store: RedisStore, direct: Redis, key: str) -> None:
    """No character of a key is one of the protocol's."""
    await store.set(key, b"\r\n+OK\r\n", 60)
    assert (await store.get(key), await direct.get(key)) == (b"\r\n+OK\r\n",) * 2


async def test_a_key_that_is_no_text_is_refused(store: RedisStore) -> None:
    """A lone surrogate is told to its caller alone."""
    with pytest.raises(CacheError, match="lone surrogate"):
        await store.get("\ud800")
    assert await store.get("a") is None
