"""Cached queries: once a write's call has returned, no read that begins later returns what was before it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, PlainSerializer

from dal.cache import CacheManager, KeyFamilies, KeyFamily
from dal.cache.families import MAX_NEAR, TABLE_PREFIX
from dal.cache.stores.base import FENCE, Store
from dal.cache.stores.redis import RedisStore
from dal.cache.stores.redis.lanes import Command
from dal.database import DatabaseManager
from dal.errors import (
    CacheUnavailable,
    ConfigurationError,
    OutcomeUnknown,
    QueryFileError,
    UniqueViolation,
    UnknownKeyFamily,
    UsageError,
)
from dal.queries import load_queries
from dal.transaction import Transaction
from tests.cache.cached_query_worker import FENCE_SECONDS
from tests.cache.conftest import PATIENT, UNKNOWN_SECONDS, client_of, frozen, store_of, until
from tests.cache.near_families import copies_of
from tests.cache.pairs import (
    BEHIND,
    PLAIN,
    SCHEMA,
    SETTINGS,
    WAYS,
    Note,
    Pair,
    by_block,
    pair_on,
    write_queries,
)
from tests.engine_cases import MARIADB, POSTGRESQL_18, SQLITE, EngineCase, Place
from tests.proxy import Proxy
from tests.servers import RedisServer, ValkeyServer

pytestmark = pytest.mark.usefixtures("long_fences")

WORKER = Path(__file__).with_name("cached_query_worker.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def redis_url(redis_server: RedisServer) -> str:
    async with client_of(redis_server) as client:
        await client.flushall()
    return f"{redis_server.url}?timeout={PATIENT}"


STORES = ["memory", "redis", "valkey"]
PLACES = [*((store, SQLITE) for store in STORES), ("redis", POSTGRESQL_18), ("redis", MARIADB)]


@pytest.fixture(params=PLACES, ids=lambda place: f"{place[0]}-{place[1].name}")
async def pair(
    request: pytest.FixtureRequest, places: Callable[[EngineCase], Place], tmp_path: Path
) -> AsyncIterator[Pair]:
    """Each store on SQLite, and the other engines on Redis."""
    store, case = request.param
    cache_url = "memory://"  # one cache for both managers
    if store != "memory":
        server: RedisServer | ValkeyServer = request.getfixturevalue(f"{store}_server")
        async with client_of(server) as client:
            await client.flushall()
        cache_url = f"{server.url}?timeout={PATIENT}"
    url = places(case).empty(tmp_path)
    async with pair_on(url, cache_url, tmp_path, family="plain", families=PLAIN, case=case) as found:
        yield found


@pytest.fixture(params=[SQLITE, POSTGRESQL_18, MARIADB], ids=lambda case: case.name)
async def shared(
    request: pytest.FixtureRequest,
    places: Callable[[EngineCase], Place],
    redis_url: str,
    tmp_path: Path,
) -> AsyncIterator[Pair]:
    """On each engine in turn, with Redis."""
    case: EngineCase = request.param
    async with pair_on(places(case).empty(tmp_path), redis_url, tmp_path, case=case) as found:
        yield found


class Gate:
    """Holds the calls of one method of the writer's store: after they are done, or before they begin."""

    def __init__(self, cache: CacheManager, name: str, *, before: bool = False) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self._store: Any = store_of(cache)
        self._name = name
        method = getattr(self._store, name)

        async def gated(*arguments: Any) -> Any:
            result = None if before else await method(*arguments)
            self.reached.set()
            await self.open.wait()
            return await method(*arguments) if before else result

        setattr(self._store, name, gated)

    def remove(self) -> None:
        """Let all pass, also those to come."""
        self.open.set()
        delattr(self._store, self._name)


class Trips:
    """Counts how often a caller sends something to the server after it has waited for something."""

    def __init__(self, store: Store) -> None:
        store = getattr(store, "_store", store)  # behind the copies in the process
        assert isinstance(store, RedisStore)
        self.count = 0
        self._waits = 0
        traffic = store._lanes()
        for lane in traffic._lanes:
            lane.submit = self._counted(lane.submit)  # type: ignore[method-assign]

    def _counted(self, submit: Callable[..., Command]) -> Callable[..., Command]:
        def counted(*arguments: Any, **named: Any) -> Command:
            if not self._waits:
                self.count += 1
            self._waits += 1
            command = submit(*arguments, **named)
            command.future.add_done_callback(self._answered)
            return command

        return counted

    def _answered(self, _: object) -> None:
        self._waits -= 1


