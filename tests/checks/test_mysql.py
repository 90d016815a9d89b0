"""What MariaDB can run behind a statement: all of it is seen, and what leaves something is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pymysql  # type: ignore[import-untyped]  # it comes without types
import pytest

from dal.checks.session import Verdict, check_sessions
from dal.database import DatabaseManager
from dal.errors import DatabaseError, SqlSyntaxError, UndefinedColumn, UndefinedTable
from dal.queries import Query
from dal.settings import Settings
from tests.checks.conftest import NewUrl
from tests.engine_cases import MARIADB

SCHEMA = """
CREATE FUNCTION remember() RETURNS INTEGER BEGIN SET @name = 'alice'; RETURN 1; END;
CREATE TABLE plain (
    a INTEGER PRIMARY KEY, b VARCHAR(20) DEFAULT 'x' CHECK (char_length(b) < 100),
    c VARCHAR(20) AS (lower(b)), d DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6))
);
INSERT INTO plain (a) VALUES (1), (2);
"""
LEFT = "SELECT @name = 'alice'"
LOCKED = "SELECT is_used_lock('dal') = connection_id()"
NUMBERED = "SELECT last_insert_id() > 0"


@dataclass(frozen=True)
class Case:
    """A statement that leaves something behind.

    Attributes:
        sql: The statement.
        reason: What the verdict must say.
        setup: What it needs beside the schema.
        left: A query that is true if it did leave it; None if that cannot be asked.
    """

    sql: str
    reason: str
    setup: str = ""
    left: str | None = LEFT


CASES = {
    "function": Case("SELECT remember()", "function remember() is called"),
    "function in capitals": Case("SELECT REMEMBER ()", "function REMEMBER() is called"),
    "quoted function": Case("SELECT `remember`()", "function remember() is called"),
    "function behind a comment": Case("SELECT remember/* it */ -- now\n()", "function remember() is called"),
    "qualified function": Case("SELECT {db}.remember()", "function remember() is called"),
    "function with the name of the server's": Case(
        "SELECT {db}.lower()",
        "function lower() is called",
        "CREATE FUNCTION lower() RETURNS INTEGER BEGIN SET @name = 'alice'; RETURN 1; END",
    ),
    "function whose name ends like the server's": Case(
        "SELECT a\N{HORIZONTAL ELLIPSIS}lower()",
        "function a\N{HORIZONTAL ELLIPSIS}lower() is called",
        "CREATE FUNCTION a\N{HORIZONTAL ELLIPSIS}lower() RETURNS INTEGER"
        " BEGIN SET @name = 'alice'; RETURN 1; END",
    ),
    "function whose name begins with a digit": Case(
        "SELECT 1f()",
        "function 1f() is called",
        "CREATE FUNCTION 1f() RETURNS INTEGER BEGIN SET @name = 'alice'; RETURN 1; END",
    ),
    "function with the name of a table": Case(
        "SELECT plain()",
        "function plain() is called",
        "CREATE FUNCTION plain() RETURNS INTEGER BEGIN SET @name = 'alice'; RETURN 1; END",
    ),
    "function that locks": Case(
        "SELECT f()",
        "function f() is called",
        "CREATE FUNCTION f() RETURNS INTEGER RETURN get_lock('dal', 0)",
        LOCKED,
    ),
    "function that sets": Case(
        "SELECT f()",
        "function f() is called",
        "CREATE FUNCTION f() RETURNS INTEGER BEGIN SET SESSION max_statement_time = 7; RETURN 1; END",
        "SELECT @@max_statement_time = 7",
    ),
    "function that makes a table": Case(
        "SELECT f()",
        "function f() is called",
        "CREATE FUNCTION f() RETURNS INTEGER BEGIN"
        " CREATE TEMPORARY TABLE left_behind AS SELECT 1 AS a; RETURN 1; END",
        "SELECT a = 1 FROM left_behind",
    ),
    "aggregate": Case(
        "SELECT f(a) FROM plain",
        "function f() is called",
        "CREATE AGGREGATE FUNCTION f(x INTEGER) RETURNS INTEGER BEGIN"
        " DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN 1;"
        " LOOP FETCH GROUP NEXT ROW; SET @name = 'alice'; END LOOP; END",
    ),
    "view": Case(
        "SELECT a FROM v",
        "function remember() is called, which the server does not see into, by way of view v",
        "CREATE VIEW v AS SELECT remember() AS a",
    ),
    "view of a view": Case(
        "SELECT a FROM `w`",
        "by way of view v, by way of view w",
        "CREATE VIEW v AS SELECT remember() AS a; CREATE VIEW w AS SELECT a FROM v",
    ),
    "view in another case": Case(
        "SELECT a FROM v WHERE a IN (SELECT a FROM {db}.v)",
        "get_lock() is called, which changes the session, by way of view v",
        "CREATE VIEW v AS SELECT GET_LOCK('dal', 0) AS a",
        LOCKED,
    ),
    "view of the server's own": Case("SELECT 1 FROM sys.session", "by way of view session", left=None),
    "trigger": Case(
        "INSERT INTO plain (a) VALUES (7)",
        "trigger n runs on table plain",
        "CREATE TRIGGER n BEFORE INSERT ON plain FOR EACH ROW SET @name = 'alice'",
    ),
    "trigger of an upsert": Case(
        "INSERT INTO plain (a) VALUES (1) ON DUPLICATE KEY UPDATE b = 'y'",
        "trigger n runs on table plain",
        "CREATE TRIGGER n BEFORE UPDATE ON plain FOR EACH ROW SET @name = 'alice'",
    ),
    "trigger of a REPLACE": Case(
        "REPLACE INTO plain (a) VALUES (1)",
        "trigger n runs on table plain",
        "CREATE TRIGGER n BEFORE DELETE ON plain FOR EACH ROW SET @name = 'alice'",
    ),
    "trigger beneath a view": Case(
        "DELETE FROM v",
        "trigger n runs on table plain",
        "CREATE VIEW v AS SELECT a FROM plain;"
        "CREATE TRIGGER n BEFORE DELETE ON plain FOR EACH ROW SET @name = 'alice'",
    ),
    "default that counts": Case(
        "INSERT INTO t (b) VALUES (1)",
        "nextval() is called, which changes the session, by way of column a of table t",
        "CREATE SEQUENCE s; CREATE TABLE t (a INTEGER DEFAULT (NEXT VALUE FOR s), b INTEGER)",
        "SELECT lastval(s) = 1",
    ),
    "default that is read": Case(
        "SELECT DEFAULT (a) FROM t",
        "nextval() is called",
        "CREATE SEQUENCE s; CREATE TABLE t (a INTEGER DEFAULT (NEXT VALUE FOR s)); INSERT INTO t VALUES (1)",
        "SELECT lastval(s) = 1",
    ),
    "generated column": Case(
        "SELECT b FROM t",
        "the user variable @name is used, which stays, by way of column b of table t",
        "CREATE TABLE t (a VARCHAR(9), b VARCHAR(9) AS (@name := a))",
        None,  # whether it is left depends on the server's cache of open tables
    ),
    "generated column behind a view": Case(
        "SELECT b FROM v",
        "by way of column b of table t",
        "CREATE TABLE t (a VARCHAR(9), b VARCHAR(9) AS (@name := a)); CREATE VIEW v AS SELECT b FROM t",
        None,
    ),
    "default that a view reads": Case(
        "SELECT a FROM v",
        "nextval() is called",
        "CREATE SEQUENCE s; CREATE TABLE t (a INTEGER DEFAULT (NEXT VALUE FOR s)); INSERT INTO t VALUES (1);"
        "CREATE VIEW v AS SELECT DEFAULT (a) AS a FROM t",
        "SELECT lastval(s) = 1",
    ),
    "default that sets": Case(
        "INSERT INTO t (b) VALUES (1)",
        "the user variable @name is used",
        "CREATE TABLE t (a VARCHAR(9) DEFAULT (@name := 'alice'), b INTEGER)",
    ),
    "generated key": Case(
        "INSERT INTO t (b) VALUES (1)",
        "column a of table t is AUTO_INCREMENT, whose value stays in LAST_INSERT_ID()",
        "CREATE TABLE t (a INTEGER AUTO_INCREMENT PRIMARY KEY, b INTEGER)",
        NUMBERED,
    ),
    ":=": Case("SELECT @name := 'alice'", "the user variable @name is used"),
    "INTO a variable": Case("SELECT 'alice' INTO @name", "the user variable @name is used"),
    "quoted variable": Case("SELECT @`name` := 'alice'", "the user variable @name is used"),
    "comment that is run": Case("SELECT 1 /*! , @name := 'alice' */", "there is a comment /*! that is run"),
    "comment that MariaDB runs": Case("SELECT 1 /*M! , @name := 'alice' */", "a comment /*! that is run"),
    "LAST_INSERT_ID": Case("SELECT LAST_INSERT_ID(5)", "LAST_INSERT_ID() is called with", left=NUMBERED),
    "LAST_INSERT_ID in an update": Case(
        "UPDATE plain SET a = last_insert_id(a + 5)", "LAST_INSERT_ID() is called with a value", left=NUMBERED
    ),
    "GET_LOCK": Case("SELECT GET_LOCK('dal', 0)", "get_lock() is called, which changes", left=LOCKED),
    "RELEASE_ALL_LOCKS": Case("SELECT release_all_locks()", "release_all_locks() is called", left=None),
    "NEXTVAL": Case("SELECT nextval(s)", "nextval() is called", "CREATE SEQUENCE s", "SELECT lastval(s) = 1"),
    "NEXT VALUE FOR": Case(
        "SELECT NEXT VALUE FOR s", "NEXT VALUE FOR is called", "CREATE SEQUENCE s", "SELECT lastval(s) = 1"
    ),
    "SETVAL": Case("SELECT setval(s, 7)", "setval() is called", "CREATE SEQUENCE s", None),
    "SET": Case("SET @name = 'alice'", "SET is not SELECT"),
    "SET STATEMENT": Case("SET STATEMENT sql_mode = '' FOR SELECT 1", "SET is not SELECT", left=None),
    "CALL": Case("CALL p()", "CALL is not SELECT", "CREATE PROCEDURE p() SET @name = 'alice'"),
    "CREATE": Case(
        "CREATE TEMPORARY TABLE left_behind AS SELECT 1 AS a",
        "CREATE is not SELECT",
        left="SELECT a = 1 FROM left_behind",
    ),
    "LOCK TABLES": Case("LOCK TABLES plain READ", "LOCK is not SELECT", left=None),
}  # fmt: skip

PROVEN = {
    "by key": "SELECT a, b, c FROM plain WHERE a = :a",
    "list": "SELECT a FROM plain WHERE a IN :a",
    "page": "SELECT a FROM plain WHERE b LIKE '%x%' AND a > :a ORDER BY a LIMIT :n",
    "lock": "SELECT a FROM plain WHERE a = :a FOR UPDATE",
    "literals": "SELECT '@name := 1', \"remember()\", `a` /* get_lock(1) */ FROM plain -- nextval(s)",
    "functions": "SELECT coalesce(b, ''), if(max(a) > 1, 2, 3), now(6), json_value(:j, '$.a'), rand()"
    " FROM plain GROUP BY b",
    "window": "SELECT a, rank() OVER (PARTITION BY b ORDER BY a) FROM plain",
    "cast": "SELECT cast(a AS DECIMAL (9, 2)), convert(b USING utf8mb4) FROM plain",
    "recursion": "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r LIMIT 9",
    "setting": "SELECT @@innodb_ft_min_token_size, @@session.time_zone",
    "word that is a view of the server": "SELECT a AS session FROM plain",
    "last key": "SELECT last_insert_id()",
    "insert": "INSERT INTO plain (a, b) VALUES (:a, :b) RETURNING a",
    "upsert": "INSERT INTO plain (a) VALUES (:a) ON DUPLICATE KEY UPDATE b = VALUES (b)",
    "update": "UPDATE plain SET b = lower(:b) WHERE a = :a",
    "delete": "DELETE FROM plain WHERE a = :a",
    "view": "SELECT a, b FROM v",
    "trigger that is not met": "INSERT INTO quiet (a) VALUES (:a)",
    "name of a function": "SELECT remember FROM quiet",
}
PROVEN_SCHEMA = """
CREATE VIEW v AS SELECT a, lower(b) AS b FROM plain WHERE a > 0;
CREATE TABLE quiet (a INTEGER, remember INTEGER);
CREATE TRIGGER n BEFORE UPDATE ON quiet FOR EACH ROW SET @name = 'alice';
"""


@pytest.fixture
async def db(new_url: NewUrl, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A database with the schema above and a single connection."""
    async with DatabaseManager(new_url(MARIADB), settings=settings) as manager:
        await manager.execute_script(SCHEMA)
        yield manager


