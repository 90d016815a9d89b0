"""A server that is frozen, killed or full: bounded waiting, typed errors, and recovery by itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    AuthenticationFailed,
    CannotOpen,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    DatabaseError,
    OutcomeUnknown,
    QueryTimeout,
    TooManyConnections,
    UsageError,
)
from dal.settings import DatabaseSettings, Settings
from tests.servers import PostgresServer


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


async def elapsed(work: Awaitable[Any]) -> float:
    begun = asyncio.get_running_loop().time()
    await work
    return asyncio.get_running_loop().time() - begun


async def by_block(db: DatabaseManager) -> None:
    async with db.transaction(timeout=0.3) as tx:
        await tx.fetch_value("SELECT 1")


async def by_stream(db: DatabaseManager) -> None:
    async for _ in db.stream("SELECT 1", timeout=0.3):
        pass


CALLS: dict[str, Callable[[DatabaseManager], Awaitable[Any]]] = {
    "execute": lambda db: db.execute("UPDATE t SET a = 1", timeout=0.3),
    "fetch_value": lambda db: db.fetch_value("SELECT 1", timeout=0.3),
    "execute_many": lambda db: db.execute_many("INSERT INTO t VALUES (?)", [(1,)] * 50_000, timeout=0.3),
    "execute_script": lambda db: db.execute_script("INSERT INTO t VALUES (1)", timeout=0.3),
    "execute_transaction": lambda db: db.execute_transaction([("SELECT 1", ())], timeout=0.3),
    "transaction": by_block,
    "stream": by_stream,
}


async def test_every_call_returns_within_its_timeout_from_a_frozen_server(
    own_server: PostgresServer, settings: Settings
) -> None:
    """More calls than connections, so new ones cannot be opened either; then all is well again."""
    async with DatabaseManager(own_server.url("postgres"), settings=settings) as db:
        await db.execute("CREATE TABLE t (a integer)")
        with frozen(own_server):
            for call in CALLS.values():
                with pytest.raises(TimeoutError):
                    await call(db)
                assert await elapsed(_timed_out(call, db)) < 0.6
        async with asyncio.timeout(15):
            assert await db.fetch_value("SELECT 1") == 1


async def _timed_out(call: Callable[[DatabaseManager], Awaitable[Any]], db: DatabaseManager) -> None:
    with pytest.raises(TimeoutError):
        await call(db)


async def test_a_cancelled_block_is_free_at_once_from_a_frozen_server(
    own_server: PostgresServer, settings: Settings
) -> None:
    """In a statement at once; between two of them within the second that a rollback is waited for."""
    async with DatabaseManager(own_server.url("postgres"), settings=settings) as db:
        for statement in ("SELECT pg_sleep(10)", None):
            ready = asyncio.Event()

            async def block(text: Any = statement, ready: asyncio.Event = ready) -> None:
                async with db.transaction() as tx:
                    await tx.fetch_value("SELECT 1")
                    ready.set()
                    await (tx.fetch_value(text) if text else asyncio.sleep(10))

            task = asyncio.ensure_future(block())
            await ready.wait()
            await asyncio.sleep(0.05)
            with frozen(own_server):
                task.cancel()
                assert await elapsed(asyncio.wait([task])) < (0.2 if statement else 1.3)
                assert task.cancelled()


async def test_disconnect_from_a_frozen_server_is_bounded(
    own_server: PostgresServer, settings: Settings
) -> None:
    """With connections that are idle, in a call, and in a block that is open still."""
    db = DatabaseManager(own_server.url("postgres"), settings=settings)
    await db.connect()
    with pytest.raises(UsageError):  # the block cannot commit any more
        async with db.transaction():
            call = asyncio.ensure_future(db.outside().fetch_value("SELECT pg_sleep(60)"))
            await asyncio.sleep(0.3)
            with frozen(own_server):
                assert await elapsed(db.disconnect()) < 10
                with pytest.raises(ConnectionFailed):
                    await call


async def test_tasks_recover_by_themselves_after_the_server_was_killed(
    own_server: PostgresServer, settings: Settings
) -> None:
    """Errors of ours only, what was acknowledged is there, nothing was repeated behind the caller's back."""
    acknowledged: list[int] = []
    unknown: set[int] = set()
    stop = asyncio.Event()

    async def work(db: DatabaseManager, worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            ident = worker * 1_000_000 + number
            try:
                await db.execute("INSERT INTO t VALUES (?)", (ident,), timeout=2)
                acknowledged.append(ident)
            except DatabaseError as error:
                if error.sent:
                    unknown.add(ident)
                await asyncio.sleep(0.02)

    async with DatabaseManager(own_server.url("postgres"), settings=settings) as db:
        await db.execute("CREATE TABLE t (a bigint)")
        tasks = [asyncio.create_task(work(db, worker)) for worker in range(1, 9)]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(own_server.kill)
        await asyncio.sleep(0.3)
        before = len(acknowledged)
        await asyncio.to_thread(own_server.restart)
        async with asyncio.timeout(20):
            while len(acknowledged) < before + 400:
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*tasks)
        rows = [row[0] for row in await db.fetch_all("SELECT a FROM t")]
    assert len(rows) == len(set(rows))
    assert set(acknowledged) <= set(rows) <= set(acknowledged) | unknown


