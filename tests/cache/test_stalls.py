"""Large values go in and out while the event loop goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import pytest
from pydantic import BaseModel

from dal.cache import CacheManager, KeyFamilies, KeyFamily, codec
from dal.errors import CacheValueError
from tests.cache.conftest import Backend, MemoryBackend, RedisBackend

T = TypeVar("T")


class Row(BaseModel):
    id: int
    text: str
    score: float


FAMILIES = KeyFamilies(
    [
        KeyFamily("packed", "packed:{id}", "string", "gzip", 600),
        KeyFamily("plain", "plain:{id}", "string", "json", 600),
        KeyFamily("kept", "kept:{id}", "string", "gzip", 600, refresh_ahead=True, stale_for=60),
        KeyFamily("rows", "rows:{id}", "string", "gzip", 600, model=list[Row]),
        KeyFamily("hash", "hash:{id}", "hash", "json", 600),
    ]
)
MEGABYTE = 1_000_000


def rows(size: int) -> list[dict[str, Any]]:
    """Rows that take about *size* bytes as JSON."""
    chance = random.Random(size)
    words = ["".join(chance.choices("abcdefghij", k=8)) for _ in range(500)]
    found: list[dict[str, Any]] = []
    while size > 0:
        found.append(
            {"id": len(found), "text": " ".join(chance.choices(words, k=20)), "score": chance.random()}
        )
        size -= len(json.dumps(found[-1]))
    return found


class Turns:
    """What the turns of the event loop take of the processor, on the loop's own thread."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._ends = False

    async def watch(self) -> None:
        before = time.thread_time()
        while not self._ends:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        task = asyncio.get_running_loop().create_task(self.watch())
        try:
            yield
        finally:
            self._ends = True
            assert not task.done()


async def longest_turn(cache: CacheManager, value: object) -> float:
    """The longest turn in which *value* goes in and out by each of the ways, the best of two tries."""

    async def load() -> object:
        return value

    shortest = []
    for _ in range(2):
        turns = Turns()
        with turns.watched():
            await asyncio.sleep(0)
            await cache.set("packed:a", value)
            await cache.set_many({"packed:b": value, "plain:b": value})
            await cache.session_set("hash:a", {"all": value})
            await cache.delete("kept:a")
            found = [
                await cache.get("packed:a"),
                *(await cache.get_many(["packed:b", "plain:b"])).values(),
                (await cache.get_or_load("kept:a", load)).value,
                (await cache.get_or_load("kept:a", load)).value,
                (await cache.session_get("hash:a") or {})["all"],
            ]
        assert found == [value] * 6
        shortest.append(turns.longest)
    return min(shortest)


def on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be done in a thread."""
    monkeypatch.setattr(codec, "_FEW_ITEMS", 10**9)
    monkeypatch.setattr(codec, "_json", codec._json._replace(inline=10**9))
    monkeypatch.setattr(codec, "_gzip", codec._gzip._replace(inline=10**9))


@pytest.fixture(params=["memory", "redis", "valkey"])
async def large(request: pytest.FixtureRequest) -> AsyncIterator[CacheManager]:
    if request.param == "memory":
        backend: Backend = MemoryBackend(FAMILIES)
    else:
        backend = RedisBackend(request.getfixturevalue(f"{request.param}_server"), FAMILIES)
    async with backend.cache:
        yield backend.cache
    if isinstance(backend, RedisBackend):
        await backend.client.flushall()
        await backend.client.aclose()


LIBRARIES = [("orjson", "isal"), ("json", "zlib")]


def use(monkeypatch: pytest.MonkeyPatch, libraries: tuple[str, str]) -> None:
    monkeypatch.setattr(codec, "_json", codec.JSON[libraries[0]])
    monkeypatch.setattr(codec, "_gzip", codec.GZIP[libraries[1]])


@pytest.mark.parametrize("libraries", LIBRARIES, ids="-".join)
@pytest.mark.parametrize("size", [MEGABYTE, pytest.param(7 * MEGABYTE, marks=pytest.mark.slow)])
async def test_longest_pause_of_the_loop(
    large: CacheManager, monkeypatch: pytest.MonkeyPatch, size: int, libraries: tuple[str, str]
) -> None:
    """A small part of what it is if all is done on the loop; in its processor's time, so on any machine.

    The largest value that a cache takes is 8 MiB.
    """
    use(monkeypatch, libraries)
    value = rows(size)
    in_threads = await longest_turn(large, value)
    on_the_loop(monkeypatch)
    assert in_threads < await longest_turn(large, value) / 4


class Work(NamedTuple):
    """The threads in which each piece of the work on values was done."""

    threads: dict[str, set[int]]

    def seen(self, name: str, function: Callable[..., T]) -> Callable[..., T]:
        def noted(*arguments: Any, **named: Any) -> T:
            self.threads.setdefault(name, set()).add(threading.get_ident())
            return function(*arguments, **named)

        return noted


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Notes in which threads JSON is read and written, packed and unpacked."""
    work = Work({})
    library, gzip = codec._json, codec._gzip
    monkeypatch.setattr(
        codec,
        "_json",
        library._replace(dumps=work.seen("write", library.dumps), loads=work.seen("read", library.loads)),
    )
    monkeypatch.setattr(
        codec,
        "_gzip",
        gzip._replace(compress=work.seen("pack", gzip.compress), inflater=work.seen("unpack", gzip.inflater)),
    )
    monkeypatch.setattr(codec, "_typed", work.seen("model", codec._typed))
    return work


