"""Blocks in odd hands: swallowed errors, shared by tasks, dropped, late, and what runs after them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    DalError,
    DataError,
    ForeignKeyViolation,
    OutcomeUnknown,
    ParameterError,
    PoolTimeout,
    QueryError,
    QueryTimeout,
    ReadOnlyDatabase,
    StatementRefused,
    TransactionError,
    UniqueViolation,
)
from dal.transaction import Transaction
from tests.clock import Clock
from tests.conformance.conftest import LetPass
from tests.conformance.steps import Steps
from tests.engine_cases import Capability, EngineCase, Place, needs

ADD = "INSERT INTO account (email) VALUES (:email)"
COUNT = "SELECT count(*) FROM account"
EMAILS = "SELECT email FROM account ORDER BY email"


async def emails(db: DatabaseManager) -> list[str]:
    return [row[0] for row in await db.fetch_all(EMAILS)]


@pytest.mark.usefixtures("time_flies")
async def test_a_timeout_that_is_swallowed_still_undoes_the_block(
    db: DatabaseManager, case: EngineCase
) -> None:
    """The statement was stopped, so nobody knows what it would have done."""
    with pytest.raises(TransactionError) as raised:
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            with suppress(QueryTimeout):
                await tx.fetch_value(case.endless, timeout=1000)
            with pytest.raises(TransactionError):
                await tx.execute(ADD, {"email": "b"})
    assert isinstance(raised.value.__cause__, QueryTimeout)
    assert await emails(db) == []


async def test_a_refused_statement_that_is_swallowed_still_undoes_the_block(db: DatabaseManager) -> None:
    """Whoever wrote COMMIT meant something that did not happen."""
    with pytest.raises(TransactionError) as raised:
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            with suppress(StatementRefused):
                await tx.execute("COMMIT")
    assert isinstance(raised.value.__cause__, StatementRefused)
    assert await emails(db) == []


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda tx: tx.execute(ADD, {}), ParameterError),
        (lambda tx: tx.execute(ADD, {"email": object()}), (ParameterError, DataError)),
        (lambda tx: tx.execute(ADD, {"email": "a\0b"}), DataError),
        (lambda tx: tx.fetch_all(None), QueryError),
        (lambda tx: tx.execute_many(ADD, [{"email": "b"}, {"mail": "c"}]), ParameterError),
        (lambda tx: tx.execute_transaction([(ADD, {})]), ParameterError),
        (lambda tx: anext(tx.stream(EMAILS, batch_size=0)), QueryError),
        (lambda tx: tx.transaction(readonly=True).__aenter__(), StatementRefused),
    ],
    ids=["missing", "type", "NUL", "no query", "many", "batch", "size", "readonly savepoint"],
)
async def test_a_call_that_is_wrong_in_itself_costs_the_block_nothing(
    db: DatabaseManager, call: Callable[[Transaction], Any], error: Any
) -> None:
    """It was found before anything went to the database, so the block goes on."""
    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        with pytest.raises(error):
            await call(tx)
        await tx.execute(ADD, {"email": "b"})
    assert await emails(db) == ["a", "b"]


async def test_an_error_swallowed_in_a_nested_block_undoes_that_one_alone(db: DatabaseManager) -> None:
    """Its end raises, and the outer block may go on."""
    async with db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        with pytest.raises(TransactionError, match="rolled back"):
            async with tx.transaction() as inner:
                await inner.execute(ADD, {"email": "b"})
                with suppress(UniqueViolation):
                    await inner.execute(ADD, {"email": "a"})
        await tx.execute(ADD, {"email": "c"})
    assert await emails(db) == ["a", "c"]


async def test_an_undone_nested_block_takes_those_inside_along(db: DatabaseManager) -> None:
    """Though they had succeeded; those beside it stay."""
    async with db.transaction() as tx:
        async with tx.transaction() as beside:
            await beside.execute(ADD, {"email": "a"})
        with pytest.raises(LookupError):
            async with tx.transaction() as middle:
                async with middle.transaction() as inner, inner.transaction() as innermost:
                    await innermost.execute(ADD, {"email": "b"})
                assert await middle.fetch_value(COUNT) == 2
                raise LookupError
        assert await tx.fetch_value(COUNT) == 1
    assert await emails(db) == ["a"]


async def test_many_nested_blocks_one_after_the_other(db: DatabaseManager) -> None:
    """Each second one is undone; none is taken for another."""
    async with db.transaction() as tx:
        for n in range(60):
            with suppress(LookupError):
                async with tx.transaction() as inner:
                    await inner.execute(ADD, {"email": f"{n:02}"})
                    if n % 2:
                        raise LookupError
    assert await emails(db) == [f"{n:02}" for n in range(0, 60, 2)]


async def test_a_nested_transaction_is_refused_after_its_block(db: DatabaseManager) -> None:
    """The outer one goes on to be used."""
    async with db.transaction() as tx:
        async with tx.transaction() as inner:
            await inner.execute(ADD, {"email": "a"})
        with pytest.raises(TransactionError, match="has been left"):
            await inner.execute(ADD, {"email": "b"})
        with pytest.raises(TransactionError, match="has been left"):
            inner.after_commit(lambda: None)
        assert not inner.is_open
        assert tx.is_open
        await tx.execute(ADD, {"email": "c"})
    assert await emails(db) == ["a", "c"]


@pytest.mark.usefixtures("time_flies")
async def test_a_statement_stopped_in_a_nested_block_leaves_no_half(
    db: DatabaseManager, case: EngineCase
) -> None:
    """The nested block's timeout is its own; what is left of the outer one is all of it, or nothing."""
    outcome: list[str] = []
    with suppress(DalError):
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "a"})
            with pytest.raises(QueryTimeout):
                async with tx.transaction(timeout=1000) as inner:
                    await inner.execute(ADD, {"email": "b"})
                    await inner.fetch_value(case.endless)
            await tx.execute(ADD, {"email": "c"})
        outcome = ["a", "c"]
    assert await emails(db) == outcome


