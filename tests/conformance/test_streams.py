"""Streams: rows that come a batch at a time, however many there are."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    DatabaseError,
    DataError,
    ParameterError,
    QueryTimeout,
    TransactionError,
    UsageError,
)
from dal.settings import Settings
from tests.conformance.conftest import LetPass
from tests.engine_cases import EngineCase

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"
EMAILS = "SELECT email FROM account ORDER BY account_id"
MEGABYTE = 2**20


async def add(db: DatabaseManager, *names: str) -> None:
    await db.execute_many(ADD, [{"email": name} for name in names])


def memory_in_use() -> int:
    """The bytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_stream_yields_every_row_in_order(db: DatabaseManager) -> None:
    """Across several batches, none lost and none twice."""
    await add(db, *(f"{n:03}" for n in range(50)))
    streamed = [row["email"] async for row in db.stream(EMAILS, batch_size=7)]
    assert streamed == [f"{n:03}" for n in range(50)]


async def test_other_verbs_work_during_a_stream(db: DatabaseManager) -> None:
    """Reads, writes and further streams, all while the first is open."""
    await add(db, "a", "b", "c")
    seen = 0
    async for row in db.stream(EMAILS, batch_size=1):
        seen += 1
        await db.execute("UPDATE account SET balance = balance + 1 WHERE email = ?", (row["email"],))
        async for _ in db.stream(EMAILS, batch_size=1):
            assert await db.fetch_value(COUNT) == 3
    assert seen == 3
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 3


async def test_a_stream_left_early_gives_its_connection_back(db: DatabaseManager) -> None:
    """Far more abandoned streams than there are connections."""
    await add(db, "a", "b", "c")
    for _ in range(60):
        async with aclosing(db.stream(EMAILS, batch_size=1)) as rows:
            async for _row in rows:
                break
    assert await db.fetch_value(COUNT) == 3


async def test_a_stream_of_a_write_returns_its_rows(db: DatabaseManager) -> None:
    """INSERT ... RETURNING may be streamed; it runs once."""
    sql = "INSERT INTO account (email) VALUES ('a'), ('b'), ('c') RETURNING email"
    assert sorted([row["email"] async for row in db.stream(sql, batch_size=2)]) == ["a", "b", "c"]
    assert await db.fetch_value(COUNT) == 3


async def test_a_stream_inside_a_transaction_keeps_other_verbs_out(db: DatabaseManager) -> None:
    """On a transaction's one connection they would mix; afterwards they work."""
    await add(db, "a", "b")
    async with db.transaction() as tx:
        async with aclosing(tx.stream(EMAILS, batch_size=1)) as rows:
            async for _ in rows:
                with pytest.raises(TransactionError, match="stream"):
                    await tx.fetch_value(COUNT)
                break
        assert await tx.fetch_value(COUNT) == 2


@pytest.mark.timeout(600)
async def test_a_million_rows_take_the_memory_of_one_batch(db: DatabaseManager, case: EngineCase) -> None:
    """All of them come, in order, in less than twenty megabytes."""
    expected, before, most = 0, 0, 0
    async for (n,) in db.stream(case["numbers"].format(count=1_000_000), batch_size=5000):
        expected += 1
        assert n == expected
        if n % 50_000 == 0:
            most = max(most, memory_in_use())
            before = before or most  # from here on every batch is like the last one
    assert expected == 1_000_000
    assert most - before < 20 * MEGABYTE


def failing_at(n: int, case: EngineCase) -> str:
    """Ten thousand numbers, of which the *n*-th has no absolute value in 64 bits."""
    value = f"CASE WHEN n = {n} THEN abs(-9223372036854775807 - (n - {n - 1})) ELSE n END"
    return f"SELECT {value} AS value FROM ({case['numbers'].format(count=10_000)}) AS t"


async def test_a_row_that_fails_ends_its_stream_after_those_before_it(
    db: DatabaseManager, case: EngineCase
) -> None:
    """With a typed error, not with the end of the rows."""
    seen = 0
    with pytest.raises(DataError):
        async for (value,) in db.stream(failing_at(5000, case), batch_size=100):
            seen += 1
            assert value == seen
    assert 4900 <= seen < 5000


async def test_streams_that_fail_halfway_cost_no_connection(db: DatabaseManager, case: EngineCase) -> None:
    """Far more of them than there are connections, several at a time."""

    async def fail() -> None:
        async for _ in db.stream(failing_at(1000, case), batch_size=100):
            pass

    results = await asyncio.gather(*(fail() for _ in range(12)), return_exceptions=True)
    assert [type(result) for result in results] == [DataError] * 12
    async with asyncio.timeout(60):
        assert await asyncio.gather(*(db.fetch_value(COUNT) for _ in range(10))) == [0] * 10


async def test_a_stream_that_fails_halfway_fails_its_block(db: DatabaseManager, case: EngineCase) -> None:
    """What the block wrote before is undone, although rows had come."""
    with pytest.raises(DataError):
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "lost"})
            async for _ in tx.stream(failing_at(1000, case), batch_size=100):
                pass
    assert await db.fetch_value(COUNT) == 0


