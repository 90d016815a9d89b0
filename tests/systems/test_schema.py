"""The schema on each engine: what it refuses, what it writes by itself, what it keeps together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.systems.engines import Plain, Table
from tests.systems.fixtures import Databases, NewDatabase, Schemas, prepared
from tests.systems.moments import is_now
from tests.systems.registry import BASE, ENGINES, SYSTEMS, System, schema

TIME = "2026-01-02T03:04:05.678901Z"
NO_TIMES = [
    "2026-01-02 03:04:05",
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.678901",
    "2026-01-02T03:04:05.678901+00:00",
    "2026-21-02T03:04:05.678901Z",
    "2026-01-02T03:64:05.678901Z",
    "02.01.2026",
    "",
]
NO_TYPE = {"DataError", "InvalidTextRepresentation"}  # a value that is no value of the type at all


def label(value: object) -> str:
    return str(value)[:60]


def checks(system: System) -> list[str]:
    """The names of all CHECKs."""
    return re.findall(r"CONSTRAINT (\w+) CHECK", schema("sqlite", system.name))


def time_checks(system: System) -> list[str]:
    return [constraint for constraint in checks(system) if constraint.endswith("_at_shape")]


every_system = pytest.mark.parametrize("system", SYSTEMS.values(), ids=repr)
every_engine = pytest.mark.parametrize("engine", ENGINES)
every_table = pytest.mark.parametrize(
    ("system", "table"), [(system, table) for system in SYSTEMS.values() for table in system.rows], ids=label
)


@pytest.fixture(scope="module")
def filled_databases(new_database: NewDatabase) -> Iterator[Databases]:
    """Databases with one row in each table."""
    with prepared(new_database, Plain.fill) as databases:
        yield databases


@pytest.fixture
def filled(filled_databases: Databases, engine: str, system: System) -> Iterator[Plain]:
    """A database with one row in each table. What the test does to it is undone."""
    database = filled_databases(engine, system)
    with database.undone():
        yield database


@pytest.fixture(scope="module")
def unbound_databases(new_database: NewDatabase) -> Iterator[Databases]:
    """Databases without rows, whose foreign keys are not looked at."""

    def prepare(database: Plain) -> None:
        database.rows(database.foreign_keys_off)
        for table in database.system.rows:
            database.rows(f"DELETE FROM {table}")

    with prepared(new_database, prepare) as databases:
        yield databases


@pytest.fixture
def unbound(unbound_databases: Databases, engine: str, system: System) -> Iterator[Plain]:
    """A database without rows, whose foreign keys are not looked at. What the test does to it is undone."""
    database = unbound_databases(engine, system)
    with database.undone():
        yield database


@pytest.fixture
def tables(schemas: Schemas, engine: str, system: System) -> dict[str, Table]:
    """The tables."""
    return schemas(engine, system).tables


@every_system
@every_engine
def test_sample_rows_are_valid(filled: Plain, system: System) -> None:
    """The rows that the tests below spoil are fine before that, foreign keys included."""
    assert {table: filled.count(table) for table in system.rows} == dict.fromkeys(system.rows, 1)
    if filled.engine == "sqlite":
        assert filled.rows("PRAGMA foreign_key_check") == []


@every_engine
@pytest.mark.parametrize(
    ("system", "table", "changes", "constraint"),
    [(system, *bad) for system in SYSTEMS.values() for bad in system.samples.bad],
    ids=label,
)
def test_bad_value_is_refused(
    unbound: Plain, system: System, table: str, changes: dict[str, object], constraint: str
) -> None:
    """A value out of bounds is refused by the constraint that is named for it, or by its type."""
    if constraint in system.samples.allowed.get(unbound.engine, {}).get("checks", {}):
        return  # the constraint is not there, for the reason that the list gives
    refused_by = unbound.refusal(*unbound.insertion(table, {**system.rows[table], **changes}))
    assert refused_by == constraint or (
        constraint.endswith("_json") and refused_by in NO_TYPE and unbound.engine != "sqlite"
    )


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(
    ("system", "constraint"),
    [(system, constraint) for system in SYSTEMS.values() for constraint in time_checks(system)],
    ids=label,
)
def test_what_is_no_time_is_refused(unbound: Plain, system: System, constraint: str) -> None:
    """Each time column takes the one form that sorts, and no other."""
    table = max((name for name in system.rows if constraint.startswith(f"{name}_")), key=len)
    column = constraint.removeprefix(f"{table}_").removesuffix("_shape")
    unbound.rows(*unbound.insertion(table, {**system.rows[table], column: TIME}))
    for text in NO_TIMES:
        assert unbound.refusal(f"UPDATE {table} SET {column} = ?", (text,)) == constraint


@every_system
def test_every_check_is_tried(system: System) -> None:
    """No CHECK is left out of the two tests above."""
    tried = {constraint for _, _, constraint in system.samples.bad}
    assert tried | set(time_checks(system)) == set(checks(system))


@pytest.mark.parametrize("name", [BASE, *SYSTEMS])
def test_every_constraint_has_a_name(name: str) -> None:
    """A constraint without a name could not be reported, nor dropped, by name."""
    text = re.sub(r"--.*", "", schema("sqlite", name))
    kinds = r"(?:CHECK \(|PRIMARY KEY|UNIQUE \(|FOREIGN KEY)"
    assert len(re.findall(kinds, text)) == len(re.findall(rf"CONSTRAINT \w+ {kinds}", text))
    assert text.count("REFERENCES") == text.count("FOREIGN KEY")


@every_system
def test_constraint_names_are_unique(system: System) -> None:
    """Names begin with their table's and occur once: MySQL wants them unique in a database."""
    names = re.findall(r"CONSTRAINT (\w+)", schema("sqlite", system.name))
    assert len(names) == len(set(names))
    assert all(any(name.startswith(f"{table}_") for table in system.rows) for name in names)


