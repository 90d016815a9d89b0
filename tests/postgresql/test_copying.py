"""execute_many by COPY: used where it means the same, so that only a clock tells the difference."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines.postgresql import copying
from dal.errors import (
    CheckViolation,
    ConnectionLost,
    DalError,
    DatabaseError,
    DataError,
    ForeignKeyViolation,
    NotNullViolation,
    QueryTimeout,
    TransactionError,
    UniqueViolation,
)
from dal.queries import Query
from tests.clock import Clock
from tests.servers import PostgresServer

Rows = Sequence[tuple[Any, ...]]


class Copies:
    """How many calls went by COPY."""

    def __init__(self) -> None:
        self.count = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """The block sends one COPY."""
        before = self.count
        yield
        assert self.count == before + 1, "COPY was not used"

    @contextlib.contextmanager
    def none(self) -> Iterator[None]:
        """The block sends none."""
        before = self.count
        yield
        assert self.count == before, "COPY was used"


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Copies:
    """Counts; from two rows on COPY may be used."""
    found = Copies()
    copy = copying.copy

    async def counted(*args: Any) -> None:
        found.count += 1
        await copy(*args)

    monkeypatch.setattr(copying, "copy", counted)
    monkeypatch.setattr(copying, "LEAST_ROWS", 2)
    return found


def insert(columns: str) -> Query[Any]:
    """An INSERT into the table ``t``, with a parameter for each column."""
    names = [name.strip() for name in columns.split(",")]
    text = f"INSERT INTO t ({columns}) VALUES ({', '.join(':' + name for name in names)})"
    return Query(name="add", shared=text)


async def told(db: DatabaseManager, sql: Any, rows: Any) -> tuple[Any, ...] | None:
    """What the caller is told of an error."""
    try:
        await db.execute_many(sql, rows)
    except DalError as error:
        return (
            type(error),
            getattr(error, "code", None),
            getattr(error, "constraint", None),
            getattr(error, "sent", None),
            str(error),
        )
    return None


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t (a, b) VALUES ($1, $2)", "insert into t(a,b)values($1,$2);",
        '\n INSERT INTO "t" ( "a" ,\n B )\n VALUES ( $1 , $2 ) ;\n',
    ],
)  # fmt: skip
def test_a_plain_insert_is_known(text: str) -> None:
    """Whatever its case, quotes and spaces."""
    assert copying.target(text) == ('"t"', ("a", "b"))


def test_names_are_those_that_the_server_would_read() -> None:
    """Folded unless they are quoted."""
    text = 'INSERT INTO Shop . "My ""t" (A, "B c") VALUES ($1, $2)'
    assert copying.target(text) == ('"shop"."My ""t"', ("a", "B c"))


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t VALUES ($1, $2)", "INSERT INTO t (a, b) VALUES ($2, $1)",
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t (a, b) VALUES ($1, $1)", "INSERT INTO t (a, b) VALUES ($1, DEFAULT)",
        "INSERT INTO t (a) VALUES ($1::int)", "INSERT INTO t (a) VALUES (cast($1 AS int))",
        "INSERT INTO t (a) VALUES ($1 + 1)", "INSERT INTO t (a) VALUES ($1), ($2)",
        "INSERT INTO t (a, b) VALUES ($1)", "INSERT INTO t (a) VALUES ($1) RETURNING a",
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT DO NOTHING", "INSERT INTO t AS x (a) VALUES ($1)",
        "INSERT INTO t (a) OVERRIDING SYSTEM VALUE VALUES ($1)", "INSERT INTO t (a[1]) VALUES ($1)",
        "INSERT INTO t (a.x) VALUES ($1)", "INSERT INTO t (a) SELECT $1", "UPDATE t SET a = $1",
        "WITH x AS (SELECT 1) INSERT INTO t (a) VALUES ($1)", 'INSERT INTO U&"t" (a) VALUES ($1)',
        "INSERT INTO t (a) VALUES ($1) -- all", "INSERT INTO t (a) VALUES ($1); SELECT 1",
    ],
)  # fmt: skip
def test_any_other_text_is_not(text: str) -> None:
    """Its INSERT is run for each row."""
    assert copying.target(text) is None


U = uuid.UUID("c0ffeec0-ffee-c0ff-eec0-ffeec0ffeec0")
NOON = datetime(2026, 1, 2, 12, 4, 5, 678901, tzinfo=UTC)

VALUES: list[tuple[str, list[Any]]] = [
    ("boolean", [True, False, None]),
    ("smallint", [-(2**15), 2**15 - 1, None]),
    ("smallint", [1, 2**15]),
    ("integer", [-(2**31), 2**31 - 1, 0]),
    ("integer", [1, -(2**31) - 1]),
    ("integer", [1, 1.5]),
    ("integer", [1, True]),
    ("bigint", [-(2**63), 2**63 - 1, None]),
    ("real", [0.5, 7, None]),
    ("real", [0.5, 0.1]),
    ("real", [0.5, 2**24 + 1]),
    ("double precision", [0.1, 5e-324, 2**53, None]),
    ("double precision", [0.1, 2**60 + 1]),
    ("numeric", [Decimal("0.100"), 7, None]),
    ("numeric", [7, 0.1]),
    ("numeric(6, 2)", [Decimal("1.5"), Decimal("9999.99"), -1]),
    ("numeric(6, 2)", [Decimal("1.5"), Decimal("99999.99")]),
    ("numeric(6, 2)", [Decimal("1.5"), Decimal("1.005"), Decimal("-1.015")]),
    ("text", ["ä😀", "", None]),
    ("text", ["a", 1]),
    ("varchar(3)", ["abc", "ab ", "abc   "]),
    ("varchar(3)", ["abc", "abcd"]),
    ("char(3)", ["abc", "a", ""]),
    ("char(3)", ["abc", "abcd"]),
    ("bytea", [b"", b"\0\xff", None]),
    ("date", [date(9999, 12, 31), date(1, 1, 1), None]),
    ("date", [date(2026, 1, 1), NOON]),
    ("timestamptz", [NOON, datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]),
    ("timestamptz(0)", [NOON, None]),
    ("uuid", [U, None]),
    ("uuid", [U, "c0ffeec0-ffee-c0ff-eec0-ffeec0ffeec0"]),
    ("json", ['{"b": 1, "a": [1.0, "ä"]}', "null", None]),
    ("jsonb", ['{"b": 1, "a": [1.0, "ä"]}', "null", None]),
    ("jsonb", ["1", '"\\u0000"']),
    ("mood", ["happy", "sad", None]),
    ("mood", ["happy", "angry"]),
    ("integer[]", [[1, None, 3], [], None]),
    ("integer[]", [[1], [2**31]]),
    ("varchar(2)[]", [["ab", "c "], ["ab "]]),
    ("varchar(2)[]", [["ab"], ["abc"]]),
    ("numeric(4, 1)[]", [[Decimal("1.25")], [Decimal("999.9")]]),
    ("few", [1, 2]),
    ("few", [1, 11]),
    ("interval", [None, None]),
    ("timestamp", [None, None]),
]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[f"{k} {n}" for n, (k, _) in enumerate(VALUES)])
async def test_values_are_stored_or_refused_alike(
    db: DatabaseManager, copies: Copies, monkeypatch: pytest.MonkeyPatch, kind: str, values: list[Any]
) -> None:
    """What is in the table afterwards, or what the caller is told, is the same both ways."""
    await db.execute_script(
        "CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE DOMAIN few AS int CHECK (VALUE < 10);"
        f"CREATE TABLE t (n bigint, v {kind})"
    )
    engine: Any = db._engine
    sql = "INSERT INTO t (n, v) VALUES (:n, :v)"
    statement = Query(name="add", shared=sql).statement(engine.dialect, engine.encoders)
    rows = list(enumerate(values))
    found = []
    for least in (2, 1000):
        monkeypatch.setattr(copying, "LEAST_ROWS", least)
        error: Any = None
        try:
            await engine.execute_many(statement, rows, None)
        except DalError as raised:
            error = (type(raised), getattr(raised, "code", None), getattr(raised, "sent", None), str(raised))
        stored = await db.fetch_all("SELECT n, octet_length(v::text) AS size, v::text AS v FROM t ORDER BY n")
        found.append((error, [tuple(row) for row in stored]))
        await db.execute("TRUNCATE t")
    assert found[0] == found[1]
    assert bool(found[0][0]) != bool(found[0][1])
    passes = found[0][0] is None or found[0][0][1] is not None
    assert copies.count == (passes and kind not in ("few", "interval", "timestamp"))


VIOLATIONS: list[tuple[str, str, Rows, type[DatabaseError]]] = [
    ("n bigint CONSTRAINT t_key UNIQUE, v text", "n, v", [(1, "a"), (2, "b"), (1, "c")], UniqueViolation),
    ("n bigint UNIQUE DEFERRABLE INITIALLY DEFERRED", "n", [(1,), (2,), (1,)], UniqueViolation),
    ("n bigint UNIQUE DEFERRABLE", "n", [(1,), (2,), (1,)], UniqueViolation),
    ("n bigint, v text NOT NULL", "n, v", [(1, "a"), (2, None)], NotNullViolation),
    ("n bigint, v text NOT NULL", "n", [(1,), (2,)], NotNullViolation),
    ("n bigint CONSTRAINT t_small CHECK (n < 5)", "n", [(1,), (5,)], CheckViolation),
    ("n bigint CONSTRAINT t_one REFERENCES one", "n", [(1,), (2,)], ForeignKeyViolation),
    ("n bigint REFERENCES one DEFERRABLE INITIALLY DEFERRED", "n", [(1,), (2,)], ForeignKeyViolation),
    ("n bigint, EXCLUDE (n WITH =)", "n", [(1,), (1,)], UniqueViolation),
    ("n bigint) PARTITION BY RANGE (n", "n", [(1,), (200,)], CheckViolation),
]


@pytest.mark.parametrize(("columns", "names", "rows", "kind"), VIOLATIONS)
async def test_violations_are_told_alike(
    db: DatabaseManager,
    copies: Copies,
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    names: str,
    rows: Rows,
    kind: type[DatabaseError],
) -> None:
    """Class, code, constraint and words; alone and in a block; and nothing is stored."""
    await db.execute_script(
        f"CREATE TABLE one (id bigint PRIMARY KEY); INSERT INTO one VALUES (1);CREATE TABLE t ({columns})"
    )
    if "PARTITION" in columns:
        await db.execute("CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100)")
    keys = names.split(", ")
    given = [dict(zip(keys, row, strict=True)) for row in rows]
    with copies.one():
        by_copy = await told(db, insert(names), given)
    with copies.one(), contextlib.suppress(kind):
        async with db.transaction() as tx:
            await tx.execute_many(insert(names), given)
    assert await db.fetch_value("SELECT count(*) FROM t") == 0
    monkeypatch.setattr(copying, "LEAST_ROWS", 1000)
    with copies.none():
        assert await told(db, insert(names), given) == by_copy
    assert by_copy is not None
    assert by_copy[0] is kind
    assert await db.fetch_value("SELECT count(*) FROM t") == 0


async def test_after_a_violation_the_connection_is_used_again(db: DatabaseManager, copies: Copies) -> None:
    """It was rolled back, not broken."""
    await db.execute("CREATE TABLE t (n bigint UNIQUE)")
    pids = set()
    for _ in range(5):
        with pytest.raises(UniqueViolation), copies.one():
            await db.execute_many("INSERT INTO t (n) VALUES (?)", [(n % 1999,) for n in range(2000)])
        pids.add(await db.fetch_value("SELECT pg_backend_pid()"))
    assert len(pids) <= 2


SAME = "CREATE TABLE t (n bigint, v text DEFAULT 'x')"
OTHERWISE = {
    "rule": f"{SAME}; CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (new.n)",
    "statement trigger": f"{SAME}; CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION noted()",
    "row trigger": f"{SAME}; CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION noted()",
    "row trigger before": f"{SAME}; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW"
    " EXECUTE FUNCTION dropped()",
    "own key": "CREATE TABLE t (n bigint PRIMARY KEY, parent bigint REFERENCES t)",
    "own function in a default": "CREATE TABLE t (n bigint, v bigint DEFAULT counted())",
    "own function in a check": "CREATE TABLE t (n bigint CHECK (counted() < 2))",
    "domain": "CREATE DOMAIN few AS bigint DEFAULT counted(); CREATE TABLE t (n bigint, v few)",
    "identity": "CREATE TABLE t (n bigint GENERATED ALWAYS AS IDENTITY)",
    "generated": "CREATE TABLE t (m bigint, n bigint GENERATED ALWAYS AS (m + 1) STORED)",
    "view": "CREATE TABLE u (n bigint); CREATE VIEW t AS SELECT n FROM u WHERE n < 3 WITH CHECK OPTION",
    "trigger on a partition": "CREATE TABLE t (n bigint) PARTITION BY RANGE (n);"
    " CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100);"
    " CREATE TRIGGER g AFTER INSERT ON t_1 FOR EACH ROW EXECUTE FUNCTION noted()",
}
FUNCTIONS = """
CREATE TABLE log (n bigint);
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO log SELECT count(*) FROM t; RETURN NULL; END$$;
CREATE FUNCTION dropped() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN IF new.n = 2 THEN RETURN NULL; END IF; new.v := 'changed'; RETURN new; END$$;
CREATE FUNCTION counted() RETURNS bigint LANGUAGE plpgsql AS
    $$BEGIN RETURN (SELECT count(*) FROM t); END$$;
