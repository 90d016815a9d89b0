"""The models: their fields and bounds are those of the tables."""

from __future__ import annotations

import re
from enum import Enum
from typing import get_args

import pytest

from tests.systems.fixtures import Schemas
from tests.systems.registry import SYSTEMS, System, schema

every_system = pytest.mark.parametrize("system", SYSTEMS.values(), ids=repr)
every_table = pytest.mark.parametrize(
    ("system", "table"),
    [(system, table) for system in SYSTEMS.values() for table in system.rows],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)


def definition(system: System, table: str) -> str:
    """What stands between the parentheses of CREATE TABLE."""
    found = re.search(rf"CREATE TABLE {table} \((.*?)\n\) STRICT;", schema("sqlite", system.name), re.DOTALL)
    assert found is not None
    return found[1]


@every_system
def test_every_table_has_a_model(schemas: Schemas, system: System) -> None:
    """The samples name the tables of the schema, those of base apart, each with a row and a model."""
    tables = re.findall(r"^CREATE TABLE (\w+)", schema("sqlite", system.name), re.MULTILINE)
    assert system.rows.keys() == system.samples.tables.keys()
    assert sorted(system.rows) == sorted(tables)
    assert system.rows.keys() <= schemas("sqlite", system).tables.keys()


@every_table
def test_model_has_the_columns_of_its_table(schemas: Schemas, system: System, table: str) -> None:
    """One field for each column."""
    renamed = system.samples.fields.get(table, {})
    columns = schemas("sqlite", system).tables[table].columns
    fields = system.samples.tables[table].model_fields
    assert {renamed.get(column, column) for column in columns} == set(fields)


@every_table
def test_lengths_agree_with_the_table(system: System, table: str) -> None:
    """What a canonical or table model bounds, it bounds as the table does."""
    renamed = system.samples.fields.get(table, {})
    properties = system.samples.tables[table].model_json_schema()["properties"]
    checks = re.findall(r'length\("?(\w+)"?\) (?:BETWEEN (\d+) AND|<=) (\d+)', definition(system, table))
    for column, least, most in checks:
        field = properties[renamed.get(column, column)]
        bounds = next((kind for kind in [field, *field.get("anyOf", [])] if "maxLength" in kind), None)
        if bounds is not None:
            assert (bounds.get("minLength", 0), bounds["maxLength"]) == (int(least or 0), int(most)), column


@every_system
def test_enumerations_agree_with_the_table(system: System) -> None:
    """A Literal, or an Enum, has the values that the table takes."""
    text = schema("sqlite", system.name)
    known = {
        constraint: tuple(re.findall(r"'([^']*)'", values))
        for constraint, values in re.findall(r"CONSTRAINT (\w+_known) CHECK \((.*?)\)", text, re.DOTALL)
    }
    kinds = system.samples.enumerations
    assert known == {
        constraint: tuple(member.value for member in kind)
        if isinstance(kind, type) and issubclass(kind, Enum)
        else get_args(kind)
        for constraint, kind in kinds.items()
    }