async def test_two_streams_at_once_keep_to_their_own_rows(db: DatabaseManager, case: EngineCase) -> None:
    """Read in turns, a row of each, with batches of different sizes."""
    numbers = case["numbers"].format(count=300)
    async with (
        aclosing(db.stream(numbers, batch_size=7)) as first,
        aclosing(db.stream(f"SELECT n + 1000 AS n FROM ({numbers}) AS t", batch_size=11)) as second,
    ):
        pairs = [((await anext(first))["n"], (await anext(second))["n"]) for _ in range(300)]
    assert pairs == [(n, n + 1000) for n in range(1, 301)]


async def test_a_stream_shows_the_rows_of_its_beginning(db: DatabaseManager) -> None:
    """What is written while it is open, row by row, never comes into it."""
    await add(db, *(f"{n:03}" for n in range(40)))
    seen = []
    async for row in db.stream(EMAILS, batch_size=5):
        seen.append(row["email"])
        await db.execute(ADD, {"email": f"later {row['email']}"})
    assert seen == [f"{n:03}" for n in range(40)]
    assert await db.fetch_value(COUNT) == 80


async def test_a_stream_in_a_block_sees_what_the_block_wrote(db: DatabaseManager) -> None:
    """And nobody else does, until it commits."""
    async with db.transaction() as tx:
        await tx.execute_many(ADD, [{"email": "a"}, {"email": "b"}])
        assert [row["email"] async for row in tx.stream(EMAILS, batch_size=1)] == ["a", "b"]
        assert [row async for row in db.outside().stream(EMAILS)] == []


async def test_a_stream_of_a_write_without_rows_runs_it_once(db: DatabaseManager) -> None:
    """It yields nothing, and what it wrote is committed."""
    assert [row async for row in db.stream(ADD, {"email": "a"})] == []
    assert await db.fetch_value(COUNT) == 1


async def test_a_stream_checks_its_parameters_before_it_begins(db: DatabaseManager) -> None:
    """A wrong name, a wrong count, a value that no engine stores."""
    with pytest.raises(ParameterError, match="low"):
        await anext(db.stream("SELECT email FROM account WHERE email > :low", {"lo": "a"}))
    with pytest.raises(ParameterError, match="1"):
        await anext(db.stream("SELECT email FROM account WHERE email > ?", ()))
    with pytest.raises(DataError) as raised:
        await anext(db.stream("SELECT email FROM account WHERE email > ?", ("\0",)))
    assert raised.value.sent is False


async def test_a_stream_that_is_never_read_costs_nothing(db: DatabaseManager) -> None:
    """Not a connection, and no statement is run."""
    streams = [db.stream(ADD, {"email": f"{n}"}) for n in range(20)]
    assert await db.fetch_value(COUNT) == 0
    for stream in streams:
        await stream.aclose()
    assert await db.fetch_value(COUNT) == 0


async def test_the_timeout_of_a_stream_is_for_each_batch(db: DatabaseManager, let_pass: LetPass) -> None:
    """A caller who takes longer over the rows than the timeout still gets all of them."""
    await add(db, "a", "b", "c", "d")
    seen = []
    async for row in db.stream(EMAILS, batch_size=1, timeout=1000):
        seen.append(row["email"])
        await let_pass(600)
    assert seen == ["a", "b", "c", "d"]


@pytest.mark.usefixtures("time_flies")
async def test_a_batch_that_does_not_come_ends_its_stream_at_the_timeout(
    db: DatabaseManager, case: EngineCase
) -> None:
    """The statement is stopped on the server, and the connection is there again."""
    for _ in range(7):
        with pytest.raises(QueryTimeout):
            await anext(db.stream(case.endless, timeout=1000))
    async with asyncio.timeout(60):
        assert await asyncio.gather(*(db.fetch_value(COUNT) for _ in range(10))) == [0] * 10


async def test_a_stream_needs_a_connected_manager(url: str, settings: Settings) -> None:
    """Before connect and after disconnect, at its first row."""
    db = DatabaseManager(url, settings=settings)
    with pytest.raises(UsageError, match="connect"):
        await anext(db.stream("SELECT 1"))
    async with db:
        late = db.stream("SELECT 1")
    with pytest.raises(UsageError, match="connect"):
        await anext(late)


async def test_a_stream_keeps_two_columns_of_one_name(db: DatabaseManager) -> None:
    """Like every other verb: by position both, by name an error."""
    rows = [row async for row in db.stream("SELECT 1 AS a, 2 AS a")]
    assert [list(row) for row in rows] == [[1, 2]]
    with pytest.raises(KeyError, match="several columns"):
        rows[0]["a"]


async def test_a_refused_stream_is_told_at_its_first_row(db: DatabaseManager) -> None:
    """By class; once it has failed it is over."""
    stream = db.stream("SELECT absent FROM account")
    with pytest.raises(DatabaseError):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
