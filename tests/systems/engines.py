"""Databases with a system on each engine, asked by plain drivers, with nothing of dal between.

A `Plain` database knows how its engine writes a row, what its catalog says, and how a text of dal becomes
a statement of its driver.
"""

from __future__ import annotations

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import psycopg
import pymysql  # type: ignore[import-untyped]  # it comes without types
import sqlparse

from dal.engines.sqlite.encoders import encoders as sqlite_encoders
from dal.queries import Query
from dal.queries.dialects import DIALECTS
from dal.queries.scanner import split_statements
from dal.values import KINDS, SCALARS, Encoders, ParameterType, json_text
from tests.systems.registry import BASE, System, schema


def _same(value: Any) -> Any:
    return value


def normal(sql: str) -> str:
    """A statement without comments, on one line."""
    return " ".join(sqlparse.format(sql, strip_comments=True).split())


@dataclass
class Table:
    """What every engine says of a table, in one form.

    Attributes:
        columns: Name -> whether it may be NULL, in their order.
        keys: Columns of the primary key and, by their names, of the unique constraints.
        foreign: By their names: columns, the table and columns referred to, ON UPDATE, ON DELETE.
        checks: Names.
        indexes: Columns by name, those of the keys apart.
        defaults: Columns to which the database gives a value where an INSERT gives none.
        generated: Columns that it numbers.
    """

    columns: dict[str, bool] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    foreign: dict[str, tuple[tuple[str, ...], str, tuple[str, ...], str, str]] = field(default_factory=dict)
    checks: set[str] = field(default_factory=set)
    indexes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: set[str] = field(default_factory=set)
    generated: set[str] = field(default_factory=set)


