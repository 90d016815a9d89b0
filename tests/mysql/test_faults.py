"""The server is frozen, killed or full: every call ends in time, and all is whole once it is back."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    AuthenticationFailed,
    CannotOpen,
    ConnectionFailed,
    ConnectionLost,
    DatabaseError,
    OutcomeUnknown,
    PoolTimeout,
    QueryTimeout,
    TooManyConnections,
)
from dal.settings import DatabaseSettings, Settings
from tests.mysql.conftest import ACCOUNT
from tests.servers import MariaDbServer

ADD = "INSERT INTO account (email) VALUES (?)"
COUNT = "SELECT count(*) FROM account"


async def test_a_frozen_server_keeps_nobody_waiting(own_server: MariaDbServer, settings: Settings) -> None:
    """Each call returns at its timeout, disconnect too; once the server goes on, so do the calls."""
    with own_server.database() as name:
        async with DatabaseManager(own_server.url(name), settings=settings) as db:
            await db.execute_script(ACCOUNT)
            own_server.freeze()
            assert await seconds(db.fetch_value("SELECT 1", timeout=0.3), QueryTimeout, PoolTimeout) < 0.6
            assert await seconds(limited(db.fetch_value("SELECT 1"), 0.3), TimeoutError) < 0.6
            assert await seconds(block(db, 0.3), QueryTimeout, PoolTimeout) < 0.6
            calls = [seconds(db.fetch_value(COUNT, timeout=0.3), DatabaseError) for _ in range(10)]
            assert max(await asyncio.gather(*calls)) < 0.8
            own_server.thaw()
            assert await db.fetch_value(COUNT, timeout=10) == 0


async def test_a_frozen_server_keeps_no_rollback_waiting(
    own_server: MariaDbServer, settings: Settings
) -> None:
    """The block's own error comes out in about a second; what it wrote is gone once the server is back."""
    with own_server.database() as name:
        async with DatabaseManager(own_server.url(name), settings=settings) as db:
            await db.execute_script(ACCOUNT)
            begun = 0.0
            with pytest.raises(LookupError):
                async with db.transaction() as tx:
                    await tx.execute(ADD, ("a",))
                    own_server.freeze()
                    begun = time.monotonic()
                    raise LookupError
            assert time.monotonic() - begun < 1.5
            own_server.thaw()
            assert await db.fetch_value(COUNT, timeout=10) == 0


async def test_commit_on_a_frozen_server(own_server: MariaDbServer, settings: Settings) -> None:
    """At the timeout of the block the outcome is unknown."""
    with own_server.database() as name:
        async with DatabaseManager(own_server.url(name), settings=settings) as db:
            await db.execute_script(ACCOUNT)
            with pytest.raises(OutcomeUnknown):
                async with db.transaction(timeout=0.5) as tx:
                    await tx.execute(ADD, ("a",))
                    own_server.freeze()
            own_server.thaw()
            assert await db.fetch_value(COUNT, timeout=10) in (0, 1)


async def test_disconnect_from_a_frozen_server_is_bounded(
    own_server: MariaDbServer, settings: Settings
) -> None:
    """Idle connections and one that runs; no task is left."""
    with own_server.database() as name:
        db = DatabaseManager(own_server.url(name), settings=settings)
        await db.connect()
        await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(3)))
        running = asyncio.ensure_future(db.fetch_value("SELECT sleep(60)"))
        await asyncio.sleep(0.1)
        own_server.freeze()
        begun = time.monotonic()
        await db.disconnect()
        assert time.monotonic() - begun < 10
        with pytest.raises(DatabaseError):
            await running
        own_server.thaw()


