"""PostgreSQL through pgbouncer in transaction mode, told so by ``statement_cache=0``.

Its clients share two sessions: each transaction may find itself in another one than the last, and what it
leaves there is found by whoever comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime

import pytest

from dal.database import DatabaseManager
from dal.errors import DataError, PoolTimeout, QueryTimeout, StatementRefused, UniqueViolation
from dal.settings import DatabaseSettings, Settings
from tests.postgresql.conftest import ACCOUNT
from tests.servers import PgBouncer, PostgresServer

ADD = "INSERT INTO account (email, balance) VALUES (:email, :balance)"
COUNT = "SELECT count(*) FROM account"
SESSION = "SELECT pg_backend_pid()"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def bouncer(server: PostgresServer) -> Iterator[PgBouncer]:
    """It leaves the sessions as its clients left them, as it comes."""
    with PgBouncer(server) as running:
        yield running


@pytest.fixture
def url(server: PostgresServer, bouncer: PgBouncer) -> Iterator[str]:
    """The URL of an empty database behind it."""
    with server.database() as name:
        yield bouncer.url(name)


@pytest.fixture
async def clients(url: str) -> AsyncIterator[list[DatabaseManager]]:
    """Three managers of several connections each; there is the table ``account``."""
    settings = Settings(database=DatabaseSettings(pool_size=3, max_overflow=2))
    async with AsyncExitStack() as stack:
        found = [await stack.enter_async_context(DatabaseManager(url, settings=settings)) for _ in range(3)]
        await found[0].execute_script(ACCOUNT)
        yield found


async def test_every_verb_works_in_shared_sessions(clients: list[DatabaseManager]) -> None:
    """Many tasks of three clients, all at once, for two sessions."""
    sessions: set[int] = set()

    async def work(db: DatabaseManager, name: str) -> None:
        assert await db.execute(ADD, {"email": name, "balance": 1}) == 1
        found = await db.fetch_one("SELECT email, balance FROM account WHERE email = :email", {"email": name})
        assert found is not None
        assert tuple(found) == (name, 1)
        await db.execute_many(ADD, [{"email": f"{name} {n}", "balance": n} for n in range(600)])
        rows = await db.fetch_all("SELECT balance FROM account WHERE email LIKE ? ORDER BY 1", (f"{name} %",))
        assert [row[0] for row in rows] == list(range(600))
        streamed = db.stream("SELECT balance FROM account WHERE email LIKE ?", (f"{name} %",), batch_size=100)
        assert sum([row[0] async for row in streamed]) == sum(range(600))
        await db.execute_transaction([(ADD, {"email": f"{name} x{n}", "balance": n}) for n in range(3)])
        await db.execute_script("SELECT 1; SELECT 2")
        async with db.transaction(isolation="read committed") as tx:
            sessions.add(await tx.fetch_value(SESSION))
            async with tx.transaction() as inner:
                await inner.execute("UPDATE account SET balance = 7 WHERE email = ?", (name,))
            assert await tx.fetch_value("SELECT balance FROM account WHERE email = ?", (name,)) == 7

    await asyncio.gather(*(work(db, f"{k} {n}") for k, db in enumerate(clients) for n in range(3)))
    assert await clients[0].fetch_value(COUNT) == 9 * 604
    assert 1 <= len(sessions) <= 2


async def test_nothing_stays_prepared(clients: list[DatabaseManager]) -> None:
    """So that no name is there already when another client comes."""
    for _ in range(3):
        await asyncio.gather(*(db.fetch_value(COUNT) for db in clients for _ in range(5)))
    names = "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''"
    assert set(await asyncio.gather(*(db.fetch_value(names) for db in clients for _ in range(5)))) == {0}


async def test_values_and_their_types_pass(clients: list[DatabaseManager]) -> None:
    """Codecs of the library's own, and types that the driver asks the catalog for."""
    db = clients[0]
    await db.execute_script(
        "CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE TABLE t (m mood, at timestamptz, j jsonb)"
    )
    jit = "SELECT current_setting('jit')"
    before = set(await asyncio.gather(*(c.fetch_value(jit) for c in clients for _ in range(4))))
    every = (c.fetch_value("SELECT cast('sad' AS mood), pg_sleep(0.01)") for c in clients for _ in range(5))
    assert set(await asyncio.gather(*every)) == {"sad"}
    for client in clients:
        await client.execute_many(
            "INSERT INTO t (m, at, j) VALUES (?, ?, '[1]')", [("happy", NOON), ("sad", NOON)]
        )
        rows = await client.fetch_all("SELECT m, array[m] AS ms, at, j FROM t ORDER BY m LIMIT 1")
        assert [tuple(row) for row in rows] == [("happy", ["happy"], NOON, [1])]
    assert set(await asyncio.gather(*(c.fetch_value(jit) for c in clients for _ in range(4)))) == before