def marked(sql: str, db: DatabaseManager) -> Query[Any]:
    """A query that says that it is clean; ``{db}`` in it is the name of the database."""
    text = sql.replace("{db}", str(db._url).rpartition("/")[2])
    return Query(name="q", source="q.sql:3", shared=text, headers={"session": "clean"})


async def verdict_on(db: DatabaseManager, sql: str) -> Verdict:
    (verdict,) = await check_sessions(db, [marked(sql, db)])
    return verdict


@pytest.mark.parametrize("name", CASES)
async def test_what_leaves_something_is_refused(db: DatabaseManager, name: str) -> None:
    """With the reason, and the way to it."""
    setup: Any = CASES[name].setup
    await db.execute_script(setup)
    verdict = await verdict_on(db, CASES[name].sql)
    assert verdict.is_wrong
    assert any(CASES[name].reason in trace for trace in verdict.traces), verdict.traces


@pytest.mark.parametrize("name", [name for name, found in CASES.items() if found.left])
async def test_a_wrong_mark_does_hand_it_on(db: DatabaseManager, name: str) -> None:
    """What the check refuses is found by the next call, if the header says that the query is clean."""
    setup: Any = CASES[name].setup
    await db.execute_script(setup)
    left = marked(CASES[name].left or "", db)
    await db.fetch_all(marked(CASES[name].sql, db))
    assert await db.fetch_value(left) == 1