class Plain(ABC):
    """One database, for the tables of one system."""

    engine: ClassVar[str]
    overriding = ""  # what an INSERT needs to give a generated key
    foreign_keys_off: ClassVar[str]

    def __init__(self, url: str, system: System) -> None:
        self.url = url
        self.system = system
        self._own_rows: list[str] = []

    @property
    def folders(self) -> list[str]:
        """Where yoyo finds the migrations, from the root."""
        return [f"migrations/{system}/{self.engine}" for system in (BASE, self.system.name)]

    @abstractmethod
    def emptying(self) -> Iterable[str]:
        """The statements that take out all rows, and number new ones from 1."""

    @abstractmethod
    def rows(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement of the driver, commit it, and return what comes back."""

    @abstractmethod
    def columns(self, sql: str, params: Sequence[object] = ()) -> list[str]:
        """Run a statement, undo it, and return the names of its columns."""

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    @abstractmethod
    def refusal(self, sql: str, params: Sequence[object]) -> str:
        """Run a statement that has to fail, and return the constraint or else the driver's class of error."""

    @abstractmethod
    def catalog(self) -> dict[str, object]:
        """All that the engine knows of the database's objects, apart from yoyo's."""

    @abstractmethod
    def tables(self) -> dict[str, Table]:
        """The tables of the system."""

    def script(self, text: str) -> None:
        """Run the statements of a file."""
        for statement in split_statements(text, DIALECTS[self.engine]):
            self.rows(statement)

    def run(self, query: Query[Any], **params: object) -> list[tuple[Any, ...]]:
        """What *query* returns, by its compiled text."""
        return self.rows(*self.bound(query, **params))

    def bound(self, query: Query[Any], **params: object) -> tuple[str, tuple[Any, ...]]:
        """The compiled text of *query* and its values."""
        own = copy(query)  # the original keeps what was compiled for the engine of dal
        return own.statement(DIALECTS[self.engine], self.encoders).bind(params)

    def encoders(self, declared: ParameterType | None) -> Encoders:
        """Values as the plain driver takes them: JSON as text, all else as it is."""
        kinds = (*(SCALARS if declared is None else KINDS[declared.kind]), type(None))
        encoder = json_text if declared is not None and declared.kind == "json" else _same
        return {kind: _same if kind is type(None) else encoder for kind in kinds}

    def insertion(self, table: str, row: Mapping[str, object]) -> tuple[str, list[object]]:
        """The statement that inserts *row*."""
        columns = ", ".join(self.quoted(column) for column in row)
        marks = ", ".join([self.mark] * len(row))
        values = [self.value(value) for value in row.values()]
        return f"INSERT INTO {table} ({columns}) {self.overriding} VALUES ({marks})", values

    mark = "%s"

    def quoted(self, name: str) -> str:
        """A name that may be a reserved word."""
        return f'"{name}"'

    def value(self, value: object) -> object:
        """A value of the sample rows as the driver takes it."""
        return value

    def create(self) -> None:
        """Make the tables, and remember which of them the schema itself puts a row into."""
        for system in (BASE, self.system.name):
            self.script(schema(self.engine, system))
        self._own_rows = [table for table in self.system.rows if self.count(table)]

    def count(self, table: str) -> int:
        """How many rows a table has."""
        ((found,),) = self.rows(f"SELECT count(*) FROM {table}")
        return int(found)

    def put(self, table: str) -> None:
        """Put the sample row into a table."""
        self.rows(*self.insertion(table, self.system.rows[table]))

    def fill(self, tables: Iterable[str] | None = None) -> None:
        """Put one row into each table, or into each of *tables*, that has none."""
        for table in self.system.rows:
            if (tables is None or table in tables) and not self.count(table):
                self.put(table)

    def empty(self) -> None:
        """Take out all rows but the schema's, and number new ones from 1."""
        for statement in self.emptying():
            self.rows(statement)
        for table in self._own_rows:
            self.put(table)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """A transaction that is rolled back."""
        self.rows("BEGIN")
        try:
            yield
        finally:
            self.rows("ROLLBACK")


class PlainSqlite(Plain):
    """A SQLite file."""

    engine = "sqlite"
    mark = "?"
    foreign_keys_off = "PRAGMA foreign_keys = OFF"

    def __init__(self, url: str, system: System) -> None:
        super().__init__(url, system)
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute("PRAGMA synchronous = OFF")

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, params).fetchall()

    def encoders(self, declared: ParameterType | None) -> Encoders:
        return sqlite_encoders(declared)

    def emptying(self) -> Iterable[str]:
        return [f"DELETE FROM {table}" for table in reversed(list(self.system.rows))]

    def value(self, value: object) -> object:
        """Decimals are integers of their last digit."""
        if isinstance(value, Decimal):
            return int("".join(map(str, value.as_tuple().digits))) * (-1 if value.is_signed() else 1)
        return value

    def columns(self, sql: str, params: Sequence[object] = ()) -> list[str]:
        self._connection.execute("BEGIN")
        try:
            description = self._connection.execute(sql, params).description
        finally:
            self._connection.execute("ROLLBACK")
        return [column[0] for column in description or ()]

    def close(self) -> None:
        self._connection.close()

    def refusal(self, sql: str, params: Sequence[object]) -> str:
        try:
            self.rows(sql, params)
        except sqlite3.IntegrityError as error:
            return str(error).rpartition(": ")[2]
        raise AssertionError("nothing was refused")

    def catalog(self) -> dict[str, object]:
        objects = self.rows(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema"
            " WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '%yoyo%' AND tbl_name NOT LIKE '%yoyo%'"
        )
        found: dict[str, object] = {}
        for kind, name, table, sql in objects:
            pragmas = ("table_xinfo", "foreign_key_list", "index_list", "index_xinfo")
            details = [self.rows(f"SELECT * FROM pragma_{pragma}(?)", (name,)) for pragma in pragmas]
            indexes = [self.rows("SELECT * FROM pragma_index_xinfo(?)", (row[1],)) for row in details[2]]
            found[name] = (kind, table, normal(sql), details, indexes)
        return found

    def tables(self) -> dict[str, Table]:
        # The names of constraints are in the text alone.
        found = {}
        for name, sql in self.rows(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%STRICT'"
        ):
            text = normal(sql).replace('"', "")
            columns = self.rows('SELECT name, "notnull" FROM pragma_table_xinfo(?)', (name,))
            defaults = self.rows(
                "SELECT name FROM pragma_table_xinfo(?) WHERE dflt_value IS NOT NULL", (name,)
            )
            key = self.rows("SELECT name, type FROM pragma_table_xinfo(?) WHERE pk", (name,))
            indexes = self.rows("SELECT name FROM pragma_index_list(?) WHERE origin = 'c'", (name,))
            found[name] = Table(
                columns={column: not required for column, required in columns},
                keys={
                    constraint: _names(listed)
                    for constraint, listed in re.findall(
                        r"CONSTRAINT (\w+) (?:PRIMARY KEY|UNIQUE) \((.*?)\)", text
                    )
                },
                foreign={
                    constraint: (_names(own), other, _names(theirs), update, delete)
                    for constraint, own, other, theirs, update, delete in _FOREIGN_KEY.findall(text)
                },
                checks=set(re.findall(r"CONSTRAINT (\w+) CHECK", text)),
                indexes={
                    index: tuple(
                        row[0] for row in self.rows("SELECT name FROM pragma_index_info(?)", (index,))
                    )
                    for (index,) in indexes
                },
                defaults={column for (column,) in defaults},
                generated={
                    column
                    for column, kind in key
                    if kind == "INTEGER" and len(key) == 1 and (column,) not in defaults
                },
            )
        return found


