"""What the kind and the model that a query declares mean for the verbs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from dal.database import DatabaseManager
from dal.errors import QueryError, RowMismatch, TooManyRows, UniqueViolation
from dal.queries import Query, load_queries
from dal.settings import Settings
from tests.engine_cases import EngineCase


class Account(BaseModel):
    account_id: int
    email: str
    balance: int
    parent_id: int | None


class Pair(BaseModel):
    email: str
    balance: int = 42


FILE = """
-- name: by_email(email) :one
-- returns: Account
SELECT account_id, email, balance, parent_id FROM account WHERE email = :email;

-- name: poorest() :first
-- returns: Account
SELECT account_id, email, balance, parent_id FROM account ORDER BY balance, email;

-- name: everyone() :many
-- returns: Account
SELECT account_id, email, balance, parent_id FROM account ORDER BY email;

-- name: only_one() :one
-- returns: Account
SELECT account_id, email, balance, parent_id FROM account;

-- name: emails() :many
-- returns: Pair
SELECT email FROM account ORDER BY email;

-- name: surplus() :many
-- returns: Pair
SELECT email, balance, account_id, parent_id FROM account ORDER BY email;

-- name: twice() :many
-- returns: Pair
SELECT email, balance, balance FROM account ORDER BY email;

-- name: lacking() :many
-- returns: Account
SELECT email FROM account;

-- name: wrong() :many
-- returns: Account
SELECT email AS account_id, email, balance, parent_id FROM account;

-- name: how_many() :value
-- returns: int
SELECT count(*) FROM account;

-- name: parent(email) :value
-- returns: int
SELECT parent_id FROM account WHERE email = :email;

-- name: bad_value() :value
-- returns: int
SELECT 's3cr3t';

-- name: several_values() :value
SELECT email FROM account ORDER BY email;

-- name: created(email, balance: int) :one
-- returns: Account
INSERT INTO account (email, balance) VALUES (:email, :balance)
RETURNING account_id, email, balance, parent_id;

-- name: enrich(by: int) :affected
UPDATE account SET balance = balance + :by;

-- name: add(email, balance: int) :batch
INSERT INTO account (email, balance) VALUES (:email, :balance);

-- name: wipe() :script
UPDATE account SET balance = 1;
DELETE FROM account;

-- name: suffix_one(email)^
SELECT email FROM account WHERE email = :email;

-- name: suffix-value$
SELECT count(*) FROM account;

-- name: suffix_affected!
UPDATE account SET balance = 9;

-- name: suffix_batch(email)*!
INSERT INTO account (email) VALUES (:email);

-- name: suffix_script#
DELETE FROM account;

-- name: suffix_many
SELECT email FROM account;
"""


@pytest.fixture
async def db(
    case: EngineCase, url: str, settings: Settings, tmp_path: Path
) -> AsyncIterator[DatabaseManager]:
    """Three accounts, and the queries of the file."""
    file = tmp_path / "kinds.sql"
    file.write_text(FILE)
    queries = load_queries(file, models=[Account, Pair])
    async with DatabaseManager(url, settings=settings, queries=queries) as manager:
        await manager.execute(case.account)
        await manager.execute_many(
            queries.add, [{"email": email, "balance": n} for n, email in enumerate("abc")]
        )
        yield manager


async def test_one_returns_a_model_or_none(db: DatabaseManager) -> None:
    """With every column in its field."""
    found = await db.fetch_one(db.queries.by_email, {"email": "b"})
    assert type(found) is Account
    assert (found.email, found.balance, found.parent_id) == ("b", 1, None)
    assert await db.fetch_one(db.queries.by_email, {"email": "z"}) is None


async def test_one_refuses_a_second_row_and_names_the_query(db: DatabaseManager) -> None:
    """It never takes any row of several."""
    with pytest.raises(TooManyRows, match="only_one"):
        await db.fetch_one(db.queries.only_one)


async def test_first_takes_the_first_of_several(db: DatabaseManager) -> None:
    """In the order that the query gives."""
    found: Any = await db.fetch_one(db.queries.poorest)
    assert found.email == "a"


async def test_many_returns_models_in_order(db: DatabaseManager) -> None:
    """All of them, and an empty list for none."""
    found = await db.fetch_all(db.queries.everyone)
    assert [type(account) for account in found] == [Account] * 3
    assert [account.email for account in found] == ["a", "b", "c"]
    await db.execute("DELETE FROM account")
    assert await db.fetch_all(db.queries.everyone) == []


async def test_a_stream_yields_models(db: DatabaseManager) -> None:
    """As fetch_all returns them."""
    streamed = [account async for account in db.stream(db.queries.everyone, batch_size=2)]
    assert streamed == await db.fetch_all(db.queries.everyone)


async def test_a_write_returns_its_model(db: DatabaseManager) -> None:
    """INSERT ... RETURNING, on the manager and inside a block."""
    first: Any = await db.fetch_one(db.queries.created, {"email": "d", "balance": 5})
    assert (first.email, first.balance) == ("d", 5)
    async with db.transaction() as tx:
        second: Any = await tx.fetch_one(db.queries.created, {"email": "e", "balance": 6})
    assert second.account_id > first.account_id


async def test_a_field_with_a_default_may_be_left_out(db: DatabaseManager) -> None:
    """The model says so, not the query."""
    found = await db.fetch_all(db.queries.emails)
    assert [(pair.email, pair.balance) for pair in found] == [("a", 42), ("b", 42), ("c", 42)]


async def test_columns_beyond_the_model_are_left_out(db: DatabaseManager) -> None:
    """As the model's own configuration has it."""
    found = await db.fetch_all(db.queries.surplus)
    assert [(pair.email, pair.balance) for pair in found] == [("a", 0), ("b", 1), ("c", 2)]


