"""The verbs, written once: `DatabaseManager` and `Transaction` are executors.

A repository takes any `Executor`, so its methods run alone or inside a caller's transaction.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar, overload

from dal.engines.base import Call, Engine, Isolation, Rows, Runner, Want
from dal.errors import (
    DalError,
    DatabaseError,
    PoolTimeout,
    QueryError,
    ResultError,
)
from dal.queries.query import Query
from dal.queries.statement import Statement
from dal.rows import Row, decoded, validated

if TYPE_CHECKING:
    from dal.transaction import Transaction

T = TypeVar("T")

Params = Mapping[str, Any] | Sequence[Any]
Queryable = Query[T] | LiteralString

NO_TABLES: frozenset[str] = frozenset()
_LARGEST_BATCH = 1_000_000
_BOUND_AT_ONCE = 1000  # rows of an execute_many bound before the event loop gets its turn


class Executor(ABC):
    """Runs queries. Every verb takes ``timeout`` in seconds; None means the setting's default.

    A query is a `Query` from a file, or a string. Parameters are a mapping for ``:name``, or a
    sequence, for which every ``?`` binds. All verbs raise `ParameterError` or `DataError` before
    anything is sent if the parameters do not fit, and `DatabaseError` if the database refuses.
    """

    _engine: Engine

    @property
    def caches_queries(self) -> bool:
        """Whether the headers of queries that speak of the cache count."""
        return False

    # Here and below a plain function that hands an awaitable on costs a call less than a coroutine does.
    @abstractmethod
    def _run(
        self,
        call: Call | None,
        work: Callable[[Runner, float | None], Awaitable[T]],
        timeout: float | None,
        writes: frozenset[str] = NO_TABLES,
    ) -> Awaitable[T]:
        """Return what *work* brings on the right connection.

        *call* is its statement if it has just one; if not, *writes* are the tables that it says it writes.
        """

    @abstractmethod
    def _query(self, query: Queryable[Any], params: Params) -> Query[Any]:
        """Return *query*, or the one that the string stands for."""

    async def execute(
        self, query: Queryable[Any], params: Params = (), *, timeout: float | None = None
    ) -> int:
        """Run *query* and return the number of rows that it matched, 0 for DDL.

        An upsert's count is the engine's own.
        """
        return await self._execute(self._call(query, params), timeout)

    @overload
    async def fetch_one(
        self, query: LiteralString, params: Params = (), *, timeout: float | None = None
    ) -> Row | None: ...
    @overload
    async def fetch_one(
        self, query: Query[T], params: Params = (), *, timeout: float | None = None
    ) -> T | None: ...
    async def fetch_one(
        self, query: Queryable[Any], params: Params = (), *, timeout: float | None = None
    ) -> Any:
        """Return the one row that *query* matches, or None if it matches none.

        Raises:
            TooManyRows: Two rows or more matched, and the query is not declared ``:first``.
        """
        compiled, call = self._compiled(query, params)
        want = _want(compiled)
        if compiled.cache is not None:
            rows = await self._read_cached(compiled, call, want, timeout)
        else:
            rows = self._decoded(await self._fetch(call, want, timeout), compiled, call)
        return rows[0] if rows else None

    @overload
    async def fetch_all(
        self, query: LiteralString, params: Params = (), *, timeout: float | None = None
    ) -> list[Row]: ...
    @overload
    async def fetch_all(
        self, query: Query[T], params: Params = (), *, timeout: float | None = None
    ) -> list[T]: ...
    async def fetch_all(
        self, query: Queryable[Any], params: Params = (), *, timeout: float | None = None
    ) -> list[Any]:
        """Return every row that *query* matches."""
        compiled, call = self._compiled(query, params)
        if compiled.cache is not None:
            return await self._read_cached(compiled, call, "all", timeout)
        return self._decoded(await self._fetch(call, "all", timeout), compiled, call)

    async def fetch_value(
        self, query: Queryable[Any], params: Params = (), *, timeout: float | None = None
    ) -> Any:
        """Return the first column of the one row that *query* matches, or None if it matches none.

        Raises:
            TooManyRows: Two rows or more matched, and the query is not declared ``:first``.
        """
        compiled, call = self._compiled(query, params)
        if compiled.cache is not None and compiled.kind == "value":
            values = await self._read_cached(compiled, call, _want(compiled), timeout)
            return values[0] if values else None
        return self._value(await self._fetch(call, _want(compiled), timeout), compiled, call)

    def _value(self, found: Rows, compiled: Query[Any], call: Call) -> Any:
        if not found.values or not found.columns:  # PostgreSQL has rows without a column
            return None
        value = found.values[0][0]
        if compiled.returns is None or compiled.kind != "value":
            return value
        try:
            return None if value is None else validated(compiled.returns, value, self._engine.storage)
        except DalError as error:
            name_query(error, call)
            raise

    @overload
    def stream(
        self,
        query: LiteralString,
        params: Params = (),
        *,
        batch_size: int = ...,
        timeout: float | None = None,
    ) -> AsyncGenerator[Row, None]: ...
    @overload
    def stream(
        self, query: Query[T], params: Params = (), *, batch_size: int = ..., timeout: float | None = None
    ) -> AsyncGenerator[T, None]: ...
    async def stream(
        self,
        query: Queryable[Any],
        params: Params = (),
        *,
        batch_size: int = 500,
        timeout: float | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Yield the rows of *query* one by one, reading *batch_size* at a time; *timeout* is for each batch.

        Leave it early inside ``async with contextlib.aclosing(...)``: a plain ``break`` holds the
        connection until the generator is collected.
        """
        compiled, call = self._compiled(query, params)
        if type(batch_size) is not int or not 1 <= batch_size <= _LARGEST_BATCH:
            raise QueryError(f"batch_size is a number of rows from 1 to {_LARGEST_BATCH}")
        async with aclosing(self._batches(call, batch_size, timeout)) as batches:
            async for rows in batches:
                for row in self._decoded(rows, compiled, call):
                    yield row

    async def execute_many(
        self, query: Queryable[Any], rows: Iterable[Params], *, timeout: float | None = None
    ) -> None:
        """Run *query* once for each of *rows*, by the driver's fastest way: all of them, or none."""
        if not isinstance(rows, Iterable):
            raise QueryError("execute_many takes an iterable of parameters, one for each row")
        begun = time.monotonic()
        pending = iter(rows)
        statement: Statement | None = None
        bound: list[tuple[Any, ...]] = []
        while chunk := list(itertools.islice(pending, _BOUND_AT_ONCE)):
            if statement is None:
                compiled = self._query(query, chunk[0])
                statement = compiled.statement(self._engine.dialect, self._engine.encoders)
                if statement.spreads_lists:
                    raise QueryError(
                        f"query {statement.query or 'given'}: execute_many takes no list parameters"
                    )
            bound += statement.bind_many(chunk, len(bound) + 1)
            await asyncio.sleep(0)
        if statement is None:
            return
        if timeout is not None:
            timeout -= time.monotonic() - begun
            if timeout <= 0:
                raise PoolTimeout("the timeout passed while the rows were bound; nothing was sent")
        ready = statement
        call = Call(ready, ready.sql, ())
        await self._run(call, lambda runner, deadline: runner.execute_many(ready, bound, deadline), timeout)

    async def execute_script(self, query: Queryable[Any], *, timeout: float | None = None) -> None:
        """Run the statements of *query* in turn; none of them takes parameters.

        On SQLite and PostgreSQL they are one transaction.
        """
        if not isinstance(query, (str, Query)):
            raise QueryError(f"a query is a Query or a string, not {type(query).__name__}")
        text = query if isinstance(query, str) else query.text(self._engine.dialect)
        try:
            await self._run(
                None,
                lambda runner, deadline: runner.execute_script(text, deadline),
                timeout,
                NO_TABLES if isinstance(query, str) else query.writes,
            )
        except DatabaseError as error:
            if error.query is None and isinstance(query, Query):
                error.query = query.name
            raise

    @abstractmethod
    async def execute_transaction(
        self, queries: Iterable[tuple[Queryable[Any], Params]], *, timeout: float | None = None
    ) -> bool:
        """Run *queries* in one transaction and return True once it is committed.

        Any failure undoes all of them, and raises.
        """

    @abstractmethod
    def transaction(
        self, *, isolation: Isolation | None = None, readonly: bool = False, timeout: float | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """Open a block whose statements, run on what it gives, succeed or fail together.

        Within a transaction it is a savepoint. Leaving the block commits; leaving it by an exception
        or by cancellation undoes it. *timeout*, in seconds, is for the block as a whole.

        Args:
            isolation: Serializable if None; a level that the engine lacks raises `StatementRefused`.
            readonly: Refuse writes; on SQLite such blocks run beside the writer.
        """

    @abstractmethod
    async def run_transaction(
        self, work: Callable[[Transaction], Awaitable[T]], *, retries: int = 20, timeout: float | None = None
    ) -> T:
        """Return what *work* brings, run inside a transaction and, if it met a conflict, run again.

        Args:
            work: Called with the transaction; run anew from its start at every try.
            retries: Further tries after an error that is ``retryable``, with growing random pauses.
                Work whose outcome is unknown is never repeated.
            timeout: Seconds for each try.
        """

    def _compiled(self, query: Queryable[Any], params: Params) -> tuple[Query[Any], Call]:
        compiled = query if type(query) is Query else self._query(query, params)
        statement = compiled.statement(self._engine.dialect, self._engine.encoders)
        sql, args = statement.bind(params)
        return compiled, Call(statement, sql, args)

    def _call(self, query: Queryable[Any], params: Params) -> Call:
        return self._compiled(query, params)[1]

    def _calls(self, queries: Iterable[tuple[Queryable[Any], Params]]) -> list[Call]:
        calls = []
        for entry in queries if isinstance(queries, Iterable) else [None]:
            if not isinstance(entry, (tuple, list)) or len(entry) != 2:
                raise QueryError("execute_transaction takes a list of pairs: [(query, params), ...]")
            calls.append(self._call(*entry))
        return calls

    def _decoded(self, rows: Rows, query: Query[Any], call: Call) -> list[Any]:
        if query.kind == "value" and query.returns is not None:
            raise QueryError(f"query {query.name} returns a value: run it with fetch_value")
        try:
            return decoded(rows, query.returns, self._engine.storage)
        except DalError as error:
            name_query(error, call)
            raise

    async def _read(self, query: Query[Any], call: Call, want: Want, timeout: float | None) -> list[Any]:
        """Return the rows of *query*; for the kind ``value`` its value, if it is not None."""
        found = await self._fetch(call, want, timeout)
        if query.kind != "value" or want == "all":
            return self._decoded(found, query, call)
        value = self._value(found, query, call)
        return [] if value is None else [value]

    # Only a manager has a cache: inside a transaction the database answers.
    def _read_cached(
        self, query: Query[Any], call: Call, want: Want, timeout: float | None
    ) -> Awaitable[list[Any]]:
        return self._read(query, call, want, timeout)

    def _execute(self, call: Call, timeout: float | None) -> Awaitable[int]:
        return self._run(call, lambda runner, deadline: runner.execute(call, deadline), timeout)

    def _fetch(self, call: Call, want: Want, timeout: float | None) -> Awaitable[Rows]:
        return self._run(call, lambda runner, deadline: runner.fetch(call, deadline, want), timeout)

    @abstractmethod
    def _batches(self, call: Call, batch_size: int, timeout: float | None) -> AsyncGenerator[Rows, None]:
        """Yield the rows of *call*, a batch at a time."""


def _want(query: Query[Any]) -> Want:
    return "first" if query.kind == "first" else "one"


def name_query(error: DalError, call: Call | None) -> None:
    """Put the name of the query that raised *error* into it."""
    if isinstance(error, (DatabaseError, ResultError)) and error.query is None and call is not None:
        error.query = call.statement.query
