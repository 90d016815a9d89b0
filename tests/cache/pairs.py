"""Two managers of one database with a cache, as two processes have them, and all ways to write."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel

from dal.cache import FAMILIES, CacheManager, KeyFamilies, KeyFamily
from dal.cache.families import TABLE_PREFIX
from dal.database import DatabaseManager
from dal.queries import Queries, load_queries
from dal.settings import DatabaseSettings, Settings
from dal.transaction import Transaction
from dal.values import Scale, UtcDatetime
from tests.cache.conftest import store_of
from tests.engine_cases import SQLITE, EngineCase

SETTINGS = Settings(database=DatabaseSettings(pool_size=4, max_overflow=2))


PLAIN = KeyFamilies(
    [
        KeyFamily("plain", "plain:{query}", "string", "gzip", 600),
        KeyFamily("aged", "aged:{query}", "string", "json", 600, refresh_ahead=True, stale_for=60),
        *FAMILIES,
    ]
)


FILE = """
-- name: counter :value
-- returns: int
-- cache: {family} ttl=600
-- reads: counter
SELECT n FROM counter;

-- name: notes(words: text) :many
-- returns: Note
-- cache: {family}
-- reads: note
SELECT id, words, price, written_at FROM note WHERE words = :words ORDER BY id;

-- name: note(id: int) :one
-- returns: Note
-- cache: {family}
-- reads: counter, note
SELECT note.id, note.words, note.price, note.written_at FROM note, counter WHERE note.id = :id;

-- name: add_one :affected
-- writes: counter
UPDATE counter SET n = n + 1;

-- name: add_some(some: int) :affected
-- writes: counter
UPDATE counter SET n = n + :some;

-- name: add_by_script :script
-- writes: counter
UPDATE counter SET n = n + 1;

-- name: add_note(id: int, words: text, price: decimal(6), written_at: timestamp) :affected
-- writes: note
INSERT INTO note (id, words, price, written_at) VALUES (:id, :words, :price, :written_at);
"""
RETURNING = """
-- name: add_and_return :value
-- writes: counter
{change} RETURNING n;

-- name: add_row :many
-- writes: counter
{change} RETURNING n;
"""
_CHANGE = "UPDATE counter SET n = n + 1"
_CHANGES = {
    "sqlite": _CHANGE,
    "postgresql": _CHANGE,
    # MariaDB has no UPDATE ... RETURNING.
    "mysql": "INSERT INTO counter (id, n) VALUES (1, 1) ON DUPLICATE KEY UPDATE n = n + 1",
}


def write_queries(folder: Path, family: str) -> Path:
    """Write the queries, cached in *family*, into a new folder, and return it."""
    queries = folder / "queries"
    queries.mkdir()
    (queries / "counter.sql").write_text(FILE.format(family=family))
    for engine, change in _CHANGES.items():
        (queries / f"counter.{engine}.sql").write_text(RETURNING.format(change=change))
    return queries


SCHEMA = ("CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO counter VALUES (1, 0)")


BEHIND = "UPDATE counter SET n = n + 100"  # says nothing of what it writes


class Note(BaseModel):
    id: int
    words: str
    price: Annotated[Decimal, Scale(6)] | None
    written_at: UtcDatetime | None


class Pair(NamedTuple):
    """Two managers of one database, as two processes have them, and the caches that they have."""

    writer: DatabaseManager
    reader: DatabaseManager
    cache: CacheManager
    other_cache: CacheManager
    queries: Queries
    url: str
    folder: Path

    async def read(self) -> int:
        value = await self.reader.fetch_value(self.queries.counter)
        assert isinstance(value, int)
        return value

    async def write(self) -> None:
        await self.writer.execute(self.queries.add_one)

    async def state(self) -> bytes | None:
        """What the store holds of the table."""
        return await store_of(self.cache).get(TABLE_PREFIX + "counter")

    async def left(self) -> float:
        """Seconds that it holds it for."""
        found = await store_of(self.cache).get_with_ttl(TABLE_PREFIX + "counter")
        assert found is not None
        return found[1]

    async def is_kept(self) -> bool:
        """Whether the answer comes from the cache: a change behind its back is not seen."""
        before = await self.read()
        await self.writer.execute(BEHIND)
        seen = await self.read()
        await self.writer.execute("UPDATE counter SET n = n - 100")
        return seen == before


@contextlib.asynccontextmanager
async def pair_on(
    url: str,
    cache_url: str,
    folder: Path,
    *,
    family: str = "ai_evaluation",
    families: KeyFamilies = FAMILIES,
    case: EngineCase = SQLITE,
    writer_url: str | None = None,
    reader_cache_url: str | None = None,
) -> AsyncIterator[Pair]:
    where_queries_are = write_queries(folder, family)
    queries = load_queries(where_queries_are, models=[Note])
    async with contextlib.AsyncExitStack() as stack:
        cache = await stack.enter_async_context(CacheManager(cache_url, families=families))
        other = cache
        if cache_url != "memory://":
            other = await stack.enter_async_context(
                CacheManager(reader_cache_url or cache_url, families=families)
            )
        writer, reader = [
            await stack.enter_async_context(
                DatabaseManager(where, queries=queries, cache=found, settings=SETTINGS)
            )
            for where, found in ((writer_url or url, cache), (url, other))
        ]
        for statement in SCHEMA:
            await reader.execute(statement)
        types = f"price {case.types['decimal']}, written_at {case.types['timestamp']}"
        await reader.execute(f"CREATE TABLE note (id INTEGER PRIMARY KEY, words TEXT, {types})")
        yield Pair(writer, reader, cache, other, queries, url, where_queries_are)


async def by_savepoint(db: DatabaseManager, queries: Queries) -> None:
    async with db.transaction() as tx, tx.transaction() as inner:
        await inner.execute(queries.add_one)


async def by_block(db: DatabaseManager, queries: Queries) -> None:
    async with db.transaction() as tx:
        await tx.execute(queries.add_one)


async def by_batch_in_a_block(db: DatabaseManager, queries: Queries) -> None:
    async with db.transaction() as tx:
        await tx.execute_transaction([(queries.add_one, {})])


async def by_script_in_a_block(db: DatabaseManager, queries: Queries) -> None:
    async with db.transaction() as tx:
        await tx.execute_script(queries.add_by_script)


async def by_run_transaction(db: DatabaseManager, queries: Queries) -> None:
    async def work(tx: Transaction) -> None:
        await tx.execute(queries.add_one)

    await db.run_transaction(work)


async def by_stream(db: DatabaseManager, queries: Queries) -> None:
    async with aclosing(db.stream(queries.add_row)) as rows:
        assert [value async for (value,) in rows] == [1]


WAYS: dict[str, Callable[[DatabaseManager, Queries], Awaitable[object]]] = {
    "execute": lambda db, queries: db.execute(queries.add_one),
    "returning": lambda db, queries: db.fetch_value(queries.add_and_return),
    "execute_many": lambda db, queries: db.execute_many(queries.add_some, [{"some": 1}]),
    "execute_script": lambda db, queries: db.execute_script(queries.add_by_script),
    "execute_transaction": lambda db, queries: db.execute_transaction([(queries.add_one, {})]),
    "outside": lambda db, queries: db.outside().execute(queries.add_one),
    "stream": by_stream,
    "block": by_block,
    "savepoint": by_savepoint,
    "batch in a block": by_batch_in_a_block,
    "script in a block": by_script_in_a_block,
    "run_transaction": by_run_transaction,
}
