"""DatabaseManager: the verbs on a database, each call a transaction of its own.

Nothing here knows an engine. While a transaction block is open, a verb of the manager itself would run
outside of it, on another connection: that raises, unless `DatabaseManager.outside` says it is meant.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import sys
import time
import weakref
from asyncio import get_running_loop
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dal.engines.base import Call, Connections, Isolation, Rows, Runner, Want
from dal.engines.registry import engine_for
from dal.errors import DalError, QueryError, TransactionError, UsageError
from dal.executor import NO_TABLES, Executor, Params, Queryable, name_query
from dal.queries import Queries, Query
from dal.settings import Settings, load_settings
from dal.tasks import Background, to_its_end
from dal.transaction import Transaction, open_block, run_block, with_retries

if TYPE_CHECKING:
    from dal.cache.manager import CacheManager
    from dal.cache.queries import CachedQueries
    from dal.engines.facade import Database

T = TypeVar("T")

_echo = logging.getLogger("dal.sql")

_FAREWELL_SECONDS = 10.0  # how long disconnect waits for commits and after_commit actions under way
_TEXTS_KEPT = 512  # queries given as strings whose compiled form is kept


_connected: weakref.WeakSet[DatabaseManager] = weakref.WeakSet()


def _after_fork() -> None:
    """A forked process has the connections' descriptors but none of their threads."""
    for manager in list(_connected):
        manager._loop = manager._database = None


os.register_at_fork(after_in_child=_after_fork)


