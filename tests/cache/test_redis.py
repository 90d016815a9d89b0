"""The Redis store when the server or the network misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from dal.cache import CacheManager
from dal.errors import CacheError, CacheUnavailable, UsageError
from tests.cache.conftest import (
    IMPATIENT,
    PATIENT,
    RedisBackend,
    all_sent,
    client_of,
    ended_in_time,
    frozen,
    set_patience,
    sockets_to,
    store_of,
)
from tests.servers import RedisServer, free_port

LIMIT = "rate_limit:api:127.0.0.1"

CALLS: dict[str, Callable[[CacheManager], Awaitable[object]]] = {
    "get": lambda cache: cache.get("search:results:a"),
    "get session": lambda cache: cache.get("session:a"),
    "set": lambda cache: cache.set("search:results:a", 1),
    "set session": lambda cache: cache.set("session:a", {"a": 1}),
    "delete": lambda cache: cache.delete("search:results:a"),
    "increment": lambda cache: cache.increment(LIMIT),
}

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@contextlib.asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A port on which *serve* answers each connection."""
    tasks = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    port = free_port()
    server = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield port
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@every_call
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
async def test_frozen_server_is_unavailable_in_time(
    redis_server: RedisServer, call: Callable[[CacheManager], Awaitable[object]], warm: bool
) -> None:
    """A server that accepts and never answers costs a caller the timeout, with or without a connection."""
    async with CacheManager(f"{redis_server.url}?timeout={PATIENT}") as cache:
        if warm:
            await cache.get("search:results:a")
        with frozen(redis_server, cache):
            [result] = await ended_in_time(IMPATIENT, call(cache))
    assert isinstance(result, CacheUnavailable)
    assert f"within {IMPATIENT:g} s" in str(result)


async def test_waiting_for_a_turn_counts_against_the_timeout(redis_server: RedisServer) -> None:
    """A hundred calls to a frozen server all end within one timeout, waiting ones too."""
    async with CacheManager(f"{redis_server.url}?timeout={PATIENT}") as cache:
        with frozen(redis_server, cache):
            calls = (cache.get("search:results:a") for _ in range(100))
            results = await ended_in_time(IMPATIENT, *calls)
    assert {type(result) for result in results} == {CacheUnavailable}


async def test_thawed_server_is_used_again(redis_server: RedisServer) -> None:
    """After an outage calls work, and no answer of before is taken for one of now."""
    async with CacheManager(f"{redis_server.url}?timeout={PATIENT}") as cache:
        await cache.set("search:results:a", "a")
        await cache.set("search:results:b", "b")
        with frozen(redis_server, cache), pytest.raises(CacheUnavailable):
            await cache.get("search:results:a")
        assert await cache.get("search:results:b") == "b"


async def test_disconnect_from_a_frozen_server_ends(redis_server: RedisServer) -> None:
    """disconnect does not wait for a server that does not answer."""
    cache = CacheManager(f"{redis_server.url}?timeout={PATIENT}")
    await cache.connect()
    await cache.get("search:results:a")
    set_patience(store_of(cache), 10 * PATIENT)
    redis_server.freeze()
    try:
        call = asyncio.create_task(cache.get("search:results:a"))
        await all_sent(store_of(cache))
        async with asyncio.timeout(PATIENT):
            await cache.disconnect()
        with pytest.raises(CacheUnavailable, match="disconnected"):
            await call
        with pytest.raises(UsageError):
            await cache.get("search:results:a")
    finally:
        redis_server.thaw()


async def test_field_name_that_is_no_text_is_a_miss(redis: RedisBackend) -> None:
    """A hash of another program whose names are no UTF-8 is no session."""
    await redis.put("session:a", {b"\xff": b"1"})
    assert await redis.cache.get("session:a") is None


@every_call
async def test_no_server_is_unavailable(call: Callable[[CacheManager], Awaitable[object]]) -> None:
    """Where nobody listens the application comes up, and each call raises CacheUnavailable."""
    async with CacheManager(f"redis://127.0.0.1:{free_port()}?timeout={PATIENT}") as cache:
        with pytest.raises(CacheUnavailable, match="cannot be reached"):
            await call(cache)


