"""What the rest of `dal` asks of a database engine.

An engine runs calls; it knows nothing of models, query files or repositories. Deadlines are absolute
times of the event loop's clock, None for no limit. Every driver error leaves an engine as one of
`dal.errors`. Whoever leaves a call early, by cancellation or at its deadline, is free at once; the
engine stops the statement and cleans up behind.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from dal.queries.dialects import Dialect
from dal.queries.statement import Statement
from dal.values import Encoders, ParameterType, Storage

Want = Literal["all", "one", "first"]
"""How many rows a fetch is for: ``one`` raises `TooManyRows` at a second one, ``first`` ignores it."""

Isolation = Literal["serializable", "repeatable read", "read committed", "read uncommitted"]


class Call(NamedTuple):
    """One statement with its arguments as the driver takes them."""

    statement: Statement
    sql: str
    args: tuple[Any, ...]


class Rows(NamedTuple):
    """What a fetch brings back: rows as the driver builds them, in the order of *columns*."""

    columns: tuple[str, ...]
    values: Sequence[Sequence[Any]]


class Connections(NamedTuple):
    """How many connections are open, how many calls hold one, and how many wait for one."""

    open: int
    in_use: int
    waiting: int


class Runner(Protocol):
    """Runs calls: an engine, each call on its own; a session, inside its transaction."""

    def execute(self, call: Call, deadline: float | None) -> Awaitable[int]:
        """Run *call* and return the number of rows that it matched."""

    async def fetch(self, call: Call, deadline: float | None, want: Want) -> Rows:
        """Run *call* and return its rows. If it raises, a write is undone, `TooManyRows` included."""

    async def execute_many(
        self, statement: Statement, rows: Sequence[tuple[Any, ...]], deadline: float | None
    ) -> None:
        """Run *statement* once for each of *rows*: all of them, or none."""

    async def execute_script(self, text: str, deadline: float | None) -> None:
        """Run the statements of *text* in turn."""

    def stream(self, call: Call, batch_size: int, timeout: float | None) -> AsyncGenerator[Rows, None]:
        """Run *call* and yield its rows, *batch_size* at a time, each batch within *timeout* seconds."""


class Session(Runner, Protocol):
    """One connection inside a transaction, lent until `commit` or `rollback` has ended."""

    async def savepoint(self, deadline: float | None) -> str:
        """Set a savepoint and return its name."""

    async def release(self, savepoint: str, deadline: float | None) -> None:
        """Forget *savepoint*, keep what was done since."""

    async def rollback_to(self, savepoint: str, deadline: float | None) -> None:
        """Undo what was done since *savepoint*, and forget it."""

    async def commit(self, deadline: float | None) -> None:
        """Commit and give the connection back.

        Raises:
            OutcomeUnknown: The deadline passed, or the connection broke, while COMMIT ran.
        """

    async def rollback(self) -> None:
        """Roll back and give the connection back; does nothing once the session has ended."""


class Engine(Runner, Protocol):
    """One database: its connections, and the way to run calls on them."""

    dialect: Dialect
    storage: Storage

    def encoders(self, declared: ParameterType | None) -> Encoders:
        """Return how values of each exact type go to the driver, for a parameter so declared."""

    async def connect(self) -> None:
        """Open the connections that are kept open."""

    async def disconnect(self) -> None:
        """End what is running, roll back open transactions, close every connection."""

    def reachable_at(self, url: str) -> str:
        """Return the URL by which another process reaches what *url* names in this one."""

    @property
    def connections(self) -> Connections:
        """The connections at this moment; those of `DatabaseManager.database` apart."""

    async def traces(self, statement: Statement, deadline: float | None) -> tuple[str, ...]:
        """Say what a run of *statement* might leave behind in its session; empty if that is nothing.

        It is proven against the schema as it is now. What cannot be proven counts as left behind. The
        statement is not run, and the database not changed.

        Raises:
            DatabaseError: The statement does not fit the schema.
        """

    async def execute_batch(self, calls: Sequence[Call], deadline: float | None) -> None:
        """Run *calls* in one transaction of their own: all of them, or none."""

    async def begin(self, isolation: Isolation | None, readonly: bool, deadline: float | None) -> Session:
        """Begin a transaction on a connection of its own.

        Raises:
            StatementRefused: The engine lacks the isolation level.
            PoolTimeout: No connection came free in time.
            TransactionError: It would wait for a connection that a block around this task holds.
        """