async def test_an_answer_is_kept(pair: Pair) -> None:
    """The second read does not reach the database; the statistics say so."""
    assert await pair.read() == 0
    await pair.writer.execute(BEHIND)

    assert await pair.read() == 0
    assert await pair.writer.fetch_value(pair.queries.counter) == 0  # whoever reads it
    assert pair.other_cache.stats()["plain"].hits >= 1


@pytest.mark.parametrize("way", WAYS)
async def test_whoever_reads_after_a_write_sees_it(shared: Pair, way: str) -> None:
    """By whatever verb the write went, and whoever reads; the new answer is kept in its turn."""
    assert await shared.is_kept()

    await WAYS[way](shared.writer, shared.queries)

    assert await shared.read() == 1
    assert await shared.writer.fetch_value(shared.queries.counter) == 1
    assert await shared.is_kept()


async def test_copies_in_the_process_keep_the_promise(url: str, redis_url: str, tmp_path: Path) -> None:
    """An answer is copied, and is not served after a write, although nobody is told of any change."""
    near = KeyFamilies([KeyFamily("plain", "plain:{query}", "string", "gzip", 600, near=MAX_NEAR)])
    async with pair_on(url, redis_url, tmp_path, family="plain", families=near) as pair:
        for cache in (pair.cache, pair.other_cache):
            copies: Any = copies_of(cache)
            copies.changed = lambda keys: None
        for count in range(3):
            before = pair.other_cache.stats()["plain"].near
            async with asyncio.timeout(60):
                while pair.other_cache.stats()["plain"].near == before:
                    assert await pair.read() == count
            await pair.write()


async def test_each_store_forgets_alike(pair: Pair) -> None:
    """Memory, Redis and Valkey."""
    for count in range(5):
        assert await pair.read() == count
        assert await pair.is_kept()
        await pair.write()


async def test_models_come_back_as_models(shared: Pair) -> None:
    """Equal to what the database gives, none and several included; each caller has its own."""
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    for number, price in ((1, Decimal("1.20")), (2, None)):
        note = {"id": number, "words": "é", "price": price, "written_at": now}
        await shared.writer.execute(shared.queries.add_note, note)
    async with shared.reader.transaction() as tx:
        fresh = await tx.fetch_all(shared.queries.notes, {"words": "é"})
    first = await shared.reader.fetch_all(shared.queries.notes, {"words": "é"})
    hit = await shared.reader.fetch_all(shared.queries.notes, {"words": "é"})

    assert fresh == first == hit
    assert [type(note) for note in hit] == [Note, Note]
    assert hit[0] is not first[0]
    assert await shared.reader.fetch_all(shared.queries.notes, {"words": "e"}) == []
    assert await shared.reader.fetch_one(shared.queries.note, {"id": 1}) == fresh[0]
    assert await shared.reader.fetch_one(shared.queries.note, {"id": 1}) == fresh[0]
    assert await shared.reader.fetch_one(shared.queries.note, {"id": 3}) is None


