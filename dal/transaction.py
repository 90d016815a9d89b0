"""Transaction blocks: the verbs on one connection, savepoints, retries.

A block is an object that is used by name. What a task does with a block is serialised: verbs of tasks
that share it run one after the other, and a nested block keeps the outer one waiting until it is left.
After an error a block accepts nothing but its end.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from dal.engines.base import Call, Engine, Isolation, Rows, Runner, Session
from dal.errors import (
    DalError,
    DatabaseError,
    OutcomeUnknown,
    PoolTimeout,
    QueryTimeout,
    StatementRefused,
    TransactionError,
    UsageError,
)
from dal.executor import NO_TABLES, Executor, Params, Queryable, name_query
from dal.queries.query import Query

if TYPE_CHECKING:
    from dal.database import DatabaseManager

T = TypeVar("T")

_log = logging.getLogger("dal.transaction")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.5  # seconds between the tries of a retried transaction

_blocks: ContextVar[tuple[Transaction, ...]] = ContextVar("dal_transactions", default=())


class Transaction(Executor):
    """An open transaction, or a savepoint within one; given by ``async with db.transaction()``."""

    def __init__(
        self, db: DatabaseManager, session: Session, deadline: float | None, outer: Transaction | None = None
    ) -> None:
        self._db = db
        self._engine = db._engine
        self._session = session
        self._deadline = deadline
        self._outer = outer
        self._lock = asyncio.Lock()
        self._inner: Transaction | None = None
        self._streaming = False
        self._failure: BaseException | None = None
        self._open = True
        self._after_commit: list[Callable[[], Awaitable[None] | None]] = []
        self._written = NO_TABLES  # of which cached answers end with the commit

    @property
    def is_open(self) -> bool:
        """False once the block has been left."""
        return self._open

    def after_commit(self, action: Callable[[], Awaitable[None] | None]) -> None:
        """Have *action* run once the outermost block is committed, or its outcome is unknown.

        It runs after the connection was given back. What it raises is logged: the commit stands.
        """
        self._check()
        self._after_commit.append(action)

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation | None = None, readonly: bool = False, timeout: float | None = None
    ) -> AsyncIterator[Transaction]:
        """See `Executor.transaction`: a savepoint, which has the isolation of its transaction."""
        if isolation is not None or readonly:
            raise StatementRefused("a savepoint takes the isolation and mode of its transaction", sent=False)
        deadline = _earlier(
            self._deadline, self._db._deadline_after(timeout) if timeout is not None else None
        )
        async with self._turn(_earlier(deadline, self._db._deadline_after(None))):
            savepoint = await self._guarded(None, self._session.savepoint(deadline))
            inner = Transaction(self._db, self._session, deadline, self)
            self._inner = inner
            try:
                with inner._entered():
                    yield inner
                    inner._must_be_whole()
                await self._guarded(None, self._session.release(savepoint, deadline))
                self._after_commit.extend(inner._after_commit)
                self._written |= inner._written
            except BaseException:
                await self._undo_to(savepoint)
                raise
            finally:
                self._inner = None

    async def execute_transaction(
        self, queries: Iterable[tuple[Queryable[Any], Params]], *, timeout: float | None = None
    ) -> bool:
        """See `Executor.execute_transaction`; here it is a savepoint."""
        calls = self._calls(queries)
        async with self.transaction(timeout=timeout) as inner:
            for call in calls:
                await inner._execute(call, None)
        return True

    async def run_transaction(
        self, work: Callable[[Transaction], Awaitable[T]], *, retries: int = 0, timeout: float | None = None
    ) -> T:
        """See `Executor.run_transaction`; a savepoint is not retried, its transaction is."""
        async with self.transaction(timeout=timeout) as inner:
            return await work(inner)

    async def _run(
        self,
        call: Call | None,
        work: Callable[[Runner, float | None], Awaitable[T]],
        timeout: float | None,
        writes: frozenset[str] = NO_TABLES,
    ) -> T:
        deadline = _earlier(self._deadline, self._db._deadline_after(timeout))
        async with self._turn(deadline):
            if tables := writes if call is None else call.statement.invalidates:
                self._written |= tables
            return await self._guarded(call, work(self._session, deadline))

    def _query(self, query: Queryable[Any], params: Params) -> Query[Any]:
        return self._db._query(query, params)

    async def _batches(
        self, call: Call, batch_size: int, timeout: float | None
    ) -> AsyncGenerator[Rows, None]:
        async with self._turn(_earlier(self._deadline, self._db._deadline_after(timeout))):
            self._streaming = True
            self._written |= call.statement.invalidates
            try:
                limit = self._db._timeout(timeout)
                async with aclosing(self._session.stream(call, batch_size, limit)) as batches:
                    while (rows := await self._guarded(call, anext(batches, None))) is not None:
                        yield rows
            finally:
                self._streaming = False

    @asynccontextmanager
    async def _turn(self, deadline: float | None) -> AsyncIterator[None]:
        """Wait until no other task uses the connection; raise where waiting would never end."""
        self._check()
        if deadline is not None and deadline <= asyncio.get_running_loop().time():
            raise QueryTimeout("the block's timeout has passed; nothing was sent", sent=False)
        try:
            async with asyncio.timeout_at(deadline if self._lock.locked() else None):
                await self._lock.acquire()
        except TimeoutError:
            raise PoolTimeout(
                "another task, or a nested block, used the transaction until the timeout; nothing was sent"
            ) from None
        try:
            self._check()
            yield
        finally:
            self._lock.release()

    def _check(self) -> None:
        if not self._open:
            raise TransactionError("the transaction's block has been left")
        if self._failure is not None:
            raise TransactionError(
                "an earlier statement failed, so the transaction accepts nothing but its end; leave the block"
            ) from self._failure
        if self._streaming:
            raise TransactionError(
                "a stream is open on this transaction; read it to its end or close it first"
            )
        if self._inner is not None and self._inner in _blocks.get():
            raise TransactionError("a nested block is open; use the transaction that it gave")

    async def _guarded(self, call: Call | None, work: Awaitable[T]) -> T:
        """Return what *work* brings; if it fails, so does the transaction."""
        try:
            return await work
        except BaseException as error:
            self._failure = error
            if isinstance(error, DalError):
                name_query(error, call)
            raise

    async def _undo_to(self, savepoint: str) -> None:
        if self._failure is not None:
            return  # the whole transaction will be rolled back
        try:
            await self._session.rollback_to(savepoint, self._deadline)
        except BaseException as error:
            self._failure = error
            if not isinstance(error, DalError):
                raise
            _log.warning("a savepoint could not be undone; the transaction will be: %s", error)

    def _must_be_whole(self) -> None:
        if self._failure is not None:
            raise TransactionError(
                "an earlier statement failed, so the transaction was rolled back"
            ) from self._failure
        if self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline:
            raise QueryTimeout("the block took longer than its timeout and was rolled back")

    def _entered(self) -> _Entered:
        return _Entered(self)


class _Entered:
    """Marks a block as open for the task that entered it and those that it starts."""

    def __init__(self, block: Transaction) -> None:
        self._block = block

    def __enter__(self) -> None:
        self._before = tuple(block for block in _blocks.get() if block.is_open)
        _blocks.set((*self._before, self._block))

    def __exit__(self, *_: object) -> None:
        self._block._open = False
        # Not by token: a generator fixture may be left in another context than it was entered in.
        _blocks.set(self._before)


def open_block(engine: Engine) -> Transaction | None:
    """Return the block on *engine* that is open around the current task, if there is one."""
    if blocks := _blocks.get():
        for block in reversed(blocks):
            if block._engine is engine and block._open:
                return block
    return None


async def with_retries(
    begin: Callable[[], AbstractAsyncContextManager[Transaction]],
    work: Callable[[Transaction], Awaitable[T]],
    retries: int,
) -> T:
    """Return what *work* brings inside a block of its own; see `Executor.run_transaction`."""
    pause = _FIRST_PAUSE
    for remaining in range(retries, -1, -1):
        try:
            async with begin() as tx:
                return await work(tx)
        except DatabaseError as error:
            if not error.retryable or not remaining or isinstance(error, OutcomeUnknown):
                raise
        await asyncio.sleep(random.uniform(0, pause))
        pause = min(2 * pause, _LONGEST_PAUSE)
    raise UsageError("retries must not be negative")


@asynccontextmanager
async def run_block(
    db: DatabaseManager, isolation: Isolation | None, readonly: bool, timeout: float | None
) -> AsyncIterator[Transaction]:
    """Open an outermost block on *db*, and commit or roll it back."""
    deadline = None if timeout is None else db._deadline_after(timeout)
    session = await db._engine.begin(isolation, readonly, db._deadline_after(timeout))
    block = Transaction(db, session, deadline)
    try:
        with block._entered():
            yield block
            block._must_be_whole()
        commit_by = _earlier(deadline, db._deadline_after(None))
        # One that raises does so here, before the commit.
        changing = db._cached.changing(block._written) if db._cached and block._written else None
    except BaseException:
        await _rolled_back(session)
        raise
    if not block._after_commit and changing is None:
        await session.commit(commit_by)
    else:  # a caller who leaves now takes neither the commit nor its actions along
        work = _commit_and_act(block, commit_by, changing or nullcontext())
        await asyncio.shield(db._background.start(work, contextvars.copy_context()))


async def _rolled_back(session: Session) -> None:
    """Roll back; trouble with that is logged and never replaces the error that led here."""
    try:
        await session.rollback()
    except DalError as error:
        _log.warning("a rollback failed, its connection is discarded: %s", error)


async def _commit_and_act(
    block: Transaction, deadline: float | None, changing: AbstractAsyncContextManager[None]
) -> None:
    try:
        async with changing:
            await block._session.commit(deadline)
    except OutcomeUnknown:
        await _run_actions(block)
        raise
    await _run_actions(block)


async def _run_actions(block: Transaction) -> None:
    for action in block._after_commit:
        try:
            result = action()
            if inspect.isawaitable(result):
                await result
        except Exception:
            _log.exception("an after_commit action failed; the commit stands")


def _earlier(first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)