"""


@pytest.mark.parametrize("what", OTHERWISE)
async def test_where_copy_would_mean_another_thing_each_row_is_inserted(
    db: DatabaseManager, copies: Copies, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Triggers, rules, computed columns: what is stored or told is what single INSERTs do."""
    found = []
    for least in (2, 1000):
        monkeypatch.setattr(copying, "LEAST_ROWS", least)
        await db.execute_script(f"{FUNCTIONS} {OTHERWISE[what]}")
        with copies.none():
            names = ("n", "parent") if what == "own key" else ("n",)
            rows = [(2, 1), (1, None)] if what == "own key" else [(n,) for n in (1, 2, 3)]
            error = await told(
                db, insert(", ".join(names)), [dict(zip(names, row, strict=True)) for row in rows]
            )
        stored = await db.fetch_all("SELECT * FROM t ORDER BY n")
        logged = await db.fetch_all("SELECT n FROM log ORDER BY n")
        found.append((error, [tuple(row) for row in stored], [tuple(row) for row in logged]))
        await db.execute_script("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert found[0] == found[1]
    assert any(found[0])


async def test_row_level_security_is_not_passed_by(db: DatabaseManager, copies: Copies) -> None:
    """The policy holds for each row, as COPY could not."""
    await db.execute_script(
        "CREATE TABLE t (n bigint); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY p ON t USING (n < 3); CREATE ROLE dal_reader_of_rows; GRANT INSERT ON t TO"
        " dal_reader_of_rows"
    )
    try:
        for rows, passes in (([(1,), (2,)], True), ([(1,), (3,)], False)):
            with contextlib.nullcontext() if passes else pytest.raises(DatabaseError, match="row-level"):
                async with db.transaction() as tx:
                    await tx.execute("SET LOCAL ROLE dal_reader_of_rows")
                    with copies.none():
                        await tx.execute_many("INSERT INTO t (n) VALUES (?)", rows)
        with copies.one():
            await db.execute_many("INSERT INTO t (n) VALUES (?)", [(5,), (6,)])
        assert await db.fetch_value("SELECT count(*) FROM t") == 4
    finally:
        await db.execute_script("DROP OWNED BY dal_reader_of_rows; DROP ROLE dal_reader_of_rows")


async def test_the_right_to_insert_is_enough(db: DatabaseManager, copies: Copies) -> None:
    """Without the right to read; and without the right to insert it is refused."""
    await db.execute_script("CREATE TABLE t (n bigint, v text); CREATE ROLE dal_writer_of_rows")
    try:
        await db.execute("GRANT INSERT (n) ON t TO dal_writer_of_rows")
        async with db.transaction() as tx:
            await tx.execute("SET LOCAL ROLE dal_writer_of_rows")
            with copies.one():
                await tx.execute_many("INSERT INTO t (n) VALUES (?)", [(1,), (2,)])
        with pytest.raises(DatabaseError, match="permission denied for table t"):
            async with db.transaction() as tx:
                await tx.execute("SET LOCAL ROLE dal_writer_of_rows")
                await tx.execute_many("INSERT INTO t (n, v) VALUES (?, ?)", [(1, "a"), (2, "b")])
        assert await db.fetch_value("SELECT count(*) FROM t") == 2
    finally:
        await db.execute_script("DROP OWNED BY dal_writer_of_rows; DROP ROLE dal_writer_of_rows")


async def test_partitions_sequences_and_defaults_are_filled(db: DatabaseManager, copies: Copies) -> None:
    """Columns that the INSERT leaves out, in the order of the rows."""
    await db.execute_script(
        "CREATE TABLE t (id bigserial, ident bigint GENERATED ALWAYS AS IDENTITY, n bigint,"
        " twice bigint GENERATED ALWAYS AS (n * 2) STORED, v text DEFAULT 'x',"
        " made timestamptz DEFAULT now(),"
        " mark uuid DEFAULT gen_random_uuid()) PARTITION BY RANGE (n);"
        "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (50);"
        "CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (50) TO (100)"
    )
    with copies.one():
        await db.execute_many("INSERT INTO t (n) VALUES (?)", [(n,) for n in range(99, -1, -1)])
    found = await db.fetch_all(
        "SELECT id, n, twice, v FROM t WHERE made IS NOT NULL AND mark IS NOT NULL ORDER BY id"
    )
    assert [tuple(row) for row in found] == [(100 - n, n, 2 * n, "x") for n in range(99, -1, -1)]


async def test_the_table_is_the_one_that_the_insert_would_find(db: DatabaseManager, copies: Copies) -> None:
    """By the search path, a temporary table before all others."""
    await db.execute_script("CREATE TABLE t (n bigint); CREATE SCHEMA other; CREATE TABLE other.t (n bigint)")
    sql = "INSERT INTO t (n) VALUES (?)"
    async with db.transaction() as tx:
        await tx.execute("SET LOCAL search_path = other")
        with copies.one():
            await tx.execute_many(sql, [(1,), (2,)])
        await tx.execute("CREATE TEMPORARY TABLE t (n bigint) ON COMMIT DROP")
        with copies.one():
            await tx.execute_many(sql, [(3,), (4,)])
        assert await tx.fetch_value("SELECT sum(n) FROM pg_temp.t") == 7
    assert await db.fetch_value("SELECT sum(n) FROM other.t") == 3
    assert await db.fetch_value("SELECT count(*) FROM public.t") == 0


async def test_a_table_that_has_changed_is_seen_as_it_is(db: DatabaseManager, copies: Copies) -> None:
    """A column's type, a trigger, another table of the name: each call looks."""
    sql = "INSERT INTO t (n) VALUES (?)"
    await db.execute("CREATE TABLE t (n integer)")
    await db.execute_many(sql, [(1,), (2,)])
    await db.execute("ALTER TABLE t ALTER n TYPE bigint")
    with copies.one():
        await db.execute_many(sql, [(3,), (2**40,)])
    await db.execute("ALTER TABLE t ALTER n TYPE text")
    with pytest.raises(DataError, match="takes str"):
        await db.execute_many(sql, [(5,), (6,)])
    with copies.one():
        await db.execute_many(sql, [("5",), ("6",)])
    await db.execute_script(f"{FUNCTIONS} CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION noted()")
    with copies.none():
        await db.execute_many(sql, [("7",), ("8",)])
    assert [row[0] for row in await db.fetch_all("SELECT n FROM log ORDER BY n")] == [7, 8]


async def test_a_refused_value_holds_no_lock(db: DatabaseManager, copies: Copies) -> None:
    """A statement that was prepared and not run would hold its table until the next call."""
    clean: Any = Query(name="add", shared="INSERT INTO t (n) VALUES (:n)", clean=["postgresql"])
    await db.execute("CREATE TABLE t (n integer)")
    for refused in (
        lambda: db.execute(clean, {"n": 2**40}),
        lambda: db.execute_many(clean, [{"n": 2**40}]),
        lambda: db.execute_many(clean, [{"n": 1}, {"n": 2**40}]),
    ):
        with pytest.raises(DataError):
            await refused()
        held = "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass"
        assert await db.fetch_value(held) == 0


async def test_a_block_with_savepoints_undoes_its_part(db: DatabaseManager, copies: Copies) -> None:
    """The inner block's rows go with it, the outer ones stay."""
    await db.execute("CREATE TABLE t (n bigint UNIQUE)")
    sql = "INSERT INTO t (n) VALUES (?)"
    async with db.transaction() as tx:
        await tx.execute_many(sql, [(1,), (2,)])
        with pytest.raises(UniqueViolation):
            async with tx.transaction() as inner:
                await inner.execute_many(sql, [(3,), (1,)])
        with pytest.raises(LookupError):
            async with tx.transaction() as inner:
                await inner.execute_many(sql, [(5,), (6,)])
                raise LookupError
        await tx.execute_many(sql, [(7,), (8,)])
    assert copies.count == 4
    assert [row[0] for row in await db.fetch_all("SELECT n FROM t ORDER BY n")] == [1, 2, 7, 8]


async def test_a_violation_ends_the_block(db: DatabaseManager, copies: Copies) -> None:
    """It takes nothing more, as after any error."""
    await db.execute("CREATE TABLE t (n bigint UNIQUE)")
    with pytest.raises(UniqueViolation):
        async with db.transaction() as tx:
            try:
                await tx.execute_many("INSERT INTO t (n) VALUES (?)", [(1,), (1,)])
            finally:
                with pytest.raises(TransactionError):
                    await tx.execute("SELECT 1")
    assert copies.count == 1


WIDE = "x" * 1000
MANY = [(n, WIDE) for n in range(30_000)]
FILL = "INSERT INTO t (n, v) VALUES (?, ?)"


@pytest.mark.parametrize("steps", [0, 1, 3, 10, 20, 30, 40, 60, 100])
async def test_left_at_any_point_it_stores_nothing(
    db: DatabaseManager, copies: Copies, clock: Clock, steps: int
) -> None:
    """The caller is free at once, and no connection that is handed on is in the middle of anything."""
    await db.execute("CREATE TABLE t (n bigint, v text)")
    task = asyncio.ensure_future(db.execute_many(FILL, MANY))
    while not copies.count and not task.done():
        await asyncio.sleep(0)
    for _ in range(steps):
        await asyncio.sleep(0)
    clock.stop()  # nothing that it waits for is given up after a time
    task.cancel()
    await asyncio.wait([task])
    clock.go_on()
    assert task.cancelled()
    assert await db.fetch_value("SELECT count(*) FROM t") == 0
    async with asyncio.timeout(60):  # the server is told in the background
        while await db.fetch_value("SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass"):
            await asyncio.sleep(0.01)
    with copies.one():
        await db.execute_many(FILL, MANY[:100])
    assert await db.fetch_value("SELECT count(*) FROM t") == 100


async def test_a_timeout_while_a_lock_is_waited_for_stores_nothing(
    db: DatabaseManager, copies: Copies, clock: Clock
) -> None:
    """Another session holds the table."""
    await db.execute("CREATE TABLE t (n bigint, v text)")
    async with db.transaction() as tx:
        await tx.execute("LOCK TABLE t IN EXCLUSIVE MODE")
        task = asyncio.ensure_future(db.outside().execute_many(FILL, MANY, timeout=1000))
        async with asyncio.timeout(60):
            while not await db.outside().fetch_value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
        clock.forward(2000)
        with pytest.raises(QueryTimeout):
            await task
    assert await db.fetch_value("SELECT count(*) FROM t") == 0


async def test_a_session_that_is_killed_midway_stores_nothing(
    server: PostgresServer, db: DatabaseManager, copies: Copies
) -> None:
    """The error is that of a lost connection; also while the driver waits to send more."""
    await db.execute("CREATE TABLE t (n bigint UNIQUE, v text)")
    async with db.transaction() as tx:  # the first row waits for this one, and all behind it
        await tx.execute("INSERT INTO t VALUES (0)")
        task = asyncio.ensure_future(db.outside().execute_many(FILL, MANY))
        waiting = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND query LIKE 'COPY%'"
        )
        while not await db.outside().fetch_value(waiting):
            await asyncio.sleep(0.01)
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(task, 60)
    assert await db.fetch_value("SELECT count(*) FROM t") == 1
    assert copies.count == 1


async def test_other_tasks_have_their_turn(db: DatabaseManager, copies: Copies) -> None:
    """While a hundred thousand rows are sent the event loop goes on."""
    await db.execute("CREATE TABLE t (n bigint, v text)")
    turns = itertools.count()
    rows = [(n, "x") for n in range(100_000)]
    task = asyncio.ensure_future(db.execute_many(FILL, rows))
    while not copies.count:
        await asyncio.sleep(0)
    while not task.done():
        await asyncio.sleep(0)
        next(turns)
    await task
    assert next(turns) >= 50


def test_few_rows_are_not_worth_asking_the_catalog() -> None:
    """The number of rows from which on COPY pays."""
    assert 100 <= copying.LEAST_ROWS <= 1000
