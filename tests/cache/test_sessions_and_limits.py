"""Sessions whose time slides, and limits that tell what is left of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dal.cache import FAMILIES, RateLimit
from dal.cache.limits import MAX_LOCAL
from dal.errors import CacheError, CacheValueError
from tests.cache.conftest import Backend, Clock

SESSION = FAMILIES["session"].key(session_id="s-1")
LIMIT = FAMILIES["rate_limit"].key(ip_address="2001:db8::1")
TTL = FAMILIES["session"].ttl


async def test_fields_are_merged(backend: Backend) -> None:
    """session_set sets some fields and keeps the others; set replaces all."""
    await backend.cache.session_set(SESSION, {"user": "ü", "roles": ["a"]})
    await backend.cache.session_set(SESSION, {"roles": [], "seen": None})
    assert await backend.cache.session_get(SESSION) == {"user": "ü", "roles": [], "seen": None}
    await backend.cache.set(SESSION, {"user": "b"})
    assert await backend.cache.session_get(SESSION) == {"user": "b"}


@pytest.mark.parametrize("how", ["get", "set", "touch"])
async def test_use_prolongs_a_session(backend: Backend, how: str) -> None:
    """Each use lets the time to live begin anew; without use it ends."""
    cache = backend.cache
    await cache.session_set(SESSION, {"user": 1})
    for _ in range(3):
        await backend.elapse(TTL - 100)
        if how == "get":
            assert await cache.session_get(SESSION) == {"user": 1}
        elif how == "set":
            await cache.session_set(SESSION, {"user": 1})
        else:
            assert await cache.session_touch(SESSION) is True
    await backend.elapse(TTL + 10)
    assert (await cache.session_get(SESSION), await cache.session_touch(SESSION)) == (None, False)


async def test_plain_get_does_not_prolong(backend: Backend) -> None:
    """`get` looks at a session without using it."""
    await backend.cache.session_set(SESSION, {"user": 1})
    await backend.elapse(TTL - 100)
    assert await backend.cache.get(SESSION) == {"user": 1}
    await backend.elapse(110)
    assert await backend.cache.get(SESSION) is None


async def test_concurrent_fields_are_all_kept(backend: Backend) -> None:
    """Writers of different fields do not undo each other."""
    await asyncio.gather(*(backend.cache.session_set(SESSION, {f"f{n}": n}) for n in range(50)))
    assert await backend.cache.session_get(SESSION) == {f"f{n}": n for n in range(50)}


@pytest.mark.parametrize("fields", [{}, {1: 2}, {"a": {1}}, {"\ud800": 1}])
async def test_wrong_fields_are_refused(backend: Backend, fields: Any) -> None:
    """Fields are JSON under names."""
    with pytest.raises(CacheValueError, match="key family session: "):
        await backend.cache.session_set(SESSION, fields)


async def test_session_is_a_hash(backend: Backend) -> None:
    """Other families are refused, and so is a value of another kind that lies there."""
    for call in (
        backend.cache.session_get(LIMIT),
        backend.cache.session_set(LIMIT, {"a": 1}),
        backend.cache.session_touch(LIMIT),
    ):
        with pytest.raises(CacheError, match="a session is a hash"):
            await call
    await backend.put(SESSION, b"text")
    with pytest.raises(CacheError, match="key family session: "):
        await backend.cache.session_set(SESSION, {"a": 1})


async def test_limit_tells_what_is_left(backend: Backend) -> None:
    """Count, limit, what remains, and the seconds until the window ends."""
    first = await backend.cache.rate_limit(LIMIT, 2)
    await backend.elapse(20)
    second, third = [await backend.cache.rate_limit(LIMIT, 2) for _ in range(2)]
    assert [(c.count, c.limit, c.remaining, c.allowed, c.degraded) for c in (first, second, third)] == [
        (1, 2, 1, True, False),
        (2, 2, 0, True, False),
        (3, 2, 0, False, False),
    ]
    assert (first.reset, 0 < third.reset <= 40) == (60, True)


async def test_window_begins_anew(backend: Backend) -> None:
    """After its end the count begins at one."""
    await backend.cache.rate_limit(LIMIT, 1)
    await backend.elapse(61)
    assert (await backend.cache.rate_limit(LIMIT, 1)).allowed


async def test_no_more_than_the_limit_are_allowed(backend: Backend) -> None:
    """Of a hundred calls at a time ten are within a limit of ten."""
    calls = await asyncio.gather(*(backend.cache.rate_limit(LIMIT, 10) for _ in range(100)))
    assert [call.allowed for call in calls].count(True) == 10


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "1"])
async def test_wrong_limit_is_refused(backend: Backend, limit: Any) -> None:
    """A limit is a whole number from one."""
    with pytest.raises(CacheError, match="a limit is a whole number"):
        await backend.cache.rate_limit(LIMIT, limit)


async def test_limit_takes_a_counter(backend: Backend) -> None:
    """Other families are refused, and so is a value of another kind that lies there."""
    with pytest.raises(CacheError, match="rate_limit takes a counter"):
        await backend.cache.rate_limit(SESSION, 1)
    await backend.put(LIMIT, b"text")
    with pytest.raises(CacheError, match="key family rate_limit: "):
        await backend.cache.rate_limit(LIMIT, 1)


async def test_counts_in_the_process_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses call in an outage, only so many counters are kept."""
    from dal.cache.deletions import Deletions
    from dal.cache.limits import Limiter
    from dal.cache.statistics import Statistics
    from dal.cache.stores.memory import MemoryStore
    from dal.errors import CacheUnavailable
    from dal.tasks import Background

    class Away(MemoryStore):
        async def increment(self, key: str, ttl: float, /) -> tuple[int, float]:
            raise CacheUnavailable("away")

    store, clock = Away(), Clock()
    limiter = Limiter(store, Deletions(store, Background()), Statistics(["rate_limit"]), clock)
    family = FAMILIES["rate_limit"]
    for n in range(MAX_LOCAL + 100):
        await limiter.count(family, f"rate_limit:api:{n}", 10)
    assert len(limiter._local._entries) == MAX_LOCAL
    clock.now += 30
    assert await limiter.count(family, f"rate_limit:api:{n}", 10) == RateLimit(2, 10, 8, 30, True)
