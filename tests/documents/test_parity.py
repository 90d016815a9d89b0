"""The schema is the same on all engines, but for what is listed here with its reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.documents.conftest import NewDatabase
from tests.documents.engines import SERVERS, Plain, Table

TIMES = "a time has a type, and needs no check of its shape"
BOOLEANS = "a boolean has a type"
SEARCH = "the words that the full-text index reads"

ALLOWED = {
    "postgresql": {
        "checks": {
            "system_config_value_json": "what is jsonb is valid",
            "source_metadata_is_active_boolean": BOOLEANS,
            "technology_mappings_is_official_boolean": BOOLEANS,
        },
        "columns": {"documents.search_words": SEARCH},
        "indexes": {"documents_search_words_idx": SEARCH},
    },
    "mysql": {
        "checks": {},
        "columns": {"documents.search_words": SEARCH},
        "indexes": {"documents_search_words_idx": SEARCH},
    },
}
"""What an engine has and SQLite has not, or the other way round, and why."""


@pytest.fixture(scope="module")
def reference(new_database: NewDatabase) -> Iterator[dict[str, Table]]:
    """The tables on SQLite."""
    with new_database("sqlite") as database:
        yield database.tables()


@pytest.fixture(scope="module", params=SERVERS)
def database(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Plain]:
    """The schema on a server."""
    with new_database(request.param) as plain:
        yield plain


@pytest.fixture(scope="module")
def tables(database: Plain) -> dict[str, Table]:
    """The tables on a server."""
    return database.tables()


def test_tables(reference: dict[str, Table], tables: dict[str, Table]) -> None:
    """There are the same tables; SQLite's full-text index is one more there, and no STRICT one."""
    assert tables.keys() == reference.keys()


def test_columns(database: Plain, reference: dict[str, Table], tables: dict[str, Table]) -> None:
    """They have the same columns in the same order, and the same may be NULL."""
    allowed = ALLOWED[database.engine]["columns"]
    for name, table in tables.items():
        columns = [item for item in table.columns.items() if f"{name}.{item[0]}" not in allowed]
        assert columns == list(reference[name].columns.items())


def test_keys(database: Plain, reference: dict[str, Table], tables: dict[str, Table]) -> None:
    """Primary keys and unique constraints have the same names and columns."""
    for name, table in tables.items():
        expected = dict(reference[name].keys)
        if database.engine == "mysql":  # which calls every primary key so
            expected["PRIMARY"] = expected.pop(f"{name}_pk")
        assert table.keys == expected


def test_foreign_keys(reference: dict[str, Table], tables: dict[str, Table]) -> None:
    """Foreign keys have the same names, columns and actions."""
    for name, table in tables.items():
        assert table.foreign == reference[name].foreign


def test_checks(database: Plain, reference: dict[str, Table], tables: dict[str, Table]) -> None:
    """Values are bound by the same named checks."""
    for name, table in tables.items():
        timeless = {check for check in reference[name].checks if not check.endswith("_at_shape")}
        assert timeless ^ table.checks <= ALLOWED[database.engine]["checks"].keys()


def test_times_have_a_type(database: Plain, reference: dict[str, Table], tables: dict[str, Table]) -> None:
    """A column whose shape SQLite checks is a time with microseconds."""
    times = {
        (check.removeprefix(f"{name}_").removesuffix("_shape"), name)
        for name, table in reference.items()
        for check in table.checks
        if check.endswith("_at_shape")
    }
    types = database.rows(
        "SELECT column_name, table_name FROM information_schema.columns"
        " WHERE data_type IN ('timestamp with time zone', 'datetime') AND datetime_precision = 6"
        " AND table_schema NOT IN ('information_schema', 'pg_catalog', 'mysql', 'sys', 'performance_schema')"
    )
    assert times <= set(types)


def test_indexes(database: Plain, reference: dict[str, Table], tables: dict[str, Table]) -> None:
    """Indexes have the same names and columns."""
    allowed = ALLOWED[database.engine]["indexes"]
    for name, table in tables.items():
        indexes = {index: columns for index, columns in table.indexes.items() if index not in allowed}
        assert indexes == reference[name].indexes


def test_allowances_are_needed(
    database: Plain, reference: dict[str, Table], tables: dict[str, Table]
) -> None:
    """Nothing is on the list that is no difference any more."""
    allowed = ALLOWED[database.engine]
    checks = {check for name, table in tables.items() for check in table.checks ^ reference[name].checks}
    indexes = {
        index for name, table in tables.items() for index in table.indexes.keys() - reference[name].indexes
    }
    columns = {
        f"{name}.{column}"
        for name, table in tables.items()
        for column in table.columns.keys() - reference[name].columns
    }
    assert {check for check in checks if not check.endswith("_at_shape")} == allowed["checks"].keys()
    assert columns == allowed["columns"].keys()
    assert indexes == allowed["indexes"].keys()
