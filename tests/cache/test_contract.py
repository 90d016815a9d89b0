"""What every store does alike, seen through CacheManager."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from dal.cache import FAMILIES, CacheManager
from dal.cache.codec import MAX_BYTES
from dal.errors import CacheError, CacheValueError, UnknownKeyFamily, UsageError
from tests.cache.conftest import Backend

SEARCH = FAMILIES["search_results"].key(query_hash="abc")
EVALUATION = FAMILIES["ai_evaluation"].key(query_hash="abc")
LIMIT = FAMILIES["rate_limit"].key(ip_address="2001:db8::1")
SESSION = FAMILIES["session"].key(session_id="s-1")
VALUE: dict[str, Any] = {
    "results": [{"title": "Ünïcode \U0001f600", "score": 0.25, "n": -(2**63)}, None, True, []]
}


class Page(BaseModel):
    title: str
    seen: datetime


@pytest.mark.parametrize("key", [SEARCH, EVALUATION])
async def test_get_returns_what_set_stored(cache: CacheManager, key: str) -> None:
    """A value comes back equal."""
    await cache.set(key, VALUE)
    assert await cache.get(key) == VALUE


@pytest.mark.parametrize("key", [SEARCH, EVALUATION, LIMIT, SESSION])
async def test_get_of_nothing_is_none(cache: CacheManager, key: str) -> None:
    """A key under which nothing was stored is a miss."""
    assert await cache.get(key) is None


async def test_ttl_may_be_positional(backend: Backend) -> None:
    """The third argument of set is the time to live in seconds."""
    await backend.cache.set(SEARCH, VALUE, 5)
    await backend.elapse(6)
    assert await backend.cache.get(SEARCH) is None


@pytest.mark.parametrize(
    ("key", "value"), [(SEARCH, VALUE), (EVALUATION, VALUE), (LIMIT, 3), (SESSION, {"a": 1})]
)
async def test_value_lives_as_long_as_its_family_says(backend: Backend, key: str, value: Any) -> None:
    """Without a time to live the family's own is taken."""
    ttl = next(family.ttl for family in FAMILIES if key.startswith(family.prefix))
    await backend.cache.set(key, value)
    await backend.elapse(ttl - 40)
    before = await backend.cache.get(key)
    await backend.elapse(41)
    assert (before, await backend.cache.get(key)) == (value, None)


async def test_set_begins_the_time_to_live_anew(backend: Backend) -> None:
    """A second set replaces the time to live with the value."""
    await backend.cache.set(SEARCH, 1, 10)
    await backend.cache.set(SEARCH, 2, 100)
    await backend.elapse(50)
    assert await backend.cache.get(SEARCH) == 2


@pytest.mark.parametrize("key", [SEARCH, SESSION])
async def test_a_second_in_real_time_is_a_second(redis: Any, key: str) -> None:
    """A time to live of one second is over after a little more than one."""
    await redis.cache.set(key, {"a": 1}, 1)
    await asyncio.sleep(1.1)
    assert await redis.cache.get(key) is None


@pytest.mark.parametrize("ttl", [0, -1, True, 1.5, 10**12, "60"])
async def test_wrong_ttl_is_refused(cache: CacheManager, ttl: Any) -> None:
    """A time to live is a whole number of seconds above zero."""
    with pytest.raises(CacheError, match="ttl must be a whole number of seconds"):
        await cache.set(SEARCH, VALUE, ttl)


@pytest.mark.parametrize(("key", "value"), [(SEARCH, VALUE), (LIMIT, 3), (SESSION, {"a": 1})])
async def test_delete_removes(cache: CacheManager, key: str, value: Any) -> None:
    """A deleted key is a miss."""
    await cache.set(key, value)
    await cache.delete(key)
    assert await cache.get(key) is None


async def test_delete_of_nothing_is_no_error(cache: CacheManager) -> None:
    """Deleting twice is as good as once."""
    await cache.set(SEARCH, "value")
    await cache.delete(SEARCH)
    await cache.delete(SEARCH)
    assert await cache.get(SEARCH) is None


async def test_model_is_stored_as_json(cache: CacheManager) -> None:
    """A model comes back in its JSON form."""
    await cache.set(SEARCH, Page(title="a", seen=datetime(2026, 1, 2, tzinfo=UTC)))
    assert await cache.get(SEARCH) == {"title": "a", "seen": "2026-01-02T00:00:00Z"}


async def test_stored_value_is_a_copy(cache: CacheManager) -> None:
    """Changing a value after set or after get does not change what is stored."""
    value = {"a": [1]}
    await cache.set(SEARCH, value)
    value["a"].append(2)
    first = await cache.get(SEARCH)
    assert first is not None
    first["a"].append(3)
    assert await cache.get(SEARCH) == {"a": [1]}