async def test_a_connection_killed_while_idle_is_replaced_without_a_word(
    url: str, settings: Settings
) -> None:
    """The caller notices nothing."""
    async with DatabaseManager(url, settings=settings) as db:
        for _ in range(3):
            await db.fetch_value("SELECT 1")
            await db.fetch_value(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(0.05)
            assert await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(4))) == [1] * 4


async def test_a_connection_killed_inside_a_block_costs_one_error(url: str, settings: Settings) -> None:
    """`ConnectionLost` at the statement, or at COMMIT where it was not sent; the next block works."""
    async with DatabaseManager(url, settings=settings) as db:
        for statement in (True, False):
            with pytest.raises(ConnectionLost) as raised:
                async with db.transaction() as tx:
                    pid = await tx.fetch_value("SELECT pg_backend_pid()")
                    await db.outside().fetch_value("SELECT pg_terminate_backend(:pid)", {"pid": pid})
                    await asyncio.sleep(0.05)
                    if statement:
                        await tx.fetch_value("SELECT 1")
            assert not isinstance(raised.value, OutcomeUnknown)
        async with db.transaction() as tx:
            assert await tx.fetch_value("SELECT 1") == 1


async def test_a_connection_killed_during_a_call_is_lost(url: str, settings: Settings) -> None:
    """With the server's own code."""
    async with DatabaseManager(url, settings=settings) as db:
        call = asyncio.ensure_future(db.fetch_value("SELECT pg_sleep(10)"))
        await asyncio.sleep(0.1)
        await db.fetch_value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE query LIKE '%sleep(10)%' AND pid <> pg_backend_pid()"
        )
        with pytest.raises(ConnectionLost) as raised:
            await call
        assert raised.value.code == "57P01"


async def test_a_server_that_is_full_says_so(settings: Settings) -> None:
    """`TooManyConnections`, which is retryable and was not sent; calls on open connections go on."""
    with PostgresServer(options={"max_connections": "5", "superuser_reserved_connections": "0"}) as full:
        large = Settings(database=DatabaseSettings(pool_size=10))
        async with DatabaseManager(full.url("postgres"), settings=large) as db:
            results = await asyncio.gather(
                *(db.fetch_value("SELECT pg_sleep(0.2)") for _ in range(12)), return_exceptions=True
            )
            errors = [result for result in results if isinstance(result, DatabaseError)]
            assert errors
            assert {type(error) for error in errors} == {TooManyConnections}
            assert all(error.retryable and not error.sent for error in errors)
            assert await db.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda url: url.replace("/postgres", "/absent"), CannotOpen),
        (lambda url: url.replace("postgres@", "nobody@"), AuthenticationFailed),
        (lambda url: url.rsplit(":", 1)[0] + ":19999/postgres", CannotOpen),
        (lambda url: url.replace("127.0.0.1", "host.invalid") + "?tls=off", CannotOpen),
        (lambda url: "postgresql://u@/d?host=/nowhere", CannotOpen),
        (lambda url: url + "?tls=on", CannotOpen),
    ],
    ids=["database", "user", "port", "host", "socket", "TLS"],
)
async def test_a_server_that_cannot_be_used_is_told_at_connect(
    server: PostgresServer, settings: Settings, change: Callable[[str], str], error: type[Exception]
) -> None:
    """By class, with nothing left behind, and again at the next try."""
    db = DatabaseManager(change(server.url("postgres")), settings=settings)
    for _ in range(2):
        with pytest.raises(error) as raised:
            await db.connect()
        assert isinstance(raised.value, DatabaseError)
        assert raised.value.sent is False


async def test_a_database_of_another_encoding_is_refused(server: PostgresServer, settings: Settings) -> None:
    """It could not hold every text."""
    server.administer("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(ConfigurationError, match="UTF8"):
        await DatabaseManager(server.url("latin"), settings=settings).connect()


@pytest.mark.parametrize("ending", ["", "raise LookupError", "sys.exit(3)"])
def test_a_process_that_never_disconnects_ends_without_noise(server: PostgresServer, ending: str) -> None:
    """In a transaction, with a call that was cancelled, by return, by an error or by SystemExit."""
    program = f"""
import asyncio, sys
from dal.database import DatabaseManager
from dal.settings import Settings

async def main():
    db = DatabaseManager({server.url("postgres")!r}, settings=Settings())
    await db.connect()
    await db.fetch_value("SELECT 1")
    await db.database.fetch_val("SELECT 1")
    try:
        await db.fetch_value("SELECT pg_sleep(10)", timeout=0.1)
    except TimeoutError:
        pass
    block = db.transaction()
    tx = await block.__aenter__()
    await tx.fetch_value("SELECT 1")
    {ending}

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False
    )
    assert [line for line in done.stderr.splitlines() if "Traceback" in line] == [
        "Traceback (most recent call last):"
    ] * ("raise" in ending)
    assert "Warning" not in done.stderr
    assert "pending" not in done.stderr
    assert done.returncode == {"": 0, "raise LookupError": 1, "sys.exit(3)": 3}[ending]


async def test_a_timeout_in_a_block_stops_the_statement(url: str, settings: Settings) -> None:
    """The server runs it no longer."""
    async with DatabaseManager(url, settings=settings) as db:
        with pytest.raises(QueryTimeout):
            async with db.transaction(timeout=0.3) as tx:
                await tx.fetch_value("SELECT pg_sleep(10)")
        async with asyncio.timeout(1):
            while await db.fetch_value(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(10)%' AND state <> 'idle' "
                "AND datname = current_database() AND pid <> pg_backend_pid()"
            ):
                await asyncio.sleep(0.01)
