"""Transaction blocks: what they keep, what they undo, and what they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    DatabaseError,
    ForeignKeyViolation,
    LockTimeout,
    OutcomeUnknown,
    QueryTimeout,
    ReadOnlyDatabase,
    StatementRefused,
    TransactionError,
    UniqueViolation,
)
from dal.transaction import Transaction
from tests.engine_cases import Capability, EngineCase, needs

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"


async def count(db: DatabaseManager) -> Any:
    return await db.fetch_value(COUNT)


async def test_a_block_that_is_left_normally_commits(db: DatabaseManager) -> None:
    """What it wrote is there for others."""
    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        assert await tx.fetch_value(COUNT) == 1
    assert await count(db) == 1


@pytest.mark.parametrize("failure", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
async def test_a_failed_block_leaves_no_row(db: DatabaseManager, failure: type[BaseException]) -> None:
    """A block left by an error, or by cancellation, undoes what it wrote."""
    with pytest.raises(failure):
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            raise failure
    assert await count(db) == 0


async def test_a_nested_block_is_undone_by_itself(db: DatabaseManager) -> None:
    """Its error, caught outside of it, costs the outer block nothing."""
    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        with pytest.raises(UniqueViolation):
            async with tx.transaction() as inner:
                await inner.execute(ADD, {"email": "b"})
                await inner.execute(ADD, {"email": "a"})
        await tx.execute(ADD, {"email": "c"})
    assert [row[0] for row in await db.fetch_all("SELECT email FROM account ORDER BY 1")] == ["a", "c"]


async def test_blocks_nest_fifty_deep(db: DatabaseManager) -> None:
    """Every second one fails; the others keep their rows."""

    async def descend(executor: DatabaseManager | Transaction, depth: int) -> None:
        if depth == 50:
            return
        async with executor.transaction() as tx:
            await tx.execute(ADD, {"email": f"{depth}"})
            try:
                async with tx.transaction() as inner:
                    await inner.execute(ADD, {"email": f"lost {depth}"})
                    raise LookupError
            except LookupError:
                await descend(tx, depth + 1)

    await descend(db, 0)
    assert await count(db) == 50


async def test_execute_transaction_inside_a_block_is_a_savepoint(db: DatabaseManager) -> None:
    """If it fails, the block goes on."""
    async with db.transaction() as tx:
        await tx.execute_transaction([(ADD, {"email": "a"}), (ADD, {"email": "b"})])
        with pytest.raises(UniqueViolation):
            await tx.execute_transaction([(ADD, {"email": "c"}), (ADD, {"email": "a"})])
    assert await count(db) == 2


async def test_an_error_that_is_swallowed_still_undoes_the_block(db: DatabaseManager) -> None:
    """After an error a block accepts nothing but its end, and does not commit."""
    with pytest.raises(TransactionError, match="rolled back") as raised:
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            with pytest.raises(UniqueViolation):
                await tx.execute(ADD, {"email": "a"})
            with pytest.raises(TransactionError, match="nothing but its end"):
                await tx.fetch_value(COUNT)
    assert isinstance(raised.value.__cause__, UniqueViolation)
    assert await count(db) == 0


async def test_a_transaction_is_refused_after_its_block(db: DatabaseManager) -> None:
    """It names no connection any more."""
    async with db.transaction() as tx:
        pass
    with pytest.raises(TransactionError, match="has been left"):
        await tx.fetch_value("SELECT 1")


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.fetch_value(COUNT),
        lambda db: db.execute("DELETE FROM account"),
        lambda db: db.execute_transaction([("DELETE FROM account", ())]),
        lambda db: db.execute_many(ADD, [{"email": "x"}]),
        lambda db: db.execute_script("DELETE FROM account"),
        lambda db: anext(db.stream(COUNT)),
        lambda db: db.transaction().__aenter__(),
    ],
    ids=[
        "fetch",
        "execute",
        "execute_transaction",
        "execute_many",
        "execute_script",
        "stream",
        "transaction",
    ],
)
async def test_the_managers_own_verbs_are_refused_inside_a_block(
    db: DatabaseManager, call: Callable[[DatabaseManager], Any]
) -> None:
    """They would run outside of the transaction; so would those of a task started inside."""
    async with db.transaction():
        with pytest.raises(TransactionError, match="tx"):
            await call(db)

        async def task() -> None:
            await call(db)

        with pytest.raises(TransactionError, match="tx"):
            await asyncio.create_task(task())


async def test_outside_runs_beside_the_block(db: DatabaseManager) -> None:
    """It sees what is committed, and what it does itself is kept though the block is undone."""
    with pytest.raises(LookupError):
        async with db.transaction(readonly=True) as tx:
            assert await tx.fetch_value(COUNT) == 0
            await db.outside().execute(ADD, {"email": "a"})
            async with db.outside().transaction() as other:
                await other.execute(ADD, {"email": "b"})
            assert await db.outside().fetch_value(COUNT) == 2
            raise LookupError
    assert await count(db) == 2


async def test_outside_sees_nothing_of_the_open_block(db: DatabaseManager) -> None:
    """Neither does anybody else until the block is committed."""
    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        assert await db.outside().fetch_value(COUNT) == 0
    assert await db.outside().fetch_value(COUNT) == 1


async def test_outside_never_waits_for_its_own_block(db: DatabaseManager, case: EngineCase) -> None:
    """It would wait for ever: a writer where there is one, a connection where they are pooled."""
    async with AsyncExitStack() as blocks:
        for _ in range(case.blocks_at_once(db.settings.database)):
            await blocks.enter_async_context(db.outside().transaction())
        calls: list[Callable[[], Any]] = [
            lambda: db.outside().execute(ADD, {"email": "b"}),
            lambda: db.outside().execute_many(ADD, [{"email": "b"}]),
            lambda: db.outside().fetch_value(ADD + " RETURNING account_id", {"email": "b"}),
            lambda: db.outside().transaction().__aenter__(),
        ]
        for call in calls:
            with pytest.raises(TransactionError, match="would wait"):
                await call()
    await db.outside().execute(ADD, {"email": "c"})
    assert await count(db) == 1


async def test_a_task_that_outlives_the_block_uses_the_manager_again(db: DatabaseManager) -> None:
    """The mark of an open block ends with the block, not with the task."""
    left = asyncio.Event()

    async def later() -> Any:
        await left.wait()
        return await db.fetch_value(COUNT)

    async with db.transaction():
        task = asyncio.create_task(later())
    left.set()
    assert await task == 0


async def test_gather_on_one_transaction_is_serialised(db: DatabaseManager) -> None:
    """Concurrent use mixes nothing, and all of it is undone together."""
    with pytest.raises(LookupError):
        async with db.transaction() as tx:
            await asyncio.gather(*(tx.execute(ADD, {"email": f"{n}"}) for n in range(20)))
            assert await tx.fetch_value(COUNT) == 20
            raise LookupError
    assert await count(db) == 0


async def test_nested_blocks_of_concurrent_tasks_take_turns(db: DatabaseManager) -> None:
    """One task's savepoint never undoes another's rows."""

    async def step(tx: Transaction, n: int) -> None:
        async with tx.transaction() as inner:
            await inner.execute(ADD, {"email": f"{n}a"})
            await asyncio.sleep(0)
            await inner.execute(ADD, {"email": f"{n}b"})
            if n % 2:
                raise LookupError

    async with db.transaction() as tx:
        results = await asyncio.gather(*(step(tx, n) for n in range(10)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), LookupError] * 5
    assert await count(db) == 10


async def test_the_outer_transaction_is_refused_inside_a_nested_block(db: DatabaseManager) -> None:
    """It would wait for the block for ever."""
    async with db.transaction() as tx, tx.transaction() as inner:
        with pytest.raises(TransactionError, match="nested"):
            await tx.execute(ADD, {"email": "a"})
        await inner.execute(ADD, {"email": "b"})
    assert await count(db) == 1


async def test_read_modify_write_loses_nothing(db: DatabaseManager) -> None:
    """Serializable is the default: 10 tasks of 20 increments give an exact counter."""
    await db.execute(ADD, {"email": "a"})

    async def increment(tx: Transaction) -> None:
        balance = await tx.fetch_value("SELECT balance FROM account")
        await asyncio.sleep(0)
        await tx.execute("UPDATE account SET balance = :balance", {"balance": balance + 1})

    async def task() -> None:
        for _ in range(20):
            await db.run_transaction(increment)

    await asyncio.gather(*(task() for _ in range(10)))
    assert await db.fetch_value("SELECT balance FROM account") == 200


async def test_a_read_only_block_refuses_writes_and_sees_one_snapshot(db: DatabaseManager) -> None:
    """What others commit meanwhile is not seen, and they need not wait."""
    async with db.transaction(readonly=True) as tx:
        assert await tx.fetch_value(COUNT) == 0
        await db.outside().execute(ADD, {"email": "a"})
        assert await tx.fetch_value(COUNT) == 0
    with pytest.raises(ReadOnlyDatabase):
        async with db.transaction(readonly=True) as tx:
            await tx.execute(ADD, {"email": "b"})
    assert await count(db) == 1


async def test_many_read_only_blocks_wait_for_their_turn(db: DatabaseManager) -> None:
    """More of them than connections, none lost."""

    async def read() -> Any:
        async with db.transaction(readonly=True) as tx:
            await asyncio.sleep(0.001)
            return await tx.fetch_value(COUNT)

    assert await asyncio.gather(*(read() for _ in range(50))) == [0] * 50


async def test_an_isolation_level_that_the_engine_lacks_raises(db: DatabaseManager, case: EngineCase) -> None:
    """It is never ignored in silence, and leaves the pool whole."""
    for level in (*case.levels_lacking, "chaos"):
        for _ in range(7):
            with pytest.raises(StatementRefused, match="isolation") as raised:
                async with db.transaction(isolation=level):  # type: ignore[arg-type]  # an unknown one too
                    pass
            assert raised.value.sent is False
    async with db.transaction(isolation="serializable") as tx:
        assert await tx.fetch_value("SELECT 1") == 1


async def test_a_savepoint_takes_no_isolation(db: DatabaseManager) -> None:
    """It has that of its transaction."""
    async with db.transaction() as tx:
        with pytest.raises(StatementRefused, match="savepoint"):
            async with tx.transaction(isolation="serializable"):
                pass


@pytest.mark.parametrize("sql", ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT x", "END", "/* x */ commit"])
async def test_transaction_control_in_a_statement_is_refused(db: DatabaseManager, sql: Any) -> None:
    """On the manager and on a transaction, whose outcome is not touched by it."""
    with pytest.raises(StatementRefused, match=r"transaction|SAVEPOINT"):
        await db.execute(sql)
    with pytest.raises(StatementRefused):
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            await tx.execute(sql)
    assert await count(db) == 0


@pytest.mark.usefixtures("time_flies")
async def test_a_statement_is_stopped_at_its_timeout(db: DatabaseManager, case: EngineCase) -> None:
    """The caller is free, the transaction is undone, the next call works."""
    with pytest.raises(QueryTimeout):
        await db.fetch_value(case.endless, timeout=1000)
    with pytest.raises(QueryTimeout):
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            await tx.fetch_value(case.endless, timeout=1000)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1000):
            await db.fetch_value(case.endless)
    assert await count(db) == 0


@pytest.mark.usefixtures("time_flies")
async def test_a_blocks_timeout_bounds_its_statements(db: DatabaseManager, case: EngineCase) -> None:
    """The deadline is the block's, however many statements it has."""
    with pytest.raises(QueryTimeout):
        async with db.transaction(timeout=1000) as tx:
            await tx.fetch_value(case.endless)
    assert await count(db) == 0