class DatabaseManager(Executor):
    """A database, its connections and its queries.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite:///:memory:``,
            ``postgresql://user:password@host/name`` or ``mysql://user:password@host/name``; the
            settings' URL if None, and with none there the embedded file ``dal.db``.
        queries: The queries that ``db.queries`` offers, see `load_queries`.
        settings: Read from the environment if None.
        cache: Keeps the answers to queries whose header says ``cache``; it is connected and disconnected
            by whoever made it. See `dal.cache.queries`.

    Raises:
        ConfigurationError: The URL or a setting is not usable.
        UnknownKeyFamily: A query of *queries* names a key family that *cache* does not have.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        queries: Queries | None = None,
        settings: Settings | None = None,
        cache: CacheManager | None = None,
    ) -> None:
        self.settings = settings if settings is not None else load_settings()
        self.queries = queries if queries is not None else Queries(())
        database = self.settings.database
        self._engine, self._url = engine_for(url or database.resolved_url(), database)
        self._cached: CachedQueries | None = None
        if cache is not None:
            from dal.cache.queries import CachedQueries

            self._cached = CachedQueries(cache, self.queries)
        self._texts: dict[tuple[str, bool], Query[Any]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._database: Database | None = None
        self._background = Background()
        self._is_outside = False
        self._default_timeout = database.timeout
        self._echoes = database.sql_echo
        self._lock = asyncio.Lock()
        self._lock_loop: asyncio.AbstractEventLoop | None = None

    @property
    def caches_queries(self) -> bool:
        """Whether it was given ``cache=``, so that answers to queries with a header ``cache`` are kept."""
        return self._cached is not None

    async def connect(self) -> None:
        """Open the connections; does nothing if they are open.

        Raises:
            DatabaseError: The database cannot be opened.
        """
        async with self._changing():
            if self._loop is not None:
                self._check_loop()
                return
            if self.settings.database.switch_interval is not None:
                sys.setswitchinterval(self.settings.database.switch_interval)
            await self._engine.connect()
            try:
                from dal.engines.facade import Database

                database = Database(self._url, engine=self._engine)
                await database.connect()
            except BaseException:
                await self._engine.disconnect()
                raise
            self._database, self._loop = database, asyncio.get_running_loop()
            if self._cached is not None:
                self._cached.connect(self._place())
            _connected.add(self)

    async def disconnect(self) -> None:
        """Let running calls end for a few seconds, stop the rest, close; does nothing if it is done."""
        async with self._changing():
            if self._loop is None:
                return
            self._check_loop()
            await self._background.join(_FAREWELL_SECONDS)
            self._loop = None
            await to_its_end(self._close())

    async def _close(self) -> None:
        if self._database is not None:
            await self._database.disconnect()
            self._database = None
        await self._engine.disconnect()

    def _place(self) -> str:
        """Return what tells this database from any other, the same in each process."""
        url = type(self._url)(self.url)
        if url.hostname:
            return f"{url.dialect}://{url.hostname}:{url.port}/{url.database}"
        return str(Path(url.database).absolute()) if "host" not in url.options else str(url.obscure_password)

    def _changing(self) -> asyncio.Lock:
        """Return the lock under which this loop connects and disconnects."""
        loop = asyncio.get_running_loop()
        if self._lock_loop is not loop:  # a lock that somebody waited for belongs to its loop
            self._lock, self._lock_loop = asyncio.Lock(), loop
        return self._lock

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    @property
    def database(self) -> Database:
        """A `databases.Database` on the same database, for code written against that package.

        It is connected and disconnected with the manager, and has two connections of its own.
        """
        self._check_connected()
        assert self._database is not None
        return self._database

    @property
    def engine_name(self) -> str:
        """``sqlite``, ``postgresql`` or ``mysql``."""
        return self._engine.dialect.name

    @property
    def url(self) -> str:
        """The URL, with its password, by which another process reaches it; for ``:memory:`` its file."""
        self._check_connected()
        return self._engine.reachable_at(str(self._url))

    @property
    def public_url(self) -> str:
        """The URL without its password."""
        return str(self._url.obscure_password)

    @property
    def connections(self) -> Connections:
        """How many connections are open, how many calls hold one, and how many wait for one."""
        self._check_connected()
        return self._engine.connections

    def outside(self) -> Executor:
        """Return this database as an executor whose verbs may be called inside a transaction block.

        They run outside of the block's transaction. One that could go on only after the block has
        ended raises `TransactionError`.
        """
        self._check_connected()
        view = copy.copy(self)
        view._is_outside = True
        return view

    def transaction(
        self, *, isolation: Isolation | None = None, readonly: bool = False, timeout: float | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """See `Executor.transaction`."""
        self._check_inside("transaction()")
        return run_block(self, isolation, readonly, timeout)

    async def run_transaction(
        self, work: Callable[[Transaction], Awaitable[T]], *, retries: int = 20, timeout: float | None = None
    ) -> T:
        """See `Executor.run_transaction`."""
        return await with_retries(lambda: self.transaction(timeout=timeout), work, retries)

    async def execute_transaction(
        self, queries: Iterable[tuple[Queryable[Any], Params]], *, timeout: float | None = None
    ) -> bool:
        """See `Executor.execute_transaction`."""
        self._check_inside("execute_transaction()")
        calls = self._calls(queries)
        if calls:
            writes = NO_TABLES
            if self._cached is not None:
                writes = writes.union(*(call.statement.invalidates for call in calls))
            await self._run(
                None, lambda _, deadline: self._engine.execute_batch(calls, deadline), timeout, writes
            )
        return True

    def _run(
        self,
        call: Call | None,
        work: Callable[[Runner, float | None], Awaitable[T]],
        timeout: float | None,
        writes: frozenset[str] = NO_TABLES,
    ) -> Awaitable[T]:
        if not self._is_outside:
            self._check_inside("a verb of the manager")
        if self._cached is not None and (tables := call.statement.invalidates if call else writes):
            return self._cached.change(tables, lambda: self._on_engine(call, work, timeout))
        return self._on_engine(call, work, timeout)

    def _read_cached(
        self, query: Query[Any], call: Call, want: Want, timeout: float | None
    ) -> Awaitable[list[Any]]:
        if self._cached is None:
            return self._read(query, call, want, timeout)
        self._check_inside("a verb of the manager")
        deadline = self._deadline_after(timeout)
        # A load belongs to all who want the answer: it has the default timeout, and no caller's context.
        return self._cached.fetch(query, call, want, lambda: self._read(query, call, want, None), deadline)

    async def _on_engine(
        self, call: Call | None, work: Callable[[Runner, float | None], Awaitable[T]], timeout: float | None
    ) -> T:
        if self._echoes:
            work = self._logged(call, work)
        try:
            return await work(self._engine, self._deadline_after(timeout))
        except DalError as error:
            name_query(error, call)
            raise

    def _query(self, query: Queryable[Any], params: Params) -> Query[Any]:
        if isinstance(query, Query):
            return query
        if not isinstance(query, str):
            raise QueryError(f"a query is a Query or a string, not {type(query).__name__}")
        key = (query, not isinstance(params, Mapping))
        known = self._texts.get(key)
        if known is None:
            known = Query.from_text(query, positional=key[1])
            if len(self._texts) >= _TEXTS_KEPT:
                self._texts.pop(next(iter(self._texts)))
            self._texts[key] = known
        return known

    async def _batches(
        self, call: Call, batch_size: int, timeout: float | None
    ) -> AsyncGenerator[Rows, None]:
        self._check_inside("stream()")
        self._check_connected()
        tables = call.statement.invalidates
        changing = self._cached.changing(tables) if self._cached is not None and tables else nullcontext()
        async with changing, aclosing(self._stream(call, batch_size, timeout)) as batches:
            async for rows in batches:
                yield rows

    async def _stream(self, call: Call, batch_size: int, timeout: float | None) -> AsyncGenerator[Rows, None]:
        try:
            async with aclosing(self._engine.stream(call, batch_size, self._timeout(timeout))) as batches:
                async for rows in batches:
                    yield rows
        except DalError as error:
            name_query(error, call)
            raise

    def _timeout(self, timeout: float | None) -> float | None:
        if timeout is None:
            return self._default_timeout
        if not isinstance(timeout, (int, float)) or not timeout > 0:
            raise UsageError("timeout is a number of seconds above 0, or None for the settings' own")
        return timeout

    def _deadline_after(self, timeout: float | None) -> float | None:
        loop = self._loop
        if loop is None or get_running_loop() is not loop:
            loop = self._check_connected()
        limit = self._default_timeout if timeout is None else self._timeout(timeout)
        return None if limit is None else loop.time() + limit

    def _check_connected(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise UsageError(
                "not connected: use `async with DatabaseManager(...) as db`, or await db.connect()"
            )
        self._check_loop()
        return self._loop

    def _check_loop(self) -> None:
        if get_running_loop() is not self._loop:
            raise UsageError(
                "this manager was connected in another event loop; a loop needs a manager of its own"
            )

    def _check_inside(self, what: str) -> None:
        if open_block(self._engine) is not None and not self._is_outside:
            raise TransactionError(
                f"{what} was called inside a transaction block, where it would run outside of the "
                "transaction; use the block's own tx, or db.outside() if that is meant"
            )

    def _logged(
        self, call: Call | None, work: Callable[[Runner, float | None], Awaitable[T]]
    ) -> Callable[[Runner, float | None], Awaitable[T]]:
        """Return *work* with a line in the log about the statement, never its values."""

        async def logged(runner: Runner, deadline: float | None) -> T:
            begun = time.perf_counter()
            try:
                return await work(runner, deadline)
            finally:
                milliseconds = round((time.perf_counter() - begun) * 1000, 3)
                name = call.statement.query if call is not None else None
                text = call.sql if call is not None else "(several statements)"
                _echo.info(text, extra={"query": name, "duration_ms": milliseconds})

        return logged

    def __repr__(self) -> str:
        return f"<DatabaseManager {self.public_url}>"
