"""One connection of asyncpg, the statements prepared on it, and the ways to run them.

A statement is prepared once, at its first run on the connection; each run is then one round trip. Calls
go to the driver in the caller's task. If one of them is cancelled, the driver sends a cancel request
from a task of its own, and the connection is not to be used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple

import asyncpg
from asyncpg.cursor import Cursor
from asyncpg.prepared_stmt import PreparedStatement

from dal.engines.base import Call, Rows
from dal.engines.postgresql import copying, statements
from dal.engines.postgresql.errors import is_harmless
from dal.engines.postgresql.parameters import Parameters
from dal.errors import DataError
from dal.queries.statement import Statement

_CHECKED_AT_ONCE = 1000  # rows of an execute_many checked before the event loop gets its turn

_LAST_WORDS_SECONDS = 0.2  # after the connection was lost, for what the server had said before

# What the server says of parameters whose types the schema had when the statement was prepared: their type
# does not fit, there is no operator for it, it has no such value, or it is gone.
_OF_OTHER_TYPES = ("42804", "42883", "22P02", "XX000")


class Result(NamedTuple):
    """What a statement brought back.

    Attributes:
        rows: The rows, as many as were asked for.
        status: What the server says was done, ``INSERT 0 1``; None if the rows were cut off.
    """

    rows: Rows
    status: bytes | None

    @property
    def matched(self) -> int:
        """The rows that a write matched, 0 for anything else."""
        verb, _, rest = (self.status or b"").decode().partition(" ")
        return int(rest.rpartition(" ")[2]) if verb in ("INSERT", "UPDATE", "DELETE", "MERGE") else 0


class Prepared(NamedTuple):
    """A statement that the server has parsed, and what it says of it.

    Attributes:
        state: What the driver's protocol knows it by.
    """

    statement: PreparedStatement[asyncpg.Record]
    columns: tuple[str, ...]
    parameters: Parameters
    state: Any


class Epoch:
    """Counts how often a statement was found that had been prepared for an older schema."""

    def __init__(self) -> None:
        self.number = 0


class Connection:
    """A connection; `raw` is the driver's.

    Args:
        raw: Open, and outside of any transaction.
        capacity: Statements that stay prepared.
        epoch: Shared by all connections: once one finds a statement stale, all prepare theirs anew.
    """

    def __init__(self, raw: asyncpg.Connection[asyncpg.Record], capacity: int, epoch: Epoch) -> None:
        self.raw = raw
        self._capacity = capacity
        self._prepared: dict[str, Prepared] = {}  # the one used last at the end
        self._epoch = epoch
        self._prepared_in = epoch.number
        # Private, as is a statement's state: by the public interface a call can ask for all rows or for one,
        # where two tell that there are too many; and it takes a third longer in the client.
        self._bind_execute = raw._protocol.bind_execute

    async def run(self, call: Call, limit: int = 0) -> Result:
        """Run *call* and return its rows, not more than *limit* if that is not 0."""
        known = prepared = self._ready(call)
        try:
            if prepared is None:
                prepared = await self._fitting(call)
            found, status, _ = await self._bind_execute(prepared.state, call.args, "", limit, True, None)
        except asyncpg.InvalidCachedStatementError:
            self._epoch.number += 1
            if self.raw.is_in_transaction():
                raise
        except asyncpg.OutdatedSchemaCacheError:
            self._prepared.clear()
            await self.raw.reload_schema_state()
            raise
        except asyncpg.PostgresError as error:
            if error.sqlstate not in _OF_OTHER_TYPES or not await self._is_outdated(call.sql, known):
                raise
        else:
            return Result(Rows(prepared.columns, found), status)
        prepared = await self._fitting(call)  # the server refused it before it began
        found, status, _ = await self._bind_execute(prepared.state, call.args, "", limit, True, None)
        return Result(Rows(prepared.columns, found), status)

    async def run_many(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run *statement* once for each of *rows*: all of them or, outside of a transaction, none."""
        target = copying.target(statement.sql) if self._may_copy(rows) else None
        if target is None:
            await self._run_each(statement, rows)
        elif self.raw.is_in_transaction():
            await self._copy(target, statement, rows)
        else:
            await self.run_text("BEGIN")
            try:
                await self._copy(target, statement, rows)
            except Exception as error:
                if is_harmless(error):
                    await self.run_text("ROLLBACK")
                raise
            await self.run_text("COMMIT")

    async def run_text(self, text: str) -> str:
        """Run the statements of *text*, one transaction for the server; return the last status."""
        status: str = await self.raw.execute(text)
        return status

    async def cursor(self, call: Call) -> tuple[tuple[str, ...], Cursor[asyncpg.Record]]:
        """Open a cursor on the rows of *call* and return their columns and it; only in a transaction."""
        prepared = await self._fitting(call)
        try:
            return prepared.columns, await prepared.statement.cursor(*call.args)
        except asyncpg.InvalidCachedStatementError:
            self._epoch.number += 1
            raise

    def _may_copy(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Not through a proxy: after an error it might send what is left of the rows to another server."""
        return len(rows) >= copying.LEAST_ROWS and self._capacity > 0

    async def _copy(
        self, target: copying.Target, statement: Statement, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Store *rows* by COPY if that means the same; only in a transaction."""
        # The server locks the table as it parses the INSERT, so that it stays what the catalog says it is.
        parameters = (await self._prepare_anew(statement.sql)).parameters
        look = (await self._prepare(copying.LOOK)).statement
        table = copying.table_of(target, await look.fetchrow(target.table, target.columns), parameters)
        if table is None:
            await self._run_each(statement, rows)
        else:
            await _check_all(parameters, rows, statement)
            await self._apart(copying.copy(self.raw, table, rows))

    async def _run_each(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> None:
        prepared = await self._prepare(statement.sql)
        try:
            await _check_all(prepared.parameters, rows, statement)
        except DataError:
            prepared = await self._prepare_anew(statement.sql)
            try:
                await _check_all(prepared.parameters, rows, statement)
            except DataError:
                await self._let_go()
                raise
        try:
            await self._apart(prepared.statement.executemany(rows))
        except asyncpg.InvalidCachedStatementError:
            self._epoch.number += 1
            raise

    async def _apart(self, work: Coroutine[Any, Any, None]) -> None:
        """Await *work*, which sends much, in a task of its own.

        asyncpg swallows a cancellation that comes while it waits to send more, and waits forever if the
        connection is lost then.
        """
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        lost = asyncio.Event()

        def listener(_: object) -> None:
            lost.set()

        self.raw.add_termination_listener(listener)
        watch = asyncio.ensure_future(lost.wait())
        try:
            await asyncio.wait([task, watch], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait([task], timeout=_LAST_WORDS_SECONDS)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            watch.cancel()
            self.raw.remove_termination_listener(listener)
        if not task.done():
            task.cancel()
            raise asyncpg.ConnectionDoesNotExistError("the connection was closed before all rows were sent")
        task.result()

    def _ready(self, call: Call) -> Prepared | None:
        """Return what `_fitting` does if there is nothing to ask the server; most calls are like that."""
        if self._prepared_in != self._epoch.number:
            return None
        prepared = self._prepared.get(call.sql)
        if prepared is None:
            return None
        if len(self._prepared) >= self._capacity:  # before that, none is dropped
            self._prepared[call.sql] = self._prepared.pop(call.sql)
        try:
            prepared.parameters.check(call.args, call.statement)
        except DataError:
            return None
        return prepared

    async def _fitting(self, call: Call) -> Prepared:
        """Return the statement of *call* prepared, whose values fit its parameters."""
        prepared = await self._prepare(call.sql)
        try:
            prepared.parameters.check(call.args, call.statement)
        except DataError:
            prepared = await self._prepare_anew(call.sql)
            try:
                prepared.parameters.check(call.args, call.statement)
            except DataError:
                await self._let_go()
                raise
        return prepared

    async def _is_outdated(self, sql: str, known: Prepared | None) -> bool:
        """Say whether *sql* takes other types now than when it was prepared, as *known*; forget that."""
        if known is None or self._prepared.pop(sql, None) is not known or self.raw.is_in_transaction():
            return False
        now = await self._prepare(sql)
        if now.parameters.types != known.parameters.types:
            return True
        await self._let_go()
        return False

    async def _let_go(self) -> None:
        """End what the server began as it prepared a statement that is not run: it holds locks."""
        if not self.raw.is_in_transaction():
            await self.run_text("SELECT 1")

    async def _prepare_anew(self, sql: str) -> Prepared:
        """Prepare *sql* for the schema as it is now: the types of its parameters stay what they once were."""
        self._prepared.pop(sql, None)
        return await self._prepare(sql)

    async def _prepare(self, sql: str) -> Prepared:
        if self._prepared_in != self._epoch.number:
            self._prepared.clear()
            self._prepared_in = self._epoch.number
        known = self._prepared.pop(sql, None)
        if known is None:
            if not self._capacity:
                statements.refuse_in_shared_session(sql)
            statement = await self.raw.prepare(sql)
            columns = tuple([attribute.name for attribute in statement.get_attributes()])
            known = Prepared(statement, columns, Parameters(statement.get_parameters()), statement._state)
            if len(self._prepared) >= max(self._capacity, 1):
                self._prepared.pop(next(iter(self._prepared)))
        self._prepared[sql] = known
        return known


async def _check_all(parameters: Parameters, rows: Sequence[tuple[Any, ...]], statement: Statement) -> None:
    for start in range(0, len(rows), _CHECKED_AT_ONCE):
        parameters.check_all(rows[start : start + _CHECKED_AT_ONCE], statement)
        await asyncio.sleep(0)
