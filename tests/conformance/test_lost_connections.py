"""A connection that breaks: at any answer, while it is idle, in a block, in COMMIT, in the middle of a result."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from dal.database import DatabaseManager
from dal.errors import ConnectionFailed, ConnectionLost, DatabaseError, OutcomeUnknown
from dal.settings import Settings
from dal.transaction import Transaction
from tests.conformance.pairs import (
    ADD,
    BOTH,
    COUNT,
    TABLE,
    VERBS,
    assert_whole,
    both_halves,
    by_block,
    quiet,
)
from tests.conformance.steps import failure_of
from tests.engine_cases import Capability, EngineCase, Place, needs
from tests.proxy import Proxy

pytestmark = needs(Capability.SERVER)


@pytest.fixture
async def db(url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A table whose rows come in pairs."""
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(TABLE)
        yield manager


@pytest.fixture
async def proxy(url: str) -> AsyncIterator[Proxy]:
    """What loses the connections of ``lossy``."""
    port = urlsplit(url).port
    assert port is not None
    async with Proxy(port) as running:
        yield running


@pytest.fixture
async def lossy(
    db: DatabaseManager, url: str, proxy: Proxy, settings: Settings
) -> AsyncIterator[DatabaseManager]:
    """The same database, through the proxy."""
    through = url.replace(f":{urlsplit(url).port}/", f":{proxy.port}/")
    async with DatabaseManager(through, settings=settings) as manager:
        yield manager
        proxy.disarm()


@pytest.mark.parametrize("verb", VERBS)
async def test_lost_at_any_answer(
    db: DatabaseManager, lossy: DatabaseManager, proxy: Proxy, place: Place, verb: str
) -> None:
    """An error of ours, all or nothing, and the next call opens a new one."""
    lost = 0
    for k in range(1, 40):
        await lossy.fetch_value("SELECT 1")
        proxy.arm(k)
        error = await failure_of(VERBS[verb](lossy, k))
        reached = proxy.chunks
        proxy.disarm()
        assert error is None or isinstance(error, DatabaseError), error
        lost += error is not None
        if error is None and reached < k:
            break
    assert lost
    await assert_whole(lossy, place)
    await assert_whole(db, place)


@pytest.mark.parametrize(
    "verb", ["transaction", "execute_transaction", "run_transaction", "nested transaction"]
)
async def test_the_answer_to_commit_is_lost(
    db: DatabaseManager, lossy: DatabaseManager, proxy: Proxy, place: Place, verb: str
) -> None:
    """`OutcomeUnknown`; nothing is run a second time."""
    proxy.lose_answer_to(b"COMMIT")
    with pytest.raises(OutcomeUnknown):
        await VERBS[verb](lossy, 7)
    proxy.disarm()
    assert await db.fetch_value("SELECT count(*) FROM pair WHERE ident = 7") == 2
    await assert_whole(db, place)


