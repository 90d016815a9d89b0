"""The engines under test: where a database comes from, the texts that differ, and what an engine cannot do.

A conformance test states one claim and runs on every case. Where the SQL of a claim differs it asks the
case for the text; where an engine cannot do what the claim is about, the test says which capability it
needs, with ``@needs(...)``, and is skipped there with the reason that stands here.
"""

from __future__ import annotations

import enum
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dal.engines.base import Isolation
from dal.settings import DatabaseSettings
from tests.servers import DatabaseServer, MariaDbServer, PostgresServer


class Capability(enum.Enum):
    """What a claim may need that not every engine has."""

    WITH_BEFORE_WRITE = "a WITH clause before INSERT and UPDATE"
    DEFERRED_KEYS = "constraints that are checked at COMMIT"
    DDL_IN_TRANSACTIONS = "DDL that a transaction undoes"
    WEAKER_ISOLATION = "isolation levels below serializable"
    READ_UNCOMMITTED = "reads of what is not committed"
    CONCURRENT_WRITERS = "transactions that write at the same time"
    ROW_LOCKS = "locks on single rows"
    FOREIGN_KEY_NAMES = "the name of the foreign key that refused"
    NATIVE_TYPES = "column types that refuse what does not fit them"
    TYPED_COLUMNS = "columns that come back as their Python type without a model"
    ARRAYS = "arrays as values"
    SERVER = "a server, with users and sessions, which can be frozen, killed or full"
    QUESTION_OPERATORS = "operators that are written with a question mark"


def needs(*capabilities: Capability) -> pytest.MarkDecorator:
    """Skip the test on engines that lack one of *capabilities*, with the reason that their case gives."""
    return pytest.mark.needs(*capabilities)