@pytest.mark.parametrize("name", PROVEN)
async def test_what_leaves_nothing_is_proven(db: DatabaseManager, name: str) -> None:
    """Reads and writes, also through views; what stands in literals and comments is not run."""
    await db.execute_script(PROVEN_SCHEMA)
    assert (await verdict_on(db, PROVEN[name])).traces == ()


async def test_the_check_changes_nothing(db: DatabaseManager) -> None:
    """Neither rows nor its own session, in which no statement stays prepared."""
    await check_sessions(db, [marked("DELETE FROM plain", db), marked("SELECT remember()", db)])
    assert await db.fetch_value(marked(LEFT, db)) is None
    assert await db.fetch_value("SELECT count(*) FROM plain") == 2
    assert list(await db.fetch_one("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'") or ()) == [
        "Prepared_stmt_count", "0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT a FROM nowhere", UndefinedTable),
        ("SELECT z FROM plain", UndefinedColumn),
        ("SELECT nothing(a) FROM plain", DatabaseError),
        ("SELECT FROM FROM", SqlSyntaxError),
    ],
)
async def test_a_query_that_does_not_fit_the_schema_is_an_error(
    db: DatabaseManager, sql: str, error: type[DatabaseError]
) -> None:
    """It names the query and its place."""
    with pytest.raises(error) as raised:
        await verdict_on(db, sql)
    assert raised.value.query == "q"
    assert raised.value.__notes__ == ["at q.sql:3"]