async def test_large_value_comes_back(cache: CacheManager) -> None:
    """A value that is compressed in a thread comes back equal."""
    value = [f"line {n}" for n in range(100_000)]
    await cache.set(SEARCH, value)
    assert await cache.get(SEARCH) == value


@pytest.mark.parametrize("key", [SEARCH, EVALUATION])
async def test_too_large_a_value_is_refused(cache: CacheManager, key: str) -> None:
    """A value beyond the bound raises instead of filling the store."""
    with pytest.raises(CacheValueError, match=f"more than {MAX_BYTES} bytes"):
        await cache.set(key, "x" * MAX_BYTES)


async def test_refused_value_leaves_the_old_one(cache: CacheManager) -> None:
    """A set that raises for its value changes nothing."""
    await cache.set(SEARCH, VALUE)
    with pytest.raises(CacheValueError):
        await cache.set(SEARCH, float("nan"))
    assert await cache.get(SEARCH) == VALUE


async def test_gunzip_reads_a_stored_value(backend: Backend) -> None:
    """A value of a gzip family is one plain gzip member that holds JSON."""
    await backend.cache.set(SEARCH, VALUE)
    assert json.loads(gzip.decompress(await backend.raw(SEARCH) or b"")) == VALUE


async def test_json_family_stores_plain_json(backend: Backend) -> None:
    """A value of a json family is JSON text."""
    await backend.cache.set(EVALUATION, VALUE)
    assert json.loads(await backend.raw(EVALUATION) or b"") == VALUE


UNREADABLE = [
    b"",
    b"\x00",
    b"{",
    b"NaN",
    b'"\\ud800"',
    b"\xff",
    gzip.compress(b"{}")[:-1],
    gzip.compress(b"{"),
]


@pytest.mark.parametrize("data", [*UNREADABLE, gzip.compress(b" " * (MAX_BYTES + 1)), {b"a": b"1"}])
async def test_unreadable_bytes_are_a_miss(backend: Backend, data: Any) -> None:
    """Whatever lies under a key, get returns a value or None."""
    await backend.put(SEARCH, data)
    assert await backend.cache.get(SEARCH) is None


@pytest.mark.parametrize("data", [{b"a": b"{"}, {b"a": b"1", b"b": b""}, b"text"])
async def test_unreadable_session_is_a_miss(backend: Backend, data: Any) -> None:
    """A session with one unreadable field, or that is no hash, is a miss as a whole."""
    await backend.put(SESSION, data)
    assert await backend.cache.get(SESSION) is None


@pytest.mark.parametrize(
    "data", [b"", b"1.5", b" 1", b"+1", b"01", b"-0", b"9223372036854775808", {b"a": b"1"}]
)
async def test_unreadable_counter_is_a_miss(backend: Backend, data: Any) -> None:
    """A counter that is no integer of 64 bits is a miss."""
    await backend.put(LIMIT, data)
    assert await backend.cache.get(LIMIT) is None


