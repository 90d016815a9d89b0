"""Loading query files: names, variants, models, and errors that say where."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from dal.errors import ConfigurationError, QueryError, QueryFileError, QueryNotFound
from dal.queries import Parameter, load_queries
from dal.queries.dialects import DIALECTS, MYSQL, POSTGRESQL, SQLITE
from dal.queries.files import shipped
from dal.queries.query import CachePolicy
from dal.values import ParameterType, Storage
from tests.queries.conftest import Files, encoders_of


@dataclass
class User:
    user_id: int


AIOSQL = """-- Users, as an aiosql project has them.

-- name: get-all-users
-- Get all user records
select userid, username, firstname from users;

-- name: get-user-by-username(username)^
-- record_class: User
-- One user.
select userid, username from users where username = :username;

-- name: count_users()$
select count(*) from users;

-- name: publish-blog<!
-- The id of the new one.
insert into blogs (userid, title) values (:userid, :title) returning blogid;

-- name: delete_user!
delete from users where userid = :userid; -- at 10:30

-- name: bulk_publish(title, content)*!
insert into blogs (title, content) values (:title, :content);

-- name: create_schema#
create table users (userid integer primary key, username text);
create table blogs (blogid integer primary key, title text);
"""


def failure(files: Files, text: str, name: str = "queries.sql", **more: Any) -> QueryFileError:
    with pytest.raises(QueryFileError) as caught:
        files.load(text, name, **more)
    return caught.value


def test_an_aiosql_file_loads_unchanged(files: Files) -> None:
    """Suffixes are kinds, dashes underscores, parameters without a list those of the text."""
    queries = files.load(AIOSQL, models=[User])
    assert [(q.name, q.kind, [p.name for p in q.parameters]) for q in queries] == [
        ("get_all_users", "many", []),
        ("get_user_by_username", "one", ["username"]),
        ("count_users", "value", []),
        ("publish_blog", "one", ["userid", "title"]),
        ("delete_user", "affected", ["userid"]),
        ("bulk_publish", "batch", ["title", "content"]),
        ("create_schema", "script", []),
    ]
    assert queries.get_user_by_username.returns is User
    assert queries.publish_blog.doc == "The id of the new one."


def test_a_query_knows_what_its_file_says(files: Files) -> None:
    """Every part of the header is an attribute."""
    query = files.one(
        "-- name: by_id(user_id: int) :one\n-- returns: User\n-- reads: users\n"
        "-- cache: users ttl=9\n-- Doc.\nSELECT user_id FROM users WHERE user_id = :user_id;",
        models={"User": User},
    )
    assert query.name == "by_id"
    assert query.kind == "one"
    assert query.parameters == (Parameter("user_id", ParameterType("int")),)
    assert query.returns is User
    assert query.doc == "Doc."
    assert query.source == f"{files.folder / 'queries.sql'}:1"
    assert query.headers == {"reads": "users", "cache": "users ttl=9"}
    assert query.cache == CachePolicy("users", 9)
    assert query.reads == ("users",)
    assert query.engines == frozenset()
    assert repr(query) == f"<Query by_id :one from {query.source}>"


def test_queries_are_found_by_attribute_and_by_key(files: Files) -> None:
    """The two are the same object."""
    queries = files.load("-- name: a\nSELECT 1\n-- name: b\nSELECT 2")
    assert queries.a is queries["a"]
    assert "a" in queries
    assert "c" not in queries
    assert [query.name for query in queries] == ["a", "b"]
    assert len(queries) == 2
    assert {"a", "b"} <= set(dir(queries))


def test_an_unknown_name_tells_the_nearest(files: Files) -> None:
    """And the files that were read."""
    queries = files.load("-- name: by_hash\nSELECT 1")
    with pytest.raises(
        QueryNotFound, match=r"no query 'by_hahs'; did you mean by_hash\? 1 were read from .*queries.sql"
    ):
        _ = queries.by_hahs
    with pytest.raises(QueryNotFound):
        queries["nothing"]


def test_an_unknown_name_is_an_attribute_error(files: Files) -> None:
    """So that `hasattr` answers, and private names are never taken for queries."""
    queries = files.load("-- name: a\nSELECT 1")
    assert hasattr(queries, "a")
    assert not hasattr(queries, "b")
    with pytest.raises(AttributeError) as caught:
        _ = queries.__nothing__
    assert not isinstance(caught.value, QueryNotFound)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda q: pickle.loads(pickle.dumps(q))])
def test_queries_can_be_copied(files: Files, duplicate: Any) -> None:
    """By copy, deepcopy and pickle, also after a query was compiled."""
    queries = files.load("-- name: a :value\n-- returns: timestamp\nSELECT :b", models=[User])
    queries.a.statement(SQLITE, encoders_of)
    other = duplicate(queries)
    assert other.a.source == queries.a.source
    assert other.a.statement(SQLITE, encoders_of).bind({"b": 1}) == ("SELECT ?", (1,))


def test_a_byte_order_mark_and_windows_line_ends_are_tolerated(files: Files) -> None:
    """The text is the same from every checkout."""
    query = files.one("\ufeff-- name: a\r\nSELECT 1,\r\n2\r\n")
    assert query.text(SQLITE) == "SELECT 1,\n2"


def test_schema_files_are_left_out(files: Files) -> None:
    """They lie in the same folder."""
    files.write("schema.sqlite.sql", "CREATE TABLE t (a);")
    files.write("schema.sql", "CREATE TABLE t (a);")
    assert len(files.load("-- name: a\nSELECT 1")) == 1


def test_files_and_folders_are_read_together(files: Files) -> None:
    """Names are one space; a variant may lie in another folder than the shared text."""
    (files.folder / "more").mkdir()
    single = files.write("more/queries.mysql.sql", "-- name: a\nSELECT 2")
    files.write("queries.sql", "-- name: a\nSELECT 1\n-- name: b\nSELECT 3")
    queries = load_queries(files.folder, str(single))
    assert queries.a.text(MYSQL) == "SELECT 2"
    assert queries.a.text(SQLITE) == "SELECT 1"
    assert queries.a.engines == {"mysql"}


def test_an_engine_gets_its_variant(files: Files) -> None:
    """The others get the shared text."""
    files.write("queries.postgresql.sql", "-- name: f(a) :one\nSELECT $$:x$$, :a::int")
    query = files.one("-- name: f(a) :one\nSELECT ':x', :a")
    assert query.statement(POSTGRESQL, encoders_of).sql == "SELECT $$:x$$, $1::int"
    assert query.statement(SQLITE, encoders_of).sql == "SELECT ':x', ?"
    assert query.engines == {"postgresql"}


def test_an_engine_without_a_text_is_told(files: Files) -> None:
    """With the engines that have one."""
    query = files.one("-- name: f :one\nSELECT 1", "queries.sqlite.sql")
    with pytest.raises(QueryNotFound, match=r"query f .* has no text for mysql, only for sqlite"):
        query.statement(MYSQL, encoders_of)


VARIANT = "-- name: f(a: int) :one\n-- returns: User\nSELECT :a"


@pytest.mark.parametrize(
    ("variant", "message", "line"),
    [
        (VARIANT.replace(":one", ":many"), "its kind is :many, but at .*:1 it is :one", 1),
        (VARIANT.replace("User", "Other"), "`returns:` is Other, but at .*:1 it is User", 2),
        (VARIANT.replace("-- returns: User\n", ""), "`returns:` is not given, but at .*:1 it is User", 1),
        (
            VARIANT.replace("int", "text"),
            r"its parameters are \(a: text\), but at .*:1 they are \(a: int\)",
            1,
        ),
        (VARIANT.replace("a:", "b:").replace(":a", ":b"), r"its parameters are \(b: int\), but at", 1),
        ("-- name: f :one\n-- returns: User\nSELECT 1 WHERE 1 IN :a", r"\(a: a list\), but at", 1),
    ],
)
def test_variants_agree(files: Files, variant: str, message: str, line: int) -> None:
    """In kind, result and parameters; the error names both places."""
    files.write("queries.sqlite.sql", variant)
    caught = failure(files, VARIANT, "queries.mysql.sql", models=[User])
    assert Path(caught.path).name == "queries.sqlite.sql"
    with pytest.raises(QueryFileError, match=message):
        raise caught
    assert caught.line == line


def test_a_name_is_taken_once_per_engine(files: Files) -> None:
    """The error names both places; dashes count as underscores."""
    first = files.write("a.sql", "-- name: get_it\nSELECT 1")
    caught = failure(files, "\n-- name: get-it\nSELECT 1", "b.sql")
    assert f"b.sql:2: query get_it: this name is taken already, at {first}:1" in str(caught)


@pytest.mark.parametrize(
    ("text", "engine", "place"),
    [
        (r"SELECT 'C:\', :a, ''", "mysql", "line 2, column 8"),
        ("SELECT 1\n--:x\n, :a", "mysql", "line 3, column 3"),
        ("SELECT $$ :x $$, :a", "postgresql", "line 2, column 11"),
        ("SELECT :a # ; it's", "mysql", "line 2, column 12"),
    ],
)
def test_a_shared_text_reads_alike_everywhere(files: Files, text: str, engine: str, place: str) -> None:
    """If not, the error says for which engine, where, and what to do."""
    caught = failure(files, f"-- name: f\n{text}")
    assert f"{engine} reads this text differently from sqlite, beginning at {place}" in str(caught)
    assert f".sqlite.sql and .{engine}.sql" in str(caught)
    assert f"line {caught.line}," in place


def test_only_engines_that_use_the_shared_text_have_to_agree(files: Files) -> None:
    """A variant for the one that differs is the cure."""
    files.write("queries.mysql.sql", "-- name: f\nSELECT 'C:\\\\', :a")
    query = files.one("-- name: f\nSELECT 'C:\\', :a")
    assert query.statement(MYSQL, encoders_of).sql == "SELECT 'C:\\\\', %s"


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("-- name: f(a)\nSELECT 1,\n:a, :b", ":b is not declared", 3),
        ("-- name: f(user_id)\nSELECT :user_ids", r":user_ids is not declared (did you mean user_id?)", 2),
        ("-- name: f(a, b)\nSELECT :a", "the declared parameter b is not in the text", 1),
        (
            "-- name: f(ids: int)\nSELECT 1\nWHERE 1 IN :ids",
            "ids is declared as int, and IN :ids takes a list",
            3,
        ),
        ("-- name: f\nSELECT :ids WHERE 1 IN :ids", "a list in IN :ids and a single value elsewhere", 2),
        (
            "-- name: f(ids: int[])\nSELECT 1 WHERE 1 IN (:ids)",
            "sqlite takes a list only directly after IN",
            2,
        ),
        ("-- name: f(ids: int[])\nSELECT 1 = ANY(:ids)", "sqlite takes a list only directly after IN", 2),
        ("-- name: f\nSELECT 1;\n\nSELECT 2", "a second statement begins here", 4),
        ("-- name: f :script\nSELECT 1;\nSELECT :a", "a script takes no parameters, but has :a", 3),
        ("-- name: f\n-- Doc.\n", "no SQL follows", 1),
        ("-- name: f\n;;\n/* nothing */", "no SQL follows", 1),
        ("-- name: f\nSELECT 1,\n'a", "a literal, quoted name or comment begins here and is never closed", 3),
        ("-- name: f\nSELECT ?", "a bare ? is a parameter for sqlite", 2),
        ("-- name: f\nSELECT 1,\n@a", "@a is a parameter of sqlite's own kind: use :name", 3),
        ("-- name: f :affected\n-- returns: User\nSELECT 1", "a query of kind :affected returns no rows", 2),
        (
            "-- name: f :one\n-- returns: Usr\nSELECT 1",
            "unknown model 'Usr'; did you mean User?; known models are User",
            2,
        ),
        ("-- name: f :one\n-- returns: text\nSELECT 1", "unknown model 'text'; known models are User", 2),
        ("-- name: f :value\n-- returns: string\nSELECT 1", "known types are text, int,", 2),
        ("-- name: f :value\n-- returns: int[]\nSELECT 1", "unknown model 'int[]'", 2),
    ],
)
def test_a_wrong_query_is_told_at_load(files: Files, text: str, message: str, line: int) -> None:
    """With file, line, the query's name, and what to do."""
    caught = failure(files, text, models=[User])
    assert message in str(caught)
    assert (caught.line, caught.query) == (line, "f")
    assert str(caught).startswith(f"{files.folder / 'queries.sql'}:{line}: query f: ")


