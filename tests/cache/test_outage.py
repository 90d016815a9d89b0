"""While the store is away: loads are bounded, deletions are kept, counts are marked, sessions fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest

from dal.cache import FAMILIES, CacheManager, KeyFamilies, KeyFamily, deletions
from dal.errors import CacheOverloaded, CacheUnavailable
from tests.cache.conftest import RedisBackend, store_of
from tests.servers import RedisServer, free_port

T = TypeVar("T")

KEY = FAMILIES["search_results"].key(query_hash="a")
LIMIT = FAMILIES["rate_limit"].key(ip_address="192.0.2.1")
SESSION = FAMILIES["session"].key(session_id="a")


@pytest.fixture
async def away() -> AsyncIterator[CacheManager]:
    """A cache whose server is down at start-up and for ever."""
    async with CacheManager(f"redis://127.0.0.1:{free_port()}?timeout=0.2") as cache:
        yield cache


@pytest.fixture
async def freezable(redis_server: RedisServer, redis: RedisBackend) -> AsyncIterator[CacheManager]:
    """A cache with little patience on a server that can be frozen."""
    async with CacheManager(f"{redis_server.url}?timeout=0.2") as cache:
        yield cache


class Source:
    """Counts its loads, and how many run at a time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.loads = self.running = self.peak = 0

    async def __call__(self) -> int:
        self.loads += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.running -= 1
        return self.loads


async def test_loads_are_bounded_while_the_server_is_gone() -> None:
    """500 keys, 64 tasks, the server killed: never more loads at a time than the family allows."""
    with RedisServer() as server:
        async with CacheManager(f"{server.url}?timeout=1") as cache:
            await cache.get(KEY)
            server.kill()
            source = Source(0.005)
            keys = [FAMILIES["search_results"].key(query_hash=str(n)) for n in range(500)]
            states = []

            async def caller() -> None:
                while keys:
                    states.append((await cache.get_or_load(keys.pop(), source)).state)

            await asyncio.gather(*(caller() for _ in range(64)))
    assert (source.peak, source.loads) == (FAMILIES["search_results"].bulkhead, 500)
    assert set(states) == {"unavailable"}


async def test_what_cannot_be_loaded_in_time_is_turned_away(away: CacheManager) -> None:
    """Who finds the bulkhead full for a second gets CacheOverloaded, and nothing is loaded for it."""
    source = Source(30)
    evaluations = [FAMILIES["ai_evaluation"].key(query_hash=str(n)) for n in range(20)]
    callers = [asyncio.create_task(away.get_or_load(key, source)) for key in evaluations]
    done, pending = await asyncio.wait(callers, timeout=3)
    assert {type(caller.exception()) for caller in done} == {CacheOverloaded}
    assert (len(done), len(pending), source.loads) == (17, 3, 3)
    assert away.stats()["ai_evaluation"].overloaded == 17
    for caller in pending:
        caller.cancel()
    await asyncio.wait(pending)


async def test_outage_is_told_from_a_miss(away: CacheManager) -> None:
    """get raises where a miss would be None; a load says that it could not be stored."""
    with pytest.raises(CacheUnavailable):
        await away.get(KEY)
    assert await away.get_or_load(KEY, Source(0)) == (1, "unavailable")
    assert await away.get_or_load(KEY, Source(0)) == (1, "unavailable")
    assert away.stats()["search_results"].unavailable == 3


async def test_one_load_for_all_in_an_outage_too(away: CacheManager) -> None:
    """A hundred callers of one key cost one load, also without a store."""
    source = Source(1)
    values = await asyncio.gather(*(away.get_or_load(KEY, source) for _ in range(100)))
    assert (source.loads, set(values)) == (1, {(1, "unavailable")})


async def test_family_may_refuse_to_load() -> None:
    """With the policy `raise` nothing is loaded without a store."""
    families = KeyFamilies([KeyFamily("dear", "dear:{id}", "string", "json", 60, outage="raise")])
    source = Source(0)
    async with CacheManager(f"redis://127.0.0.1:{free_port()}?timeout=0.2", families=families) as cache:
        with pytest.raises(CacheUnavailable):
            await cache.get_or_load("dear:a", source)
    assert source.loads == 0


