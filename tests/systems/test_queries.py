"""Every query of every system on every engine: it runs, by an index, and brings the columns of its model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from dal.queries import Query
from dal.values import ParameterType
from tests.systems.engines import Plain
from tests.systems.fixtures import Databases, NewDatabase, prepared
from tests.systems.registry import ENGINES, ROOT, SYSTEMS, Reasons, System

VALUES: dict[str, object] = {
    "text": "text",
    "int": 1,
    "float": 0.5,
    "bool": True,
    "bytes": b"bytes",
    "date": date(2026, 1, 2),
    "timestamp": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "uuid": UUID(int=1),
    "json": {},
}

every_engine = pytest.mark.parametrize("engine", ENGINES)
every_query = pytest.mark.parametrize(
    ("system", "query"),
    [
        pytest.param(system, query, id=f"{system.name}-{query.name}")
        for system in SYSTEMS.values()
        for query in system.queries
    ],
)


def value(kind: ParameterType) -> object:
    """A value of a type."""
    one = Decimal(1).scaleb(-kind.scale) if kind.scale is not None else VALUES[kind.kind]
    return [one] if kind.many else one


def values(system: System, query: Query[Any]) -> dict[str, Any]:
    """Values that the tables accept."""
    typed = {parameter.name: value(parameter.type) for parameter in query.parameters if parameter.type}
    named = {name: given for name, given in system.samples.parameters.items() if name in typed}
    return {**typed, **named, **system.samples.parameters_of.get(query.name or "", {})}


@pytest.fixture(scope="module")
def filled(new_database: NewDatabase) -> Iterator[Databases]:
    """Databases with one row in each table."""
    with prepared(new_database, Plain.fill) as databases:
        yield databases


@pytest.fixture(scope="module")
def planned(new_database: NewDatabase) -> Iterator[Databases]:
    """Databases without rows; on PostgreSQL the planner reads a table, or sorts, only where it must."""

    def prepare(database: Plain) -> None:
        if database.engine == "postgresql":
            for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
                database.rows(f"SET {setting} = off")

    with prepared(new_database, prepare) as databases:
        yield databases


@every_engine
@every_query
def test_brings_its_columns(filled: Databases, engine: str, system: System, query: Query[Any]) -> None:
    """The engine takes the text; what it returns is what the model says, column by column, in its order."""
    database = filled(engine, system)
    columns = database.columns(*database.bound(query, **values(system, query)))
    if isinstance(query.returns, type) and issubclass(query.returns, BaseModel):
        assert columns == list(query.returns.model_fields)
    else:
        assert len(columns) == (query.kind == "value")


def plan(database: Plain, query: Query[Any], words: str = "EXPLAIN") -> list[str]:
    """The steps by which a query is answered."""
    sql, args = database.bound(query, **values(database.system, query))
    return [row[-1] for row in database.rows(f"{words} {sql}", args)]


def scans(system: System, engine: str) -> Reasons:
    """The queries that may read a table from end to end, with the reason."""
    return system.samples.scans.get(engine, {})


def pages(query: Query[Any]) -> bool:
    """True for a query that brings a page."""
    return "page_size" in {parameter.name for parameter in query.parameters}


class TestPlanOnSqlite:
    """How SQLite answers."""

    def steps(self, planned: Databases, system: System, query: Query[Any]) -> list[str]:
        return plan(planned("sqlite", system), query, "EXPLAIN QUERY PLAN")

    @every_query
    def test_uses_an_index(self, planned: Databases, system: System, query: Query[Any]) -> None:
        """No query reads a whole table, unless it is on the list."""
        found = [step for step in self.steps(planned, system, query) if step.startswith("SCAN")]
        assert bool(found) == (query.name in scans(system, "sqlite"))

    @every_query
    def test_pages_come_in_the_order_of_an_index(
        self, planned: Databases, system: System, query: Query[Any]
    ) -> None:
        """A page is not sorted: it would read all rows to return some."""
        if pages(query):
            found = [step for step in self.steps(planned, system, query) if "ORDER BY" in step]
            assert bool(found) == (query.name in system.samples.sorted.get("sqlite", {}))


class TestPlanOnPostgres:
    """How PostgreSQL answers, where it has a choice."""

    @every_query
    def test_uses_an_index(self, planned: Databases, system: System, query: Query[Any]) -> None:
        """No query has to read a whole table, unless it is on the list."""
        if query.name not in scans(system, "postgresql"):
            assert "Seq Scan" not in "\n".join(plan(planned("postgresql", system), query))

    @every_query
    def test_pages_come_in_the_order_of_an_index(
        self, planned: Databases, system: System, query: Query[Any]
    ) -> None:
        """A page has not to be sorted: it would read all rows to return some."""
        if pages(query) and query.name not in system.samples.sorted.get("postgresql", {}):
            assert "Sort" not in "\n".join(plan(planned("postgresql", system), query))


@every_query
def test_parameters_have_types(system: System, query: Query[Any]) -> None:
    """Every parameter is declared with its type."""
    assert all(parameter.type is not None for parameter in query.parameters)


@every_query
def test_says_what_it_is_for(system: System, query: Query[Any]) -> None:
    """Every query has a sentence of its own."""
    assert query.doc.endswith(".")


@every_query
def test_returns_a_model_of_the_system(system: System, query: Query[Any]) -> None:
    """A model that a query names is one of the system's."""
    if isinstance(query.returns, type) and issubclass(query.returns, BaseModel):
        assert query.returns in system.models


TEXTS = [path for name in SYSTEMS for path in sorted((ROOT / "sql" / name).glob("queries*.sql"))]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_text_is_explicit(path: Path) -> None:
    """No SELECT *, no LIMIT without an order, no OFFSET, no clock of the database."""
    for text in re.sub(r"--.*", "", path.read_text()).split(";"):
        assert not re.search(r"SELECT\s+\*|\.\*|\bOFFSET\b|CURRENT_|'now'", text)
        assert text.count("LIMIT") <= text.count("ORDER BY")


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=repr)
def test_only_what_differs_is_a_variant(system: System) -> None:
    """A query with texts of its own for an engine has one for every engine, and the reason is on the list."""
    own = {query.name for query in system.queries if query.engines}
    assert own == system.samples.variants.keys()
    assert all(query.engines == set(ENGINES) for query in system.queries if query.engines)
