"""get_or_load: one load for all who want a key, which no caller can harm, and which ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, PlainSerializer, field_validator

from dal.cache import CacheManager, KeyFamilies, KeyFamily, Loaded
from dal.errors import CacheError, CacheUnavailable, LoadTimeout, UnknownKeyFamily
from tests.cache.conftest import Backend, Clock, until


class Page(BaseModel):
    title: str
    seen: datetime


class Odd(BaseModel):
    """Writes what it does not read."""

    n: Annotated[int, PlainSerializer(lambda n: f"number {n}", return_type=str)]


class Rude(Odd):
    """Says so with an error of its own."""

    @field_validator("n", mode="before")
    @classmethod
    def check(cls, n: object) -> object:
        if type(n) is str:
            raise LookupError("secret")
        return n


PAGE = Page(title="a", seen=datetime(2026, 1, 2, tzinfo=UTC))

FAMILIES = KeyFamilies(
    [
        KeyFamily("plain", "plain:{id}", "string", "json", 100),
        KeyFamily("quick", "quick:{id}", "string", "json", 100, load_deadline=0.1),
        KeyFamily("finished", "finished:{id}", "string", "json", 100, finish_abandoned=True),
        KeyFamily("costly", "costly:{id}", "string", "json", 100, errors_for=8),
        KeyFamily("page", "page:{id}", "string", "gzip", 100, model=Page),
        KeyFamily("pages", "pages:{id}", "string", "json", 100, model=list[Page]),
        KeyFamily("odd", "odd:{id}", "string", "json", 100, model=Odd),
        KeyFamily("rude", "rude:{id}", "string", "gzip", 100, stale_for=50, refresh_ahead=True, model=Rude),
        KeyFamily("visitor", "visitor:{id}", "hash", "json", 100, model=Page),
    ]
)
KEY = "plain:a"


class Source:
    """What is loaded from: counts its loads, and can be held back."""

    def __init__(self, value: Any = "value") -> None:
        self.value = value
        self.loads = 0
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> Any:
        self.loads += 1
        self.asked.set()
        await self.open.wait()
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(clock: Clock) -> AsyncIterator[CacheManager]:
    async with CacheManager("memory://", families=FAMILIES, clock=clock) as cache:
        yield cache


async def shared(backend: Backend, key: str) -> tuple[Source, list[asyncio.Task[Loaded]]]:
    """A hundred callers of one search, who all wait for its load, which is held back."""
    source = Source()
    source.open.clear()
    callers = [asyncio.create_task(backend.cache.get_or_load(key, source)) for _ in range(100)]
    await source.asked.wait()
    await until(lambda: backend.cache.stats()["search_results"].joined == 99)
    return source, callers


async def test_states(backend: Backend) -> None:
    """A value is loaded once and is there from then on."""
    source, key = Source({"a": 1}), "search:results:a"
    first, second = [await backend.cache.get_or_load(key, source) for _ in range(2)]
    assert (first, second, source.loads) == (Loaded({"a": 1}, "miss"), Loaded({"a": 1}, "hit"), 1)
    value, _ = second
    assert value == await backend.cache.get(key)


async def test_hundred_callers_one_load(backend: Backend) -> None:
    """All who want a key while it is loaded get the value of the one load."""
    source, callers = await shared(backend, "search:results:a")
    source.open.set()
    assert [(await caller).value for caller in callers] == ["value"] * 100
    assert source.loads == 1
    counts = backend.cache.stats()["search_results"]
    assert (counts.loads, counts.misses, counts.joined) == (1, 1, 99)


@pytest.mark.parametrize("leaving", [0, 1, 50, 99])
async def test_caller_who_leaves_harms_nobody(backend: Backend, leaving: int) -> None:
    """Whichever of a hundred callers is cancelled, the one who began it too, 99 get the value of one load."""
    source, callers = await shared(backend, "search:results:a")
    callers[leaving].cancel()
    await asyncio.sleep(0)
    source.open.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results.pop(leaving), asyncio.CancelledError)
    assert results == [Loaded("value", "miss")] * 99
    assert source.loads == 1


async def test_each_caller_in_turn_leaves(cache: CacheManager) -> None:
    """The same, for every index."""
    for leaving in range(100):
        source = Source()
        source.open.clear()
        key = f"plain:{leaving}"
        callers = [asyncio.create_task(cache.get_or_load(key, source)) for _ in range(100)]
        await source.asked.wait()
        callers[leaving].cancel()
        source.open.set()
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(result) for result in results].count(Loaded) == 99
        assert source.loads == 1


async def test_callers_own_timeout_is_its_own(cache: CacheManager) -> None:
    """A caller who waits for a moment only leaves the others their value."""
    source = Source()
    source.open.clear()
    patient = asyncio.create_task(cache.get_or_load(KEY, source))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await cache.get_or_load(KEY, source)
    source.open.set()
    assert (await patient, source.loads) == (("value", "miss"), 1)


async def test_error_reaches_every_caller(backend: Backend) -> None:
    """A load that raises is run once, and each caller gets its error; the next caller loads again."""
    source, callers = await shared(backend, "search:results:a")
    source.value = error = ValueError("no such page")
    source.open.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert ([result is error for result in results], source.loads) == ([True] * 100, 1)
    source.value = "value"
    assert (await backend.cache.get_or_load("search:results:a", source)).state == "miss"


async def test_last_caller_who_leaves_ends_the_load(cache: CacheManager) -> None:
    """When nobody waits any more the load is cancelled, and the next caller begins another one."""
    source = Source()
    source.open.clear()
    callers = [asyncio.create_task(cache.get_or_load(KEY, source)) for _ in range(3)]
    await source.asked.wait()
    before = len(asyncio.all_tasks())
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    await settled(before - 5)  # three callers, the flight, its load
    source.open.set()
    assert (await cache.get_or_load(KEY, source), source.loads) == (("value", "miss"), 2)


async def test_abandoned_load_is_finished_where_it_is_wanted(cache: CacheManager) -> None:
    """A family may say that a load that nobody waits for goes on, and is stored."""
    source = Source()
    source.open.clear()
    caller = asyncio.create_task(cache.get_or_load("finished:a", source))
    await source.asked.wait()
    caller.cancel()
    await asyncio.wait([caller])
    source.open.set()
    assert (await cache.get_or_load("finished:a", source)).value == "value"
    assert source.loads == 1


async def settled(tasks: int) -> None:
    """Wait until only so many tasks are left."""
    await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def hang() -> None:
    await asyncio.sleep(3600)


async def hang_twice() -> None:
    try:
        await hang()
    except asyncio.CancelledError:
        await hang()


async def cancel_itself() -> None:
    raise asyncio.CancelledError


def raise_at_once() -> Awaitable[None]:
    raise LookupError


async def exit_the_program() -> None:
    raise SystemExit(3)


ENDINGS: list[tuple[Callable[[], Awaitable[Any]], type[BaseException]]] = [
    (hang, LoadTimeout),
    (hang_twice, LoadTimeout),
    (cancel_itself, CacheError),
    (raise_at_once, LookupError),
    (exit_the_program, SystemExit),
]


@pytest.mark.parametrize(("loader", "error"), ENDINGS)
async def test_load_ends_and_frees_its_key(
    cache: CacheManager, loader: Callable[[], Awaitable[Any]], error: type[BaseException]
) -> None:
    """However a load fails, its caller is told, no task is left, and the next call loads."""
    before = len(asyncio.all_tasks())
    with pytest.raises(error):
        await cache.get_or_load("quick:a", loader)
    await settled(before)
    assert (await cache.get_or_load("quick:a", Source())).state == "miss"


async def test_timeout_names_the_family_and_the_deadline(cache: CacheManager) -> None:
    """The error of a load that took too long says which bound it met, and shows no key."""
    with pytest.raises(LoadTimeout, match=r"^key family quick: a load took longer than 0\.1 s") as raised:
        await cache.get_or_load("quick:secret", hang)
    assert "secret" not in str(raised.value)


async def test_load_that_cannot_be_ended_is_left_alone(
    cache: CacheManager, caplog: pytest.LogCaptureFixture
) -> None:
    """A load that ignores every cancellation costs its callers the deadline and a moment, and is logged."""
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                await asyncio.sleep(0)

    before = len(asyncio.all_tasks())
    with caplog.at_level(logging.ERROR), pytest.raises(LoadTimeout):
        await cache.get_or_load("quick:a", stubborn)
    assert "a load goes on although it was cancelled" in caplog.text
    released.set()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await settled(before)


async def test_disconnect_ends_loads(cache: CacheManager) -> None:
    """Who waits for a load at disconnect is told, and nothing is left."""
    before = len(asyncio.all_tasks())
    source = Source()
    source.open.clear()
    caller = asyncio.create_task(cache.get_or_load(KEY, source))
    await source.asked.wait()
    await cache.disconnect()
    with pytest.raises(CacheUnavailable, match="disconnected"):
        await caller
    await settled(before)


_request: ContextVar[str] = ContextVar("_request", default="none")


async def test_load_sees_nothing_of_its_callers_context(cache: CacheManager) -> None:
    """A load is for all its callers, so it is in the context of none of them."""
    _request.set("mine")

    async def load() -> str:
        return _request.get()

    assert (await cache.get_or_load(KEY, load)).value == "none"


async def test_callers_do_not_share_a_value(cache: CacheManager) -> None:
    """What one caller does to its value no other one sees."""
    source = Source({"a": [1]})
    one, two = await asyncio.gather(cache.get_or_load(KEY, source), cache.get_or_load(KEY, source))
    one.value["a"].append(2)
    assert (two.value, source.value, await cache.get(KEY)) == ({"a": [1]}, {"a": [1]}, {"a": [1]})


@pytest.mark.parametrize("value", [None, float("nan"), {1: 2}, object()])
async def test_what_cannot_be_stored_is_returned(cache: CacheManager, value: Any) -> None:
    """None and what is no JSON come back as they are, and are loaded again."""
    source = Source(value)
    results = [await cache.get_or_load(KEY, source) for _ in range(2)]
    assert [(result.value is value, result.state) for result in results] == [(True, "miss")] * 2
    assert source.loads == 2


async def test_value_larger_than_the_store_is_returned() -> None:
    """What the store has no room for is the caller's all the same."""
    async with CacheManager("memory://?max_bytes=1000", families=FAMILIES) as cache:
        assert (await cache.get_or_load(KEY, Source("x" * 2000))).value == "x" * 2000
        assert await cache.get(KEY) is None


