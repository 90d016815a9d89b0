"""The systems of the tree, each with what a suite must be told of it. The suites beside run for all.

A system is a folder of sql/. What can be read from the tree is read from it: the schema files, migrations,
``QUERIES`` of dal.repositories.<system>, ``MODELS`` of dal.models.<system>. The rest stands in two modules of
the system's own tests. They import nothing of this one. A name marked (may be left out) is then empty.

tests/<system>/samples.py:

    ROWS: dict[str, dict[str, object]]
        One valid row for each table, parents before children, every foreign key that can be set, set; among
        the columns those of the primary key, also where it is generated (1). Values are those of every
        engine at once: a time as text "2026-01-02T03:04:05.678901Z", a date as "2026-01-02", a UUID and JSON
        as text, a boolean as True or False, a decimal as a Decimal with all digits of its column's scale
        (Decimal("1.500000")), all else as str, int, float, bytes or None. Leave created_at and updated_at to
        the database. A row that the schema itself puts in stands here as it is there.
    BAD: list[tuple[str, dict[str, object], str]]
        (table, columns that differ from the row in ROWS, the CHECK that refuses them). Every CHECK of
        schema.sqlite.sql occurs, but those whose name ends in _at_shape: they are tried without being listed.
        Foreign keys are not looked at.
    TABLES: dict[str, type[BaseModel]]
        The model of a whole row of each table: its fields are the table's columns.
    FIELDS: dict[str, dict[str, str]]  (may be left out)
        By table: column -> the field of the model, where its name is another.
    ENUMERATIONS: dict[str, object]  (may be left out)
        The Literal, or the Enum, with the values of each CHECK whose name ends in _known.
    PARAMETERS: dict[str, object]  (may be left out)
        A value for each query parameter of this name, in Python's types (datetime with a time zone, UUID,
        Decimal, dict), such that every query runs when ROWS are in the tables. A parameter that is not named
        gets a value of its declared type: "text", 1, 0.5, True, NOW, {}, ...
    PARAMETERS_OF: dict[str, dict[str, object]]  (may be left out)
        By query: values that this query needs in place of those, such as keys that are not there yet.
    SCANS: dict[str, dict[str, str]]  (may be left out)
        "sqlite" and "postgresql": the queries that may read a table from end to end -> the reason. One
        that does not do so any more fails a test, on SQLite.
    SORTED: dict[str, dict[str, str]]  (may be left out)
        The same for queries with a parameter page_size that sort what they found.
    VARIANTS: dict[str, str]  (may be left out)
        The queries with a text of their own for every engine -> the reason. All others are shared.
    ALLOWED: dict[str, dict[str, dict[str, str]]]  (may be left out)
        "postgresql" and "mysql", each with "checks", "columns" ("table.column") and "indexes": what only one
        of SQLite and this engine has -> the reason. Checks that end in _at_shape are on SQLite alone without
        being listed. All else is equal.
    WITHOUT_CLOCKS: dict[str, str]  (may be left out)
        The tables that have neither created_at nor updated_at from their first moment -> the reason.

tests/<system>/calls.py:

    CALLS: tuple[Step, ...]
        What an application does, in order, from an empty database (but for the schema's own rows) on: every
        public method of every class ...Repository that dal.repositories.<system> exports. A step is made by
        one of three functions of tests.systems.calls:

            call(SystemConfigRepository.put, "limit", 3),                  # a method and its arguments
            refused(CheckViolation, SystemConfigRepository.put, "", 3),    # it raises exactly this class
            then(lambda made: call(SessionRepository.get, made.id)),       # with what the step before gave

        The same steps run on every engine, with and without a cache, and have to give equal results: the same
        models with the same values, of the same types. Only created_at and updated_at, where they are the
        present, are left out of the comparison; so pass every other clock, and every key that the application
        makes, by hand. Generated numbers begin with 1. A method that returns anything has to return something
        else than None, False, 0 or nothing at least once. A repository is made of an executor, and of cache=
        if it takes one; an asynchronous iterator is read to its end.
    ENGINES_OWN: dict[str, str]  (may be left out)
        The fields ("Model.field") and the whole results ("Repository.method") that are not compared, since
        each engine has its own -> the reason. Generated numbers are such where an upsert, or an INSERT that
        fails, leaves a gap on a server.

tests/<system>/conftest.py, for the system's own tests, which tests/conftest.py gives an empty database each:

    @pytest.fixture(params=ENGINES)
    async def db(
        request: pytest.FixtureRequest, empty_database: EmptyDatabase, settings: Settings
    ) -> AsyncIterator[DatabaseManager]:
        async with DatabaseManager(empty_database(request.param, "<system>"), settings=settings) as manager:
            yield manager

The form of migrations, which test_migrations holds: migrations/<system>/<engine>/, the same ids for every
engine, <system>-0001.<table>.sql with its .rollback.sql; the first depends on base-0001.schema_versions, each
other one on the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from dal.queries import Query

if TYPE_CHECKING:
    from tests.systems.calls import Step

ROOT = Path(__file__).parent.parent.parent

ENGINES = ("sqlite", "postgresql", "mysql")
SERVERS = ("postgresql", "mysql")

BASE = "base"
"""The chain that the others stand on: schema_versions, and nothing to query."""

Rows = Mapping[str, Mapping[str, object]]
Reasons = Mapping[str, str]


def _schema(engine: str, system: str) -> Path:
    return ROOT / "sql" / system / f"schema.{engine}.sql"


@cache
def schema(engine: str, system: str) -> str:
    """The schema file of a system."""
    return _schema(engine, system).read_text()


@dataclass(frozen=True)
class Samples:
    """What tests/<system>/samples.py says, by the names there in small letters."""

    rows: Rows
    bad: list[tuple[str, dict[str, object], str]]
    tables: Mapping[str, type[BaseModel]]
    fields: Mapping[str, Mapping[str, str]]
    enumerations: Mapping[str, Any]
    parameters: Mapping[str, object]
    parameters_of: Rows
    scans: Mapping[str, Reasons]
    sorted: Mapping[str, Reasons]
    variants: Reasons
    allowed: Mapping[str, Mapping[str, Reasons]]
    without_clocks: Reasons


NEEDED = ("ROWS", "BAD", "TABLES")


@dataclass(frozen=True, repr=False, eq=False)
class System:
    """A system, with all that a suite asks of it."""

    name: str
    samples: Samples
    queries: tuple[Query[Any], ...]
    models: tuple[type[BaseModel], ...]

    def __repr__(self) -> str:
        return self.name

    @property
    def rows(self) -> Rows:
        """A valid row for each table, parents first."""
        return self.samples.rows

    @cached_property
    def migrations(self) -> dict[str, list[Path]]:
        """The migrations by engine, those of base first."""
        return {
            engine: [*migrations_of(BASE, engine), *migrations_of(self.name, engine)] for engine in ENGINES
        }

    @cached_property
    def ids(self) -> list[str]:
        """The ids of the migrations, which are the same on every engine."""
        return [path.stem for path in self.migrations["sqlite"]]

    def steps(self) -> tuple[Step, ...]:
        """The calls of its repositories."""
        calls: tuple[Step, ...] = import_module(f"tests.{self.name}.calls").CALLS
        return calls

    def engines_own(self) -> Reasons:
        """The fields of models that are not compared between engines, with the reason."""
        own: Reasons = getattr(import_module(f"tests.{self.name}.calls"), "ENGINES_OWN", {})
        return own


def migrations_of(system: str, engine: str) -> list[Path]:
    """The migrations of one chain, without their rollbacks, in their order."""
    folder = ROOT / "migrations" / system / engine
    return [path for path in sorted(folder.glob("*.sql")) if not path.name.endswith(".rollback.sql")]


def system_of(name: str) -> System:
    """Read a system from the tree.

    Raises:
        Exception: Something is missing, or cannot be loaded.
    """
    said = import_module(f"tests.{name}.samples")
    missing = [
        *(f"{known} in tests/{name}/samples.py" for known in NEEDED if not hasattr(said, known)),
        *(f"sql/{name}/schema.{engine}.sql" for engine in ENGINES if not _schema(engine, name).is_file()),
        *(f"migrations/{name}/{engine}/" for engine in ENGINES if not migrations_of(name, engine)),
    ]
    if missing:
        raise LookupError(f"{name} has no {', '.join(missing)}")
    said_of: dict[str, Any] = {field.name: getattr(said, field.name.upper(), {}) for field in fields(Samples)}
    repositories = import_module(f"dal.repositories.{name}")
    return System(
        name=name,
        samples=Samples(**said_of),
        queries=tuple(repositories.QUERIES),
        models=import_module(f"dal.models.{name}").MODELS,
    )


def _systems() -> tuple[dict[str, System], dict[str, Exception]]:
    found: dict[str, System] = {}
    failed: dict[str, Exception] = {}
    for name in NAMES:
        try:
            found[name] = system_of(name)
        except Exception as error:  # it fails its own test in test_registry, and no other system's
            failed[name] = error
    return found, failed


NAMES = sorted(path.name for path in (ROOT / "sql").iterdir() if path.is_dir() and path.name != BASE)
"""The systems of the tree."""

SYSTEMS, FAILED = _systems()
"""The systems that are complete, by name; why the others are not."""