async def test_server_that_freezes_during_a_load(freezable: CacheManager, redis_server: RedisServer) -> None:
    """A caller gets its value although it cannot be stored."""
    try:
        assert (await freezable.get_or_load(KEY, lambda: frozen(redis_server))).state == "unavailable"
    finally:
        redis_server.thaw()


async def frozen(server: RedisServer) -> int:
    server.freeze()
    return 1


async def test_who_comes_late_to_it_gets_the_new_value(
    freezable: CacheManager, redis: RedisBackend, redis_server: RedisServer
) -> None:
    """Deleted elsewhere during a load, then frozen: who came after that does not get what was read before."""
    row, began, end = [1], asyncio.Event(), asyncio.Event()

    async def load() -> int:
        value = row[0]
        began.set()
        await end.wait()
        return value

    early = asyncio.create_task(freezable.get_or_load(KEY, load))
    await began.wait()
    row[0] = 2
    await redis.cache.delete(KEY)
    late = asyncio.create_task(freezable.get_or_load(KEY, load))
    while not freezable.stats()["search_results"].joined:
        await asyncio.sleep(0.001)
    redis_server.freeze()
    try:
        end.set()
        assert (await early, await late) == ((1, "unavailable"), (2, "unavailable"))
    finally:
        redis_server.thaw()


async def test_session_is_not_lost_but_unavailable(away: CacheManager) -> None:
    """Without its store a session is neither there nor missing."""
    for call in (
        away.session_get(SESSION),
        away.session_set(SESSION, {"a": 1}),
        away.session_touch(SESSION),
        away.get(SESSION),
    ):
        with pytest.raises(CacheUnavailable):
            await call


async def test_rate_limit_counts_here_and_says_so(away: CacheManager) -> None:
    """Without its store a limit counts the calls to this process, marked as degraded."""
    calls = [await away.rate_limit(LIMIT, 3) for _ in range(5)]
    assert [(call.count, call.remaining, call.allowed, call.degraded) for call in calls] == [
        (1, 2, True, True),
        (2, 1, True, True),
        (3, 0, True, True),
        (4, 0, False, True),
        (5, 0, False, True),
    ]
    assert 0 < calls[-1].reset <= 60
    with pytest.raises(CacheUnavailable):
        await away.increment(LIMIT)


async def test_rate_limit_is_exact_again(freezable: CacheManager, redis_server: RedisServer) -> None:
    """When the server answers again it is what counts. What was lost meanwhile was counted once at most."""
    exact = await freezable.rate_limit(LIMIT, 10)
    redis_server.freeze()
    try:
        degraded = await freezable.rate_limit(LIMIT, 10)
    finally:
        redis_server.thaw()
    again = await freezable.rate_limit(LIMIT, 10)
    assert [exact.degraded, degraded.degraded, again.degraded] == [False, True, False]
    assert again.count in (2, 3)