def test_an_array_may_be_used_outside_of_in_on_postgresql(files: Files) -> None:
    """It is bound as one value."""
    query = files.one("-- name: f(ids: int[])\nSELECT 1 = ANY(:ids)", "queries.postgresql.sql")
    assert query.statement(POSTGRESQL, encoders_of).bind({"ids": (1, 2)}) == ("SELECT 1 = ANY($1)", ([1, 2],))


def test_a_model_is_needed_for_returns(files: Files) -> None:
    """Without any, the error says how to pass them."""
    caught = failure(files, "-- name: f :one\n-- returns: User\nSELECT 1")
    assert "known models are none (pass them as models=)" in str(caught)


def test_two_models_of_one_name_are_refused(files: Files) -> None:
    """A mapping of names tells them apart."""
    other = type("User", (), {})
    with pytest.raises(QueryError, match="two models are called User"):
        files.load("-- name: f\nSELECT 1", models=[User, other])


@pytest.mark.parametrize(
    ("name", "stored", "value"),
    [
        ("int", 3, 3),
        ("text", "a", "a"),
        ("float", 1.5, 1.5),
        ("bool", 1, True),
        ("bytes", b"a", b"a"),
        ("date", "2026-01-02", date(2026, 1, 2)),
        ("timestamp", "2026-01-02T03:04:05.678901Z", datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
        ("uuid", "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
        ("json", '{"a": [1]}', {"a": [1]}),
        ("decimal(2)", 1234, Decimal("12.34")),
    ],
)
def test_a_value_may_return_a_plain_type(files: Files, name: str, stored: object, value: object) -> None:
    """It becomes the Python type that Pydantic reads what SQLite stored into."""
    query = files.one(f"-- name: f :value\n-- returns: {name}\nSELECT 1")
    assert query.returns is not None
    context = Storage(json_as_text=True, decimal_as_integer=True)
    assert TypeAdapter(query.returns).validate_python(stored, context=context) == value


def test_a_model_may_bear_the_name_of_a_type(files: Files) -> None:
    """What the caller passes comes first."""
    assert files.one("-- name: f :value\n-- returns: text\nSELECT 1", models={"text": User}).returns is User


def test_a_file_that_is_not_there_is_told(files: Files) -> None:
    """As is a folder without query files."""
    with pytest.raises(QueryFileError, match=r"missing.sql:1: cannot read it: No such file"):
        load_queries(files.folder / "missing.sql")
    with pytest.raises(QueryFileError, match="no query file"):
        load_queries(files.folder)


def test_a_file_that_is_not_utf8_is_told(files: Files) -> None:
    """With the line of the first wrong byte."""
    path = files.folder / "q.sql"
    path.write_bytes(b"-- name: f\nSELECT '\xe9'")
    with pytest.raises(QueryFileError, match=r"q.sql:2: not UTF-8"):
        load_queries(path)


def test_an_unknown_engine_in_a_file_name_is_told(files: Files) -> None:
    """It would otherwise be taken for a shared file."""
    caught = failure(files, "-- name: f\nSELECT 1", "queries.postgres.sql")
    assert f"unknown engine 'postgres' in the file's name; known are {', '.join(DIALECTS)}" in str(caught)


def test_shipped_folders_are_found() -> None:
    """Those that come with the package, and no others."""
    assert shipped("sql").is_dir()
    assert shipped("migrations").is_dir()
    with pytest.raises(ConfigurationError, match="'nothing'"):
        shipped("nothing")