async def test_what_the_user_is_not_shown_is_refused(db: DatabaseManager, settings: Settings) -> None:
    """Triggers and the texts of views are shown only to those who have a privilege for it."""
    await db.execute("CREATE VIEW v AS SELECT remember() AS a")
    url, name = str(db._url), str(db._url).rpartition("/")[2]
    with pymysql.connect(
        host="127.0.0.1", port=int(url.rpartition(":")[2].partition("/")[0]), user="root", autocommit=True
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE USER visitor@'%'")
        try:
            cursor.execute(f"GRANT SELECT, INSERT ON {name}.* TO visitor@'%'")
            async with DatabaseManager(url.replace("root@", "visitor@"), settings=settings) as visitor:
                assert (await verdict_on(visitor, "SELECT a FROM v")).traces == (
                    "the text of the view is not shown to this user, by way of view v",
                )
                (trace,) = (await verdict_on(visitor, "INSERT INTO plain (a) VALUES (7)")).traces
                assert "without the privilege TRIGGER" in trace
            cursor.execute(f"GRANT TRIGGER ON {name}.* TO visitor@'%'")
            async with DatabaseManager(url.replace("root@", "visitor@"), settings=settings) as visitor:
                assert (await verdict_on(visitor, "INSERT INTO plain (a) VALUES (7)")).traces == ()
        finally:
            cursor.execute("DROP USER visitor@'%'")
