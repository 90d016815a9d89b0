"""A write is acknowledged once it is kept, whatever other writes its commit is shared with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.errors import CheckViolation, ForeignKeyViolation
from tests.engine_cases import Capability, needs

ADD = "INSERT INTO account (email) VALUES (:email)"
SET = "UPDATE account SET balance = :balance WHERE email = :email"
ORPHAN = "INSERT INTO child (parent) VALUES (99)"

LATE_FAILURES: dict[str, Callable[[DatabaseManager], Awaitable[Any]]] = {
    "execute": lambda db: db.execute(ORPHAN),
    "fetch_one": lambda db: db.fetch_one(ORPHAN + " RETURNING parent"),
    "execute_many": lambda db: db.execute_many("INSERT INTO child (parent) VALUES (?)", [(None,), (99,)]),
    "execute_script": lambda db: db.execute_script(ORPHAN + "; " + ORPHAN),
    "execute_transaction": lambda db: db.execute_transaction([(ORPHAN, ()), (ORPHAN, ())]),
}

HALF_DONE: dict[str, Callable[[DatabaseManager], Awaitable[Any]]] = {
    "execute_many": lambda db: db.execute_many(
        SET, [{"email": "a", "balance": 7}, {"email": "b", "balance": -1}]
    ),
    "execute_transaction": lambda db: db.execute_transaction(
        [(SET, {"email": "a", "balance": 7}), (SET, {"email": "b", "balance": -1})]
    ),
}


async def beside_other_writes(db: DatabaseManager, work: Awaitable[Any]) -> BaseException | None:
    """Run *work* among other writes, each of which must succeed, and return its error."""
    others = [db.execute(ADD, {"email": f"other {n}"}) for n in range(6)]
    results = await asyncio.gather(*others[:3], work, *others[3:], return_exceptions=True)
    error = results.pop(3)
    assert results == [1] * 6
    assert await db.fetch_value("SELECT count(*) FROM account WHERE email LIKE 'other%'") == 6
    return error


@needs(Capability.DEFERRED_KEYS)
@pytest.mark.parametrize("verb", LATE_FAILURES)
async def test_a_write_that_fails_at_its_commit_is_not_acknowledged(db: DatabaseManager, verb: str) -> None:
    """A deferred foreign key is found there: the error reaches its own caller, alone and beside others."""
    await db.execute(
        "CREATE TABLE child (parent BIGINT REFERENCES account (account_id) DEFERRABLE INITIALLY DEFERRED)"
    )
    with pytest.raises(ForeignKeyViolation):
        await LATE_FAILURES[verb](db)
    assert isinstance(await beside_other_writes(db, LATE_FAILURES[verb](db)), ForeignKeyViolation)
    assert await db.fetch_value("SELECT count(*) FROM child") == 0


@pytest.mark.parametrize("verb", HALF_DONE)
async def test_several_changes_that_fail_beside_other_writes_keep_nothing(
    db: DatabaseManager, verb: str
) -> None:
    """What was changed before the failure is undone, and the neighbours' writes are not."""
    await db.execute_many(ADD, [{"email": "a"}, {"email": "b"}])
    assert isinstance(await beside_other_writes(db, HALF_DONE[verb](db)), CheckViolation)
    assert await db.fetch_value("SELECT sum(balance) FROM account") == 0