async def test_after_commit_runs_once_the_block_is_committed(db: DatabaseManager) -> None:
    """Outside of the block, in order, sync and async; those of an undone block never."""
    seen: list[Any] = []

    async def look() -> None:
        seen.append(await count(db))

    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        tx.after_commit(look)
        tx.after_commit(lambda: seen.append("sync"))
        async with tx.transaction() as inner:
            inner.after_commit(lambda: seen.append("inner"))
        with pytest.raises(LookupError):
            async with tx.transaction() as inner:
                inner.after_commit(lambda: seen.append("never"))
                raise LookupError
        assert seen == []
    with pytest.raises(LookupError):
        async with db.transaction() as tx:
            tx.after_commit(lambda: seen.append("never"))
            raise LookupError
    assert seen == [1, "sync", "inner"]


async def test_an_after_commit_action_that_fails_does_not_undo_the_commit(
    db: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the next one runs."""
    seen = []

    def fail() -> None:
        raise LookupError

    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        tx.after_commit(fail)
        tx.after_commit(lambda: seen.append("next"))
    assert (await count(db), seen) == (1, ["next"])
    assert "after_commit" in caplog.text


async def test_after_commit_goes_on_although_the_caller_left(db: DatabaseManager) -> None:
    """Whoever is cancelled in one action does not take it, nor the next one, along."""
    begun, go, seen = asyncio.Event(), asyncio.Event(), list[str]()

    async def slow() -> None:
        begun.set()
        await go.wait()
        seen.append("slow")

    async def block() -> None:
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            tx.after_commit(slow)
            tx.after_commit(lambda: seen.append("next"))

    task = asyncio.ensure_future(block())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    async with asyncio.timeout(60):
        while seen != ["slow", "next"]:
            await asyncio.sleep(0.001)


async def test_run_transaction_repeats_only_what_is_safe(db: DatabaseManager) -> None:
    """A conflict is tried again from the start, a wrong statement or an unknown outcome is not."""

    async def run(*failures: DatabaseError) -> tuple[int, Any]:
        pending, tries = list(failures), 0

        async def work(tx: Transaction) -> None:
            nonlocal tries
            tries += 1
            await tx.execute(ADD, {"email": f"{len(failures)} {tries}"})
            if pending:
                raise pending.pop(0)

        try:
            await db.run_transaction(work, retries=3)
        except DatabaseError as error:
            return tries, type(error)
        return tries, None

    assert await run(LockTimeout("x"), LockTimeout("x")) == (3, None)
    assert await run(*[LockTimeout("x")] * 5) == (4, LockTimeout)
    assert await run(UniqueViolation("x")) == (1, UniqueViolation)
    assert await run(OutcomeUnknown("x")) == (1, OutcomeUnknown)
    assert await count(db) == 1


@needs(Capability.DEFERRED_KEYS)
async def test_a_commit_that_fails_costs_no_connection(db: DatabaseManager) -> None:
    """A deferred foreign key is found at COMMIT: an error each time, and the next write is kept."""
    await db.execute(
        "CREATE TABLE note (id INTEGER PRIMARY KEY, account_id BIGINT NOT NULL "
        "REFERENCES account (account_id) DEFERRABLE INITIALLY DEFERRED)"
    )
    for n in range(7):
        with pytest.raises(ForeignKeyViolation):
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO note (id, account_id) VALUES (?, 99)", (n,))
    await db.execute(ADD, {"email": "a"})
    assert await count(db) == 1


async def test_a_block_opened_in_one_task_can_be_left_in_another(db: DatabaseManager) -> None:
    """As fixtures and dependency injection do."""
    block = db.transaction()
    tx = await asyncio.create_task(block.__aenter__())
    await tx.execute(ADD, {"email": "a"})
    await asyncio.create_task(block.__aexit__(None, None, None))
    assert await count(db) == 1
    assert not tx.is_open