async def test_connecting_to_a_frozen_server_is_bounded(
    own_server: MariaDbServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server accepts, and says nothing."""
    monkeypatch.setattr("dal.engines.mysql.connection._OPEN_SECONDS", 0.5)
    own_server.freeze()
    assert (
        await seconds(DatabaseManager(own_server.url("mysql"), settings=settings).connect(), CannotOpen) < 2
    )
    own_server.thaw()


async def test_a_killed_server_that_comes_back(own_server: MariaDbServer, settings: Settings) -> None:
    """Errors only while it is away; what was acknowledged is there, nothing twice, the same tasks go on."""
    with own_server.database() as name:
        async with DatabaseManager(own_server.url(name), settings=settings) as db:
            await db.execute_script(ACCOUNT)
            acknowledged: set[str] = set()
            unknown: set[str] = set()
            back = asyncio.Event()
            after = [0] * 10

            async def work(worker: int) -> None:
                number = 0
                while after[worker] < 5:
                    number += 1
                    email = f"{worker} {number}"
                    try:
                        await db.execute(ADD, (email,), timeout=5)
                    except ConnectionFailed as error:
                        if error.sent:
                            unknown.add(email)
                        await asyncio.sleep(0.02)
                    else:
                        acknowledged.add(email)
                        after[worker] += back.is_set()

            tasks = [asyncio.ensure_future(work(worker)) for worker in range(10)]
            await asyncio.sleep(0.3)
            await asyncio.to_thread(own_server.kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(own_server.restart)
            back.set()
            async with asyncio.timeout(20):
                await asyncio.gather(*tasks)
            stored = [row[0] for row in await db.fetch_all("SELECT email FROM account")]
            assert len(stored) == len(set(stored))
            assert acknowledged <= set(stored) <= acknowledged | unknown


async def test_a_connection_killed_while_idle_is_replaced_without_a_word(
    server: MariaDbServer, db: DatabaseManager
) -> None:
    """Nobody hears of it."""
    for _ in range(5):
        ident = await db.fetch_value("SELECT connection_id()")
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.administer, f"KILL {ident}")
        assert await db.fetch_value("SELECT connection_id()") != ident


async def test_a_connection_killed_in_a_transaction_is_one_error(
    server: MariaDbServer, db: DatabaseManager
) -> None:
    """It says that the connection is lost; nothing is kept, and the next call works."""
    for commit in (False, True):
        with pytest.raises(ConnectionLost):
            async with db.transaction() as tx:
                await tx.execute(ADD, ("a",))
                ident = await tx.fetch_value("SELECT connection_id()")
                await asyncio.to_thread(server.administer, f"KILL {ident}")
                if not commit:
                    await tx.fetch_value("SELECT 1")
        assert await db.fetch_value(COUNT) == 0


async def test_a_server_that_is_full_says_so(own_server: MariaDbServer) -> None:
    """A class of its own, and worth another try."""
    own_server.administer("SET GLOBAL max_connections = 10")
    settings = Settings(database=DatabaseSettings(pool_size=30, max_overflow=0))
    with own_server.database() as name:
        async with DatabaseManager(own_server.url(name), settings=settings) as db:
            calls = [db.fetch_value("SELECT sleep(0.5)") for _ in range(20)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            failed = [result for result in results if isinstance(result, BaseException)]
            assert failed
            assert {type(error) for error in failed} == {TooManyConnections}
            assert all(isinstance(error, DatabaseError) and error.retryable for error in failed)
            assert await db.fetch_value("SELECT 1") == 1


async def test_the_wrong_password_the_wrong_database_and_nobody_there(
    server: MariaDbServer, settings: Settings
) -> None:
    """Told apart, at once, without the password."""
    server.administer("CREATE OR REPLACE USER someone@'%' IDENTIFIED BY 'right /@:?#%é'")
    address = f"127.0.0.1:{server.port}"
    cases = {
        f"mysql://someone:s3cret@{address}/mysql": AuthenticationFailed,
        f"mysql://root@{address}/nothing": CannotOpen,
        "mysql://root:s3cret@127.0.0.1:1/x": CannotOpen,
        "mysql://root:s3cret@localhost/x?socket=/nowhere": CannotOpen,
    }
    for url, kind in cases.items():
        with pytest.raises(kind) as raised:
            await DatabaseManager(url, settings=settings).connect()
        assert raised.value.sent is False
        assert "s3cret" not in str(raised.value) + repr(raised.value)
    url = f"mysql://someone:right%20%2F%40%3A%3F%23%25%C3%A9@{address}/information_schema"
    async with DatabaseManager(url, settings=settings) as db:
        assert await db.fetch_value("SELECT 1") == 1


async def test_pool_timeout_and_fairness(url: str) -> None:
    """With every connection busy a call waits no longer than its timeout; the first come is served first."""
    settings = Settings(database=DatabaseSettings(pool_size=2, max_overflow=0))
    async with DatabaseManager(url, settings=settings) as db:
        busy = [asyncio.ensure_future(db.fetch_value("SELECT sleep(0.6)")) for _ in range(2)]
        await asyncio.sleep(0.1)
        assert 0.15 < await seconds(db.fetch_value("SELECT 1", timeout=0.2), PoolTimeout) < 0.3
        await asyncio.gather(*busy)
        served = [0] * 20

        async def work(worker: int) -> None:
            while sum(served) < 400:
                await db.fetch_value("SELECT sleep(0.001)")
                served[worker] += 1

        await asyncio.gather(*(work(worker) for worker in range(20)))
        assert max(served) < 2 * min(served)


PROGRAM = """
import asyncio, sys
from dal.database import DatabaseManager
from dal.settings import Settings

async def main():
    db = DatabaseManager(sys.argv[1], settings=Settings())
    await db.connect()
    await db.fetch_value("SELECT 1")
    async with db.transaction() as tx:
        await tx.execute("CREATE TEMPORARY TABLE x (a INTEGER)")
        if sys.argv[2] == "exit":
            sys.exit(7)
    if sys.argv[2] == "stream":
        rows = db.stream("SELECT 1 UNION SELECT 2", batch_size=1)
        await anext(rows)

asyncio.run(main())
"""


@pytest.mark.parametrize(("how", "code"), [("forget", 0), ("exit", 7), ("stream", 0)])
async def test_a_program_that_forgets_to_disconnect_ends(url: str, how: str, code: int) -> None:
    """At once, with its own exit code, and without noise."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, url, how,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    async with asyncio.timeout(20):
        output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (code, b"", b"")


async def test_a_manager_that_is_dropped_makes_no_noise(url: str, settings: Settings) -> None:
    """Its sockets are closed with it."""
    db = DatabaseManager(url, settings=settings)
    await db.connect()
    await db.fetch_value("SELECT 1")
    await asyncio.sleep(0.1)
    await db.database.disconnect()
    del db
    gc.collect()
    await asyncio.sleep(0.05)
    gc.collect()


async def block(db: DatabaseManager, timeout: float) -> None:
    async with db.transaction(timeout=timeout) as tx:
        await tx.fetch_value("SELECT 1")


async def limited(call: Any, timeout: float) -> None:
    async with asyncio.timeout(timeout):
        await call


async def seconds(call: Any, *errors: type[BaseException]) -> float:
    """The time that *call* took to fail with one of *errors*."""
    begun = time.monotonic()
    with pytest.raises(errors):
        await call
    return time.monotonic() - begun
