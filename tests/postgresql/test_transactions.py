"""Blocks, batches and streams on PostgreSQL: levels, waiting for oneself, memory, and one round trip."""

from __future__ import annotations

import asyncio
import resource
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines.postgresql.connection import Connection
from dal.errors import (
    OutcomeUnknown,
    QueryTimeout,
)
from dal.queries import load_queries
from dal.settings import DatabaseSettings, Settings
from tests.clock import Clock

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"


def small(size: int, **more: Any) -> Settings:
    return Settings(database=DatabaseSettings(pool_size=size, max_overflow=0, **more))


@pytest.mark.parametrize("level", ["serializable", "repeatable read", "read committed"])
async def test_a_block_has_the_level_that_it_asks_for(db: DatabaseManager, level: Any) -> None:
    """Serializable unless it asks."""
    async with db.transaction(isolation=level) as tx:
        assert await tx.fetch_value("SELECT current_setting('transaction_isolation')") == level
    async with db.transaction() as tx:
        assert await tx.fetch_value("SELECT current_setting('transaction_isolation')") == "serializable"
    async with db.transaction(readonly=True) as tx:
        assert await tx.fetch_value("SELECT current_setting('transaction_read_only')") == "on"


async def test_a_commit_that_takes_too_long_has_an_unknown_outcome(
    db: DatabaseManager, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deferred trigger runs in it; its after_commit actions run, since it may be committed."""
    await db.execute_script(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); "
        "RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON account "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    run_text = Connection.run_text

    async def watched(self: Connection, text: str) -> str:
        if text.startswith("COMMIT"):
            asyncio.get_running_loop().call_later(0.1, clock.forward, 2000)
        return await run_text(self, text)

    monkeypatch.setattr(Connection, "run_text", watched)
    seen: list[str] = []
    with pytest.raises(OutcomeUnknown):
        async with db.transaction(timeout=1000) as tx:
            tx.after_commit(lambda: seen.append("ran"))
            await tx.execute(ADD, {"email": "a"})
    assert seen == ["ran"]
    assert await db.fetch_value(COUNT) in (0, 1)


@pytest.mark.timeout(600)
async def test_a_million_rows_stream_in_constant_memory(db: DatabaseManager) -> None:
    """Less than 20 MiB more than before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 0
    async with aclosing(
        db.stream("SELECT g, repeat('x', 50) FROM generate_series(1, 1000000) AS g", batch_size=2000)
    ) as rows:
        async for _ in rows:
            count += 1
    assert count == 1_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024


async def test_a_stream_reads_no_more_than_it_is_asked_for(db: DatabaseManager) -> None:
    """The first rows come long before the last could."""
    async with (
        asyncio.timeout(60),
        aclosing(db.stream("SELECT generate_series(1, 1000000000000)", batch_size=10)) as rows,
    ):
        async for row in rows:
            if row[0] == 25:
                break
    assert await db.fetch_value("SELECT 1") == 1


async def test_a_stream_of_a_function_that_writes_runs_once(db: DatabaseManager) -> None:
    """It is found out at its first row, before anything is done."""
    sql = "SELECT nextval('account_account_id_seq') FROM generate_series(1, 5)"
    assert [row[0] async for row in db.stream(sql, batch_size=2)] == [1, 2, 3, 4, 5]
    assert [row[0] async for row in db.stream(sql, batch_size=2)] == [6, 7, 8, 9, 10]


async def test_each_batch_of_a_stream_has_the_timeout(db: DatabaseManager, clock: Clock) -> None:
    """A long stream may take longer than that as a whole; a long batch may not."""
    seen = 0
    async for _ in db.stream("SELECT generate_series(1, 6)", batch_size=1, timeout=1000):
        clock.forward(600)
        await asyncio.sleep(0)
        seen += 1
    assert seen == 6

    async def late() -> None:
        slow = "SELECT g, pg_sleep(600) FROM generate_series(1, 6) AS g"
        async for _ in db.stream(slow, batch_size=6, timeout=1000):
            pass

    task = asyncio.ensure_future(late())
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    )
    async with asyncio.timeout(60):
        while not await db.fetch_value(sleeping):
            await asyncio.sleep(0.01)
    clock.forward(2000)
    with pytest.raises(QueryTimeout):
        await task
    assert await db.fetch_value("SELECT 1") == 1


async def test_a_statement_is_prepared_once_per_connection(url: str, tmp_path: Path) -> None:
    """And a run of it is one message to the server and one back."""
    file = tmp_path / "q.sql"
    file.write_text(
        "-- name: one(x: int) :value\n-- session: clean\nSELECT cast(:x AS bigint) /* counted */;\n"
    )
    one = load_queries(file).one
    async with DatabaseManager(url, settings=small(1)) as db:
        for number in range(20):
            assert await db.fetch_value(one, {"x": number}) == number
        found = await db.fetch_all(
            "SELECT generic_plans + custom_plans AS runs FROM pg_prepared_statements "
            "WHERE statement ~ 'counted'"
        )
        assert sorted(row["runs"] for row in found)[-1] == 20


async def test_an_insert_of_one_row_that_returns_it_is_one_round_trip(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot return two, so it needs no transaction of its own; others do."""
    texts: list[str] = []
    run_text = Connection.run_text

    async def watched(self: Connection, text: str) -> str:
        texts.append(text)
        return await run_text(self, text)

    monkeypatch.setattr(Connection, "run_text", watched)
    await db.fetch_one(
        "INSERT INTO account (email, balance) VALUES (lower(:e), coalesce(:b, 0)) /* (,) */ "
        "ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING account_id",
        {"e": "A", "b": 1},
    )
    assert not [text for text in texts if text.startswith("BEGIN")]
    await db.fetch_one("UPDATE account SET balance = 2 RETURNING email")
    assert [text for text in texts if text.startswith("BEGIN")] == ["BEGIN"]
