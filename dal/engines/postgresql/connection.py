"""One connection of asyncpg, the statements prepared on it, and the ways to run them.

A statement is prepared once, at its first run on the connection; each run is then one round trip. Calls
go to the driver in the caller's task. If one of them is cancelled, the driver sends a cancel request
from a task of its own, and the connection is not to be used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import asyncpg
from asyncpg.cursor import Cursor
from asyncpg.prepared_stmt import PreparedStatement

from dal.engines.base import Call, Rows
from dal.engines.postgresql.parameters import Parameters
from dal.queries.statement import Statement

_CHECKED_AT_ONCE = 1000  # rows of an execute_many checked before the event loop gets its turn

# The public interface can ask for all rows, or for one; two are enough to see that there are too many.
_fetch_some: Callable[..., Coroutine[Any, Any, list[asyncpg.Record]]] | None = getattr(
    PreparedStatement, "_PreparedStatement__bind_execute", None
)


class Result(NamedTuple):
    """What a statement brought back.

    Attributes:
        rows: The rows, as many as were asked for.
        status: What the server says was done, ``INSERT 0 1``; empty if the rows were cut off.
    """

    rows: Rows
    status: str

    @property
    def matched(self) -> int:
        """The rows that a write matched, 0 for anything else."""
        verb, _, rest = self.status.partition(" ")
        return int(rest.rpartition(" ")[2]) if verb in ("INSERT", "UPDATE", "DELETE", "MERGE") else 0


class Prepared(NamedTuple):
    """A statement that the server has parsed, and what it says of it."""

    statement: PreparedStatement[asyncpg.Record]
    columns: tuple[str, ...]
    parameters: Parameters


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

    async def run(self, call: Call, limit: int = 0) -> Result:
        """Run *call* and return its rows, not more than *limit* if that is not 0."""
        try:
            return await self._run(call, limit)
        except asyncpg.InvalidCachedStatementError:
            self._epoch.number += 1
            if self.raw.is_in_transaction():
                raise
        return await self._run(call, limit)  # the server refused it before it began

    async def run_many(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run *statement* once for each of *rows*: all of them or, outside of a transaction, none."""
        prepared = await self._prepare(statement.sql)
        for start in range(0, len(rows), _CHECKED_AT_ONCE):
            for args in rows[start : start + _CHECKED_AT_ONCE]:
                prepared.parameters.check(args, statement)
            await asyncio.sleep(0)
        # In a task of its own: asyncpg swallows a cancellation that comes while it waits to send more.
        try:
            await _apart(prepared.statement.executemany(rows))
        except asyncpg.InvalidCachedStatementError:
            self._epoch.number += 1
            raise

    async def run_text(self, text: str) -> str:
        """Run the statements of *text*, one transaction for the server; return the last status."""
        status: str = await self.raw.execute(text)
        return status

    async def cursor(self, call: Call) -> tuple[tuple[str, ...], Cursor[asyncpg.Record]]:
        """Open a cursor on the rows of *call* and return their columns and it; only in a transaction."""
        prepared = await self._prepare(call.sql)
        prepared.parameters.check(call.args, call.statement)
        try:
            return prepared.columns, await prepared.statement.cursor(*call.args)
        except asyncpg.InvalidCachedStatementError:
            self._epoch.number += 1
            raise

    async def _run(self, call: Call, limit: int) -> Result:
        prepared = await self._prepare(call.sql)
        prepared.parameters.check(call.args, call.statement)
        statement = prepared.statement
        if limit and _fetch_some is not None:
            found = await _fetch_some(statement, call.args, limit, None)
        else:
            found = await statement.fetch(*call.args)
        return Result(Rows(prepared.columns, found), statement.get_statusmsg() or "")

    async def _prepare(self, sql: str) -> Prepared:
        if self._prepared_in != self._epoch.number:
            self._prepared.clear()
            self._prepared_in = self._epoch.number
        known = self._prepared.pop(sql, None)
        if known is None:
            statement = await self.raw.prepare(sql)
            columns = tuple([attribute.name for attribute in statement.get_attributes()])
            known = Prepared(statement, columns, Parameters(statement.get_parameters()))
            if len(self._prepared) >= max(self._capacity, 1):
                self._prepared.pop(next(iter(self._prepared)))
        self._prepared[sql] = known
        return known


async def _apart(work: Coroutine[Any, Any, None]) -> None:
    """Await *work* in a task of its own, so that whoever waits for it can leave at once."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        raise
    task.result()