@pytest.mark.parametrize(("key", "value"), [("page:a", PAGE), ("pages:a", [PAGE, PAGE]), ("visitor:a", PAGE)])
async def test_family_gives_its_model_back(cache: CacheManager, key: str, value: Any) -> None:
    """A family that declares its model takes it and gives it back, loaded or read."""
    if key.startswith("page"):
        assert await cache.get_or_load(key, Source(value)) == (value, "miss")
        assert await cache.get_or_load(key, Source(None)) == (value, "hit")
        await cache.delete(key)
    await cache.set(key, value)
    assert await cache.get(key) == value
    assert await cache.get_many([key]) == {key: value}


async def test_value_that_does_not_fit_its_model(cache: CacheManager) -> None:
    """Another thing than the model is refused by set; one that lies there counts as a miss."""
    with pytest.raises(CacheError, match="key family page: "):
        await cache.set("page:a", {"title": "a"})
    assert cache._parts is not None
    await cache._parts.store.set("page:a", b'{"title": "a"}', 60)
    assert await cache.get("page:a") is None
    assert cache.stats()["page"].unreadable == 1


@pytest.mark.parametrize("model", [Odd, Rude])
async def test_model_that_does_not_take_back_its_own_json(
    cache: CacheManager, caplog: pytest.LogCaptureFixture, model: type[Odd]
) -> None:
    """What was loaded is the callers'; what lies there is a miss each time, counted, and logged once."""
    name = model.__name__.lower()
    source = Source(model(n=1))
    for _ in range(3):
        both = await asyncio.gather(*(cache.get_or_load(f"{name}:a", source) for _ in range(2)))
        assert [tuple(loaded) for loaded in both] == [(model(n=1), "miss")] * 2
    assert await cache.get(f"{name}:a") is None

    counts = cache.stats()[name]
    assert (source.loads, counts.loads, counts.misses, counts.hits) == (3, 3, 4, 0)
    assert counts.unreadable > 6
    assert [record.getMessage() for record in caplog.records] == [
        f"key family {name}: what lies under a key counts as a miss: it does not fit {model}"
    ]


