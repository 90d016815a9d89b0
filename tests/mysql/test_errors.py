"""Every error of the server has its class, tells its constraint or column, and shows no value."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncmy.errors
import pytest

from dal.database import DatabaseManager
from dal.engines.mysql import errors
from dal.errors import (
    CheckViolation,
    DalError,
    DatabaseError,
    DataError,
    ForeignKeyViolation,
    IntegrityError,
    NotNullViolation,
    QueryTimeout,
    SqlSyntaxError,
    StatementError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from dal.settings import Settings

SECRET = "s3cret"

TABLES = """
CREATE TABLE t (
    id BIGINT PRIMARY KEY, name VARCHAR(12) NOT NULL, number TINYINT, day DATE, parent BIGINT,
    amount DECIMAL(5, 2),
    CONSTRAINT t_name_key UNIQUE (name),
    CONSTRAINT t_number_check CHECK (number < 100),
    CONSTRAINT t_parent_fkey FOREIGN KEY (parent) REFERENCES t (id)
);
CREATE TABLE required (a INTEGER NOT NULL);
INSERT INTO t (id, name) VALUES (1, 's3cret');
INSERT INTO t (id, name, parent) VALUES (2, 'child', 1);
CREATE TRIGGER refusing BEFORE UPDATE ON required FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 's3cret refused';
INSERT INTO required VALUES (1);
"""


@pytest.fixture
async def db(url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute_script(TABLES)
        yield manager


CASES: list[tuple[str, type[DatabaseError], str, str | None]] = [
    ("INSERT INTO t (id, name) VALUES (3, 's3cret')", UniqueViolation, "1062", "t_name_key"),
    ("INSERT INTO t (id, name) VALUES (1, 'x')", UniqueViolation, "1062", "PRIMARY"),
    ("UPDATE t SET name = 's3cret'", UniqueViolation, "1062", "t_name_key"),
    ("INSERT INTO t (id, name, parent) VALUES (3, 'x', 99)", ForeignKeyViolation, "1452", "t_parent_fkey"),
    ("DELETE FROM t WHERE id = 1", ForeignKeyViolation, "1451", "t_parent_fkey"),
    ("INSERT INTO t (id, name) VALUES (3, NULL)", NotNullViolation, "1048", "name"),
    ("INSERT INTO t (id) VALUES (3)", NotNullViolation, "1364", "name"),
    ("INSERT INTO t (id, name, number) VALUES (3, 'x', 100)", CheckViolation, "4025", "t_number_check"),
    ("UPDATE required SET a = 2", IntegrityError, "1644", None),
    ("INSERT INTO t (id, name) VALUES (3, 's3crets3crets3cret')", DataError, "1406", None),
    ("INSERT INTO t (id, name, number) VALUES (3, 'x', 1000)", DataError, "1264", None),
    ("INSERT INTO t (id, name, number) VALUES (3, 'x', 's3cret')", DataError, "1366", None),
    ("INSERT INTO t (id, name, number) VALUES (3, 'x', '12s3cret')", DataError, "1265", None),
    ("INSERT INTO t (id, name, day) VALUES (3, 'x', 's3cret')", DataError, "1292", None),
    ("INSERT INTO t (id, name, day) VALUES (3, 'x', '2026-02-30')", DataError, "1292", None),
    ("INSERT INTO t (id, name, amount) VALUES (3, 'x', 1234567.89)", DataError, "1264", None),
    ("SELECT 's3cret' FROM", SqlSyntaxError, "1064", None),
    ("SELECT 's3cret' FROM nowhere", UndefinedTable, "1146", None),
    ("DROP TABLE nowhere", UndefinedTable, "1051", None),
    ("SELECT absent FROM t", UndefinedColumn, "1054", None),
    ("INSERT INTO t (absent) VALUES ('s3cret')", UndefinedColumn, "1054", None),
    ("CREATE TABLE t (a INTEGER)", StatementError, "1050", None),
    ("CALL nothing('s3cret')", StatementError, "1305", None),
    ("SELECT name, count(*) FROM t GROUP BY id", StatementError, "1055", None),
    ("SET STATEMENT max_statement_time = 0.05 FOR SELECT 's3cret', count(*) FROM "
     + ", ".join(f"information_schema.columns AS {name}" for name in "abc"), QueryTimeout, "1969", None),
    ("SELECT 9223372036854775807 + 1", DataError, "1690", None),
    ("SELECT @@nothing", DatabaseError, "1193", None),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "kind", "code", "constraint"), CASES)
async def test_an_error_has_its_class(
    db: DatabaseManager, sql: Any, kind: type[DatabaseError], code: str, constraint: str | None
) -> None:
    """Class, code, constraint; the driver's error as its cause; no value in the message."""
    with pytest.raises(DatabaseError) as raised:
        await db.execute(sql)
    error = raised.value
    assert type(error) is kind
    assert error.code == code
    assert error.sent
    if isinstance(error, IntegrityError):
        assert error.constraint == constraint
    assert isinstance(error.__cause__, asyncmy.errors.MySQLError)
    assert SECRET not in str(error) + repr(error)
    assert await db.fetch_value("SELECT 1") == 1


async def test_a_value_cannot_pose_as_a_constraint(db: DatabaseManager) -> None:
    """The server puts the value before the name."""
    sneaky = "x' for key 'y"
    await db.execute("CREATE TABLE u (a VARCHAR(50), CONSTRAINT real_key UNIQUE (a))")
    await db.execute("INSERT INTO u VALUES (?)", (sneaky,))
    with pytest.raises(UniqueViolation) as raised:
        await db.execute("INSERT INTO u VALUES (?)", (sneaky,))
    assert raised.value.constraint == "real_key"


@pytest.mark.parametrize("number", ["1040", "1213", "1205", "1290", "1927", "1114", "1021", "2013", "1020"])
def test_numbers_that_are_hard_to_provoke(number: str) -> None:
    """They are in the tables, and the class says whether a repetition makes sense."""
    found = errors.translated(asyncmy.errors.OperationalError(int(number), SECRET))
    assert isinstance(found, DatabaseError)
    assert type(found) is not DatabaseError
    assert SECRET not in str(found)


def test_every_number_of_the_tables_gives_an_error_of_ours() -> None:
    """And none shows the server's text, which may hold values."""
    numbers = [*errors._INTEGRITY, *errors._DATA, *errors._STATEMENT, *errors._OTHER, *errors._LOST]
    for number in numbers:
        text = f"Duplicate entry '{SECRET}' for something"
        found = errors.translated(asyncmy.errors.OperationalError(number, text))
        assert isinstance(found, DalError)
        assert SECRET not in str(found)
        assert not re.search(r"[A-Z]\w+Error\(", str(found))


@pytest.mark.parametrize("error", [OSError("x"), ValueError("x"), AssertionError("x"), RuntimeError("x")])
def test_no_other_class_escapes(error: Exception) -> None:
    """Whatever the driver's own code raises is an error of ours."""
    assert isinstance(errors.translated(error), DatabaseError)
