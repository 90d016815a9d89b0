"""What is repeated, how often and when; and what many writers at the same time end at."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    CheckViolation,
    ConflictError,
    ConnectionLost,
    DatabaseError,
    LockTimeout,
    PoolTimeout,
    QueryTimeout,
    TooManyWaiters,
    TransactionError,
    UniqueViolation,
)
from dal.transaction import Transaction
from tests.conformance.conftest import LetPass
from tests.conformance.steps import Steps
from tests.engine_cases import Capability, EngineCase, needs

ADD = "INSERT INTO account (email, balance) VALUES (:email, :balance)"
UP = "UPDATE account SET balance = balance + :by WHERE email = :email"
COUNT = "SELECT count(*) FROM account"
TOTAL = "SELECT sum(balance) FROM account"


async def add(db: DatabaseManager, **balances: int) -> None:
    await db.execute_many(ADD, [{"email": email, "balance": n} for email, n in balances.items()])


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (ConflictError("x"), 3), (LockTimeout("x"), 3), (PoolTimeout("x"), 3), (TooManyWaiters("x"), 3),
        (QueryTimeout("x"), 1), (ConnectionLost("x"), 1), (TransactionError("x"), 1), (DatabaseError("x"), 1),
        (TimeoutError("x"), 1), (asyncio.CancelledError(), 1), (KeyboardInterrupt(), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)  # fmt: skip
async def test_only_what_is_retryable_is_repeated(
    db: DatabaseManager, error: BaseException, tries: int
) -> None:
    """As often as was asked for, and the last error comes out."""
    seen = 0

    async def work(tx: Transaction) -> None:
        nonlocal seen
        seen += 1
        await tx.execute(ADD, {"email": f"{seen}", "balance": 0})
        raise error

    with pytest.raises(type(error)):
        await db.run_transaction(work, retries=2)
    assert seen == tries
    assert await db.fetch_value(COUNT) == 0


async def test_no_retries_are_one_try(db: DatabaseManager) -> None:
    """And the conflict comes out."""
    seen = 0

    async def work(tx: Transaction) -> None:
        nonlocal seen
        seen += 1
        raise ConflictError("x")

    with pytest.raises(ConflictError):
        await db.run_transaction(work, retries=0)
    assert seen == 1


async def test_each_try_has_a_transaction_of_its_own(db: DatabaseManager) -> None:
    """That of the try before is refused, and nothing of it is seen."""
    seen: list[Transaction] = []

    async def work(tx: Transaction) -> None:
        assert await tx.fetch_value(COUNT) == 0
        for before in seen:
            with pytest.raises(TransactionError, match="has been left"):
                await before.fetch_value(COUNT)
        seen.append(tx)
        await tx.execute(ADD, {"email": "a", "balance": len(seen)})
        if len(seen) < 4:
            raise ConflictError("x")

    await db.run_transaction(work)
    assert len({id(tx) for tx in seen}) == 4
    assert await db.fetch_value(TOTAL) == 4


async def test_pauses_grow_are_random_and_bounded(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is from nothing up to a limit, which doubles and then stays."""
    asked: list[tuple[float, float]] = []

    def pause(low: float, high: float) -> float:
        asked.append((low, high))
        return 0.0

    async def work(tx: Transaction) -> None:
        raise ConflictError("x")

    monkeypatch.setattr(random, "uniform", pause)
    with pytest.raises(ConflictError):
        await db.run_transaction(work, retries=12)
    limits = [high for low, high in asked if low == 0]
    assert len(limits) == 12
    assert all(after == min(2 * before, limits[-1]) for before, after in itertools.pairwise(limits))
    assert limits[0] < 0.05
    assert limits[-1] <= 1


