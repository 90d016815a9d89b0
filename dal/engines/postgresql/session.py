"""A transaction block on one connection, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from dal.engines.base import Call, Isolation, Rows, Want
from dal.engines.deadlines import Deadlines
from dal.engines.pool import Pool
from dal.engines.postgresql import statements
from dal.engines.postgresql.connection import Connection
from dal.engines.postgresql.errors import ClosedBefore, is_harmless, is_of_the_server, translated
from dal.errors import ConnectionLost, OutcomeUnknown, QueryTimeout, StatementRefused, TransactionError
from dal.queries.statement import Statement

T = TypeVar("T")

_ROLLBACK_PATIENCE = 1.0  # seconds that the caller waits for it; it goes on without the caller
LIMITS: dict[Want, int] = {"all": 0, "one": 2, "first": 1}
_LEVELS: tuple[Isolation, ...] = ("serializable", "repeatable read", "read committed")


def begin_text(isolation: Isolation | None, readonly: bool) -> str:
    """Return the BEGIN of such a transaction.

    Raises:
        StatementRefused: PostgreSQL has no such isolation level.
    """
    level = isolation or "serializable"
    if level not in _LEVELS:
        raise StatementRefused(
            f"PostgreSQL has no isolation level {level!r}; there are {', '.join(_LEVELS)}", sent=False
        )
    return f"BEGIN ISOLATION LEVEL {level.upper()}{' READ ONLY' if readonly else ''}"


def late() -> QueryTimeout:
    """The error of a call whose deadline passed while it ran."""
    return QueryTimeout("the statement was stopped at its timeout", code="57014")


def _lost_before_commit() -> ConnectionLost:
    return ConnectionLost("the connection was lost before COMMIT; the transaction was rolled back")


def wanted(rows: Rows, want: Want) -> Rows:
    """Return *rows*, of which a run with the limit for *want* brought no more than are needed.

    Raises:
        TooManyRows: There is a second one; undoing a write is up to the caller.
    """
    if want == "one" and len(rows.values) > 1:
        raise statements.too_many_rows()
    return rows


async def batches(
    run: Callable[[Callable[[Connection], Awaitable[Any]], float | None], Awaitable[Any]],
    call: Call,
    batch_size: int,
    after: Callable[[], float | None],
) -> AsyncGenerator[Rows, None]:
    """Yield the rows of *call* from a cursor on the server, each batch within its own deadline.

    Args:
        run: Runs some work on a connection inside a transaction, until a deadline.
        call: Any statement that returns rows, or none.
        batch_size: Rows to ask for at once.
        after: Returns the deadline of the batch that is asked for next.
    """
    columns, cursor = await run(lambda connection: connection.cursor(call), after())
    if not columns:
        await run(lambda _: cursor.fetch(1), after())
        return
    while rows := await run(lambda _: cursor.fetch(batch_size), after()):
        yield Rows(columns, rows)
        if len(rows) < batch_size:
            return


class PostgresSession:
    """One connection inside a transaction; `Session` in `dal.engines.base` says what it promises."""

    def __init__(self, connection: Connection, pool: Pool[Connection], deadlines: Deadlines) -> None:
        self._connection = connection
        self._pool = pool
        self._deadlines = deadlines
        self._savepoints = 0
        self._clean = True
        self._broken = False
        self._ended = False

    @property
    def is_open(self) -> bool:
        """True until the connection was given back."""
        return not self._ended

    async def begin(self, text: str, deadline: float | None) -> None:
        """Run *text*, a BEGIN; if that fails the connection is given back."""
        try:
            with self._deadlines.limit(deadline, late):
                await self._connection.run_text(text)
        except BaseException as error:
            self._ended = True
            self._pool.discard(self._connection)
            if isinstance(error, Exception):
                raise translated(error) from error
            raise

    async def execute(self, call: Call, deadline: float | None) -> int:
        """See `Runner.execute`."""
        self._take_note(call.statement)
        return (await self._run(lambda connection: connection.run(call), deadline)).matched

    async def fetch(self, call: Call, deadline: float | None, want: Want) -> Rows:
        """See `Runner.fetch`."""
        self._take_note(call.statement)
        limit = LIMITS[want]
        result = await self._run(lambda connection: connection.run(call, limit), deadline)
        return wanted(result.rows, want)

    async def execute_many(
        self, statement: Statement, rows: Sequence[tuple[Any, ...]], deadline: float | None
    ) -> None:
        """See `Runner.execute_many`."""
        self._take_note(statement)
        await self._run(lambda connection: connection.run_many(statement, rows), deadline)

    async def execute_script(self, text: str, deadline: float | None) -> None:
        """See `Runner.execute_script`."""
        self._clean = False
        if checked := statements.checked_script(text):
            await self._run(lambda connection: connection.run_text(checked), deadline)

    async def stream(self, call: Call, batch_size: int, timeout: float | None) -> AsyncGenerator[Rows, None]:
        """See `Runner.stream`."""
        self._take_note(call.statement)
        async for rows in batches(self._run, call, batch_size, lambda: self._deadlines.after(timeout)):
            yield rows

    async def savepoint(self, deadline: float | None) -> str:
        """See `Session.savepoint`."""
        self._savepoints += 1
        name = f"dal_{self._savepoints}"
        await self._run(lambda connection: connection.run_text(f"SAVEPOINT {name}"), deadline)
        return name

    async def release(self, savepoint: str, deadline: float | None) -> None:
        """See `Session.release`."""
        await self._run(lambda connection: connection.run_text(f"RELEASE {savepoint}"), deadline)

    async def rollback_to(self, savepoint: str, deadline: float | None) -> None:
        """See `Session.rollback_to`."""
        text = f"ROLLBACK TO {savepoint}; RELEASE {savepoint}"
        await self._run(lambda connection: connection.run_text(text), deadline)

    async def commit(self, deadline: float | None) -> None:
        """See `Session.commit`."""
        if self._ended:
            raise TransactionError("the transaction has ended")
        if self._broken or self._connection.raw.is_closed():
            await self.rollback()
            raise _lost_before_commit()
        if self._deadlines.has_passed(deadline):
            await self.rollback()
            raise QueryTimeout(
                "the timeout passed before COMMIT; the transaction was rolled back", sent=False
            )
        self._ended = True
        try:
            with self._deadlines.limit(deadline, late):
                status = await self._connection.run_text("COMMIT")
        except BaseException as error:
            if is_of_the_server(error):
                self._pool.release(self._connection, clean=False)
                raise translated(error) from error  # type: ignore[arg-type]  # the server's is an Exception
            self._pool.discard(self._connection)
            if isinstance(error, Exception):
                if isinstance(translated(error), ClosedBefore):
                    raise _lost_before_commit() from error
                raise OutcomeUnknown(
                    "the answer to COMMIT was lost; the transaction may or may not have been committed"
                ) from error
            raise
        self._pool.release(self._connection, clean=self._clean)
        if status != "COMMIT":
            raise TransactionError("the server rolled the transaction back in place of committing it")

    async def rollback(self) -> None:
        """See `Session.rollback`."""
        if self._ended:
            return
        self._ended = True
        if self._broken or self._connection.raw.is_closed():
            self._pool.discard(self._connection)
            return
        done = self._pool.finish(self._connection, self._rolled_back())
        await asyncio.wait([done], timeout=_ROLLBACK_PATIENCE)

    async def _rolled_back(self) -> None:
        await self._connection.run_text("ROLLBACK")

    def _take_note(self, statement: Statement) -> None:
        statements.refuse(statement)
        self._clean = self._clean and statement.clean

    async def _run(self, work: Callable[[Connection], Awaitable[T]], deadline: float | None) -> T:
        if self._ended or self._broken:
            raise TransactionError("the transaction has ended")
        try:
            with self._deadlines.limit(deadline, late):
                value = await work(self._connection)
        except BaseException as error:
            self._broken = not is_harmless(error)
            if isinstance(error, Exception):
                raise translated(error) from error
            raise
        if not self._connection.raw.is_in_transaction():
            self._broken = True
            raise StatementRefused("the statement ended the transaction; what it did before may be committed")
        return value