class Place(ABC):
    """Gives one empty database after the other."""

    @abstractmethod
    def empty(self, folder: Path) -> str:
        """The URL of an empty database, for one test."""

    @abstractmethod
    def sessions(self) -> int:
        """How many sessions the database has."""

    def login(self, password: str, *, sessions: int = 0) -> None:
        """Make the user ``guarded``, who needs *password* and, unless it is 0, may have so many sessions."""
        raise NotImplementedError

    def end_sessions(self) -> None:
        """End every session on the database, as a server does that is restarted."""
        raise NotImplementedError

    @abstractmethod
    def busy(self) -> int:
        """How many sessions run a statement, or are in a transaction that may hold a lock."""

    def kill(self, session: int) -> None:
        """End a session as its administrator can, and wait until the server has closed it."""
        raise NotImplementedError

    def assert_left_alone(self) -> None:
        """Fail if a session outlives its test."""
        deadline = time.monotonic() + 60
        while (open_ones := self.sessions()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not open_ones, f"{open_ones} sessions on the server outlived their test"


class Files(Place):
    """A file for each database."""

    def empty(self, folder: Path) -> str:
        self._path = folder / "test.db"
        return f"sqlite:///{self._path}"

    def sessions(self) -> int:
        return 0

    def busy(self) -> int:
        """1 while somebody writes."""
        with closing(sqlite3.connect(self._path, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return 1
            return 0


_OTHERS = """
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


class _GuardedPostgres(PostgresServer):
    """A PostgreSQL server that asks one user for a password."""

    def prepare(self, program: Path) -> None:
        super().prepare(program)
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all guarded all scram-sha-256\n{rules.read_text()}")


class PostgresPlace(Place):
    """One database of a server, emptied for each test: making a new one takes a tenth of a second."""

    def __init__(self, url: str, connection: Any) -> None:
        self._url = url
        self._connection = connection

    def empty(self, folder: Path) -> str:
        if self.sessions():
            self.end_sessions()
        self._connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return self._url

    def login(self, password: str, *, sessions: int = 0) -> None:
        self._connection.execute("DROP ROLE IF EXISTS guarded")
        self._connection.execute(
            f"CREATE ROLE guarded LOGIN CONNECTION LIMIT {sessions or -1} PASSWORD '{password}'"
        )

    def end_sessions(self) -> None:
        self._connection.execute(f"SELECT pg_terminate_backend(pid, 60000) {_OTHERS}")

    def sessions(self) -> int:
        return self._count(_OTHERS)

    def busy(self) -> int:
        return self._count(f"{_OTHERS} AND state NOT IN ('idle', 'disabled')")

    def kill(self, session: int) -> None:
        self._connection.execute("SELECT pg_terminate_backend(%s, 60000)", [session])

    def _count(self, source: str) -> int:
        (found,) = self._connection.execute(f"SELECT count(*) {source}").fetchone()
        return int(found)


class MariaDbPlace(Place):
    """One database of a server, made anew for each test."""

    def __init__(self, server: MariaDbServer, connection: Any) -> None:
        self._server = server
        self._connection = connection
        self._busy, self._asked = 0, 0.0

    def empty(self, folder: Path) -> str:
        self.end_sessions()
        with self._connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS test_conformance")
            cursor.execute(self._server.creation("test_conformance"))
        return self._server.url("test_conformance")

    def login(self, password: str, *, sessions: int = 0) -> None:
        with self._connection.cursor() as cursor:
            # In an hour, not at once: MariaDB no longer counts a session that was reset.
            cursor.execute(
                "CREATE OR REPLACE USER guarded@'%%' IDENTIFIED BY %s WITH MAX_CONNECTIONS_PER_HOUR %s",
                [password, sessions],
            )
            cursor.execute("GRANT ALL ON test_conformance.* TO guarded@'%'")
            cursor.execute("FLUSH PRIVILEGES")  # the limit of an earlier user of this name would stay

    def end_sessions(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = 'test_conformance'")
            for (thread,) in cursor.fetchall():
                # One may have ended since; only a failed statement says so.
                cursor.execute(
                    f"BEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR 1094 DO 0; KILL CONNECTION {thread}; END"
                )

    def sessions(self) -> int:
        return self._count("TRUE")

    def busy(self) -> int:
        # The server renews its table of transactions only once nobody has read it for a tenth of a second.
        too_soon = self._asked + 0.11 - time.monotonic()
        if too_soon > 0:
            if self._busy:
                return self._busy
            time.sleep(too_soon)
        self._busy = self._count(
            "command <> 'Sleep' OR id IN (SELECT trx_mysql_thread_id FROM information_schema.innodb_trx)"
        )
        self._asked = time.monotonic()
        return self._busy

    def kill(self, session: int) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("KILL CONNECTION %s", [session])
        deadline = time.monotonic() + 60
        while self._count(f"id = {session}") and time.monotonic() < deadline:
            time.sleep(0.001)

    def _count(self, condition: str) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM information_schema.processlist "
                f"WHERE db = 'test_conformance' AND ({condition})"
            )
            return int(cursor.fetchone()[0])


@contextmanager
def _files() -> Iterator[Place]:
    yield Files()


@contextmanager
def _postgres(version: int | None) -> Iterator[Place]:
    import psycopg

    with _GuardedPostgres(version) as server, server.database() as name:
        url = server.url(name)
        with psycopg.connect(url, autocommit=True) as connection:
            yield PostgresPlace(url, connection)


@contextmanager
def _mariadb() -> Iterator[Place]:
    import pymysql  # type: ignore[import-untyped]  # it comes without types

    with (
        MariaDbServer() as server,
        closing(pymysql.connect(user="root", unix_socket=str(server.socket), autocommit=True)) as connection,
    ):
        yield MariaDbPlace(server, connection)


@dataclass(frozen=True)
class EngineCase:
    """One engine under test.

    Attributes:
        name: What the tests' ids have.
        dialect: The name of its SQL dialect, also the suffix of its ``.sql`` variants.
        place: Starts the server that the run shares; gives its databases.
        server: Makes a server that a test may freeze or kill; None for an embedded engine.
        steps: The functions through which every statement goes to the driver.
        types: The column type for each type that a query's header may give a parameter.
        key: The type, and all that goes with it, of a generated primary key.
        endless: A query that ends only if it is stopped.
        texts: Other SQL of the claims that differs, by the name of what it does.
        constraints: What it calls the constraints of ``account``, by their kind; None if it does not say.
        lacks: What it cannot do, and why.
    """

    name: str
    dialect: str
    place: Any
    server: Callable[..., DatabaseServer] | None
    steps: tuple[str, ...]
    types: Mapping[str, str]
    key: str
    endless: str
    texts: Mapping[str, str]
    constraints: Mapping[str, str | None]
    lacks: Mapping[Capability, str]

    def open(self) -> AbstractContextManager[Place]:
        """Start the server, where there is one."""
        opened: AbstractContextManager[Place] = self.place()
        return opened

    def quoted(self, name: str) -> str:
        """The name of a column as it is written where it is a reserved word."""
        mark = self.texts["quote"]
        return f"{mark}{name}{mark}"

    def __getitem__(self, name: str) -> str:
        """One of the texts."""
        return self.texts[name]

    @property
    def levels_lacking(self) -> tuple[Isolation, ...]:
        """The isolation levels that it does not have."""
        if Capability.WEAKER_ISOLATION in self.lacks:
            return WEAKER_LEVELS
        return WEAKER_LEVELS[-1:] if Capability.READ_UNCOMMITTED in self.lacks else ()

    def blocks_at_once(self, settings: DatabaseSettings) -> int:
        """How many blocks that may write can be open at the same time."""
        several = Capability.CONCURRENT_WRITERS not in self.lacks
        return settings.pool_size + settings.max_overflow if several else 1

    @property
    def account(self) -> str:
        """The DDL of the table that most claims use."""
        return ACCOUNT.format(key=self.key, strict=self.texts["strict"], **self.types)


WEAKER_LEVELS: tuple[Isolation, ...] = ("repeatable read", "read committed", "read uncommitted")

ACCOUNT = """
CREATE TABLE account (
    account_id {key},
    email {name} NOT NULL,
    balance {int} NOT NULL DEFAULT 0,
    parent_id {int},
    CONSTRAINT account_email_key UNIQUE (email),
    CONSTRAINT account_balance_positive CHECK (balance >= 0),
    CONSTRAINT account_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES account (account_id)
) {strict}
"""

SQLITE = EngineCase(
    name="sqlite",
    dialect="sqlite",
    place=_files,
    server=None,
    steps=(
        "dal.engines.sqlite.connection:Connection.own",
        "dal.engines.sqlite.statements:opened",
        "dal.engines.sqlite.statements:executemany",
    ),
    key="INTEGER PRIMARY KEY",
    types={
        "bool": "INTEGER", "int": "INTEGER", "float": "REAL", "decimal": "INTEGER", "text": "TEXT",
        "name": "TEXT", "bytes": "BLOB", "date": "TEXT", "timestamp": "TEXT", "uuid": "TEXT", "json": "TEXT",
    },
    endless="WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
    texts={
        "strict": "STRICT",
        "slow": "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
        "slow inserts": """
            CREATE TRIGGER slow BEFORE INSERT ON pair BEGIN
                SELECT count(*) FROM (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 50000) SELECT n FROM c);
            END
        """,
        "quote": '"',
        "year of a date": "strftime('%Y', '2026-01-02')",
        "value of a JSON key": "json_extract(:doc, '$.a:b') || json_extract('{\"k\":\"x:y ? %s\"}', '$.k')",
        "driver": "sqlite3",
        "numbers": (
            "SELECT n FROM (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count})"
            " SELECT n FROM c) AS numbers"
        ),
        "guard": "CREATE TRIGGER guard BEFORE DELETE ON account BEGIN SELECT RAISE(ABORT, 'no'); END",
        "audit": """
            CREATE TABLE log (log_id INTEGER PRIMARY KEY, note TEXT);
            CREATE TRIGGER noted AFTER INSERT ON account BEGIN
                INSERT INTO log (note) VALUES ('one; ' || new.email);
                INSERT INTO log (note) VALUES ('two');
            END;
        """,
    },
    constraints={
        "unique": "account.email", "foreign key": None, "not null": "account.email",
        "check": "account_balance_positive",
    },
    lacks={
        Capability.WEAKER_ISOLATION: "every transaction of SQLite is serializable",
        Capability.READ_UNCOMMITTED: "every transaction of SQLite is serializable",
        Capability.CONCURRENT_WRITERS: "SQLite has one writer at a time",
        Capability.ROW_LOCKS: "SQLite locks the whole database",
        Capability.FOREIGN_KEY_NAMES: "SQLite does not say which foreign key refused",
        Capability.NATIVE_TYPES: "SQLite's columns have neither lengths nor ranges; tables have checks",
        Capability.TYPED_COLUMNS: "SQLite stores booleans as integers, and times, UUIDs and JSON as text",
        Capability.ARRAYS: "SQLite has no arrays",
        Capability.SERVER: "SQLite runs in the process itself",
        Capability.QUESTION_OPERATORS: "SQLite takes every question mark for a parameter",
    },
)  # fmt: skip

POSTGRESQL = EngineCase(
    name="postgresql",
    dialect="postgresql",
    place=partial(_postgres, None),
    server=PostgresServer,
    steps=tuple(
        f"dal.engines.postgresql.connection:Connection.{name}" for name in ("run", "run_many", "run_text", "cursor")
    ),
    key="bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
    types={
        "bool": "boolean", "int": "bigint", "float": "double precision", "decimal": "numeric(19, 6)",
        "text": "text", "name": "text", "bytes": "bytea", "date": "date", "timestamp": "timestamptz",
        "uuid": "uuid", "json": "jsonb",
    },
    # Its end is no constant: the planner would think it worth compiling, which nothing interrupts; and in the list of
    # columns nothing of it is written to a temporary file.
    endless="SELECT count(*) FROM (SELECT generate_series(1, (SELECT 1000000000000))) AS g",
    texts={
        "strict": "",
        "slow inserts": """
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.01); RETURN new; END $$;
            CREATE TRIGGER slow BEFORE INSERT ON pair FOR EACH ROW EXECUTE FUNCTION slow();
        """,
        "session": "SELECT pg_backend_pid()",
        "sleep": "SELECT pg_sleep({})",
        "slow": "SELECT pg_sleep(1)",
        "connections option": "max_connections",
        "open seconds": "dal.engines.postgresql.driver.OPEN_SECONDS",
        "quote": '"',
        "year of a date": "to_char(date '2026-01-02', 'YYYY')",
        "value of a JSON key": (
            "(cast(:doc AS jsonb) ->> 'a:b') || (cast('{\"k\":\"x:y ? %s\"}' AS jsonb) ->> 'k')"
        ),
        "driver": "asyncpg",
        "numbers": "SELECT n FROM generate_series(1, {count}) AS n",
        "guard": """
            CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no %', old.email; END; $$;
            CREATE TRIGGER guard BEFORE DELETE ON account FOR EACH ROW EXECUTE FUNCTION guard();
        """,
        "audit": """
            CREATE TABLE log (log_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, note text);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO log (note) VALUES ('one; ' || new.email);
                INSERT INTO log (note) VALUES ('two');
                RETURN new;
            END;
            $$;
            CREATE TRIGGER noted AFTER INSERT ON account FOR EACH ROW EXECUTE FUNCTION note();
        """,
    },
    constraints={
        "unique": "account_email_key", "foreign key": "account_parent_id_fkey", "not null": "account.email",
        "check": "account_balance_positive",
    },
    lacks={
        Capability.READ_UNCOMMITTED: "PostgreSQL never reads what is not committed",
    },
)  # fmt: skip

POSTGRESQL_18 = replace(
    POSTGRESQL, name="postgresql18", place=partial(_postgres, 18), server=partial(PostgresServer, 18)
)

MARIADB = EngineCase(
    name="mariadb",
    dialect="mysql",
    place=_mariadb,
    server=MariaDbServer,
    steps=tuple(f"dal.engines.mysql.connection:Connection.{name}" for name in ("run", "start", "more", "reset")),
    key="BIGINT AUTO_INCREMENT PRIMARY KEY",
    types={
        "bool": "BOOLEAN", "int": "BIGINT", "float": "DOUBLE", "decimal": "DECIMAL(19, 6)",
        "text": "LONGTEXT", "name": "VARCHAR(255)", "bytes": "LONGBLOB", "date": "DATE",
        "timestamp": "DATETIME(6)", "uuid": "CHAR(36)", "json": "JSON",
    },
    endless="SELECT benchmark(1000000000000, md5('a'))",
    texts={
        "strict": "",
        "slow inserts": "CREATE TRIGGER slow BEFORE INSERT ON pair FOR EACH ROW SET NEW.half = NEW.half + sleep(0.01)",
        "session": "SELECT connection_id()",
        "sleep": "SELECT sleep({})",
        "slow": "SELECT sleep(1)",
        "connections option": "max-connections",
        "open seconds": "dal.engines.mysql.connection._OPEN_SECONDS",
        "quote": "`",
        "year of a date": "date_format('2026-01-02', '%Y')",
        "value of a JSON key": (
            "json_value(:doc, '$.\"a:b\"') || json_value('{\"k\":\"x:y ? %s\"}', '$.k')"
        ),
        "driver": "asyncmy",
        "numbers": "SELECT seq AS n FROM seq_1_to_{count}",
        "guard": (
            "CREATE TRIGGER guard BEFORE DELETE ON account FOR EACH ROW "
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 's3cr3t'"
        ),
        "audit": """
            CREATE TABLE log (log_id BIGINT AUTO_INCREMENT PRIMARY KEY, note TEXT);
            CREATE TRIGGER noted AFTER INSERT ON account FOR EACH ROW BEGIN
                INSERT INTO log (note) VALUES ('one; ' || new.email);
                INSERT INTO log (note) VALUES ('two');
            END;
        """,
    },
    constraints={
        "unique": "account_email_key", "foreign key": "account_parent_id_fkey", "not null": "email",
        "check": "account_balance_positive",
    },
    lacks={
        Capability.WITH_BEFORE_WRITE: "MariaDB takes WITH before SELECT only",
        Capability.DEFERRED_KEYS: "MariaDB checks every constraint with its statement",
        Capability.DDL_IN_TRANSACTIONS: "MariaDB commits before and after DDL",
        Capability.TYPED_COLUMNS: "MariaDB stores booleans as integers, UUIDs and JSON as text",
        Capability.ARRAYS: "MariaDB has no arrays",
        Capability.QUESTION_OPERATORS: "MariaDB takes every question mark for a parameter",
    },
)  # fmt: skip

CASES = (SQLITE, POSTGRESQL, POSTGRESQL_18, MARIADB)