@every_system
@pytest.mark.parametrize("engine", ["sqlite"])
def test_tables_are_strict(filled: Plain, system: System) -> None:
    """Every table of our own refuses a value of another type."""
    tables = filled.rows(
        "SELECT name, strict FROM pragma_table_list"
        " WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    assert {strict for _, strict in tables} == {1}
    assert {name for name, _ in tables} >= system.rows.keys()


def clock(database: Plain, table: str, column: str) -> datetime | None:
    """What a clock of the one row says."""
    ((value,),) = database.rows(f"SELECT {column} FROM {table}")
    if isinstance(value, str):
        assert len(value) == len(TIME)
        value = datetime.fromisoformat(value)
    assert value is None or isinstance(value, datetime)
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


@every_table
@every_engine
def test_database_writes_its_own_clocks(
    filled_databases: Databases, tables: dict[str, Table], engine: str, system: System, table: str
) -> None:
    """created_at, and updated_at with a default, are the present in UTC, in any session's time zone."""
    database = filled_databases(engine, system)
    clocks = tables[table].defaults & {"created_at", "updated_at"}
    assert bool(clocks) != (table in system.samples.without_clocks)
    for column in clocks:
        assert is_now(clock(database, table, column))


CHANGING = [
    (system, table)
    for system in SYSTEMS.values()
    for table in re.findall(r"CREATE TRIGGER (\w+)_updated_at", schema("sqlite", system.name))
]


@pytest.mark.parametrize(("system", "table"), CHANGING, ids=label)
@every_engine
def test_updated_at(filled: Plain, tables: dict[str, Table], system: System, table: str) -> None:
    """It moves with every change, also to equal values; without a default it is NULL until then."""
    if "updated_at" not in tables[table].defaults:
        assert clock(filled, table, "updated_at") is None
    column = next(column for column in system.rows[table] if column not in tables[table].generated)
    quoted = filled.quoted(column)
    filled.rows(f"UPDATE {table} SET {quoted} = {quoted}")
    assert is_now(clock(filled, table, "updated_at"))


@pytest.mark.parametrize("recursive", ["OFF", "ON"])
@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(("system", "table"), CHANGING, ids=label)
def test_updated_at_moves(filled: Plain, system: System, table: str, recursive: str) -> None:
    """A change moves updated_at, once, whether or not triggers may be recursive."""
    filled.rows(f"PRAGMA recursive_triggers = {recursive}")
    filled.rows(f"UPDATE {table} SET updated_at = ?", (TIME,))
    column = next(iter(system.rows[table]))
    filled.rows(f'UPDATE {table} SET "{column}" = "{column}"')
    ((updated,),) = filled.rows(f"SELECT updated_at FROM {table}")
    assert updated > TIME


@every_table
@pytest.mark.parametrize("engine", ["sqlite"])
def test_updated_at_follows_every_column(filled: Plain, system: System, table: str) -> None:
    """The trigger names each column but the clocks, so that none can change unnoticed."""
    columns = {row[1] for row in filled.rows("SELECT * FROM pragma_table_info(?)", (table,))}
    trigger = filled.rows("SELECT sql FROM sqlite_schema WHERE name = ?", (f"{table}_updated_at",))
    assert bool(trigger) == ("updated_at" in columns)
    if trigger:
        named = re.search(r"UPDATE OF(.*?)\sON\s", trigger[0][0], re.DOTALL)
        assert named is not None
        followed = {name.strip().strip('"') for name in named[1].split(",")}
        assert followed == columns - {"created_at", "updated_at"}


FOREIGN_KEYS = [
    (system, name)
    for system in SYSTEMS.values()
    for name in re.findall(r"CONSTRAINT (\w+) FOREIGN KEY", schema("sqlite", system.name))
]


@pytest.mark.parametrize(("system", "name"), FOREIGN_KEYS, ids=label)
@every_engine
def test_delete_reaches_its_children(
    unfilled: Plain, tables: dict[str, Table], system: System, name: str
) -> None:
    """What belongs to a parent goes with it, what only mentions it stays; or else the parent is kept."""
    child, (columns, parent, _, _, action) = next(
        (table, found.foreign[name]) for table, found in tables.items() if name in found.foreign
    )
    if parent == child:
        return  # the only row there is
    unfilled.fill(ancestors(tables, child) | {child})
    values = ", ".join(columns)
    before = unfilled.rows(f"SELECT {values} FROM {child}")
    assert None not in before[0]
    if action == "RESTRICT":
        assert unfilled.refusal(f"DELETE FROM {parent}", ())
        return
    unfilled.rows(f"DELETE FROM {parent}")
    left = {"CASCADE": [], "SET NULL": [(None,) * len(columns)]}
    assert unfilled.rows(f"SELECT {values} FROM {child}") == left[action]


@pytest.fixture
def unfilled(kept: Databases, engine: str, system: System) -> Iterator[Plain]:
    """A database with the schema's own rows. What the test does to it is undone."""
    database = kept(engine, system)
    database.empty()
    with database.undone():
        yield database


def ancestors(tables: dict[str, Table], table: str) -> set[str]:
    """The tables that a row of *table* refers to, those that their rows refer to, and so on."""
    found: set[str] = set()
    added = {table}
    while added:
        added = {parent for child in added for _, parent, *_ in tables[child].foreign.values()} - found
        found |= added
    return found


@every_system
@every_engine
def test_foreign_keys_have_an_index(tables: dict[str, Table]) -> None:
    """A delete of the parent finds its children by an index."""
    for table in tables.values():
        first = {columns[0] for columns in (*table.indexes.values(), *table.keys.values())}
        assert {columns[0] for columns, *_ in table.foreign.values()} <= first


@every_system
@every_engine
def test_no_index_is_a_prefix_of_another(tables: dict[str, Table]) -> None:
    """An index that another one contains would cost writes and help no query."""
    for table in tables.values():
        every = [*table.indexes.values(), *table.keys.values()]
        assert not [one for one in every for two in every if one is not two and two[: len(one)] == one]
