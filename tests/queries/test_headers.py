"""The header of a query: its name, kind, parameters, other headers and documentation."""

from __future__ import annotations

import pytest

from dal.errors import QueryFileError
from dal.queries import Parameter
from dal.queries.headers import Entry, read_entries
from dal.values import ParameterType


def entry(header: str, body: str = "SELECT 1;") -> Entry:
    (found,) = read_entries(f"{header}\n{body}\n", "q.sql")
    return found


def error(text: str) -> QueryFileError:
    with pytest.raises(QueryFileError) as caught:
        read_entries(text, "q.sql")
    return caught.value


@pytest.mark.parametrize("kind", ["one", "first", "many", "value", "affected", "batch", "script"])
def test_a_kind_is_named(kind: str) -> None:
    """Each kind may follow the list of parameters."""
    assert entry(f"-- name: f() :{kind}").kind == kind


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("^", "one"),
        ("$", "value"),
        ("!", "affected"),
        ("<!", "one"),
        ("*!", "batch"),
        ("#", "script"),
        ("", "many"),
    ],
)
@pytest.mark.parametrize("form", ["f{}", "f{}()", "f(){}", "f() {}", "f {} ()"])
def test_aiosql_suffixes_are_kinds(suffix: str, kind: str, form: str) -> None:
    """They may stand before or after the list of parameters, or without one."""
    assert entry(f"-- name: {form.format(suffix)}").kind == kind


def test_dashes_in_a_name_become_underscores() -> None:
    """So that it can be an attribute."""
    assert entry("--name:get-all-users").name == "get_all_users"


def test_parameters_have_types() -> None:
    """A type may follow each name."""
    assert entry("-- name: f(a, b: text, price: decimal(6), ids: int[]) :one").parameters == (
        Parameter("a"),
        Parameter("b", ParameterType("text")),
        Parameter("price", ParameterType("decimal", 6)),
        Parameter("ids", ParameterType("int", many=True)),
    )


def test_a_list_of_parameters_goes_on_over_several_lines() -> None:
    """Until its bracket is closed."""
    found = entry("-- name: f(\n--     a: int,\n--     b: decimal(2)\n-- ) :one\n-- Doc.")
    assert [p.name for p in found.parameters or ()] == ["a", "b"]
    assert found.kind == "one"
    assert found.doc == "Doc."
    assert found.body_line == 6


def test_a_query_without_a_list_declares_nothing() -> None:
    """Not the same as an empty list."""
    assert entry("-- name: f :one").parameters is None
    assert entry("-- name: f() :one").parameters == ()


def test_headers_and_documentation_are_told_apart() -> None:
    """Known keys are headers; every other comment line before the SQL is documentation."""
    found = entry("-- name: f\n-- returns: User\n-- All of them.\n--\n-- Note: slow.\n-- cache: 5 minutes")
    assert found.headers == {"returns": ("User", 2), "cache": ("5 minutes", 6)}
    assert found.doc == "All of them.\n\nNote: slow."


def test_record_class_is_read_as_returns() -> None:
    """It is aiosql's word."""
    assert entry("-- name: f\n-- record_class: User").headers == {"returns": ("User", 2)}


def test_the_body_is_the_sql_alone() -> None:
    """Without the header, and without the comments that lead over to the next query."""
    text = (
        "-- About.\nfree text\n-- name: a\n-- Doc.\n\nSELECT 1 -- one\n;\n\n-- Section\n-- name: b\nSELECT 2"
    )
    first, second = read_entries(text, "q.sql")
    assert (first.body, first.line, first.body_line) == ("SELECT 1 -- one\n;", 3, 6)
    assert (second.body, second.line, second.body_line) == ("SELECT 2", 10, 11)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("-- name: f() :onne", "unknown kind :onne; known are :one, :first"),
        ("-- name: f^() :one", "two kinds, ^ and :one"),
        ("-- name: f(a", "cannot read `f(a"),
        ("-- name: f(a) one", "cannot read `f(a) one`; the form is"),
        ("-- name:", "cannot read ``"),
        ("-- name: 2f()", "'2f' cannot be a query's name"),
        ("-- name: class()", "'class' cannot be a query's name"),
        ("-- name: _f()", "'_f' cannot be a query's name"),
        ("-- name: a.b()", "'a.b' cannot be a query's name"),
        ("-- name: f(a, a)", "the parameter a is declared twice"),
        ("-- name: f(a,)", "cannot read the parameter ''"),
        ("-- name: f(a b)", "cannot read the parameter 'a b'"),
        ("-- name: f(a: integer)", "parameter a: unknown parameter type 'integer'; "),
        ("-- name: f(a: decimal)", "parameter a: unknown parameter type 'decimal'"),
        ("-- name: f(a: )", "parameter a: unknown parameter type ''"),
    ],
)
def test_a_broken_declaration_is_told(header: str, message: str) -> None:
    """With the file, the line and what is known instead."""
    caught = error(f"-- About.\n\n{header}\nSELECT 1")
    assert message in str(caught)
    assert str(caught).startswith("q.sql:3: ")
    assert (caught.path, caught.line) == ("q.sql", 3)


@pytest.mark.parametrize(
    "key", ["return", "Returns", "retruns", "read", "write", "caches", "sesion", "names"]
)
def test_a_header_that_is_nearly_known_is_an_error(key: str) -> None:
    """It would otherwise be lost as documentation."""
    caught = error(f"-- name: f\n-- {key}: User\nSELECT 1")
    assert f"unknown header `{key}:`; did you mean" in str(caught)
    assert (caught.line, caught.query) == (2, "f")


def test_a_header_stands_once() -> None:
    """Two would contradict each other."""
    caught = error("-- name: f\n-- returns: A\n-- returns: B\nSELECT 1")
    assert "a second header `returns:`; the first is in line 2" in str(caught)
    assert caught.line == 3


def test_a_header_has_a_value() -> None:
    """An empty one is a mistake."""
    assert "the header `returns:` is empty" in str(error("-- name: f\n-- returns:\nSELECT 1"))


def test_a_file_has_queries() -> None:
    """One without any is a mistake."""
    assert "no query in it" in str(error("SELECT 1"))