async def test_one_failure_among_tasks_that_share_a_block_fails_the_others(db: DatabaseManager) -> None:
    """Those that come after it; nothing of any is kept."""
    with pytest.raises(TransactionError):
        async with db.transaction() as tx:
            results = await asyncio.gather(
                *(tx.execute(ADD, {"email": f"{min(n, 3)}"}) for n in range(10)), return_exceptions=True
            )
            kinds = [type(result) for result in results]
            assert kinds == [int] * 4 + [UniqueViolation] + [TransactionError] * 5
    assert await emails(db) == []


async def test_waiting_for_another_task_of_the_block_ends_at_the_timeout(db: DatabaseManager) -> None:
    """Nothing was sent, so the block goes on."""
    inside, leave = asyncio.Event(), asyncio.Event()

    async def nested(tx: Transaction) -> None:
        async with tx.transaction() as inner:
            inside.set()
            await leave.wait()
            await inner.execute(ADD, {"email": "a"})

    async with db.transaction() as tx:
        task = asyncio.ensure_future(nested(tx))
        await inside.wait()
        with pytest.raises(PoolTimeout) as raised:
            await tx.execute(ADD, {"email": "b"}, timeout=0.05)
        assert raised.value.sent is False
        leave.set()
        await task
        await tx.execute(ADD, {"email": "c"})
    assert await emails(db) == ["a", "c"]


async def test_a_task_that_leaves_its_place_in_a_block_costs_the_others_nothing(db: DatabaseManager) -> None:
    """Cancelled while it waits for another task's turn."""
    inside, leave = asyncio.Event(), asyncio.Event()

    async def nested(tx: Transaction) -> None:
        async with tx.transaction():
            inside.set()
            await leave.wait()

    async with db.transaction() as tx:
        holder = asyncio.ensure_future(nested(tx))
        await inside.wait()
        waiting = [asyncio.ensure_future(tx.execute(ADD, {"email": f"{n}"})) for n in range(6)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        leave.set()
        await holder
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, int] * 3
    assert await emails(db) == ["1", "3", "5"]


@pytest.mark.parametrize("how", ["closed", "dropped"])
async def test_a_block_inside_an_abandoned_generator_is_undone(
    db: DatabaseManager, place: Place, how: str
) -> None:
    """Closed early, or forgotten by everybody."""

    async def rows() -> AsyncIterator[int]:
        async with db.transaction() as tx:
            yield await tx.execute(ADD, {"email": "a"})
            yield await tx.execute(ADD, {"email": "b"})

    for _ in range(7):
        generator = rows()
        assert await anext(generator) == 1
        if how == "closed":
            await generator.aclose()  # type: ignore[attr-defined]  # an async generator, in truth
        del generator
        gc.collect()
        await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        while place.busy():
            await asyncio.sleep(0.01)
    assert await contextvars.Context().run(asyncio.ensure_future, emails(db)) == []