async def test_error_is_kept_where_a_load_is_costly(cache: CacheManager, clock: Clock) -> None:
    """For its family's errors_for seconds a load that failed is not tried again."""
    source = Source(ValueError("no credit"))
    for _ in range(3):
        with pytest.raises(ValueError, match="no credit"):
            await cache.get_or_load("costly:a", source)
    before = source.loads
    clock.now += 8
    with pytest.raises(ValueError, match="no credit"):
        await cache.get_or_load("costly:a", source)
    assert (before, source.loads) == (1, 2)


async def test_kept_error_ends_with_a_deletion(cache: CacheManager) -> None:
    """What was deleted is loaded anew, whatever happened before."""
    with pytest.raises(ValueError, match="gone"):
        await cache.get_or_load("costly:a", Source(ValueError("gone")))
    await cache.delete("costly:a")
    assert (await cache.get_or_load("costly:a", Source())).value == "value"


@pytest.mark.parametrize("key", ["visitor:a"])
async def test_only_single_values_are_loaded(cache: CacheManager, key: str) -> None:
    """A hash or a counter is not loaded."""
    with pytest.raises(CacheError, match="get_or_load takes single values"):
        await cache.get_or_load(key, Source())


async def test_unknown_key_is_refused(cache: CacheManager) -> None:
    """A key of no family is refused before anything is loaded."""
    source = Source()
    with pytest.raises(UnknownKeyFamily):
        await cache.get_or_load("other:a", source)
    assert source.loads == 0


async def test_ttl_of_a_load(backend: Backend) -> None:
    """The third argument is the time that a loaded value is fresh."""
    await backend.cache.get_or_load("search:results:a", Source(), 5)
    await backend.elapse(6)
    assert await backend.cache.get("search:results:a") is None