async def test_run_transaction_repeats_no_unknown_outcome(
    db: DatabaseManager, lossy: DatabaseManager, proxy: Proxy
) -> None:
    """Though it may repeat as often as it likes."""
    tries = 0

    async def work(tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        await both_halves(tx, 1)

    proxy.lose_answer_to(b"COMMIT")
    with pytest.raises(OutcomeUnknown) as raised:
        await lossy.run_transaction(work, retries=50)
    proxy.disarm()
    assert (tries, raised.value.retryable, raised.value.sent) == (1, False, True)
    assert await db.fetch_value(COUNT) == 2


async def test_actions_run_although_the_answer_to_commit_is_lost(
    lossy: DatabaseManager, proxy: Proxy
) -> None:
    """It may be committed, and a cache that is not emptied would be wrong."""
    seen: list[str] = []
    proxy.lose_answer_to(b"COMMIT")
    with pytest.raises(OutcomeUnknown):
        async with lossy.transaction() as tx:
            tx.after_commit(lambda: seen.append("ran"))
            await both_halves(tx, 1)
    assert seen == ["ran"]


async def test_a_write_whose_answer_is_lost_is_not_repeated(
    db: DatabaseManager, lossy: DatabaseManager, proxy: Proxy
) -> None:
    """It was sent, says the error, and its rows are there once."""
    for n in range(5):
        proxy.lose_answer_to(b"INSERT")
        with pytest.raises(ConnectionLost) as raised:
            await lossy.execute(BOTH, (n, n))
        proxy.disarm()
        assert (raised.value.sent, raised.value.retryable) == (True, False)
    stored = await db.fetch_all("SELECT count(*) FROM pair GROUP BY ident")
    assert {row[0] for row in stored} <= {2}


async def test_lost_in_the_middle_of_a_result(lossy: DatabaseManager, proxy: Proxy, place: Place) -> None:
    """Rows that came are never taken for all of them."""
    await lossy.execute_many(ADD, [(n % 2 + 1, n // 2) for n in range(20_000)])
    for k in (2, 3):
        await lossy.fetch_value("SELECT 1")
        proxy.arm(k)
        with pytest.raises(ConnectionFailed):
            await lossy.fetch_all("SELECT half, ident FROM pair")
        proxy.disarm()
    await assert_whole(lossy, place)


def long_result(column: str) -> Any:
    """A query of 20 MB, more than fits into the buffers between the server and a reader that stops."""
    digits = " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10))
    tables = ", ".join(f"({digits}) AS t{n}" for n in range(4))
    return f"{column} AS a, '{'x' * 2000}' FROM {tables}"


async def test_lost_in_the_middle_of_a_stream(lossy: DatabaseManager, proxy: Proxy, place: Place) -> None:
    """It ends in an error, and not as if that were all."""
    seen = 0
    with pytest.raises(ConnectionFailed):
        async for _ in lossy.stream(long_result("SELECT 1"), batch_size=50):
            seen += 1
            if seen == 100:
                proxy.arm(1)
    proxy.disarm()
    assert 100 <= seen < 10_000
    await assert_whole(lossy, place)


async def test_a_session_killed_while_idle_is_replaced_without_a_word(
    db: DatabaseManager, case: EngineCase, place: Place
) -> None:
    """Nobody hears of it."""
    ask: Any = case["session"]
    for _ in range(5):
        session = await db.fetch_value(ask)
        await quiet(db, place)
        await asyncio.to_thread(place.kill, session)
        await asyncio.sleep(0.05)  # the loop has seen what the server has said
        assert await db.fetch_value(ask) != session


async def test_all_idle_sessions_are_killed(db: DatabaseManager, case: EngineCase, place: Place) -> None:
    """Each of many callers that come at once gets a new one."""
    ask: Any = case["session"]
    for _ in range(3):
        sessions = set(await asyncio.gather(*(db.fetch_value(ask) for _ in range(10))))
        await quiet(db, place)
        for session in sessions:
            await asyncio.to_thread(place.kill, session)
        await asyncio.sleep(0.05)  # the loop has seen what the server has said
        assert not sessions & set(await asyncio.gather(*(db.fetch_value(ask) for _ in range(10))))
    await assert_whole(db, place)


@pytest.mark.parametrize("at", ["statement", "commit", "nested", "stream", "the caller's error"])
async def test_a_session_killed_in_a_block_is_one_error(
    db: DatabaseManager, case: EngineCase, place: Place, at: str
) -> None:
    """`ConnectionLost`, since COMMIT was not sent; nothing is kept, and the next block works."""
    ask: Any = case["session"]
    with pytest.raises(LookupError if "caller" in at else ConnectionLost) as raised:
        async with db.transaction() as tx:
            await both_halves(tx, 1)
            await asyncio.to_thread(place.kill, await tx.fetch_value(ask))
            await asyncio.sleep(0.05)
            if at == "statement":
                await tx.fetch_value(COUNT)
            elif at == "nested":
                async with tx.transaction() as inner:
                    await both_halves(inner, 2)
            elif at == "stream":
                async for _ in tx.stream("SELECT half FROM pair"):
                    pass
            elif "caller" in at:
                raise LookupError
    assert not isinstance(raised.value, OutcomeUnknown)
    assert await db.fetch_value(COUNT) == 0
    await by_block(db, 3)
    await assert_whole(db, place)


async def test_a_session_killed_while_it_works_is_one_error(
    db: DatabaseManager, case: EngineCase, place: Place
) -> None:
    """Whoever waits for the answer hears of it, and nobody else does."""
    ask: Any = case["session"]
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        async with db.transaction(readonly=True) as tx:
            ready.set_result(await tx.fetch_value(ask))
            await tx.fetch_value(case.endless)

    task = asyncio.ensure_future(work())
    session = await ready
    await asyncio.sleep(0.05)
    await asyncio.to_thread(place.kill, session)
    with pytest.raises(ConnectionLost):
        await task
    await assert_whole(db, place)


async def test_a_session_killed_in_a_stream_ends_the_stream(
    db: DatabaseManager, case: EngineCase, place: Place
) -> None:
    """In an error, however many rows had come before."""
    seen = 0
    with pytest.raises(ConnectionFailed):
        async for row in db.stream(long_result(case["session"]), batch_size=10):
            seen += 1
            if seen == 20:
                await asyncio.to_thread(place.kill, row[0])
    assert 20 <= seen < 10_000
    await assert_whole(db, place)


@pytest.mark.parametrize("verb", ["fetch_value", "block"])
@pytest.mark.parametrize("steps", range(5))
async def test_a_call_at_any_moment_of_a_sessions_end(
    db: DatabaseManager, place: Place, steps: int, verb: str
) -> None:
    """Finds the connection lost, or another one in its place; there is no other error."""
    await asyncio.gather(*(db.fetch_value(COUNT) for _ in range(5)))
    place.end_sessions()
    for _ in range(steps):
        await asyncio.sleep(0)
    with contextlib.suppress(ConnectionLost):
        if verb == "fetch_value":
            assert await db.fetch_value(COUNT) == 0
        else:
            async with db.transaction() as tx:
                assert await tx.fetch_value(COUNT) == 0
    assert await db.fetch_value(COUNT) == 0
