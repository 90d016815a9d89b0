"""Holds every `-- session: clean` against the schema: does a run of that text leave nothing behind?

On a server a connection is reset before its next use, unless all that ran on it was marked as clean. The
mark is a promise that a SELECT or INSERT alone cannot show: a function, a view, a policy, a trigger may set
a variable or take a lock. So it is proven by what the engine knows of the schema, and refused where that
does not say. A schema that changes may break a proof: run the check in a test, against a database with the
schema that is deployed, as a user who owns it.

What every statement overwrites by itself (counts of rows, warnings) does not count as left behind. A
generated key does: LAST_INSERT_ID() and lastval() would show it to the next user of the connection. Where
an engine keeps no state in its connections, as SQLite, everything is proven.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dal.database import DatabaseManager
from dal.engines.base import Call
from dal.errors import DalError
from dal.queries import Query


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one query's text on one engine.

    Attributes:
        query: The query.
        place: ``path:line`` of its name, above the text that was looked at.
        verb: Its first word: ``SELECT``, ``INSERT``; empty for a script.
        is_marked: The text says ``session: clean``.
        traces: What a run might leave behind, in sentences; empty if it is proven that nothing is.
    """

    query: Query[Any]
    place: str
    verb: str
    is_marked: bool
    traces: tuple[str, ...]

    @property
    def is_wrong(self) -> bool:
        """The text is marked, and that is not proven."""
        return self.is_marked and bool(self.traces)

    @property
    def could_be_marked(self) -> bool:
        """It is proven that nothing is left behind, and the text does not say so."""
        return not self.is_marked and not self.traces

    def __str__(self) -> str:
        mark = "is marked `session: clean`" if self.is_marked else "is not marked"
        proof = "; ".join(self.traces) or "it leaves nothing behind"
        return f"{self.place}: query {self.query.name} {mark}: {proof}"


async def check_sessions(
    db: DatabaseManager, queries: Iterable[Query[Any]] | None = None, *, timeout: float | None = None
) -> list[Verdict]:
    """Return a verdict on each of *queries* that has a text for the engine of *db*.

    Nothing is run, and nothing stays in the database. On PostgreSQL the user must be allowed to make
    temporary objects.

    Args:
        db: Connected to a database with the schema that the queries are for.
        queries: Those of *db* if None.
        timeout: Seconds for each query.

    Raises:
        DatabaseError: A query does not fit the schema; the error names it, and a note says where it is.
        QueryError: A query's parameters do not fit its text.
    """
    dialect = db._engine.dialect
    verdicts = []
    for query in db.queries if queries is None else queries:
        if query.has_text(dialect):
            try:
                verdicts.append(await _verdict(db, query, timeout))
            except DalError as error:
                error.add_note(f"at {query.place(dialect)}")
                raise
    return verdicts


async def _verdict(db: DatabaseManager, query: Query[Any], timeout: float | None) -> Verdict:
    engine = db._engine
    dialect = engine.dialect
    place, is_marked = query.place(dialect), dialect.name in query.clean
    if query.kind == "script":
        return Verdict(query, place, "", is_marked, ("a script is always followed by a reset",))
    statement = query.statement(dialect, engine.encoders)
    call = Call(statement, statement.sql, ())
    traces = await db._on_engine(call, lambda _, deadline: engine.traces(statement, deadline), timeout)
    return Verdict(query, place, statement.verb, is_marked, traces)
