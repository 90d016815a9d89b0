"""Every query of the system on the servers: it is prepared, brings its model's columns, and uses an index."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from dal.queries import Query
from dal.repositories.documents import QUERIES
from tests.documents.conftest import NewDatabase
from tests.documents.engines import ENGINES, SERVERS, Plain
from tests.documents.samples import NOW, digest

WITHOUT_INDEX = {
    "claim_documents": "it locks a table, and reads none",
    "delete_searches": "it removes every row",
    "search_generation": "it reads the one row there is",
    "search_documents": "its plan is tested below",
}
"""The queries that may read a table from end to end, with the reason."""

SORTED = {"search_documents": "it is sorted by what was found"}
"""The queries whose pages may be sorted, with the reason."""

VALUES: dict[str, object] = {
    "text": "text", "int": 1, "float": 0.5, "bool": True, "timestamp": NOW, "json": {}
}  # fmt: skip
GIVEN: dict[str, object] = {
    "feedback_type": "helpful",
    "signal_type": "click",
    "source_type": "api",
    "status": "pending",
    "source_id": "src",
    "content_id": "doc",
    "document_id": "doc",
    "rating": None,
    "dwell_ms": None,
    "failure": None,
    "query_hash": digest("query"),
    "content_hash": digest("text"),
    "results": [],
}

NEW: dict[str, dict[str, object]] = {
    "add_content": {"content_id": "new", "content_hash": digest("new")},
    "add_chunk": {"chunk_id": "new", "total_chunks": 2},
}

every_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)


def values(query: Query[Any], engine: str) -> dict[str, Any]:
    """Values that the tables accept."""
    given = {p.name: GIVEN.get(p.name, VALUES[p.type.kind]) for p in query.parameters if p.type}
    given |= NEW.get(query.name or "", {})
    if engine == "mysql":  # its drivers take a time in UTC without saying so
        return {
            name: value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
            for name, value in given.items()
        }
    return given


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Plain]:
    """A database on a server, with one row in each table."""
    with new_database(request.param) as database:
        database.fill()
        yield database


@every_query
def test_brings_its_columns(server: Plain, query: Query[Any]) -> None:
    """The server prepares the text; what it will return is what the model says, in its order."""
    columns = server.columns(*server.bound(query, **values(query, server.engine)))
    if isinstance(query.returns, type) and issubclass(query.returns, BaseModel):
        assert columns == list(query.returns.model_fields)
    else:
        assert len(columns) == (query.kind == "value")


@pytest.fixture(scope="module")
def postgres(new_database: NewDatabase) -> Iterator[Plain]:
    """An empty database on PostgreSQL whose planner reads a table, or sorts, only where it must."""
    with new_database("postgresql") as database:
        for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
            database.rows(f"SET {setting} = off")
        yield database


def plan(database: Plain, query: Query[Any], prefix: str = "EXPLAIN") -> str:
    sql, args = database.bound(query, **values(query, database.engine))
    return "\n".join(" ".join(map(str, row)) for row in database.rows(f"{prefix} {sql}", args))


@every_query
def test_uses_an_index(postgres: Plain, query: Query[Any]) -> None:
    """No query has to read a whole table, unless it is on the list."""
    if query.name not in WITHOUT_INDEX:
        assert "Seq Scan" not in plan(postgres, query)


@every_query
def test_pages_come_in_the_order_of_an_index(postgres: Plain, query: Query[Any]) -> None:
    """A page has not to be sorted: it would read all rows to return some."""
    if "page_size" in {parameter.name for parameter in query.parameters} and query.name not in SORTED:
        assert "Sort" not in plan(postgres, query)


@pytest.mark.parametrize("rows", [10, 200])
def test_search_asks_the_index_on_postgresql(new_database: NewDatabase, rows: int) -> None:
    """However small the table is, its texts may be large: the planner takes the index."""
    with new_database("postgresql") as database:
        _fill(database, rows)
        database.rows("ANALYZE")
        assert "Index Scan on documents_search_words_idx" in plan(database, QUERIES.search_documents)


def test_search_asks_the_index_on_mariadb(new_database: NewDatabase) -> None:
    """The search is driven by the full-text index, and does not read the documents beside that."""
    with new_database("mysql") as database:
        _fill(database, 200)
        steps = plan(database, QUERIES.search_documents)
        assert "documents fulltext documents_search_words_idx" in steps
        assert "documents ALL" not in steps


def _fill(database: Plain, rows: int) -> None:
    for number in range(rows):
        row = {
            "content_id": str(number),
            "source_url": "u",
            "technology": "t",
            "content_hash": digest(str(number)),
        }
        document = {"document_id": str(number), "title": "title", "full_content": "words of a document"}
        database.rows(*database.insertion("content_metadata", row))
        database.rows(*database.insertion("documents", document))


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Plain]:
    """A database with one row in each table, on each engine in turn."""
    with new_database(request.param) as plain:
        plain.fill()
        yield plain


def test_mean_rating_is_not_rounded(database: Plain) -> None:
    """The mean of ratings is a float with all its digits."""
    for number, rating in enumerate((1, 1, 2), 2):
        row = {"event_id": number, "feedback_type": "rating", "rating": rating, "content_id": "doc"}
        database.rows(*database.insertion("feedback_events", row))
    found = database.run(QUERIES.feedback_summary, content_id="doc")
    assert ("rating", 3, 4 / 3) in found


def test_mapping_id_comes_back(database: Plain) -> None:
    """An upsert gives the id of the mapping that is there, or that it made."""
    mapping = {"technology": "python", "source_id": "src", "priority": 7, "is_official": True}
    there = database.run(QUERIES.put_technology_mapping, **mapping)
    made = database.run(QUERIES.put_technology_mapping, **{**mapping, "technology": "rust"})
    assert there == [(1,)]
    assert made != there
    assert database.rows("SELECT priority FROM technology_mappings WHERE mapping_id = 1") == [(7,)]


def test_content_of_another_is_refused(database: Plain) -> None:
    """A new content with the hash of another is an error, and leaves that other one alone."""
    row = {**values(QUERIES.add_content, database.engine), "content_hash": digest("text")}
    sql, args = database.bound(QUERIES.add_content, **row)
    assert database.refusal(sql, args)
    assert database.rows("SELECT content_id FROM content_metadata") == [("doc",)]


def test_answer_of_another_generation_is_not_stored(database: Plain) -> None:
    """An answer is stored only while the documents are those that it was read from."""
    answer = values(QUERIES.put_search, database.engine)
    for generation in (1, 0):
        database.rows("DELETE FROM search_cache")
        database.run(QUERIES.put_search, **{**answer, "generation": generation})
        stored = database.rows("SELECT count(*) FROM search_cache")
        assert stored == [(int(generation == 0),)]