_ACTION = r"(RESTRICT|CASCADE|SET NULL)"
_FOREIGN_KEY = re.compile(
    r"CONSTRAINT (\w+) FOREIGN KEY \((.*?)\) REFERENCES (\w+) \((.*?)\)"
    rf" ON UPDATE {_ACTION} ON DELETE {_ACTION}"
)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


class PlainPostgres(Plain):
    """A database of a PostgreSQL server."""

    engine = "postgresql"
    overriding = "OVERRIDING SYSTEM VALUE"
    foreign_keys_off = "SET session_replication_role = replica"

    def __init__(self, url: str, system: System) -> None:
        super().__init__(url, system)
        self._connection = psycopg.connect(url, autocommit=True, options="-c datestyle=ISO -c timezone=UTC")

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        cursor = self._execute(sql, params)
        return cursor.fetchall() if cursor.description else []

    def _execute(self, sql: str, params: Sequence[object]) -> psycopg.Cursor[tuple[Any, ...]]:
        if "$1" in sql:
            return psycopg.RawCursor(self._connection).execute(sql.encode(), params)
        return self._connection.execute(sql.encode(), params or None)

    def emptying(self) -> Iterable[str]:
        return [f"TRUNCATE {', '.join(self.system.rows)} RESTART IDENTITY"]

    def columns(self, sql: str, params: Sequence[object] = ()) -> list[str]:
        """The names of the columns, from the server's description of the prepared statement."""
        connection = self._connection.pgconn
        prepared = connection.prepare(b"described", sql.encode())
        assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK, prepared.error_message.decode()
        described = connection.describe_prepared(b"described")
        self.rows("DEALLOCATE described")
        names = (described.fname(number) for number in range(described.nfields))
        return [name.decode() for name in names if name is not None]

    def close(self) -> None:
        self._connection.close()

    def refusal(self, sql: str, params: Sequence[object]) -> str:
        try:
            self.rows(sql, params)
        except psycopg.Error as error:
            return error.diag.constraint_name or type(error).__name__
        raise AssertionError("nothing was refused")

    def catalog(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for kind, sql in _POSTGRES_CATALOG.items():
            for name, *details in self.rows(sql):
                assert f"{kind} {name}" not in found
                found[name if kind == "table" else f"{kind} {name}"] = tuple(details)
        return found

    def tables(self) -> dict[str, Table]:
        found: dict[str, Table] = {}
        for table, column, nullable, default, generated in self.rows(
            "SELECT table_name, column_name, is_nullable, column_default, is_identity"
            " FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        ):
            found.setdefault(table, Table()).columns[column] = nullable == "YES"
            if default is not None:
                found[table].defaults.add(column)
            if generated == "YES":
                found[table].generated.add(column)
        for table, name, kind, columns, other, others, update, delete in self.rows(_POSTGRES_CONSTRAINTS):
            if kind in "pu":
                found[table].keys[name] = tuple(columns)
            elif kind == "f":
                actions = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL"}
                key = (tuple(columns), other, tuple(others), actions[update], actions[delete])
                found[table].foreign[name] = key
            elif kind == "c":
                found[table].checks.add(name)
        for table, name, columns in self.rows(_POSTGRES_INDEXES):
            found[table].indexes[name] = tuple(columns)
        return found


_POSTGRES_CATALOG = {
    "table": """
        SELECT c.relname, c.relkind, array_agg(ARRAY[
            a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text, a.attidentity::text,
            a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid), l.collname
        ] ORDER BY a.attnum)
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname !~ 'yoyo'
        GROUP BY c.relname, c.relkind""",
    "constraint": """
        SELECT n.conname, n.conrelid::regclass::text, pg_get_constraintdef(n.oid) FROM pg_constraint AS n
        JOIN pg_class AS c ON c.oid = n.conrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname !~ 'yoyo' AND n.contype <> 'n'""",
    "index": """
        SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ 'yoyo'""",
    "trigger": """
        SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal""",
    "function": """
        SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace""",
    "sequence": """
        SELECT sequencename, data_type::text, start_value, increment_by FROM pg_sequences
        WHERE sequencename !~ 'yoyo'""",
}

_POSTGRES_CONSTRAINTS = """
SELECT
    c.relname, n.conname, n.contype,
    ARRAY(SELECT attname::text FROM unnest(n.conkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute ON attrelid = n.conrelid AND attnum = k.number ORDER BY place),
    n.confrelid::regclass::text,
    ARRAY(SELECT attname::text FROM unnest(n.confkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute ON attrelid = n.confrelid AND attnum = k.number ORDER BY place),
    n.confupdtype, n.confdeltype
FROM pg_constraint AS n JOIN pg_class AS c ON c.oid = n.conrelid
WHERE c.relnamespace = 'public'::regnamespace"""

_POSTGRES_INDEXES = """
SELECT t.relname, c.relname, ARRAY(
    SELECT attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute ON attrelid = t.oid AND attnum = k.number ORDER BY place)
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_class AS t ON t.oid = i.indrelid
WHERE t.relnamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u'))"""


class PlainMariaDb(Plain):
    """A database of a MariaDB server, by a connection with the server's own defaults."""

    engine = "mysql"
    foreign_keys_off = "SET foreign_key_checks = 0"

    def __init__(self, url: str, system: System) -> None:
        super().__init__(url, system)
        parts = urlsplit(url)
        options = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._connection = pymysql.connect(
            host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or "",
            database=parts.path[1:], charset="utf8mb4", autocommit=True,
            client_flag=pymysql.constants.CLIENT.FOUND_ROWS, **options,
        )  # fmt: skip

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return list(cursor.fetchall())

    def columns(self, sql: str, params: Sequence[object] = ()) -> list[str]:
        self._connection.begin()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, params or None)
                return [column[0] for column in cursor.description or ()]
        finally:
            self._connection.rollback()

    def close(self) -> None:
        self._connection.close()

    def emptying(self) -> Iterable[str]:
        yield self.foreign_keys_off
        yield from (f"TRUNCATE TABLE {table}" for table in self.system.rows)
        yield "SET foreign_key_checks = 1"

    def encoders(self, declared: ParameterType | None) -> Encoders:
        """Times are in UTC without saying so, and a UUID is text."""
        return {**super().encoders(declared), datetime: _in_utc, UUID: str}

    def quoted(self, name: str) -> str:
        return f"`{name}`"

    def value(self, value: object) -> object:
        """Times are in UTC, without saying so."""
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
            return value[:-1].replace("T", " ")
        return value

    def refusal(self, sql: str, params: Sequence[object]) -> str:
        try:
            self.rows(sql, params)
        except pymysql.err.MySQLError as error:
            named = re.match(r"CONSTRAINT `(\w+)` failed", error.args[1])
            return named[1] if named else type(error).__name__
        raise AssertionError("nothing was refused")

    def catalog(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for (table,) in self._names():
            ((_, sql),) = self.rows(f"SHOW CREATE TABLE {table}")
            found[table] = re.sub(r" AUTO_INCREMENT=\d+", "", sql)
        for name, *details in self.rows(
            "SELECT trigger_name, event_object_table, action_timing, event_manipulation, action_statement"
            " FROM information_schema.triggers WHERE trigger_schema = database()"
        ):
            found[f"trigger {name}"] = tuple(details)
        return found

    def _names(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = database() AND NOT locate('yoyo', table_name) ORDER BY table_name"
        )

    def tables(self) -> dict[str, Table]:
        found: dict[str, Table] = {table: Table() for (table,) in self._names()}
        for table, column, nullable, default, extra in self.rows(
            "SELECT table_name, column_name, is_nullable, column_default, extra"
            " FROM information_schema.columns"
            " WHERE table_schema = database() ORDER BY table_name, ordinal_position"
        ):
            found[table].columns[column] = nullable == "YES"
            if default not in (None, "NULL"):
                found[table].defaults.add(column)
            if "auto_increment" in extra:
                found[table].generated.add(column)
        keys = set()
        for table, name, kind in self.rows(
            "SELECT table_name, constraint_name, constraint_type FROM information_schema.table_constraints"
            " WHERE table_schema = database()"
        ):
            if kind == "CHECK":
                found[table].checks.add(name)
            elif kind in ("PRIMARY KEY", "UNIQUE"):
                keys.add((table, name))
        for table, name, columns in self.rows(
            "SELECT table_name, index_name, group_concat(column_name ORDER BY seq_in_index SEPARATOR ', ')"
            " FROM information_schema.statistics WHERE table_schema = database() GROUP BY 1, 2"
        ):
            kind = found[table].keys if (table, name) in keys else found[table].indexes
            kind[name] = _names(columns)
        for name, table, other, update, delete, own, theirs in self.rows(_MARIADB_FOREIGN_KEYS):
            found[table].foreign[name] = (_names(own), other, _names(theirs), update, delete)
        return found


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


_MARIADB_FOREIGN_KEYS = """
SELECT r.constraint_name, r.table_name, r.referenced_table_name, r.update_rule, r.delete_rule,
    group_concat(k.column_name ORDER BY k.ordinal_position SEPARATOR ', '),
    group_concat(k.referenced_column_name ORDER BY k.ordinal_position SEPARATOR ', ')
FROM information_schema.referential_constraints AS r
JOIN information_schema.key_column_usage AS k
    ON k.constraint_schema = r.constraint_schema AND k.constraint_name = r.constraint_name
WHERE r.constraint_schema = database()
GROUP BY 1, 2, 3, 4, 5"""

_PLAIN: dict[str, type[Plain]] = {
    "sqlite": PlainSqlite,
    "postgresql": PlainPostgres,
    "mysql": PlainMariaDb,
}


@contextmanager
def opened(url: str, system: System) -> Iterator[Plain]:
    """The database that *url* names, for the tables of *system*."""
    with closing(_PLAIN[url.partition(":")[0]](url, system)) as database:
        yield database
