"""What PostgreSQL can run behind a statement: all of it is seen, and what leaves something is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from dal.checks.session import Verdict, check_sessions
from dal.database import DatabaseManager
from dal.errors import DatabaseError, DataError, UndefinedColumn, UndefinedTable
from dal.queries import Query
from dal.settings import Settings
from tests.checks.conftest import NewUrl
from tests.engine_cases import POSTGRESQL, POSTGRESQL_18, EngineCase

SCHEMA = """
CREATE FUNCTION remember() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.name', 'alice', false);
    RETURN 1;
END $$;
CREATE FUNCTION fixed(x integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM set_config('app.name', 'alice', false);
    RETURN x;
END $$;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.name', 'alice', false);
    RETURN new;
END $$;
CREATE TABLE plain (
    a integer PRIMARY KEY, b text DEFAULT 'x' CHECK (length(b) < 100),
    c text GENERATED ALWAYS AS (lower(b)) STORED, d timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX plain_b ON plain (lower(b)) WHERE a > 0;
INSERT INTO plain VALUES (1), (2);
"""
WRAPPER = """
DROP FOREIGN DATA WRAPPER IF EXISTS w CASCADE;
CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER s FOREIGN DATA WRAPPER w
"""
LEFT = "SELECT current_setting('app.name', true) = 'alice'"
TEMPORARY = "SELECT to_regclass('pg_temp.left_behind') IS NOT NULL"
LOCKED = "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory'"


@dataclass(frozen=True)
class Case:
    """A statement that leaves something behind.

    Attributes:
        sql: The statement.
        reason: What the verdict must say.
        setup: What it needs beside the schema.
        left: A query that is true if it did leave it; None if the test's user does not run into it.
    """

    sql: str
    reason: str
    setup: str = ""
    left: str | None = LEFT


CASES = {
    # Called by the statement.
    "function": Case("SELECT remember()", "function remember() is written in plpgsql"),
    "function of SQL text": Case(
        "SELECT f()",
        "function f() is written in sql",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS"
        " $$ SELECT set_config('app.name', 'alice', false) $$",
    ),
    "parsed function": Case(
        "SELECT f()",
        "set_config(text,text,boolean) is called, which may change the session, by way of function f()",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql RETURN set_config('app.name', 'alice', false)",
    ),
    "default of an argument": Case(
        "SELECT f()",
        "function remember() is written in plpgsql, which the server does not see into, "
        "by way of function f(",
        "CREATE FUNCTION f(x integer DEFAULT remember()) RETURNS integer LANGUAGE sql RETURN x",
    ),
    "function in FROM": Case("SELECT x FROM remember() AS t (x)", "function remember()"),
    "function that makes a table": Case(
        "SELECT f()",
        "function f() is written in plpgsql",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$"
        " BEGIN CREATE TEMPORARY TABLE left_behind (a integer); END $$",
        TEMPORARY,
    ),
    "operator": Case(
        "SELECT 1 ### 2",
        "function f(integer,integer) is written in plpgsql",
        "CREATE FUNCTION f(x integer, y integer) RETURNS integer LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN remember(); END $$;"
        "CREATE OPERATOR ### (FUNCTION = f, LEFTARG = integer, RIGHTARG = integer)",
    ),
    "operator on a function of the server": Case(
        "SELECT 1 ### 2",
        "pg_advisory_lock(integer,integer) is called",
        "CREATE OPERATOR ### (FUNCTION = pg_advisory_lock, LEFTARG = integer, RIGHTARG = integer)",
        LOCKED,
    ),
    "cast": Case(
        "SELECT cast(1 AS mood)",
        "function f(integer) is written in plpgsql",
        "CREATE TYPE mood AS ENUM ('good');"
        "CREATE FUNCTION f(x integer) RETURNS mood LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM remember(); RETURN 'good'; END $$;"
        "CREATE CAST (integer AS mood) WITH FUNCTION f(integer)",
    ),
    "aggregate": Case(
        "SELECT f(a) FROM plain",
        "by way of function f(integer)",
        "CREATE FUNCTION step(x integer, y integer) RETURNS integer LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN remember(); END $$;"
        "CREATE AGGREGATE f(integer) (SFUNC = step, STYPE = integer)",
    ),
    "order of a type": Case(
        "SELECT cast(:m AS mood[]) = cast(:n AS mood[])",
        "function compare(mood,mood) is written in plpgsql, which the server does not see into, "
        "by way of type mood, by way of type mood[]",
        "CREATE TYPE mood AS ENUM ('good');"
        "CREATE FUNCTION compare(x mood, y mood) RETURNS integer LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM remember(); RETURN 0; END $$;"
        "CREATE OPERATOR CLASS moods DEFAULT FOR TYPE mood USING btree AS FUNCTION 1 compare(mood, mood)",
        None,
    ),
    # Behind a relation or a type.
    "view": Case(
        "SELECT a FROM v",
        "function remember() is written in plpgsql, which the server does not see into, by way of view v",
        "CREATE VIEW v AS SELECT remember() AS a",
    ),
    "view of a view": Case(
        "SELECT a FROM w",
        "by way of view v, by way of view w",
        "CREATE VIEW v AS SELECT remember() AS a; CREATE VIEW w AS SELECT a FROM v",
    ),
    "policy": Case(
        "SELECT a FROM t",
        "by way of policy mine, by way of table t",
        "CREATE TABLE t (a integer); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY mine ON t USING (remember() = a)",
        None,
    ),
    "domain": Case(
        "SELECT cast(1 AS d)",
        "by way of constraint d_check, by way of type d",
        "CREATE DOMAIN d AS integer CHECK (remember() = 1)",
    ),
    "array of a domain": Case(
        "SELECT cast('{1}' AS d[])", "by way of type d,", "CREATE DOMAIN d AS integer CHECK (remember() = 1)"
    ),
    "domain in a row": Case(
        "SELECT x FROM jsonb_populate_record(cast(NULL AS t), '{\"x\": 1}')",
        "by way of type d, by way of table t",
        "CREATE DOMAIN d AS integer CHECK (remember() = 1); CREATE TABLE t (x d)",
    ),
    "foreign table": Case(
        "SELECT a FROM t",
        "table t is foreign",
        f"{WRAPPER}; CREATE FOREIGN TABLE t (a integer) SERVER s",
        None,
    ),
    "child that is foreign": Case(
        "SELECT a FROM t",
        "table u is foreign, and its wrapper may leave anything, by way of table t",
        f"{WRAPPER}; CREATE TABLE t (a integer); CREATE FOREIGN TABLE u () INHERITS (t) SERVER s",
        None,
    ),
    # Behind a write.
    "generated column": Case(
        "INSERT INTO t (a) VALUES (1)",
        "by way of column b, by way of table t",
        "CREATE TABLE t (a integer, b integer GENERATED ALWAYS AS (fixed(a)) STORED)",
    ),
    "default": Case(
        "INSERT INTO t (a) VALUES (1)",
        "by way of column b, by way of table t",
        "CREATE TABLE t (a integer, b integer DEFAULT remember())",
    ),
    "check": Case(
        "INSERT INTO t VALUES (1)",
        "by way of constraint t_check, by way of table t",
        "CREATE TABLE t (a integer, CONSTRAINT t_check CHECK (remember() = a))",
    ),
    "index": Case(
        "INSERT INTO t VALUES (1)",
        "by way of index t_idx, by way of table t",
        "CREATE TABLE t (a integer); CREATE INDEX t_idx ON t (fixed(a))",
    ),
    "condition of an index": Case(
        "INSERT INTO t VALUES (1)",
        "by way of index t_idx, by way of table t",
        "CREATE TABLE t (a integer); CREATE INDEX t_idx ON t (a) WHERE fixed(a) = 1",
    ),
    "trigger": Case(
        "INSERT INTO plain (a) VALUES (7)",
        "function noted() is written in plpgsql, which the server does not see into, by way of trigger n, "
        "by way of table plain",
        "CREATE TRIGGER n BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
    "trigger of a statement": Case(
        "DELETE FROM plain",
        "by way of trigger n",
        "CREATE TRIGGER n AFTER DELETE ON plain EXECUTE FUNCTION noted()",
    ),
    "condition of a trigger": Case(
        "UPDATE plain SET a = 9 WHERE a = 1",
        "function remember() is written in plpgsql",
        "CREATE TRIGGER n BEFORE UPDATE ON plain FOR EACH ROW WHEN (remember() = 0)"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ),
    "trigger of an upsert": Case(
        "INSERT INTO plain (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 'y'",
        "by way of trigger n",
        "CREATE TRIGGER n BEFORE UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
    "trigger in a WITH clause": Case(
        "WITH w AS (INSERT INTO plain (a) VALUES (7) RETURNING a) SELECT a FROM w",
        "by way of trigger n",
        "CREATE TRIGGER n BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
    "trigger of a MERGE": Case(
        "MERGE INTO plain USING (VALUES (1)) AS s (x) ON a = x WHEN MATCHED THEN UPDATE SET b = 'y'",
        "by way of trigger n",
        "CREATE TRIGGER n BEFORE UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
    "trigger beneath a view": Case(
        "INSERT INTO v (a) VALUES (7)",
        "by way of trigger n, by way of table plain, by way of view v",
        "CREATE VIEW v AS SELECT a FROM plain;"
        "CREATE TRIGGER n BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
    "trigger in place of a view's write": Case(
        "INSERT INTO v (a) VALUES (7)",
        "by way of trigger n, by way of view v",
        "CREATE VIEW v AS SELECT 1 AS a;"
        "CREATE TRIGGER n INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
    "trigger of a partition": Case(
        "INSERT INTO t VALUES (1)",
        "by way of trigger n, by way of table t1, by way of table t",
        "CREATE TABLE t (a integer) PARTITION BY LIST (a); CREATE TABLE t1 PARTITION OF t DEFAULT;"
        "CREATE TRIGGER n BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
    "row that moves to another partition": Case(
        "UPDATE t SET a = 2",
        "by way of trigger n, by way of table t2, by way of table t",
        "CREATE TABLE t (a integer) PARTITION BY LIST (a); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);"
        "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2); INSERT INTO t VALUES (1);"
        "CREATE TRIGGER n AFTER INSERT ON t2 FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
    "trigger behind a foreign key": Case(
        "DELETE FROM plain WHERE a = 1",
        "by way of trigger n, by way of table t, by way of constraint t_a_fkey, by way of table plain",
        "CREATE TABLE t (a integer REFERENCES plain ON DELETE SET NULL); INSERT INTO t VALUES (1);"
        "CREATE TRIGGER n BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
    "rule": Case(
        "INSERT INTO t VALUES (1)",
        "function remember() is written in plpgsql, which the server does not see into, by way of rule r, "
        "by way of table t",
        "CREATE TABLE t (a integer);"
        "CREATE RULE r AS ON INSERT TO t DO ALSO UPDATE plain SET b = 'y' WHERE a = remember()",
    ),
    "rule that notifies": Case(
        "INSERT INTO t VALUES (1)",
        "a command is run that is not SELECT, INSERT, UPDATE or DELETE, by way of rule r",
        "CREATE TABLE t (a integer); CREATE RULE r AS ON INSERT TO t DO ALSO NOTIFY news",
        None,
    ),
    "rule of the server's own view": Case(
        "UPDATE pg_settings SET setting = 'alice' WHERE name = 'application_name'",
        "set_config(text,text,boolean) is called",
        left="SELECT current_setting('application_name') = 'alice'",
    ),
    "generated key": Case(
        "INSERT INTO t (b) VALUES (1)",
        "column a is an identity, whose value stays in lastval(), by way of table t",
        "CREATE TABLE t (a integer GENERATED ALWAYS AS IDENTITY, b integer)",
        "SELECT lastval() = 1",
    ),
    "serial": Case(
        "INSERT INTO t (b) VALUES (1)",
        "nextval(regclass) is called, which may change the session, by way of column a, by way of table t",
        "CREATE TABLE t (a serial, b integer)",
        "SELECT lastval() = 1",
    ),
    # The server's own functions and commands.
    "set_config": Case(
        "SELECT set_config('app.name', 'alice', false)", "set_config(text,text,boolean) is called"
    ),
    "set_config in a condition": Case(
        "SELECT a FROM plain WHERE b = SET_CONFIG('app.name', 'alice', false) OR a = 1", "set_config("
    ),
    "pg_advisory_lock": Case("SELECT pg_advisory_lock(7)", "pg_advisory_lock(bigint) is called", left=LOCKED),
    "nextval": Case(
        "SELECT nextval('s')", "nextval(regclass) is called", "CREATE SEQUENCE s", "SELECT lastval() = 1"
    ),
    "setval": Case("SELECT setval('s', 1)", "setval(", "CREATE SEQUENCE s", "SELECT currval('s') = 1"),
    "setseed": Case("SELECT setseed(0.5)", "setseed(double precision) is called", left=None),
    "query_to_xml": Case(
        "SELECT query_to_xml('SELECT remember()', false, false, '')", "query_to_xml(", left=None
    ),
    "table_to_xml": Case(
        "SELECT table_to_xml('plain', false, false, '')", "which may run anything", left=None
    ),
    "ts_stat": Case("SELECT word FROM ts_stat('SELECT to_tsvector(remember()::text)')", "ts_stat(text)"),
    "SET": Case("SET app.name = 'alice'", "SET is not SELECT, INSERT"),
    "LISTEN": Case(
        "LISTEN news", "LISTEN is not SELECT", left="SELECT count(*) = 1 FROM pg_listening_channels()"
    ),
    "CREATE": Case("CREATE TEMPORARY TABLE left_behind (a integer)", "CREATE is not SELECT", left=TEMPORARY),
    "SELECT INTO": Case("SELECT 1 AS a INTO TEMPORARY left_behind", "does not take it apart", left=TEMPORARY),
    "DO": Case("DO $$ BEGIN PERFORM remember(); END $$", "DO is not SELECT"),
    "more parameters than a function takes": Case(
        "SELECT a FROM plain WHERE a IN (" + ", ".join(f"cast(:p{n} AS integer)" for n in range(101)) + ")",
        "does not take it apart",
        left=None,
    ),
}  # fmt: skip

PROVEN = {
    "by key": "SELECT a, b, c FROM plain WHERE a = :a",
    "list": "SELECT a FROM plain WHERE a IN :a",
    "lock": "SELECT a FROM plain WHERE a = :a FOR UPDATE",
    "aggregate": "SELECT b, count(*), array_agg(a ORDER BY a), max(d) FROM plain GROUP BY b",
    "window": "SELECT a, rank() OVER (PARTITION BY b ORDER BY a) FROM plain",
    "recursion": "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r LIMIT 9",
    "union": "(SELECT a FROM plain) UNION SELECT 2 ORDER BY 1 LIMIT :n -- the end",
    "volatile but harmless": "SELECT random(), clock_timestamp(), gen_random_uuid(), current_user",
    "values": "VALUES (1, 'set_config(1)'); /* pg_advisory_lock(1) */",
    "json": "SELECT cast(:doc AS jsonb) -> 'a', jsonb_path_query(:doc, '$.a')",
    "insert": "INSERT INTO plain (a, b) VALUES (:a, :b) RETURNING a",
    "upsert": "INSERT INTO plain (a) VALUES (:a) ON CONFLICT (a) DO UPDATE SET b = excluded.b || 'x'",
    "update": "UPDATE plain SET b = lower(:b) WHERE a = :a",
    "delete": "DELETE FROM plain WHERE a = :a",
    "write in a WITH clause": "WITH w AS (DELETE FROM plain RETURNING a) SELECT count(*) FROM w",
    "merge": "MERGE INTO plain USING (VALUES (1)) AS s (x) ON a = x WHEN MATCHED THEN DELETE",
    "view": "SELECT a, m FROM v WHERE p > 1",
    "write to a view": "UPDATE v SET m = :m",
    "parsed function": "SELECT twice(a) FROM plain",
    "operator": "SELECT a %%% 2 FROM plain",
    "policy": "SELECT a FROM guarded",
    "key": "INSERT INTO guarded (a) VALUES (1)",
    "trigger that is not met": "DELETE FROM guarded",
    "parameter of an own type": "SELECT a FROM guarded WHERE m = :m",
    "partitions": "INSERT INTO parts VALUES (1)",
    "catalog": "SELECT table_name, is_nullable FROM information_schema.columns",
    "activity": "SELECT pid, query FROM pg_stat_activity",
}
PROVEN_SCHEMA = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE FUNCTION twice(x integer) RETURNS integer LANGUAGE sql RETURN x * 2;
CREATE FUNCTION modulo(x integer, y integer) RETURNS integer LANGUAGE sql
BEGIN ATOMIC
    SELECT twice(x) % y;
END;
CREATE OPERATOR %%% (FUNCTION = modulo, LEFTARG = integer, RIGHTARG = integer);
CREATE TABLE guarded (a integer REFERENCES plain ON DELETE CASCADE, m mood, p positive, q positive[]);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON guarded USING (m = 'good' AND current_setting('app.tenant', true) IS NOT NULL);
CREATE TRIGGER n BEFORE UPDATE OF p ON guarded FOR EACH ROW EXECUTE FUNCTION noted();
ALTER TABLE guarded DISABLE TRIGGER n;
CREATE TRIGGER o BEFORE TRUNCATE ON guarded EXECUTE FUNCTION noted();
CREATE VIEW v AS SELECT a, m, p, q FROM guarded;
CREATE TABLE parts (a integer) PARTITION BY LIST (a);
CREATE TABLE parts_1 PARTITION OF parts DEFAULT;
"""


@pytest.fixture(params=[POSTGRESQL, POSTGRESQL_18], ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> EngineCase:
    """The server's version."""
    found: EngineCase = request.param
    return found


@pytest.fixture
async def db(case: EngineCase, new_url: NewUrl, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A database with the schema above and a single connection."""
    async with DatabaseManager(new_url(case), settings=settings) as manager:
        await manager.execute_script(SCHEMA)
        yield manager


def marked(sql: str) -> Query[Any]:
    """A query that says that it is clean."""
    return Query(name="q", source="q.sql:3", shared=sql, headers={"session": "clean"})


async def verdict_on(db: DatabaseManager, sql: str) -> Verdict:
    (verdict,) = await check_sessions(db, [marked(sql)])
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
    left = marked(CASES[name].left or "")
    await db.fetch_all(marked(CASES[name].sql))
    assert await db.fetch_value(left) is True


@pytest.mark.parametrize("name", PROVEN)
async def test_what_leaves_nothing_is_proven(db: DatabaseManager, name: str) -> None:
    """Reads and writes, also through views, policies, keys and functions whose body the server knows."""
    await db.execute_script(PROVEN_SCHEMA)
    assert (await verdict_on(db, PROVEN[name])).traces == ()


async def test_a_policy_is_met_by_those_whom_it_binds(
    case: EngineCase, db: DatabaseManager, new_url: NewUrl, settings: Settings
) -> None:
    """The owner and the superuser pass by; the proof is for everybody."""
    setup: Any = CASES["policy"].setup
    await db.execute_script(
        f"{setup}; INSERT INTO t VALUES (1); DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN;"
        "GRANT USAGE ON SCHEMA public TO reader; GRANT SELECT ON t TO reader"
    )
    url = str(db._url).replace("postgres@", "reader@")
    async with DatabaseManager(url, settings=settings) as reader:
        await reader.fetch_all(marked("SELECT a FROM t"))
        assert await reader.fetch_value(marked(LEFT)) is True
        assert (await verdict_on(reader, "SELECT a FROM t")).is_wrong
    await db.execute_script(
        "REVOKE ALL ON SCHEMA public FROM reader; REVOKE ALL ON t FROM reader; DROP ROLE reader"
    )


async def test_the_check_changes_nothing(db: DatabaseManager) -> None:
    """Neither rows nor objects; functions are not called, and nothing stays in its own session."""
    objects: Any = (
        "SELECT (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_class), (SELECT count(*) FROM plain)"
    )
    before = await db.fetch_one(objects)
    await check_sessions(db, [marked("DELETE FROM plain"), marked("SELECT remember()")])
    assert await db.fetch_value(marked(LEFT)) is not True
    assert await db.fetch_one(objects) == before


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT a FROM nowhere", UndefinedTable),
        ("SELECT z FROM plain", UndefinedColumn),
        ("SELECT a FROM plain WHERE a = nothing(1)", DatabaseError),
        ("SELECT FROM FROM", DatabaseError),
        ("UPDATE plain SET a = 'x'", DataError),
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


async def test_a_user_who_may_not_make_temporary_objects_is_told(
    db: DatabaseManager, settings: Settings
) -> None:
    """The check cannot be made, so there is no verdict."""
    name = str(db._url).rpartition("/")[2]
    with psycopg.connect(str(db._url), autocommit=True) as connection:
        connection.execute("CREATE ROLE visitor LOGIN")
        connection.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    try:
        async with DatabaseManager(
            str(db._url).replace("postgres@", "visitor@"), settings=settings
        ) as visitor:
            with pytest.raises(DatabaseError) as raised:
                await verdict_on(visitor, "SELECT 1")
            assert raised.value.code == "42501"
    finally:
        with psycopg.connect(str(db._url), autocommit=True) as connection:
            connection.execute(f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC")
            connection.execute("DROP ROLE visitor")