async def test_two_columns_for_one_field_are_an_error(db: DatabaseManager) -> None:
    """Neither wins in silence."""
    with pytest.raises(RowMismatch, match="balance"):
        await db.fetch_all(db.queries.twice)


@pytest.mark.parametrize("name", ["lacking", "wrong"])
async def test_a_row_that_does_not_fit_names_query_and_field(db: DatabaseManager, name: str) -> None:
    """A column that is not there, and one of another type."""
    with pytest.raises(RowMismatch, match="account_id") as raised:
        await db.fetch_all(db.queries[name])
    assert raised.value.query == name


async def test_a_row_that_does_not_fit_fails_its_stream(db: DatabaseManager) -> None:
    """And gives the connection back."""
    for _ in range(10):
        with pytest.raises(RowMismatch, match="account_id"):
            async for _row in db.stream(db.queries.wrong):
                pass
    assert await db.fetch_value(db.queries.how_many) == 3


async def test_a_value_has_its_declared_type(db: DatabaseManager) -> None:
    """None where the row has NULL, and where there is no row."""
    assert await db.fetch_value(db.queries.how_many) == 3
    assert await db.fetch_value(db.queries.parent, {"email": "a"}) is None
    assert await db.fetch_value(db.queries.parent, {"email": "z"}) is None


async def test_a_value_of_another_type_is_an_error_without_it(db: DatabaseManager) -> None:
    """The message names the query."""
    with pytest.raises(RowMismatch, match="bad_value") as raised:
        await db.fetch_value(db.queries.bad_value)
    assert "s3cr3t" not in str(raised.value)


async def test_a_value_of_several_rows_is_an_error(db: DatabaseManager) -> None:
    """Like that of fetch_one."""
    with pytest.raises(TooManyRows, match="several_values"):
        await db.fetch_value(db.queries.several_values)


async def test_a_value_query_with_a_type_gives_no_rows(db: DatabaseManager) -> None:
    """Its type is that of a value, not of a row."""
    with pytest.raises(QueryError, match="fetch_value"):
        await db.fetch_all(db.queries.how_many)


async def test_affected_returns_the_count(db: DatabaseManager) -> None:
    """Of the rows matched."""
    assert await db.execute(db.queries.enrich, {"by": 0}) == 3


async def test_a_batch_is_all_or_nothing(db: DatabaseManager) -> None:
    """As execute_many with a string."""
    with pytest.raises(UniqueViolation, match="query add"):
        await db.execute_many(db.queries.add, [{"email": "x", "balance": 1}, {"email": "a", "balance": 1}])
    assert await db.fetch_value(db.queries.how_many) == 3


async def test_a_script_runs_all_of_its_statements(db: DatabaseManager) -> None:
    """By its own verb."""
    await db.execute_script(db.queries.wipe)
    assert await db.fetch_value(db.queries.how_many) == 0


@pytest.mark.parametrize("verb", ["execute", "fetch_one", "fetch_all", "fetch_value"])
async def test_no_other_verb_runs_a_script(db: DatabaseManager, verb: str) -> None:
    """The error says which one does."""
    with pytest.raises(QueryError, match="execute_script"):
        await getattr(db, verb)(db.queries.wipe)
    assert await db.fetch_value(db.queries.how_many) == 3


async def test_files_of_aiosql_run_unchanged(db: DatabaseManager) -> None:
    """Its suffixes are kinds."""
    queries = db.queries
    row: Any = await db.fetch_one(queries.suffix_one, {"email": "a"})
    assert row["email"] == "a"
    assert await db.fetch_value(queries.suffix_value) == 3
    assert await db.execute(queries.suffix_affected) == 3
    await db.execute_many(queries.suffix_batch, [{"email": "x"}, {"email": "y"}])
    assert len(await db.fetch_all(queries.suffix_many)) == 5
    await db.execute_script(queries.suffix_script)
    assert await db.fetch_all(queries.suffix_many) == []


async def test_a_query_runs_alike_on_the_manager_and_in_a_block(db: DatabaseManager) -> None:
    """Models, values and counts."""
    everyone: Query[Account] = db.queries.everyone
    async with db.transaction() as tx:
        assert await tx.fetch_value(db.queries.how_many) == 3
        assert await tx.execute(db.queries.enrich, {"by": 1}) == 3
        inside = await tx.fetch_all(everyone)
    assert inside == await db.fetch_all(everyone)


async def test_one_query_serves_several_managers(db: DatabaseManager, url: str, settings: Settings) -> None:
    """What is compiled belongs to the text, not to the manager."""
    async with DatabaseManager(url, settings=settings) as other:
        assert await other.fetch_value(db.queries.how_many) == 3