async def test_what_cannot_be_read_back_is_loaded(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A model whose JSON it does not take itself costs time, and fails nobody."""

    class Odd(BaseModel):
        n: Annotated[int, PlainSerializer(lambda n: f"number {n}", return_type=str)]

    file = tmp_path / "odd.sql"
    file.write_text(
        "-- name: odd :one\n-- returns: Odd\n-- cache: ai_evaluation\n-- reads: counter\n"
        "SELECT n FROM counter;"
    )
    queries = load_queries(file, models={"Odd": Odd})
    async with CacheManager() as cache, DatabaseManager(url, cache=cache, settings=SETTINGS) as db:
        for statement in SCHEMA:
            await db.execute(statement)
        for _ in range(2):
            assert await db.fetch_one(queries.odd) == Odd(n=0)
        assert cache.stats()["ai_evaluation"].loads == 2
    assert caplog.text.count("Odd") == 1


@pytest.mark.parametrize("family", ["plain", "aged"])
async def test_a_hit_is_one_trip(
    redis_server: RedisServer, redis_url: str, url: str, tmp_path: Path, family: str
) -> None:
    """Generations, answer and what is left of it are asked for before anything has come back."""
    async with pair_on(url, redis_url, tmp_path, family=family, families=PLAIN) as pair:
        assert await pair.is_kept()
        trips = Trips(store_of(pair.other_cache))
        async with client_of(redis_server) as client:
            await client.config_resetstat()
            for _ in range(10):
                await pair.read()
            commands = await client.info("commandstats")
        asked = {
            name: commands[f"cmdstat_{name}"]["calls"]
            for name in ("mget", "get", "pttl")
            if f"cmdstat_{name}" in commands
        }
        assert trips.count == 10
        assert asked.pop("mget") in (10, 20)  # one, or one for each lane
        assert asked == ({} if family == "plain" else {"get": 10, "pttl": 10})


@pytest.mark.parametrize("family", ["aged", "plain"])
async def test_any_hit_is_one_trip(redis_url: str, family: str) -> None:
    """The same of get_or_load and of get."""

    async def load() -> int:
        return 1

    async with CacheManager(redis_url, families=PLAIN) as cache:
        key = f"{family}:a"
        await cache.get_or_load(key, load)
        trips = Trips(store_of(cache))
        for count in range(5):
            assert (await cache.get_or_load(key, load)).state == "hit"
            assert await cache.get(key) == 1
            assert trips.count == 2 * (count + 1)


async def test_an_aged_answer_is_loaded_anew_before_it_ends(
    pair_of_aged: Pair, redis_server: RedisServer
) -> None:
    """A hit that is near its end begins the load of the next one, and waits for nothing."""
    pair = pair_of_aged
    assert await pair.read() == 0
    await pair.writer.execute(BEHIND)
    async with client_of(redis_server) as client:
        [key] = [key async for key in client.scan_iter("aged:*")]
        await client.pexpire(key, 60_000 + 1000)  # a second before it is stale

        assert await pair.read() == 0
        async with asyncio.timeout(60):
            while await pair.read() != 100:
                await asyncio.sleep(0.001)
        await client.pexpire(key, 60_000 - 1000)  # stale
    await pair.writer.execute(BEHIND)
    assert await pair.read() == 200
    assert pair.other_cache.stats()["aged"].refreshed == 1


@pytest.fixture
async def pair_of_aged(url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_on(url, redis_url, tmp_path, family="aged", families=PLAIN) as found:
        yield found


async def test_a_write_of_another_table_leaves_an_answer(pair: Pair) -> None:
    """Only what the header names is forgotten, and all queries that read it."""
    await pair.read()
    await pair.writer.execute(BEHIND)
    note = {"id": 1, "words": "a", "price": None, "written_at": None}
    await pair.writer.execute(pair.queries.add_note, note)

    assert await pair.read() == 0
    assert await pair.reader.fetch_one(pair.queries.note, {"id": 1}) is not None


async def test_a_block_asks_the_database(pair: Pair) -> None:
    """Inside a transaction nothing is read from the cache, and nothing stored."""
    await pair.read()
    await pair.writer.execute(BEHIND)

    async with pair.reader.transaction() as tx:
        assert await tx.fetch_value(pair.queries.counter) == 100
        await tx.execute(pair.queries.add_one)
        assert await tx.fetch_value(pair.queries.counter) == 101
    assert await pair.read() == 101


@pytest.mark.parametrize("is_savepoint", [False, True])
async def test_what_is_rolled_back_changes_no_generation(pair: Pair, is_savepoint: bool) -> None:
    """Neither a transaction nor a savepoint that was undone forgets anything."""
    await pair.read()
    before = await pair.state()

    async with contextlib.AsyncExitStack() as stack:
        db: DatabaseManager | Transaction = pair.writer
        if is_savepoint:
            db = await stack.enter_async_context(pair.writer.transaction())
        with pytest.raises(ValueError, match="undo"):
            async with db.transaction() as tx:
                await tx.execute(pair.queries.add_one)
                raise ValueError("undo")

    assert await pair.state() == before
    assert await pair.is_kept()


async def test_a_refused_write_leaves_no_fence(pair: Pair) -> None:
    """The database said no, so that nothing is in doubt."""
    note = {"id": 1, "words": "a", "price": None, "written_at": None}
    await pair.writer.execute(pair.queries.add_note, note)
    with pytest.raises(UniqueViolation):
        await pair.writer.execute(pair.queries.add_note, note)

    assert await store_of(pair.cache).get(TABLE_PREFIX + "note") is None


async def test_a_load_that_began_before_is_not_served_after(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its old answer for those who wanted it then; who comes after the write has the new one."""
    loaded, go_on = asyncio.Event(), asyncio.Event()
    read = pair.reader._read

    async def slow(*arguments: Any) -> Any:
        value = await read(*arguments)
        loaded.set()
        await go_on.wait()
        return value

    monkeypatch.setattr(pair.reader, "_read", slow)
    early = asyncio.create_task(pair.read())
    await loaded.wait()
    monkeypatch.setattr(pair.reader, "_read", read)
    await pair.write()

    assert await pair.read() == 1
    go_on.set()
    assert await early == 0
    assert await pair.read() == 1


async def test_a_fence_stands_from_before_the_commit_until_after_it(shared: Pair) -> None:
    """Meanwhile readers ask the database, and store nothing."""
    await shared.read()
    fenced, committed = Gate(shared.cache, "fence"), Gate(shared.cache, "lift", before=True)
    writing = asyncio.create_task(shared.write())
    await fenced.reached.wait()
    assert (await shared.state() or b"").startswith(FENCE)
    assert await shared.read() == 0

    fenced.open.set()
    await committed.reached.wait()
    assert await shared.read() == 1
    assert not await shared.is_kept() if shared.reader.engine_name != "sqlite" else True
    committed.open.set()
    await writing
    assert await shared.read() == 1
    assert await shared.is_kept()


async def test_one_writer_does_not_lift_the_fence_of_another(pair: Pair) -> None:
    """Each has its own; the last one ends the doubt."""
    store = store_of(pair.cache)
    key = TABLE_PREFIX + "counter"
    await store.fence([key], "one", 600)
    await store.fence([key], "two", 300)
    await store.lift([key], "two")

    assert (await pair.state() or b"").startswith(FENCE)
    assert 300 < await pair.left() <= 600
    await pair.write()  # its own comes and goes
    assert (await pair.state() or b"").startswith(FENCE)
    await store.lift([key], "one")
    assert await pair.state() is None


async def test_a_fence_that_has_ended_counts_no_more(pair: Pair) -> None:
    """Also if another one came later, and kept the key."""
    store = store_of(pair.cache)
    key = TABLE_PREFIX + "counter"
    await store.fence([key], "dead", 0.01)
    await store.fence([key], "alive", 60)
    await asyncio.sleep(0.05)  # the time of a store is its own
    await store.lift([key], "alive")

    assert await pair.state() is None


async def test_lifting_what_is_not_fenced_ends_its_generation(pair: Pair) -> None:
    """A store that lost the fence, and where somebody read meanwhile, forgets that too."""
    await pair.read()
    await store_of(pair.cache).lift([TABLE_PREFIX + "counter"], "lost")

    assert await pair.state() is None


async def test_a_lost_generation_does_not_come_back(pair: Pair) -> None:
    """After an eviction an answer is loaded anew."""
    await pair.read()
    await pair.writer.execute(BEHIND)
    await store_of(pair.cache).delete(TABLE_PREFIX + "counter")

    assert await pair.read() == 100


async def test_leaving_in_a_commit_takes_nothing_along(pair: Pair) -> None:
    """The commit and what follows go on without the caller."""
    await pair.read()
    gate = Gate(pair.cache, "fence")
    writing = asyncio.create_task(by_block(pair.writer, pair.queries))
    await gate.reached.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    gate.remove()

    await pair.writer._background.join(60)
    assert await pair.read() == 1
    assert await pair.state() is not None
    assert not (await pair.state() or b"").startswith(FENCE)


async def test_a_cancelled_statement_leaves_its_fence(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether it was committed: for a while the database is asked."""
    await pair.read()
    begun = asyncio.Event()
    engine: Any = pair.writer._engine
    execute = engine.execute

    async def slow(*arguments: Any) -> Any:
        result = await execute(*arguments)
        begun.set()
        await asyncio.sleep(600)
        return result

    monkeypatch.setattr(engine, "execute", slow)
    writing = asyncio.create_task(pair.write())
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert await pair.read() == 1
    assert (await pair.state() or b"").startswith(FENCE)
    assert FENCE_SECONDS < await pair.left() <= UNKNOWN_SECONDS


async def test_a_write_cancelled_before_it_began_leaves_no_fence(pair: Pair) -> None:
    """While its fence was being set nothing was sent to the database."""
    gate = Gate(pair.cache, "fence")
    writing = asyncio.create_task(pair.write())
    await gate.reached.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert await pair.state() is None
    assert await pair.read() == 0


@pytest.mark.parametrize("case", [POSTGRESQL_18, MARIADB], ids=lambda case: case.name)
async def test_outcome_unknown_leaves_the_fence(case: EngineCase, redis_url: str, tmp_path: Path) -> None:
    """The answer to COMMIT is lost on the way: the change may be there, and is seen if it is."""
    with case.server() as server, server.database() as name:  # type: ignore[misc]
        url = server.url(name)
        async with Proxy(server.port) as proxy:
            behind = url.replace(f":{server.port}/", f":{proxy.port}/")
            assert behind != url
            async with pair_on(url, redis_url, tmp_path, case=case, writer_url=behind) as pair:
                await pair.read()
                proxy.lose_answer_to(b"COMMIT")
                with pytest.raises(OutcomeUnknown):
                    await by_block(pair.writer, pair.queries)
                proxy.disarm()

                async with asyncio.timeout(60):
                    while await pair.read() != 1:
                        await asyncio.sleep(0.01)
                assert (await pair.state() or b"").startswith(FENCE)
                assert FENCE_SECONDS < await pair.left() <= UNKNOWN_SECONDS


async def test_a_store_that_is_away_fails_nobody(url: str, tmp_path: Path) -> None:
    """The write goes through and is owed; this process reads the database until the store has heard of it."""
    with RedisServer() as server:
        async with pair_on(url, f"{server.url}?timeout={PATIENT}", tmp_path) as pair:
            assert await pair.is_kept()
            with frozen(server, pair.cache):
                await pair.write()
                assert await pair.writer.fetch_value(pair.queries.counter) == 1
            await until(lambda: not pair.cache._connected().tables._owed)

            assert await pair.read() == 1
            assert await pair.writer.fetch_value(pair.queries.counter) == 1


async def test_what_is_owed_is_not_read(pair: Pair) -> None:
    """A store that answers again, and has not heard of a change yet, is not believed by who made it."""
    await pair.read()
    store: Any = store_of(pair.cache)

    async def fail(*_: Any) -> None:
        raise CacheUnavailable("away")

    store.fence = store.lift = fail
    await pair.write()
    assert await pair.writer.fetch_value(pair.queries.counter) == 1

    del store.fence, store.lift
    await until(lambda: not pair.cache._connected().tables._owed)
    assert await pair.read() == 1


async def test_a_family_may_refuse_to_load_without_its_store(url: str, tmp_path: Path) -> None:
    """What happens in an outage stands in the family, as for every value."""
    strict = KeyFamilies([KeyFamily("strict", "strict:{query}", "string", "json", 60, outage="raise")])
    with RedisServer() as server:
        address = f"{server.url}?timeout={PATIENT}"
        async with pair_on(url, address, tmp_path, family="strict", families=strict) as pair:
            assert await pair.read() == 0
            server.kill()
            with pytest.raises(CacheUnavailable):
                await pair.read()


@contextlib.asynccontextmanager
async def worker(pair: Pair, cache_url: str, stop: str, times: int) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(WORKER), pair.writer.url, cache_url, str(pair.folder), stop, str(times)),
        stdin=PIPE,
        stdout=PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line_of(process: Process) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().split()


def begin(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def test_two_processes(shared: Pair, redis_url: str) -> None:
    """What the other one has said to be written is never missing from what is read afterwards."""
    times, at_a_time = 150, 10
    async with worker(shared, redis_url, "-", at_a_time) as process:
        assert await line_of(process) == ["ready"]
        floor, reads = 0, 0

        async def read() -> None:
            nonlocal reads
            while floor < times:
                least = floor
                assert await shared.read() >= least
                reads += 1

        async def follow() -> None:
            nonlocal floor
            while floor < times:
                seen = reads
                begin(process)
                for _ in range(at_a_time):
                    word, number = await line_of(process)
                    assert word == "sum"
                    floor = int(number)
                await until(lambda seen=seen: reads > seen)  # type: ignore[misc]

        async with asyncio.TaskGroup() as group:
            for work in (follow(), read(), read(), read()):
                group.create_task(work)
    assert await shared.is_kept()


@pytest.mark.parametrize(("stop", "seen"), [("fence", 0), ("lift", 1)])
async def test_a_killed_process_leaves_a_fence_that_ends(
    shared: Pair, redis_url: str, redis_server: RedisServer, stop: str, seen: int
) -> None:
    """Killed before its commit, or after it: the truth is read at once, and is cached again later."""
    assert await shared.is_kept()
    async with worker(shared, redis_url, stop, 1) as process:
        assert await line_of(process) == ["ready"]
        begin(process)
        assert await line_of(process) == [stop]
        process.send_signal(signal.SIGKILL)
        await process.wait()

    assert await shared.read() == seen
    assert (await shared.state() or b"").startswith(FENCE)
    assert await shared.left() <= FENCE_SECONDS
    async with client_of(redis_server) as client:
        await client.pexpire(TABLE_PREFIX + "counter", 1)
    async with asyncio.timeout(60):
        while (await shared.state() or b"").startswith(FENCE):
            await asyncio.sleep(0.01)
    assert await shared.read() == seen
    assert await shared.is_kept()


@pytest.mark.parametrize("way", ["execute", "block", "execute_transaction"])
async def test_nothing_is_written_without_its_cache(pair: Pair, way: str) -> None:
    """A cache that is not connected is a mistake of the program, told before the commit."""
    await pair.cache.disconnect()
    with pytest.raises(UsageError, match="not connected"):
        await WAYS[way](pair.writer, pair.queries)

    assert await pair.reader.fetch_value("SELECT n FROM counter") == 0


async def test_without_a_cache_headers_mean_nothing(url: str, tmp_path: Path) -> None:
    """The same queries on a manager that has none."""
    queries = load_queries(write_queries(tmp_path, "no_such_family"), models=[Note])
    async with DatabaseManager(url, queries=queries, settings=SETTINGS) as db:
        for statement in SCHEMA:
            await db.execute(statement)
        assert await db.fetch_value(queries.counter) == 0
        await db.execute(queries.add_one)
        await db.execute(BEHIND)
        assert await db.fetch_value(queries.counter) == 101


async def test_databases_that_share_a_cache_share_no_answers(redis_url: str, tmp_path: Path) -> None:
    """The same query of two databases is two answers."""
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with pair_on(f"sqlite:///{folder}/a.db", redis_url, folder) as pair:
            await pair.writer.execute("UPDATE counter SET n = ?", [number])
            assert await pair.read() == number


@pytest.mark.parametrize("family", ["session", "rate_limit", "github_repo"])
def test_a_family_must_fit(tmp_path: Path, family: str) -> None:
    """It holds single values under one part; a manager refuses others before it connects."""
    folder = write_queries(tmp_path, family)
    with pytest.raises(ConfigurationError, match="key family"):
        DatabaseManager(
            "sqlite:///:memory:",
            queries=load_queries(folder, models=[Note]),
            cache=CacheManager(),
            settings=SETTINGS,
        )


def test_a_family_must_be_known(tmp_path: Path) -> None:
    """As every other family."""
    folder = write_queries(tmp_path, "missing")
    with pytest.raises(UnknownKeyFamily, match="missing"):
        DatabaseManager(
            "sqlite:///:memory:",
            queries=load_queries(folder, models=[Note]),
            cache=CacheManager(),
            settings=SETTINGS,
        )


@pytest.mark.parametrize(
    ("headers", "flaw"),
    [
        ("-- returns: int\n-- cache: a ttl=0\n-- reads: t", ":3: .*cannot read `cache: a ttl=0`"),
        ("-- returns: int\n-- cache: a", ":3: .*says with `reads:`"),
        ("-- cache: a\n-- reads: t", ":2: .*has a header `returns:`"),
        ("-- returns: int\n-- cache: a\n-- reads: t\n-- writes: t", "has no `writes:`"),
        ("-- returns: int\n-- reads: T", ":3: .*names of tables in lower case"),
        ("-- returns: int\n-- writes: a,,b", "not ''"),
    ],
)
def test_a_header_that_cannot_be_meant_is_refused(tmp_path: Path, headers: str, flaw: str) -> None:
    """With its line, when the file is loaded."""
    file = tmp_path / "one.sql"
    file.write_text(f"-- name: one :value\n{headers}\nSELECT 1;\n")
    with pytest.raises(QueryFileError, match=flaw):
        load_queries(file)
