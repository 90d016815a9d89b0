"""The schema is the same on all engines, but for what a system's samples allow with its reason."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.systems.engines import Table
from tests.systems.fixtures import Databases, Schemas
from tests.systems.registry import SERVERS, SYSTEMS, Reasons, System

Tables = Mapping[str, Table]

pytestmark = [
    pytest.mark.parametrize("system", SYSTEMS.values(), ids=repr),
    pytest.mark.parametrize("engine", SERVERS),
]


def allowed_of(system: System, engine: str, kind: str) -> Reasons:
    """What an engine has and SQLite has not, or the other way round, and why."""
    return system.samples.allowed.get(engine, {}).get(kind, {})


@pytest.fixture
def reference(schemas: Schemas, system: System) -> Tables:
    """The tables on SQLite."""
    return schemas("sqlite", system).tables


@pytest.fixture
def tables(schemas: Schemas, engine: str, system: System) -> Tables:
    """The tables on a server."""
    return schemas(engine, system).tables


def test_tables(reference: Tables, tables: Tables) -> None:
    """There are the same tables; SQLite's full-text index is one more there, and no STRICT one."""
    assert tables.keys() == reference.keys()


def test_columns(engine: str, system: System, reference: Tables, tables: Tables) -> None:
    """They have the same columns in the same order, and the same may be NULL."""
    allowed = allowed_of(system, engine, "columns")
    for name, table in tables.items():
        columns = [item for item in table.columns.items() if f"{name}.{item[0]}" not in allowed]
        assert columns == list(reference[name].columns.items())


def test_keys(engine: str, system: System, reference: Tables, tables: Tables) -> None:
    """Primary keys and unique constraints have the same names and columns."""
    for name, table in tables.items():
        expected = dict(reference[name].keys)
        if engine == "mysql":  # which calls every primary key so
            expected["PRIMARY"] = expected.pop(f"{name}_pk")
        assert table.keys == expected


def test_foreign_keys(reference: Tables, tables: Tables) -> None:
    """Foreign keys have the same names, columns and actions."""
    for name, table in tables.items():
        assert table.foreign == reference[name].foreign


def test_checks(engine: str, system: System, reference: Tables, tables: Tables) -> None:
    """Values are bound by the same named checks."""
    for name, table in tables.items():
        timeless = {check for check in reference[name].checks if not check.endswith("_at_shape")}
        assert timeless ^ table.checks <= allowed_of(system, engine, "checks").keys()


def test_defaults(system: System, engine: str, reference: Tables, tables: Tables) -> None:
    """The same columns have a default; what a server numbers, SQLite numbers too."""
    allowed = allowed_of(system, engine, "columns")
    for name, table in tables.items():
        own = {column for column in table.defaults if f"{name}.{column}" not in allowed}
        assert own == reference[name].defaults
        assert table.generated <= reference[name].generated


def test_times_have_a_type(engine: str, system: System, kept: Databases, reference: Tables) -> None:
    """A column whose shape SQLite checks is a time with microseconds."""
    times = {
        (check.removeprefix(f"{name}_").removesuffix("_shape"), name)
        for name, table in reference.items()
        for check in table.checks
        if check.endswith("_at_shape")
    }
    types = kept(engine, system).rows(
        "SELECT column_name, table_name FROM information_schema.columns"
        " WHERE data_type IN ('timestamp with time zone', 'datetime') AND datetime_precision = 6"
        " AND table_schema NOT IN ('information_schema', 'pg_catalog', 'mysql', 'sys', 'performance_schema')"
    )
    assert times <= set(types)


def test_indexes(engine: str, system: System, reference: Tables, tables: Tables) -> None:
    """Indexes have the same names and columns."""
    allowed = allowed_of(system, engine, "indexes")
    for name, table in tables.items():
        indexes = {index: columns for index, columns in table.indexes.items() if index not in allowed}
        assert indexes == reference[name].indexes


def test_allowances_are_needed(engine: str, system: System, reference: Tables, tables: Tables) -> None:
    """Nothing is on the list that is no difference any more."""
    checks = {check for name, table in tables.items() for check in table.checks ^ reference[name].checks}
    indexes = {
        index for name, table in tables.items() for index in table.indexes.keys() - reference[name].indexes
    }
    columns = {
        f"{name}.{column}"
        for name, table in tables.items()
        for column in table.columns.keys() - reference[name].columns
    }
    assert {check for check in checks if not check.endswith("_at_shape")} == allowed_of(
        system, engine, "checks"
    ).keys()
    assert columns == allowed_of(system, engine, "columns").keys()
    assert indexes == allowed_of(system, engine, "indexes").keys()