async def test_deletion_that_fails_raises_and_is_repeated(
    freezable: CacheManager, redis: RedisBackend, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Frozen, deleted, thawed: this process never reads the old value, and Redis loses it.

    What Redis has answered is not repeated again. test_deletions.py counts how soon it comes.
    """
    done = 0
    store: Any = store_of(freezable)
    delete = store.delete_with_leases

    async def counted(keys: Any) -> None:
        nonlocal done
        await delete(keys)
        done += 1

    store.delete_with_leases = counted
    await redis.cache.set(KEY, "old")
    assert await freezable.get(KEY) == "old"
    caplog.set_level(logging.WARNING)
    redis_server.freeze()
    try:
        with pytest.raises(CacheUnavailable):
            await freezable.delete(KEY)
        with pytest.raises(CacheUnavailable):
            await freezable.get(KEY)
        assert (await freezable.get_or_load(KEY, Source(0))).value == 1
    finally:
        redis_server.thaw()
    assert await _patiently(lambda: freezable.get(KEY)) is None
    assert await redis.raw(KEY) is None
    async with asyncio.timeout(30):
        while "all queued deletions have reached" not in caplog.text:
            await asyncio.sleep(0.01)
    assert done in (1, 2)  # the read's own, and the repetition if both were under way
    said = [record.getMessage() for record in caplog.records if record.name == deletions.__name__]
    assert said == [
        "a deletion did not reach the cache's store; it is repeated until it does",
        "all queued deletions have reached the cache's store",
    ]


async def test_deletion_is_repeated_without_being_asked_for(
    redis: RedisBackend,
) -> None:
    """A server that was away and is back loses what was deleted meanwhile, although nobody asks for it."""
    with RedisServer() as server:
        async with CacheManager(f"{server.url}?timeout=0.2") as cache:
            await cache.set_many({KEY: 1, "github:repo:x": 1, "config:system:1": 1})
            server.freeze()
            for forget in (cache.delete(KEY), cache.invalidate("github_repo")):
                with pytest.raises(CacheUnavailable):
                    await forget
            server.thaw()
            async with asyncio.timeout(10):
                while await cached(server) != {b"config:system:1"}:
                    await asyncio.sleep(0.02)


async def cached(server: RedisServer) -> set[bytes]:
    """All keys, seen by somebody else."""
    from redis.asyncio import Redis

    async with Redis(port=server.port) as client:
        return {key async for key in client.scan_iter()}


async def test_cancelled_deletion_is_repeated(freezable: CacheManager, redis: RedisBackend) -> None:
    """Who is cancelled in a deletion does not know whether it was done: it is done again."""
    for _ in range(20):
        await redis.cache.set(KEY, "old")
        task = asyncio.create_task(freezable.delete(KEY))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await freezable.get(KEY) is None


async def test_new_value_is_not_deleted_by_a_late_repetition(
    freezable: CacheManager, redis_server: RedisServer
) -> None:
    """What is set after a deletion that was queued stays."""
    redis_server.freeze()
    try:
        with pytest.raises(CacheUnavailable):
            await freezable.delete(KEY)
    finally:
        redis_server.thaw()
    await freezable.set(KEY, "new")
    await asyncio.sleep(1)
    assert await freezable.get(KEY) == "new"


async def test_queue_of_deletions_is_bounded(
    freezable: CacheManager,
    redis: RedisBackend,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond the bound the whole family is not trusted any more, and is deleted afterwards."""
    monkeypatch.setattr(deletions, "MAX_KEYS", 10)
    monkeypatch.setattr(deletions, "MAX_PREFIXES", 2)
    keys = [FAMILIES["search_results"].key(query_hash=str(n)) for n in range(50)]
    await redis.cache.set_many(dict.fromkeys(keys, "old") | {"config:system:1": 1})
    redis_server.freeze()
    try:
        with pytest.raises(CacheUnavailable):
            await freezable.delete_many(keys[:20])
        assert freezable._parts is not None
        assert len(freezable._parts.deletions) == 1
        for owner in "abcd":
            with pytest.raises(CacheUnavailable):
                await freezable.invalidate("github_repo", owner=owner)
        assert len(freezable._parts.deletions) == 2
    finally:
        redis_server.thaw()
    while (found := await _answer(freezable.get_many([*keys, "config:system:1"]))) is None:
        await asyncio.sleep(0.01)  # calls fail at once until one of them was let through and answered
    assert found == {"config:system:1": 1}


async def test_disconnect_says_what_was_not_deleted(
    away: CacheManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Deletions that never reached the store are an error in the log."""
    with pytest.raises(CacheUnavailable):
        await away.delete_many([KEY, "config:system:1"])
    with caplog.at_level(logging.ERROR):
        await away.disconnect()
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "the cache was disconnected before 2 queued deletions reached its store"
    ]


async def _answer(call: Awaitable[T]) -> T | None:
    try:
        return await call
    except CacheUnavailable:
        return None


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Call until the store answers: on a busy machine calls may fail for a moment after it is back."""
    while True:
        try:
            return await call()
        except CacheUnavailable:
            await asyncio.sleep(0.01)