async def test_another_manager_may_be_used_inside_a_block(
    db: DatabaseManager, url: str, settings: Any
) -> None:
    """It is another database for all that is known; what the block did is not seen there."""
    async with DatabaseManager(url, settings=settings) as other, db.transaction() as tx:
        await tx.execute(ADD, {"email": "a"})
        assert await other.fetch_value(COUNT) == 0
        async with other.transaction(readonly=True) as theirs:
            assert await theirs.fetch_value(COUNT) == 0
            with pytest.raises(TransactionError):
                await db.fetch_value(COUNT)
            with pytest.raises(TransactionError):
                await other.fetch_value(COUNT)
        assert await other.fetch_value(COUNT) == 0


@pytest.mark.parametrize(
    "write",
    [
        lambda tx: tx.execute(ADD, {"email": "a"}),
        lambda tx: tx.execute_many(ADD, [{"email": "a"}]),
        lambda tx: tx.execute_transaction([(ADD, {"email": "a"})]),
        lambda tx: tx.run_transaction(lambda inner: inner.execute(ADD, {"email": "a"})),
        lambda tx: anext(tx.stream(ADD + " RETURNING email", {"email": "a"})),
    ],
    ids=["execute", "execute_many", "execute_transaction", "run_transaction", "stream"],
)
async def test_a_nested_block_of_a_read_only_one_refuses_writes_too(
    db: DatabaseManager, write: Callable[[Transaction], Any]
) -> None:
    """By every verb."""
    with pytest.raises(ReadOnlyDatabase):
        async with db.transaction(readonly=True) as tx, tx.transaction() as inner:
            assert await inner.fetch_value(COUNT) == 0
            await write(inner)
    assert await emails(db) == []


async def test_a_read_only_block_may_ask_for_its_isolation(db: DatabaseManager) -> None:
    """Serializable as any other, with one snapshot, and no writer has to wait for it."""
    async with db.transaction(readonly=True, isolation="serializable") as tx:
        assert await tx.fetch_value(COUNT) == 0
        await db.outside().execute(ADD, {"email": "a"}, timeout=60)
        assert await tx.fetch_value(COUNT) == 0


@needs(Capability.WEAKER_ISOLATION)
async def test_a_read_only_block_of_a_weaker_level_refuses_writes(db: DatabaseManager) -> None:
    """Both are kept, the level and the mode."""
    with pytest.raises(ReadOnlyDatabase):
        async with db.transaction(readonly=True, isolation="read committed") as tx:
            assert await tx.fetch_value(COUNT) == 0
            await db.outside().execute(ADD, {"email": "a"})
            assert await tx.fetch_value(COUNT) == 1
            await tx.execute(ADD, {"email": "b"})
    assert await emails(db) == ["a"]


async def test_a_block_of_its_own_may_be_opened_after_the_commit(db: DatabaseManager) -> None:
    """By an action, which is outside of the block that asked for it."""

    async def log() -> None:
        async with db.transaction() as tx:
            await tx.execute(ADD, {"email": "log"})
        await db.execute(ADD, {"email": "more"})

    async with db.transaction() as tx:
        tx.after_commit(log)
    assert await emails(db) == ["log", "more"]


async def test_far_more_actions_than_connections_find_one(db: DatabaseManager) -> None:
    """The block that asked has given its own back."""

    async def work(n: int) -> None:
        async def log() -> None:
            await db.execute(ADD, {"email": f"log {n}"})

        async with db.transaction(readonly=True) as tx:
            await tx.fetch_value("SELECT 1")
            tx.after_commit(log)

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(n) for n in range(20)))
    assert await db.fetch_value(COUNT) == 20