async def test_every_client_keeps_the_settings_that_it_asked_for(clients: list[DatabaseManager]) -> None:
    """The server's own time zone is another one; sending a RESET would bring that back."""
    zone = "SELECT current_setting('TimeZone') || current_setting('standard_conforming_strings')"
    for _ in range(3):
        found = await asyncio.gather(*(db.fetch_value(zone) for db in clients for _ in range(4)))
        assert set(found) == {"UTCon"}


async def test_what_a_block_sets_ends_with_it(clients: list[DatabaseManager]) -> None:
    """SET LOCAL, a lock of the transaction, a temporary table that is dropped at COMMIT."""
    state = (
        "SELECT current_setting('work_mem') || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        " || coalesce(to_regclass('pg_temp.scratch')::text, '')"
    )
    before = await clients[0].fetch_value(state)
    for db in clients:
        async with db.transaction() as tx:
            await tx.execute("SET LOCAL work_mem = '7MB'")
            await tx.fetch_value("SELECT pg_advisory_xact_lock(7)")
            await tx.execute("CREATE TEMPORARY TABLE scratch (n int) ON COMMIT DROP")
            assert (await tx.fetch_value(state)).startswith("7MB1")
    found = await asyncio.gather(*(db.fetch_value(state) for db in clients for _ in range(4)))
    assert set(found) == {before}


@pytest.mark.parametrize(
    "sql", ["SET work_mem = '7MB'", "set session work_mem to '7MB'", "RESET ALL", "LISTEN news", "LOAD 'x'"]
)
async def test_what_would_change_a_shared_session_is_refused(
    clients: list[DatabaseManager], sql: str
) -> None:
    """By db and in a block; nothing was sent."""
    text: str = sql
    with pytest.raises(StatementRefused, match="SET LOCAL"):
        await clients[0].execute(text)
    with pytest.raises(StatementRefused, match="SET LOCAL"):
        async with clients[0].transaction() as tx:
            await tx.execute(text)


async def test_a_session_that_pgbouncer_cleans_keeps_nothing(server: PostgresServer) -> None:
    """Functions set things too, and locks of the session stay: ``server_reset_query_always`` ends them."""
    setting = "SELECT set_config('work_mem', '7MB', false), pg_advisory_lock(7)"
    state = "SELECT current_setting('work_mem'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
    with ExitStack() as stack:
        found = {}
        for always in ("0", "1"):
            options = {"server_reset_query_always": always, "default_pool_size": "1"}
            bouncer = stack.enter_context(PgBouncer(server, options))
            name = stack.enter_context(server.database())
            async with (
                DatabaseManager(bouncer.url(name), settings=Settings()) as one,
                DatabaseManager(bouncer.url(name), settings=Settings()) as other,
            ):
                await one.fetch_all(setting)
                row = await other.fetch_one(state)
                assert row is not None
                found[always] = tuple(row)
                assert await other.fetch_value("SELECT current_setting('TimeZone')") == "UTC"
    assert found["0"] == ("7MB", 1)
    assert found["1"][0] != "7MB"
    assert found["1"][1] <= 1  # that of the first database may be there still


async def test_errors_leave_every_session_usable(clients: list[DatabaseManager]) -> None:
    """Those of the server, values that are refused, timeouts and cancellations."""
    await clients[0].execute(ADD, {"email": "a", "balance": 1})
    for db in clients:
        with pytest.raises(UniqueViolation):
            await db.execute(ADD, {"email": "a", "balance": 1})
        with pytest.raises(UniqueViolation):
            await db.execute_many(ADD, [{"email": f"{n % 999}", "balance": n} for n in range(1000)])
        for _ in range(3):  # as many as there are sessions, and one more
            with pytest.raises(DataError):
                await db.execute(ADD, {"email": "b", "balance": 2**40})
        with pytest.raises((QueryTimeout, PoolTimeout)):  # a new connection may take that long
            await db.fetch_value("SELECT pg_sleep(30)", timeout=0.2)
        task = asyncio.ensure_future(db.fetch_value("SELECT pg_sleep(30)"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(LookupError):
            async with db.transaction() as tx:
                await tx.execute(ADD, {"email": "c", "balance": 1})
                raise LookupError
    for db in clients[:2]:  # a statement that is prepared and not run holds its session
        with pytest.raises(DataError):
            await db.execute(ADD, {"email": "b", "balance": 2**40})
    assert await clients[2].fetch_value(COUNT, timeout=60) == 1
    found = await asyncio.gather(*(db.fetch_value(COUNT, timeout=60) for db in clients for _ in range(4)))
    assert set(found) == {1}


async def test_the_database_beside_the_verbs_works(clients: list[DatabaseManager]) -> None:
    """`databases` on connections of its own, whose time limit pgbouncer would refuse as a setting."""
    database = clients[0].database
    for n in range(5):
        await database.execute("INSERT INTO account (email) VALUES (:email)", {"email": f"{n}"})
    assert await clients[1].fetch_value(COUNT) == 5
