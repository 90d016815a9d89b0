"""What transactions see of each other: serializable unless asked otherwise; conflicts can be repeated."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    ConflictError,
    DatabaseError,
    LockTimeout,
    ReadOnlyDatabase,
    StatementRefused,
    TransactionError,
    UniqueViolation,
    UsageError,
)
from dal.transaction import Transaction
from tests.conformance.conftest import LetPass
from tests.engine_cases import Capability, EngineCase, Place, needs

ADD = "INSERT INTO account (email, balance) VALUES (:email, :balance)"
BALANCE = "SELECT balance FROM account WHERE email = :email"
SET = "UPDATE account SET balance = :balance WHERE email = :email"
COUNT = "SELECT count(*) FROM account"


async def add(db: DatabaseManager, **balances: int) -> None:
    await db.execute_many(ADD, [{"email": email, "balance": n} for email, n in balances.items()])


async def test_no_increment_is_lost_in_silence(db: DatabaseManager) -> None:
    """Without retries some blocks may fail, and the counter is exactly as many as did not."""
    await add(db, a=0)

    async def increment() -> None:
        async with db.transaction() as tx:
            balance = await tx.fetch_value(BALANCE, {"email": "a"})
            await asyncio.sleep(0)
            await tx.execute(SET, {"email": "a", "balance": balance + 1})

    done = 0
    for _ in range(20):
        results = await asyncio.gather(increment(), increment(), return_exceptions=True)
        assert all(isinstance(r, DatabaseError) and r.retryable for r in results if r is not None)
        done += results.count(None)
    assert await db.fetch_value(BALANCE, {"email": "a"}) == done > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_tasks_of_a_thousand_increments_give_an_exact_counter(db: DatabaseManager) -> None:
    """Through `run_transaction`, which repeats what met a conflict."""
    await add(db, a=0)

    async def increment(tx: Transaction) -> None:
        balance = await tx.fetch_value(BALANCE, {"email": "a"})
        await tx.execute(SET, {"email": "a", "balance": balance + 1})

    async def task() -> None:
        for _ in range(1000):
            await db.run_transaction(increment)

    await asyncio.gather(task(), task())
    assert await db.fetch_value(BALANCE, {"email": "a"}) == 2000


async def test_no_write_skew(db: DatabaseManager) -> None:
    """Two blocks that each read both rows and change one never both rest on what the other changed."""
    for n in range(5):
        await db.execute("DELETE FROM account")
        await add(db, a=1, b=1)
        ready = asyncio.Barrier(2)

        async def withdraw(email: str, ready: asyncio.Barrier = ready) -> None:
            first = True

            async def work(tx: Transaction) -> None:
                nonlocal first
                total = await tx.fetch_value("SELECT sum(balance) FROM account")
                if first:
                    first = False
                    with suppress(TimeoutError, asyncio.BrokenBarrierError):
                        async with asyncio.timeout(0.05):
                            await ready.wait()
                if total > 1:
                    await tx.execute(SET, {"email": email, "balance": 0})

            await db.run_transaction(work)

        await asyncio.gather(withdraw("a"), withdraw("b"))
        assert await db.fetch_value("SELECT sum(balance) FROM account") == 1, n


async def test_no_phantoms(db: DatabaseManager) -> None:
    """A limit that each block checks before it adds a row holds for all of them."""

    async def work(tx: Transaction) -> None:
        if await tx.fetch_value(COUNT) < 5:
            await asyncio.sleep(0)
            ident = id(asyncio.current_task())
            await tx.execute(ADD, {"email": f"{ident}", "balance": 0})

    await asyncio.gather(*(db.run_transaction(work, retries=60) for _ in range(12)))
    assert await db.fetch_value(COUNT) == 5


async def test_a_block_reads_its_own_writes(db: DatabaseManager) -> None:
    """Others do not, until it is committed."""
    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a", "balance": 1})
        await tx.execute(SET, {"email": "a", "balance": 2})
        assert await tx.fetch_value(BALANCE, {"email": "a"}) == 2
        assert await db.outside().fetch_value(BALANCE, {"email": "a"}) is None
    assert await db.fetch_value(BALANCE, {"email": "a"}) == 2


async def test_a_read_only_block_reads_one_snapshot(db: DatabaseManager) -> None:
    """Of every table, from its first read on, whatever is committed meanwhile."""
    await add(db, a=1)
    async with db.transaction(readonly=True) as tx:
        assert await tx.fetch_value(COUNT) == 1
        await db.outside().execute(SET, {"email": "a", "balance": 9})
        await db.outside().execute(ADD, {"email": "b", "balance": 1})
        await db.outside().execute("DELETE FROM account WHERE email = 'a'")
        assert await tx.fetch_value(BALANCE, {"email": "a"}) == 1
        assert await tx.fetch_value(COUNT) == 1
    assert await db.fetch_value(BALANCE, {"email": "a"}) is None


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO account (email) VALUES ('x')",
        "UPDATE account SET balance = 1",
        "DELETE FROM account",
        "INSERT INTO account (email) VALUES ('x') RETURNING account_id",
    ],
)
async def test_a_read_only_block_refuses_to_write(db: DatabaseManager, sql: str) -> None:
    """Every kind of write, by every verb; the block is failed."""
    await add(db, a=0)
    for verb in ("execute", "fetch_all", "fetch_one", "execute_script"):
        with pytest.raises(ReadOnlyDatabase):
            async with db.transaction(readonly=True) as tx:
                await getattr(tx, verb)(sql)
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 0


async def test_a_read_only_block_does_not_make_the_next_one_read_only(db: DatabaseManager) -> None:
    """On whatever connection that is."""
    for n in range(7):
        async with db.transaction(readonly=True) as tx:
            await tx.fetch_value(COUNT)
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": f"{n}", "balance": 0})
    assert await db.fetch_value(COUNT) == 7


@needs(Capability.WEAKER_ISOLATION)
async def test_read_committed_sees_what_was_committed_meanwhile(db: DatabaseManager) -> None:
    """The level is asked for, and is what it is called."""
    await add(db, a=1)
    async with db.transaction(isolation="read committed") as tx:
        assert await tx.fetch_value(BALANCE, {"email": "a"}) == 1
        await db.outside().execute(SET, {"email": "a", "balance": 2})
        assert await tx.fetch_value(BALANCE, {"email": "a"}) == 2


@needs(Capability.WEAKER_ISOLATION)
async def test_repeatable_read_sees_one_snapshot_and_may_write(db: DatabaseManager) -> None:
    """What others commit meanwhile is not seen."""
    await add(db, a=1)
    async with db.transaction(isolation="repeatable read") as tx:
        assert await tx.fetch_value(BALANCE, {"email": "a"}) == 1
        await db.outside().execute(SET, {"email": "a", "balance": 2})
        assert await tx.fetch_value(BALANCE, {"email": "a"}) == 1
        await tx.execute(ADD, {"email": "b", "balance": 1})
    assert await db.fetch_value(COUNT) == 2


@needs(Capability.READ_UNCOMMITTED)
async def test_read_uncommitted_sees_what_is_not_committed(db: DatabaseManager) -> None:
    """Where the engine has it."""
    async with db.transaction() as writer:
        await writer.execute(ADD, {"email": "a", "balance": 1})
        async with db.outside().transaction(isolation="read uncommitted") as reader:
            assert await reader.fetch_value(COUNT) == 1


@needs(Capability.WEAKER_ISOLATION)
async def test_a_weaker_level_ends_with_its_block(db: DatabaseManager) -> None:
    """The next one, on the same connection too, is serializable again."""
    await add(db, a=0)
    for _ in range(6):
        async with db.transaction(isolation="read committed") as tx:
            await tx.fetch_value(COUNT)
    failures = 0
    for _ in range(3):
        try:
            async with db.transaction() as tx:
                balance = await tx.fetch_value(BALANCE, {"email": "a"})
                await db.outside().execute(
                    "UPDATE account SET balance = balance + 1 WHERE email = 'a'", timeout=0.3
                )
                await tx.execute(SET, {"email": "a", "balance": balance + 1})
        except (DatabaseError, TimeoutError):
            failures += 1
    assert failures == 3


@needs(Capability.ROW_LOCKS)
async def test_a_deadlock_ends_one_of_two_blocks(db: DatabaseManager) -> None:
    """As a conflict that can be repeated; the other block commits."""
    await add(db, a=0, b=0)
    both = asyncio.Barrier(2)

    async def work(first: str, second: str) -> None:
        async with db.transaction(isolation="read committed") as tx:
            await tx.execute(SET, {"email": first, "balance": 1})
            await both.wait()
            await tx.execute(SET, {"email": second, "balance": 2})

    results = await asyncio.gather(work("a", "b"), work("b", "a"), return_exceptions=True)
    failed = [result for result in results if result is not None]
    assert len(failed) == 1
    assert isinstance(failed[0], ConflictError)
    assert failed[0].retryable
    assert sorted(row[0] for row in await db.fetch_all("SELECT balance FROM account")) == [1, 2]


@needs(Capability.ROW_LOCKS)
async def test_a_swallowed_deadlock_commits_nothing(db: DatabaseManager) -> None:
    """The block is failed: every further statement raises, and so does its end."""
    await add(db, a=0, b=0)
    both = asyncio.Barrier(2)

    async def work(first: str, second: str) -> None:
        async with db.transaction(isolation="read committed") as tx:
            await tx.execute(SET, {"email": first, "balance": 1})
            await both.wait()
            with suppress(ConflictError):
                await tx.execute(SET, {"email": second, "balance": 1})
                return
            with pytest.raises(TransactionError):
                await tx.execute(ADD, {"email": "lost", "balance": 0})

    results = await asyncio.gather(work("a", "b"), work("b", "a"), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "TransactionError"]
    assert await db.fetch_value(COUNT) == 2


@needs(Capability.ROW_LOCKS)
async def test_waiting_for_a_row_ends_at_the_timeout(
    db: DatabaseManager, place: Place, let_pass: LetPass
) -> None:
    """As a `TimeoutError`; the block that has the lock is not touched."""
    await add(db, a=0)
    async with db.transaction() as tx:
        await tx.execute(SET, {"email": "a", "balance": 1})
        waiting = asyncio.ensure_future(db.outside().execute(SET, {"email": "a", "balance": 2}, timeout=1000))
        async with asyncio.timeout(60):
            while place.busy() < 2:
                await asyncio.sleep(0.01)
        await let_pass(2000)
        with pytest.raises(TimeoutError) as raised:
            await waiting
        assert isinstance(raised.value, DatabaseError)
        async with asyncio.timeout(
            60
        ):  # the caller is free at once; on the server it is stopped a moment later
            while place.busy() > 1:
                await asyncio.sleep(0.01)
    assert await db.fetch_value(BALANCE, {"email": "a"}) == 1


async def test_run_transaction_returns_what_its_work_brings(db: DatabaseManager) -> None:
    """Of the try that was committed."""
    tries = 0

    async def work(tx: Transaction) -> Any:
        nonlocal tries
        tries += 1
        await tx.execute(ADD, {"email": "a", "balance": tries})
        if tries < 3:
            raise LockTimeout("a conflict of the test")
        return await tx.fetch_value(BALANCE, {"email": "a"})

    assert await db.run_transaction(work) == 3
    assert await db.fetch_value(COUNT) == 1


async def test_run_transaction_repeats_no_other_error(db: DatabaseManager) -> None:
    """Neither of the database's nor of the work's own."""
    tries: list[str] = []

    async def work(tx: Transaction, sql: str) -> None:
        tries.append(sql)
        await tx.execute(sql)
        raise LookupError

    with pytest.raises(LookupError):
        await db.run_transaction(lambda tx: work(tx, "DELETE FROM account"))
    await add(db, a=0)
    with pytest.raises(UniqueViolation):
        await db.run_transaction(lambda tx: work(tx, "INSERT INTO account (email) VALUES ('a')"))
    assert len(tries) == 2


async def test_run_transaction_inside_a_block_is_a_savepoint(db: DatabaseManager) -> None:
    """What it does is undone with the block, and alone if it fails."""
    async with db.transaction() as tx:
        await tx.run_transaction(lambda inner: inner.execute(ADD, {"email": "a", "balance": 0}))

        async def fail(inner: Transaction) -> None:
            await inner.execute(ADD, {"email": "b", "balance": 0})
            raise LookupError

        with pytest.raises(LookupError):
            await tx.run_transaction(fail)
    assert await db.fetch_value(COUNT) == 1


async def test_retries_are_no_negative_number(db: DatabaseManager) -> None:
    """That would be no try at all."""
    with pytest.raises(UsageError, match="retries"):
        await db.run_transaction(lambda tx: tx.fetch_value("SELECT 1"), retries=-1)


async def test_a_block_whose_begin_is_refused_costs_no_connection(db: DatabaseManager) -> None:
    """Far more of them than there are connections."""
    for _ in range(20):
        with pytest.raises(StatementRefused):
            async with db.transaction(isolation="no such level"):  # type: ignore[arg-type]  # as tested
                pass
    assert await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(10))) == [1] * 10


@pytest.mark.parametrize("create", ["CREATE TABLE other (a INTEGER)", "CREATE INDEX i ON account (balance)"])
async def test_ddl_in_a_block_is_undone_or_refused(
    db: DatabaseManager, case: EngineCase, create: str
) -> None:
    """It never commits what the block did before it."""
    refusal = StatementRefused if Capability.DDL_IN_TRANSACTIONS in case.lacks else LookupError
    for _ in range(2):
        with pytest.raises(refusal):
            async with db.transaction() as tx:
                await tx.execute(ADD, {"email": "a", "balance": 0})
                await tx.execute(create)
                raise LookupError
        assert await db.fetch_value(COUNT) == 0


@needs(Capability.DDL_IN_TRANSACTIONS)
async def test_ddl_in_a_block_is_kept_with_it(db: DatabaseManager) -> None:
    """Where the engine's DDL takes part in transactions."""
    async with db.transaction() as tx:
        await tx.execute("CREATE TABLE other (a INTEGER)")
        await tx.execute("INSERT INTO other (a) VALUES (1)")
    assert await db.fetch_value("SELECT a FROM other") == 1


@needs(Capability.DDL_IN_TRANSACTIONS)
async def test_a_script_with_ddl_that_fails_leaves_nothing(db: DatabaseManager) -> None:
    """Tables of its first statements included."""
    with pytest.raises(DatabaseError):
        await db.execute_script("CREATE TABLE other (a INTEGER); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(DatabaseError):
        await db.fetch_all("SELECT a FROM other")