async def test_no_piece_of_the_work_is_done_on_the_loop(large: CacheManager, work: Work) -> None:
    """Neither writing nor reading, packing nor unpacking, nor the making of models."""
    value = rows(MEGABYTE)
    models = [Row.model_validate(row) for row in value]

    async def load() -> object:
        return models

    await large.set_many({"packed:b": value, "plain:b": value})
    await large.get_many(["packed:b", "plain:b"])
    await large.session_set("hash:a", {"all": value})
    await large.session_get("hash:a")
    assert (await large.get_or_load("rows:a", load)).value == models
    assert (await large.get_or_load("rows:a", load)).value == models
    assert set(work.threads) == {"write", "read", "pack", "unpack", "model"}
    for name, threads in work.threads.items():
        assert threading.get_ident() not in threads, name


async def test_a_short_value_needs_no_thread(large: CacheManager, work: Work) -> None:
    """A thread would take longer than the work."""
    await large.set("packed:a", rows(10_000))
    assert await large.get("packed:a") == rows(10_000)
    assert set.union(*work.threads.values()) == {threading.get_ident()}


WRONG: list[tuple[Any, str]] = [
    (float("nan"), "NaN"), (2**64, "64 bits"), ((1,), "tuple"), (object(), "object"), ({1: 1}, "keys must"),
    ("\ud800", "surrogate"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "flaw"), WRONG, ids=[flaw for _, flaw in WRONG])
@pytest.mark.parametrize("key", ["packed:a", "plain:a", "hash:a"])
async def test_what_is_refused_in_a_short_value_is_refused_in_a_long_one(
    large: CacheManager, key: str, wrong: Any, flaw: str
) -> None:
    """With the same words, wherever it is looked at."""
    value = [*range(10_000), wrong]
    with pytest.raises(CacheValueError, match=flaw):
        await large.set(key, {"all": value})
    assert await large.get(key) is None


async def test_a_value_beyond_the_bound_is_refused(large: CacheManager) -> None:
    """Ten megabytes of rows are more than a value may take."""
    with pytest.raises(CacheValueError, match=f"more than {codec.MAX_BYTES} bytes"):
        await large.set("packed:a", rows(10 * MEGABYTE))


@pytest.mark.parametrize("key", ["packed:a", "hash:a"])
async def test_a_long_value_may_be_changed_at_once(large: CacheManager, key: str) -> None:
    """It is copied before it is left to a thread."""
    value = {"all": rows(MEGABYTE)}
    before = {"all": rows(MEGABYTE)}
    setting = asyncio.create_task(large.set(key, value))
    await asyncio.sleep(0)
    for row in value["all"]:
        row.clear()
    value.clear()
    await setting
    assert await large.get(key) == before
