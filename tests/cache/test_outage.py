"""While the store is away: loads are bounded, deletions are kept, counts are marked, sessions fail."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest

from dal.cache import FAMILIES, CacheManager, KeyFamilies, KeyFamily, deletions
from dal.errors import CacheOverloaded, CacheUnavailable
from tests.cache.conftest import PATIENT, RedisBackend, client_of, frozen, store_of, until
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
    """A cache on a server that can be frozen."""
    async with CacheManager(f"{redis_server.url}?timeout={PATIENT}") as cache:
        yield cache


class Source:
    """Counts its loads, and how many run at a time; each takes *seconds*, or is held back until `open`."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.loads = self.running = self.peak = 0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> int:
        self.loads += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(self.seconds)
            await self.open.wait()
        finally:
            self.running -= 1
        return self.loads


async def test_loads_are_bounded_while_the_server_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """500 keys, 64 tasks, the server killed: never more loads at a time than the family allows."""
    monkeypatch.setattr("dal.cache.bulkheads.PATIENCE", 60.0)  # none is turned away on a busy machine
    with RedisServer() as server:
        async with CacheManager(f"{server.url}?timeout={PATIENT}") as cache:
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
    source = Source()
    source.open.clear()
    evaluations = [FAMILIES["ai_evaluation"].key(query_hash=str(n)) for n in range(20)]
    callers = [asyncio.create_task(away.get_or_load(key, source)) for key in evaluations]
    await until(lambda: sum(caller.done() for caller in callers) >= 17)
    done = [caller for caller in callers if caller.done()]
    assert {type(caller.exception()) for caller in done} == {CacheOverloaded}
    assert (len(done), source.loads) == (17, 3)
    assert away.stats()["ai_evaluation"].overloaded == 17
    source.open.set()
    loaded = [await caller for caller in callers if caller not in done]
    assert [state for _, state in loaded] == ["unavailable"] * 3


async def test_outage_is_told_from_a_miss(away: CacheManager) -> None:
    """get raises where a miss would be None; a load says that it could not be stored."""
    with pytest.raises(CacheUnavailable):
        await away.get(KEY)
    assert await away.get_or_load(KEY, Source()) == (1, "unavailable")
    assert await away.get_or_load(KEY, Source()) == (1, "unavailable")
    assert away.stats()["search_results"].unavailable == 3


async def test_one_load_for_all_in_an_outage_too(away: CacheManager) -> None:
    """A hundred callers of one key cost one load, also without a store."""
    source = Source()
    source.open.clear()
    callers = [asyncio.create_task(away.get_or_load(KEY, source)) for _ in range(100)]
    await until(lambda: away.stats()["search_results"].joined == 99)
    source.open.set()
    assert set(await asyncio.gather(*callers)) == {(1, "unavailable")}
    assert source.loads == 1


async def test_family_may_refuse_to_load() -> None:
    """With the policy `raise` nothing is loaded without a store."""
    families = KeyFamilies([KeyFamily("dear", "dear:{id}", "string", "json", 60, outage="raise")])
    source = Source()
    async with CacheManager(f"redis://127.0.0.1:{free_port()}?timeout=0.2", families=families) as cache:
        with pytest.raises(CacheUnavailable):
            await cache.get_or_load("dear:a", source)
    assert source.loads == 0


async def test_server_that_freezes_during_a_load(freezable: CacheManager, redis_server: RedisServer) -> None:
    """A caller gets its value although it cannot be stored."""
    source = Source()
    source.open.clear()
    caller = asyncio.create_task(freezable.get_or_load(KEY, source))
    await until(lambda: source.running)
    with frozen(redis_server, freezable):
        source.open.set()
        assert await caller == (1, "unavailable")


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
    await until(lambda: freezable.stats()["search_results"].joined)
    with frozen(redis_server, freezable):
        end.set()
        assert (await early, await late) == ((1, "unavailable"), (2, "unavailable"))


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
    with frozen(redis_server, freezable):
        degraded = await freezable.rate_limit(LIMIT, 10)
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

    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == deletions.__name__]

    with frozen(redis_server, freezable):
        with pytest.raises(CacheUnavailable):
            await freezable.delete(KEY)
        with pytest.raises(CacheUnavailable):
            await freezable.get(KEY)
        assert (await freezable.get_or_load(KEY, Source(0))).value == 1
    assert await _answer_of(lambda: freezable.get(KEY)) is None
    assert await redis.raw(KEY) is None
    await until(lambda: len(said()) > 1)
    assert done in (1, 2)  # the read's own, and the repetition if both were under way
    assert said() == [
        "a deletion did not reach the cache's store; it is repeated until it does",
        "all queued deletions have reached the cache's store",
    ]


async def test_deletion_is_repeated_without_being_asked_for() -> None:
    """A server that was away and is back loses what was deleted meanwhile, although nobody asks for it."""
    with RedisServer() as server:
        async with CacheManager(f"{server.url}?timeout={PATIENT}") as cache:
            await cache.set_many({KEY: 1, "github:repo:x": 1, "config:system:1": 1})
            with frozen(server, cache):
                for forget in (cache.delete(KEY), cache.invalidate("github_repo")):
                    with pytest.raises(CacheUnavailable):
                        await forget
            async with asyncio.timeout(60):
                while await cached(server) != {b"config:system:1"}:
                    await asyncio.sleep(0.02)


async def cached(server: RedisServer) -> set[bytes]:
    """All keys, seen by somebody else."""
    async with client_of(server) as client:
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
    with frozen(redis_server, freezable), pytest.raises(CacheUnavailable):
        await freezable.delete(KEY)
    await freezable.set(KEY, "new")
    assert freezable._parts is not None
    repetition = freezable._parts.deletions._replay
    assert repetition is not None
    await asyncio.wait_for(repetition, 60)
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
    with frozen(redis_server, freezable):
        with pytest.raises(CacheUnavailable):
            await freezable.delete_many(keys[:20])
        assert freezable._parts is not None
        assert len(freezable._parts.deletions) == 1
        for owner in "abcd":
            with pytest.raises(CacheUnavailable):
                await freezable.invalidate("github_repo", owner=owner)
        assert len(freezable._parts.deletions) == 2
    found = await _answer_of(lambda: freezable.get_many([*keys, "config:system:1"]))
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


async def _answer_of(call: Callable[[], Awaitable[T]]) -> T:
    """What *call* returns once the server answers: calls fail at once until one was let through."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(CacheUnavailable):
                return await call()
            await asyncio.sleep(0.01)