@needs(Capability.DEFERRED_KEYS)
async def test_actions_of_a_commit_that_the_database_refused_never_run(db: DatabaseManager) -> None:
    """It is known that nothing was committed."""
    await db.execute(
        "CREATE TABLE note (id INTEGER PRIMARY KEY, account_id BIGINT NOT NULL "
        "REFERENCES account (account_id) DEFERRABLE INITIALLY DEFERRED)"
    )
    seen: list[str] = []
    with pytest.raises(ForeignKeyViolation):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO note (id, account_id) VALUES (1, 99)")
            tx.after_commit(lambda: seen.append("ran"))
    await asyncio.sleep(0.01)
    assert seen == []


async def test_a_commit_past_its_deadline_has_an_unknown_outcome(
    db: DatabaseManager, case: EngineCase, steps: Steps, clock: Clock
) -> None:
    """Its actions run all the same, and it is committed as a whole or not at all."""
    loop, gone_on = asyncio.get_running_loop(), threading.Event()
    seen: list[str] = []
    steps.stall_at_text("COMMIT", gone_on)
    steps.at_text("COMMIT", lambda _: loop.call_soon_threadsafe(clock.forward, 2000))
    try:
        with pytest.raises(OutcomeUnknown) as raised:
            async with db.transaction(timeout=1000) as tx:
                await tx.execute(ADD, {"email": "a"})
                await tx.execute(ADD, {"email": "b"})
                tx.after_commit(lambda: seen.append("ran"))
    finally:
        gone_on.set()
        steps.disarm()
    assert (raised.value.sent, raised.value.retryable) == (True, False)
    assert seen == ["ran"]
    assert await emails(db) in ([], ["a", "b"])


async def test_a_block_left_in_time_may_commit_after_its_last_statement(
    db: DatabaseManager, let_pass: LetPass
) -> None:
    """The block's timeout is for all of it, each statement's for itself, and the shorter one counts."""
    async with db.transaction(timeout=10_000) as tx:
        for n in range(5):
            await tx.execute(ADD, {"email": f"{n}"}, timeout=1000)
            await let_pass(1500)
    assert await db.fetch_value(COUNT) == 5


async def test_a_statement_is_refused_once_the_blocks_time_is_over(db: DatabaseManager, clock: Clock) -> None:
    """Nothing is sent for it; the block cannot be kept in any way."""
    with pytest.raises((QueryTimeout, TransactionError)):
        async with db.transaction(timeout=1000) as tx:
            await tx.execute(ADD, {"email": "a"})
            clock.forward(2000)
            with pytest.raises(QueryTimeout) as raised:
                await tx.execute(ADD, {"email": "b"})
            assert raised.value.sent is False
    assert await emails(db) == []


@pytest.mark.usefixtures("time_flies")
async def test_a_nested_block_cannot_outlast_the_outer_one(db: DatabaseManager, case: EngineCase) -> None:
    """Whatever it asks for."""
    with pytest.raises(QueryTimeout):
        async with (
            asyncio.timeout(7000),
            db.transaction(timeout=1000) as tx,
            tx.transaction(timeout=100_000) as inner,
        ):
            await inner.fetch_value(case.endless)
    assert await emails(db) == []


async def test_a_stream_in_a_nested_block_left_early_leaves_both_usable(db: DatabaseManager) -> None:
    """What is left of its result disturbs nobody."""
    await db.execute_many(ADD, [{"email": f"{n:04}"} for n in range(1500)])
    async with db.transaction() as tx:
        async with tx.transaction() as inner:
            async with aclosing(inner.stream(EMAILS, batch_size=10)) as rows:
                async for _ in rows:
                    break
            await inner.execute(ADD, {"email": "inner"})
        async with aclosing(tx.stream(EMAILS, batch_size=10)) as rows:
            async for _ in rows:
                break
        await tx.execute(ADD, {"email": "outer"})
    assert await db.fetch_value(COUNT) == 1502


async def test_a_block_opened_in_a_stream_of_the_manager_is_its_own(db: DatabaseManager) -> None:
    """One row after the other is read, and each written back in a transaction."""
    await db.execute_many(ADD, [{"email": f"{n}"} for n in range(6)])
    async with aclosing(db.stream(EMAILS, batch_size=2)) as rows:
        async for (email,) in rows:
            async with db.transaction(isolation="serializable") as tx:
                await tx.execute(
                    "UPDATE account SET balance = balance + 1 WHERE email = :email", {"email": email}
                )
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 6