async def test_unreadable_bytes_are_logged_without_key_and_value(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the family and the reason, nothing else."""
    await backend.put(SESSION, {b"user": b"{secret"})
    with caplog.at_level(logging.WARNING):
        await backend.cache.get(SESSION)
    assert [record.getMessage() for record in caplog.records] == [
        "key family session: what lies under a key counts as a miss: no valid JSON (JSONDecodeError)"
    ]


async def test_unreadable_bytes_are_replaced(backend: Backend) -> None:
    """A set over a value of another kind works."""
    await backend.put(SEARCH, {b"a": b"1"})
    await backend.cache.set(SEARCH, VALUE)
    assert await backend.cache.get(SEARCH) == VALUE


async def test_increment_counts_from_one(cache: CacheManager) -> None:
    """The first increment returns 1, the next 2; get returns the count."""
    counts = [await cache.increment(LIMIT), await cache.increment(LIMIT), await cache.get(LIMIT)]
    assert counts == [1, 2, 2]


async def test_concurrent_increments_are_all_counted(cache: CacheManager) -> None:
    """A hundred increments at once give a hundred different counts."""
    counts = await asyncio.gather(*(cache.increment(LIMIT) for _ in range(100)))
    assert sorted(counts) == list(range(1, 101))


async def test_increment_does_not_prolong(backend: Backend) -> None:
    """A counter ends its family's time after its first increment."""
    await backend.cache.increment(LIMIT)
    await backend.elapse(20)
    await backend.cache.increment(LIMIT)
    await backend.elapse(41)
    assert await backend.cache.get(LIMIT) is None


async def test_increment_begins_anew_after_the_end(backend: Backend) -> None:
    """A counter that has ended counts from one again."""
    await backend.cache.increment(LIMIT)
    await backend.elapse(61)
    assert await backend.cache.increment(LIMIT) == 1


async def test_counter_may_be_set(backend: Backend) -> None:
    """A counter goes on from what was set, and keeps that time to live."""
    await backend.cache.set(LIMIT, 41, 600)
    count = await backend.cache.increment(LIMIT)
    await backend.elapse(500)
    assert (count, await backend.cache.get(LIMIT)) == (42, 42)


async def test_increment_is_exact_beyond_2_to_the_53(cache: CacheManager) -> None:
    """No counter passes through a float."""
    await cache.set(LIMIT, 2**62)
    assert await cache.increment(LIMIT) == 2**62 + 1


@pytest.mark.parametrize("value", [True, 1.0, "1", 2**63, {"a": 1}, None])
async def test_counter_takes_integers_only(cache: CacheManager, value: Any) -> None:
    """A counter is set to an integer of 64 bits or not at all."""
    with pytest.raises(CacheValueError, match="rate_limit: a counter takes an integer"):
        await cache.set(LIMIT, value)


@pytest.mark.parametrize("data", [b"", b"x", b"1.0", b" 1", b"01", b"9223372036854775807", {b"a": b"1"}])
async def test_increment_of_what_is_no_counter_is_refused(backend: Backend, data: Any) -> None:
    """What is no integer, or the largest one, is not counted on and stays as it is."""
    await backend.put(LIMIT, data)
    with pytest.raises(CacheError, match="key family rate_limit: "):
        await backend.cache.increment(LIMIT)


@pytest.mark.parametrize("key", [SEARCH, EVALUATION, SESSION])
async def test_increment_takes_counters_only(cache: CacheManager, key: str) -> None:
    """A family that is no counter is refused before anything is sent."""
    with pytest.raises(CacheError, match="increment takes a counter"):
        await cache.increment(key)


async def test_session_is_a_dictionary(cache: CacheManager) -> None:
    """The fields of a session come back, of any JSON type."""
    fields = {"user": "ü", "roles": ["a"], "none": None, "": 0}
    await cache.set(SESSION, fields)
    assert await cache.get(SESSION) == fields


async def test_set_replaces_all_fields(cache: CacheManager) -> None:
    """A field of the session before is gone."""
    await cache.set(SESSION, {"a": 1, "b": 2})
    await cache.set(SESSION, {"b": 3})
    assert await cache.get(SESSION) == {"b": 3}


async def test_session_takes_a_model(cache: CacheManager) -> None:
    """A model's fields become the session's."""
    await cache.set(SESSION, Page(title="a", seen=datetime(2026, 1, 2, tzinfo=UTC)))
    assert await cache.get(SESSION) == {"title": "a", "seen": "2026-01-02T00:00:00Z"}


@pytest.mark.parametrize("value", [{}, [], "text", None, {1: 2}, {"a": {1}}, {"\ud800": 1}, {"a": "\ud800"}])
async def test_session_refuses_what_is_no_dictionary(cache: CacheManager, value: Any) -> None:
    """A session takes a dictionary of JSON with at least one field."""
    with pytest.raises(CacheValueError, match="key family session: "):
        await cache.set(SESSION, value)


@pytest.mark.parametrize("method", ["get", "set", "delete", "increment"])
async def test_unknown_family_is_refused(cache: CacheManager, method: str) -> None:
    """A key of no family raises and names its beginning and the known patterns, not the key."""
    arguments = ["user:secret:1"] + ([1] if method == "set" else [])
    with pytest.raises(UnknownKeyFamily, match=r"begin with 'user:'; known are search:results:") as raised:
        await getattr(cache, method)(*arguments)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("method", ["get", "set", "delete", "increment"])
async def test_use_after_disconnect_is_refused(cache: CacheManager, method: str) -> None:
    """Every method of a disconnected cache raises UsageError."""
    await cache.disconnect()
    with pytest.raises(UsageError, match="not connected"):
        await getattr(cache, method)(*([LIMIT, 1] if method == "set" else [LIMIT]))


async def test_connect_and_disconnect_may_be_repeated(cache: CacheManager) -> None:
    """Twice is as good as once, and a disconnected cache can be connected again."""
    await cache.connect()
    await cache.disconnect()
    await cache.disconnect()
    await cache.connect()
    await cache.set(SEARCH, VALUE)
    assert await cache.get(SEARCH) == VALUE


async def test_use_from_another_event_loop_is_refused(cache: CacheManager) -> None:
    """A cache belongs to the event loop that connected it."""
    with pytest.raises(UsageError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, cache.get(SEARCH))