@every_call
@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\xff\r\n", b"$5\r\nab"]
)
async def test_broken_answer_is_unavailable(
    call: Callable[[CacheManager], Awaitable[object]], answer: bytes
) -> None:
    """Whatever comes instead of an answer, the error is one of ours."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        await writer.drain()

    async with listening(serve) as port, CacheManager(f"redis://127.0.0.1:{port}?timeout={PATIENT}") as cache:
        with pytest.raises(CacheUnavailable):
            await call(cache)


async def test_connections_closed_while_idle_are_replaced(redis: RedisBackend) -> None:
    """A server that closed all idle connections causes no error."""
    await redis.cache.set("search:results:a", 1)
    await asyncio.gather(*(redis.cache.get("search:results:a") for _ in range(8)))
    await redis.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
    values = await asyncio.gather(*(redis.cache.get("search:results:a") for _ in range(8)))
    assert values == [1] * 8


async def test_more_callers_than_connections_all_get_theirs(redis: RedisBackend) -> None:
    """Five hundred calls at once are served over a bounded number of connections."""
    for number in range(10):
        await redis.cache.set(f"search:results:{number}", number)
    values = await asyncio.gather(*(redis.cache.get(f"search:results:{n % 10}") for n in range(500)))
    assert values == [n % 10 for n in range(500)]


async def test_cancelled_calls_mix_no_answers(redis: RedisBackend) -> None:
    """Cancelled calls end as cancelled, and those after them get their own answers."""
    for number in range(10):
        await redis.cache.set(f"search:results:{number}", number)
    cancelled = 0
    for steps in range(300):
        tasks = [asyncio.create_task(redis.cache.get(f"search:results:{n}")) for n in range(10)]
        for _ in range(steps % 15):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            cancelled += task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, result in enumerate(results):
            assert result == number or (number % 2 == 0 and isinstance(result, asyncio.CancelledError))
    assert cancelled > 100


async def test_lost_answer_to_an_increment_is_counted_once(
    redis_server: RedisServer, redis: RedisBackend
) -> None:
    """An increment whose answer is lost raises and is not repeated."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_client = await asyncio.open_connection("127.0.0.1", redis_server.port)
        try:
            while request := await reader.read(65536):
                from_client.write(request)
                answer = await to_server.read(65536)
                if b"INCR" in request:
                    return
                writer.write(answer)
        finally:
            from_client.close()

    async with listening(serve) as port, CacheManager(f"redis://127.0.0.1:{port}?timeout={PATIENT}") as cache:
        with pytest.raises(CacheUnavailable):
            await cache.increment(LIMIT)
    assert await redis.raw(LIMIT) == b"1"


async def test_counter_without_an_end_is_given_one(redis: RedisBackend) -> None:
    """A counter that another program left without a time to live gets the family's."""
    await redis.put(LIMIT, b"5")
    await redis.cache.increment(LIMIT)
    assert 0 < await redis.client.pttl(LIMIT) <= 60_000


async def test_refused_increment_leaves_the_key_alone(redis: RedisBackend) -> None:
    """A key of another type neither counts nor gets a time to live."""
    await redis.put(LIMIT, {b"a": b"1"})
    with pytest.raises(CacheError):
        await redis.cache.increment(LIMIT)
    assert await redis.client.pttl(LIMIT) == -1


async def test_refusal_quotes_no_key(redis_server: RedisServer, redis: RedisBackend) -> None:
    """A server's refusal, which repeats what it was sent, is not shown."""
    await redis.client.execute_command(  # type: ignore[no-untyped-call]
        "ACL", "SETUSER", "reader", "on", ">pw", "~other:*", "+@all"
    )
    async with CacheManager(f"redis://reader:pw@127.0.0.1:{redis_server.port}?timeout={PATIENT}") as cache:
        for call in CALLS.values():
            with pytest.raises(CacheError, match="refused") as raised:
                await call(cache)
            shown = "".join(traceback.format_exception(raised.value))
            assert not any(key in shown for key in ("'search:results:a'", "'session:a'", f"'{LIMIT}'"))


