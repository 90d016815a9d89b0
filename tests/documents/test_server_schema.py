"""The schema on the servers: what they refuse, what they write by themselves, what they keep together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.documents.conftest import NewDatabase
from tests.documents.engines import ENGINES, SERVERS, Plain
from tests.documents.samples import ROWS
from tests.documents.test_parity import ALLOWED
from tests.documents.test_schema import BAD

NO_TYPE = {"DataError", "InvalidTextRepresentation"}  # a value that is no value of the type at all


@pytest.fixture(scope="module", params=SERVERS)
def unbound(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Plain]:
    """A database without rows, whose foreign keys are not looked at."""
    with new_database(request.param) as database:
        database.rows(database.foreign_keys_off)
        database.rows("DELETE FROM search_generation")
        yield database


@pytest.fixture(params=ENGINES)
def filled(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Plain]:
    """A database with one row in each table."""
    with new_database(request.param) as database:
        database.fill()
        yield database


@pytest.mark.parametrize(("table", "changes", "constraint"), BAD, ids=lambda value: str(value)[:60])
def test_bad_value_is_refused(
    unbound: Plain, table: str, changes: dict[str, object], constraint: str
) -> None:
    """A value out of bounds is refused by the constraint that is named for it, or by its type."""
    if constraint in ALLOWED[unbound.engine]["checks"]:
        return  # the constraint is not there, for the reason that the list gives
    refused_by = unbound.refusal(*unbound.insertion(table, {**ROWS[table], **changes}))
    assert refused_by == constraint or (constraint.endswith("_json") and refused_by in NO_TYPE)


CLOCKS = [(table, "created_at") for table in ROWS if table not in ("system_config", "search_generation")]
CHANGING = [
    "system_config",
    "source_metadata",
    "technology_mappings",
    "content_metadata",
    "documents",
    "search_cache",
]


def clock(database: Plain, table: str, column: str) -> datetime | None:
    """What a clock of the one row says."""
    ((value,),) = database.rows(f"SELECT {column} FROM {table}")
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    assert value is None or isinstance(value, datetime)
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def is_now(moment: datetime | None) -> bool:
    return moment is not None and abs((datetime.now(UTC) - moment).total_seconds()) < 60


@pytest.mark.parametrize(("table", "column"), [*CLOCKS, ("system_config", "updated_at")])
def test_database_writes_its_own_clocks(filled: Plain, table: str, column: str) -> None:
    """They are the present, in UTC, whatever the time zone of the session."""
    assert is_now(clock(filled, table, column))


@pytest.mark.parametrize("table", CHANGING)
def test_updated_at(filled: Plain, table: str) -> None:
    """It is NULL until the first change, and moves with every one, also if nothing is another value."""
    if table != "system_config":
        assert clock(filled, table, "updated_at") is None
    column = filled.quoted(next(column for column in ROWS[table] if not column.endswith("_number")))
    if table == "technology_mappings":
        column = "technology"  # a generated key is never written
    filled.rows(f"UPDATE {table} SET {column} = {column}")
    assert is_now(clock(filled, table, "updated_at"))


def test_deleted_source_is_a_change_of_its_content(filled: Plain) -> None:
    """What a foreign key sets to NULL has changed."""
    filled.rows("DELETE FROM source_metadata")
    assert filled.rows("SELECT content_id, source_id FROM content_metadata") == [("doc", None)]
    assert is_now(clock(filled, "content_metadata", "updated_at"))


@pytest.mark.parametrize(
    ("delete", "table", "left"),
    [
        ("DELETE FROM source_metadata", "technology_mappings", []),
        ("DELETE FROM content_metadata", "documents", []),
        ("DELETE FROM content_metadata", "document_chunks", []),
        ("DELETE FROM documents", "document_chunks", []),
        ("DELETE FROM content_metadata", "feedback_events", [(None,)]),
        ("DELETE FROM content_metadata", "usage_signals", [(None,)]),
    ],
)
def test_delete_reaches_its_children(
    filled: Plain, delete: str, table: str, left: list[tuple[object]]
) -> None:
    """What belongs to a parent goes with it; what only mentions it stays."""
    filled.rows(delete)
    assert filled.rows(f"SELECT content_id FROM {table}" if left else f"SELECT 1 FROM {table}") == left


KEYS = ["B", "Z", "a", "a ", "é", "ﬀ", "\U0001f600", "z", "\uff21", "a\u0301", "á"]


def test_text_is_compared_by_code_point(filled: Plain) -> None:
    """Only texts that are the same are equal, trailing spaces included; they sort as in Python."""
    for key in KEYS:
        filled.rows(*filled.insertion("system_config", {"key": key, "value": "1"}))
    key = filled.quoted("key")
    found = filled.rows(f"SELECT {key} FROM system_config WHERE {key} <> 'limit' ORDER BY {key}")
    assert [row[0] for row in found] == sorted(KEYS)
    for text in KEYS:
        same = filled.rows(f"SELECT {key} FROM system_config WHERE {key} = {filled.mark}", [text])
        assert same == [(text,)]


def test_microseconds_and_years(filled: Plain) -> None:
    """An application's time comes back to the microsecond, from year 1000 to 9999."""
    for moment in (
        "1000-01-01T00:00:00.000001Z",
        "2050-06-01T12:30:00.999999Z",
        "9999-12-31T23:59:59.999999Z",
    ):
        filled.rows(f"UPDATE usage_signals SET occurred_at = {filled.mark}", [filled.value(moment)])
        assert clock(filled, "usage_signals", "occurred_at") == datetime.fromisoformat(moment)


def test_largest_number(filled: Plain) -> None:
    """A count has 64 bits."""
    filled.rows("UPDATE source_metadata SET total_response_ms = 9223372036854775807")
    assert filled.rows("SELECT total_response_ms FROM source_metadata") == [(2**63 - 1,)]


def test_foreign_keys_have_an_index(filled: Plain) -> None:
    """A delete of the parent finds its children by an index."""
    for table in filled.tables().values():
        first = {columns[0] for columns in (*table.indexes.values(), *table.keys.values())}
        assert {columns[0] for columns, *_ in table.foreign.values()} <= first


def test_no_index_is_a_prefix_of_another(filled: Plain) -> None:
    """An index that another one contains would cost writes and help no query."""
    for table in filled.tables().values():
        every = [*table.indexes.values(), *table.keys.values()]
        assert not [one for one in every for two in every if one is not two and two[: len(one)] == one]