async def test_a_pause_between_two_tries_holds_no_connection(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More works that wait for their next try than there are connections keep nobody waiting."""
    monkeypatch.setattr("dal.transaction._FIRST_PAUSE", 3000.0)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)

    tried = 0

    async def work(tx: Transaction) -> None:
        nonlocal tried
        tried += 1
        raise ConflictError("x")

    tasks = [asyncio.ensure_future(db.run_transaction(work)) for _ in range(10)]
    async with asyncio.timeout(60):
        while tried < 10:
            await asyncio.sleep(0.01)
        await add(db, a=1)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 10


@pytest.mark.usefixtures("time_flies")
async def test_the_timeout_is_for_each_try(db: DatabaseManager, case: EngineCase, let_pass: LetPass) -> None:
    """A try that is late is not repeated, one that met a conflict has all of its time again."""
    seen = 0

    async def work(tx: Transaction) -> Any:
        nonlocal seen
        seen += 1
        await let_pass(600)
        if seen < 4:
            raise ConflictError("x")
        return seen

    assert await db.run_transaction(work, timeout=1000) == 4

    async def late(tx: Transaction) -> None:
        nonlocal seen
        seen += 1
        await tx.fetch_value(case.endless)

    with pytest.raises(QueryTimeout):
        await db.run_transaction(late, timeout=1000)
    assert seen == 5


async def test_only_the_actions_of_the_try_that_is_kept_run(db: DatabaseManager) -> None:
    """Once."""
    seen: list[int] = []
    tries = itertools.count(1)

    async def work(tx: Transaction) -> None:
        number = next(tries)
        tx.after_commit(lambda: seen.append(number))
        if number < 3:
            raise ConflictError("x")

    await db.run_transaction(work)
    assert seen == [3]


async def test_run_transaction_is_refused_inside_a_block(db: DatabaseManager) -> None:
    """It would be a transaction of its own, beside that of the block."""
    ran = False

    async def work(tx: Transaction) -> None:
        nonlocal ran
        ran = True

    async with db.transaction():
        with pytest.raises(TransactionError, match="tx"):
            await db.run_transaction(work)
    assert not ran


async def test_a_conflict_inside_a_nested_block_is_for_the_outermost_to_repeat(db: DatabaseManager) -> None:
    """The transaction as a whole has met it, so the whole of it runs again."""
    tries: list[str] = []

    async def inner(tx: Transaction) -> None:
        tries.append("inner")
        await tx.execute(ADD, {"email": "inner", "balance": 0})
        if len(tries) < 6:
            raise ConflictError("x")

    async def outer(tx: Transaction) -> None:
        tries.append("outer")
        await tx.execute(ADD, {"email": "outer", "balance": 0})
        await tx.run_transaction(inner, retries=5)

    await db.run_transaction(outer)
    assert tries == ["outer", "inner"] * 3
    assert await db.fetch_value(COUNT) == 2


async def test_batches_of_many_tasks_are_never_lost_in_silence(db: DatabaseManager) -> None:
    """`execute_transaction` repeats nothing; what it acknowledged is there, and the rest may be repeated."""
    await add(db, a=0, b=0)

    statements = [(UP, {"by": 1, "email": "a"}), (UP, {"by": 1, "email": "b"})]
    done = 0
    for _ in range(5):
        results = await asyncio.gather(
            *(db.execute_transaction(statements) for _ in range(8)), return_exceptions=True
        )
        failures = [result for result in results if result is not True]
        assert all(isinstance(failure, DatabaseError) and failure.retryable for failure in failures)
        done += results.count(True)
    assert await db.fetch_value(TOTAL) == 2 * done > 0


@needs(Capability.CONCURRENT_WRITERS)
async def test_a_batch_that_meets_a_conflict_raises_it(db: DatabaseManager, steps: Steps) -> None:
    """As retryable, with nothing of it kept: whether to repeat it is for the caller to say."""
    await add(db, a=0, b=0)
    sent: list[Any] = []
    steps.at_text("UPDATE", sent.append)
    entered, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with db.transaction() as tx:
            await tx.execute(UP, {"by": 5, "email": "a"})
            entered.set()
            await go.wait()
            await tx.execute(UP, {"by": 5, "email": "b"})

    holder = asyncio.ensure_future(hold())
    await entered.wait()
    statements = [(UP, {"by": 1, "email": "b"}), (UP, {"by": 1, "email": "a"})]
    batch = asyncio.ensure_future(db.execute_transaction(statements))
    async with asyncio.timeout(60):
        while len(sent) < 3:  # the batch has its first row, and asks for the holder's
            await asyncio.sleep(0.01)
    go.set()
    results = await asyncio.gather(holder, batch, return_exceptions=True)
    (conflict,) = (result for result in results if isinstance(result, BaseException))
    assert isinstance(conflict, ConflictError)
    assert conflict.retryable
    if conflict is results[1]:
        assert await db.execute_transaction(statements) is True
        assert await db.fetch_value(TOTAL) == 12
    else:
        assert await db.fetch_value(TOTAL) == 2


@pytest.mark.parametrize("writer", ["execute_transaction", "execute_many", "execute_script", "transaction"])
async def test_a_reader_never_sees_half_of_a_write(db: DatabaseManager, writer: str) -> None:
    """However often it looks, in one statement; the sum of both rows stays what it was."""
    await add(db, a=100, b=100)
    there, back = {"by": 1, "email": "a"}, {"by": -1, "email": "b"}
    writes: dict[str, Callable[[], Any]] = {
        "execute_transaction": lambda: db.execute_transaction([(UP, there), (UP, back)]),
        "execute_many": lambda: db.execute_many(UP, [there, back]),
        "execute_script": lambda: db.execute_script(
            "UPDATE account SET balance = balance + 1 WHERE email = 'a'; "
            "UPDATE account SET balance = balance - 1 WHERE email = 'b';"
        ),
        "transaction": lambda: db.run_transaction(
            lambda tx: tx.execute_transaction([(UP, there), (UP, back)])
        ),
    }
    written = 0
    done = asyncio.Event()

    async def write() -> None:
        nonlocal written
        for _ in range(30):
            await writes[writer]()
            written += 1
        done.set()

    async def look() -> set[int]:
        seen = set()
        while not done.is_set():
            seen.add(int(await db.fetch_value(TOTAL)))
        return seen

    _, *seen = await asyncio.gather(write(), look(), look())
    assert seen == [{200}, {200}]
    assert await db.fetch_value("SELECT balance FROM account WHERE email = 'a'") == 130


async def test_rows_of_a_block_that_is_undone_are_never_seen(db: DatabaseManager) -> None:
    """By readers that look all the time."""
    done = asyncio.Event()

    async def write() -> None:
        for n in range(20):
            with pytest.raises(LookupError):
                async with db.transaction() as tx:
                    await tx.execute(ADD, {"email": f"{n}", "balance": 0})
                    await asyncio.sleep(0)
                    raise LookupError
        done.set()

    async def look() -> set[int]:
        seen = set()
        while not done.is_set():
            seen.add(await db.fetch_value(COUNT))
        return seen

    _, *seen = await asyncio.gather(write(), look(), look())
    assert seen == [{0}, {0}]


async def test_a_stream_shows_what_was_there_when_it_began(db: DatabaseManager) -> None:
    """Whatever is written while it is read."""
    await db.execute_many(ADD, [{"email": f"{n:03}", "balance": 1} for n in range(60)])
    seen = []
    async for email, balance in db.stream("SELECT email, balance FROM account ORDER BY email", batch_size=5):
        seen.append((email, balance))
        if len(seen) == 10:
            await db.execute("UPDATE account SET balance = 2")
            await db.execute("DELETE FROM account WHERE email > '040'")
            await add(db, zzz=9)
    assert seen == [(f"{n:03}", 1) for n in range(60)]


async def test_a_block_reads_the_same_twice(db: DatabaseManager) -> None:
    """Though another task wants to write in between, which happens before it or after it."""
    await add(db, a=0)
    ask = "SELECT balance FROM account WHERE email = 'a'"
    for n in range(5):
        read = asyncio.Event()

        async def write(read: asyncio.Event = read) -> None:
            await read.wait()
            await db.run_transaction(lambda tx: tx.execute(UP, {"by": 1, "email": "a"}))

        writer = asyncio.ensure_future(write())
        async with db.transaction() as tx:
            first = await tx.fetch_value(ask)
            read.set()
            await asyncio.sleep(0.02)
            assert await tx.fetch_value(ask) == first == n
        await writer
    assert await db.fetch_value(ask) == 5


async def test_a_read_only_block_sees_no_order_that_could_not_have_been(db: DatabaseManager) -> None:
    """The anomaly of a report: it shows a deposit, but then a fee that was due only before the deposit."""
    for _ in range(5):
        await db.execute("DELETE FROM account")
        await add(db, current=100, savings=0)
        seen: tuple[int, int] | None = None

        async def withdraw(tx: Transaction) -> None:
            total = await tx.fetch_value(TOTAL)
            await asyncio.sleep(0.01)
            await tx.execute(UP, {"by": -11 if total < 110 else -10, "email": "current"})

        async def deposit() -> None:
            await asyncio.sleep(0.003)
            await db.run_transaction(lambda tx: tx.execute(UP, {"by": 20, "email": "savings"}))

        async def report() -> tuple[int, int]:
            await asyncio.sleep(0.006)

            async def look(tx: Transaction) -> tuple[int, int]:
                rows = await tx.fetch_all("SELECT balance FROM account ORDER BY email")
                return rows[0][0], rows[1][0]

            while True:
                try:
                    async with db.transaction(readonly=True) as tx:
                        return await look(tx)
                except ConflictError:
                    continue

        _, _, seen = await asyncio.gather(db.run_transaction(withdraw), deposit(), report())
        left = await db.fetch_value("SELECT balance FROM account WHERE email = 'current'")
        assert not (seen == (100, 20) and left == 89), (
            "a deposit was reported, and the fee taken all the same"
        )


async def test_a_limit_in_the_schema_holds_for_all_at_once(db: DatabaseManager) -> None:
    """Twenty want one of seven: thirteen are refused, by the constraint, and nothing is oversold."""
    await add(db, stock=7)
    results = await asyncio.gather(
        *(db.execute(UP, {"by": -1, "email": "stock"}) for _ in range(20)), return_exceptions=True
    )
    assert [type(result) for result in results].count(CheckViolation) == 13
    assert results.count(1) == 7
    assert await db.fetch_value(TOTAL) == 0


async def test_one_of_many_that_want_the_same_key_gets_it(db: DatabaseManager) -> None:
    """The others hear that it is taken; each in a block, so that they wait for each other's end."""

    async def register(n: int) -> None:
        async with db.transaction(isolation="serializable") as tx:
            await tx.execute(ADD, {"email": "wanted", "balance": n})

    async def attempt(n: int) -> BaseException | None:
        while True:
            try:
                await register(n)
                return None
            except UniqueViolation as error:
                return error
            except DatabaseError as error:
                if not error.retryable:
                    raise

    results = await asyncio.gather(*(attempt(n) for n in range(8)))
    assert [type(result) for result in results].count(UniqueViolation) == 7
    assert await db.fetch_value(COUNT) == 1


async def test_an_increment_in_one_statement_needs_no_retry(db: DatabaseManager) -> None:
    """Two hundred at once, outside of any block: all of them count."""
    await add(db, a=0)
    results = await asyncio.gather(*(db.execute(UP, {"by": 1, "email": "a"}) for _ in range(200)))
    assert results == [1] * 200
    assert await db.fetch_value(TOTAL) == 200