async def test_wrong_password_says_so_and_is_not_shown() -> None:
    """A refused login is told, without the password."""
    with RedisServer(password="right") as server:
        async with CacheManager(f"redis://:s3cr3t@127.0.0.1:{server.port}?timeout={PATIENT}") as cache:
            with pytest.raises(CacheUnavailable, match="refused the login") as raised:
                await cache.get("session:a")
    assert "s3cr3t" not in "".join(traceback.format_exception(raised.value))


async def test_right_password_is_accepted() -> None:
    """The password of the URL is used."""
    with RedisServer(password="s3cr3t") as server:
        async with CacheManager(f"{server.url}?timeout={PATIENT}") as cache:
            assert await cache.increment(LIMIT) == 1


async def test_server_that_repeats_the_login_does_not_show_it() -> None:
    """An answer that quotes the password, as old servers give, is not passed on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(b"-ERR unknown command 'HELLO', with args beginning with: 'AUTH' 's3cr3t'\r\n")

    async with (
        listening(serve) as port,
        CacheManager(f"redis://:s3cr3t@127.0.0.1:{port}?timeout={PATIENT}") as cache,
    ):
        with pytest.raises(CacheError) as raised:
            await cache.get("session:a")
    assert "s3cr3t" not in "".join(traceback.format_exception(raised.value))


async def test_certificate_is_checked(certificate: Path) -> None:
    """rediss:// refuses a server whose certificate is signed by nobody that is trusted."""
    with RedisServer(certificate=certificate) as server:
        async with CacheManager(f"{server.url}?timeout={PATIENT}") as cache:
            with pytest.raises(CacheUnavailable, match="cannot be reached"):
                await cache.get("session:a")


async def test_name_in_the_certificate_is_checked(certificate: Path) -> None:
    """rediss:// refuses a trusted certificate that is for another name."""
    with RedisServer(certificate=certificate) as server:
        async with CacheManager(
            f"rediss://localhost:{server.port}?timeout={PATIENT}&cafile={certificate}"
        ) as cache:
            with pytest.raises(CacheUnavailable, match="cannot be reached"):
                await cache.get("session:a")


async def test_trusted_certificate_is_accepted(certificate: Path) -> None:
    """rediss:// works with a certificate that cafile names."""
    with RedisServer(certificate=certificate) as server:
        async with CacheManager(f"{server.url}?timeout={PATIENT}&cafile={certificate}") as cache:
            assert await cache.increment(LIMIT) == 1


async def test_lanes_over_tls(certificate: Path) -> None:
    """Over TLS too a cancelled call mixes no answers, and nothing remains of a frozen server's sockets."""
    with RedisServer(certificate=certificate) as server:
        async with CacheManager(f"{server.url}?timeout=20&cafile={certificate}") as cache:
            await cache.set_many({f"search:results:{number}": number for number in range(10)})
            await cache.set("search:results:large", "x" * 1_000_000)
            for steps in range(100):
                tasks = [asyncio.create_task(cache.get(f"search:results:{n}")) for n in range(10)]
                for _ in range(steps % 20):
                    await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert results[1::2] == [1, 3, 5, 7, 9]
            server.freeze()
            call = asyncio.create_task(cache.get("search:results:0"))
            await all_sent(store_of(cache))
        assert not sockets_to(server.port)
        server.thaw()
        assert isinstance((await asyncio.gather(call, return_exceptions=True))[0], CacheUnavailable)


async def test_database_of_the_url_is_used(redis_server: RedisServer, redis: RedisBackend) -> None:
    """Two databases of one server are two caches."""
    async with (
        CacheManager(f"{redis_server.url}/1?timeout={PATIENT}") as cache,
        client_of(redis_server, db=1) as other,
    ):
        await cache.set("config:system:1", 1)
        assert (await other.exists("config:system:1"), await redis.cache.get("config:system:1")) == (1, None)


async def test_set_session_is_one_transaction(redis: RedisBackend) -> None:
    """A reader never sees a session without fields, or with those of two."""
    await redis.cache.set("session:a", {"a": 0, "b": 0})
    seen = []

    async def read() -> None:
        seen.extend([await redis.cache.get("session:a") for _ in range(200)])

    async def write() -> None:
        for number in range(200):
            await redis.cache.set("session:a", {"a": number, "b": number})

    await asyncio.gather(read(), write())
    assert all(session is not None and session["a"] == session["b"] for session in seen)
