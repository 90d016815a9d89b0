"""A table may be changed while the application runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.transaction import Transaction

READ = "SELECT * FROM account"


@pytest.mark.parametrize("verb", ["fetch_all", "stream", "block"])
async def test_a_query_goes_on_when_its_table_was_changed(db: DatabaseManager, verb: str) -> None:
    """On every connection that ran it before: it sees the new column, and nobody gets an error."""

    async def width() -> int:
        if verb == "stream":
            (found,) = [len(row) async for row in db.stream(READ)]
            return found
        if verb == "fetch_all":
            return len((await db.fetch_all(READ))[0])
        return await db.run_transaction(in_block)

    async def in_block(tx: Transaction) -> int:
        return len((await tx.fetch_all(READ))[0])

    await db.execute("INSERT INTO account (email) VALUES ('a')")
    before = await asyncio.gather(*(width() for _ in range(10)))
    await db.execute("ALTER TABLE account ADD COLUMN note INTEGER")
    after = await asyncio.gather(*(width() for _ in range(10)))
    assert after == [n + 1 for n in before]


@pytest.mark.parametrize("verb", ["execute", "fetch_value", "execute_many", "block"])
@pytest.mark.parametrize(
    ("old", "new"), [(("INTEGER", 1), ("BIGINT", 2**40)), (("VARCHAR(9)", "a"), ("INTEGER", 7))]
)
async def test_a_write_takes_what_its_column_takes_now(
    db: DatabaseManager, verb: str, old: tuple[Any, Any], new: tuple[Any, Any]
) -> None:
    """On every connection that ran it while the column was of another type."""
    text = "INSERT INTO changing (x) VALUES (:x)"

    async def write(value: Any) -> None:
        if verb == "execute":
            await db.execute(text, {"x": value})
        elif verb == "fetch_value":
            await db.fetch_value("INSERT INTO changing (x) VALUES (:x) RETURNING x", {"x": value})
        elif verb == "execute_many":
            await db.execute_many(text, [{"x": value}])
        else:
            await db.execute_transaction([(text, {"x": value})])

    for kind, value in (old, new):
        await db.execute("DROP TABLE IF EXISTS changing")
        create: Any = f"CREATE TABLE changing (x {kind})"
        await db.execute(create)
        await asyncio.gather(*(write(value) for _ in range(10)))
        assert [row[0] for row in await db.fetch_all("SELECT x FROM changing")] == [value] * 10
