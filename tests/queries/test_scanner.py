"""The scanner tells code from literals, names and comments, by each engine's rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dal.queries import Query
from dal.queries.dialects import DIALECTS, MYSQL, POSTGRESQL, SQLITE, Dialect
from dal.queries.scanner import scan, split_statements
from tests.queries.conftest import encoders_of

ALL = list(DIALECTS.values())
by_name = pytest.mark.parametrize("dialect", ALL, ids=lambda dialect: dialect.name)


def names(text: str, dialect: Dialect = SQLITE) -> list[str]:
    return [marker.name for marker in scan(text, dialect).parameters]


COMMON = [
    "'10:30'",
    "'50%'",
    "'a :x ? b'",
    "'it''s :x'",
    "strftime('%Y:%m', a)",
    """'{"a": 1, "b" :x}'""",
    '"a :x"',
    "-- it's :x ?\n",
    "--\n",
    "/* isn't :x ? */",
    "/* -- */",
    "cast(a AS int)",
    "a := 1",
    "a::text",
    "a > 1",
]
OWN = {
    "sqlite": ["[it's :x]", "`it's :x`", r"'\'", r"'a :x \'", "--:x\n", '"a""b :x"', "a$b"],
    "postgresql": [
        "$$ it's :x ? $$",
        "$tag$ $$ :x ? $tag$",
        r"E'it\'s :x'",
        r"e'\\'",
        "E'a' \n '\\' :x'",
        r"'\'",
        "/* /* ' */ :x ? */",
        "(ARRAY[1, 2])[1:2]",
        "a[lower:upper]",
        "a[(1):upper]",
        "a @> b",
        "a #> b",
        "a #>> '{x, y}'",
        "U&'d\\0061 :x'",
        "--:x\n",
        "fooE'it :x'",
        "a$b$c",
        "-- :x\r",
    ],
    "mysql": [
        "# it's :x ?\n",
        r"'it\'s :x'",
        r"'\\'",
        r'"it\" :x"',
        '"it\'s :x"',
        "`it's :x`",
        "@variable",
        "@@session.a",
        "5--1",
        "/*! :x */",
    ],
}


@by_name
@pytest.mark.parametrize("protected", COMMON)
def test_every_dialect_leaves_this_alone(dialect: Dialect, protected: str) -> None:
    """What looks like a parameter in a literal, name, comment or cast is none."""
    found = scan(f"SELECT {protected} :after", dialect)
    assert [m.name for m in found.parameters] == ["after"]
    assert not found.questions


@pytest.mark.parametrize(("engine", "protected"), [(e, text) for e, texts in OWN.items() for text in texts])
def test_an_engine_leaves_its_own_forms_alone(engine: str, protected: str) -> None:
    """Each engine's quotes, escapes and comments are read by its own rules."""
    found = scan(f"SELECT {protected} :after", DIALECTS[engine])
    assert [m.name for m in found.parameters] == ["after"]
    assert not found.questions
    assert not found.own
    assert found.unclosed is None


PARAMETER = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


def literals(dialect: Dialect) -> st.SearchStrategy[str]:
    def quoted(text: str) -> str:
        if dialect.backslash_escapes:
            text = text.replace("\\", "\\\\")
        return "'" + text.replace("'", "''") + "'"

    return st.text("ab':?\\\"`$#-/*[];\n", max_size=12).map(quoted)


@by_name
@given(data=st.data())
@settings(max_examples=150)
def test_exactly_the_parameters_are_found(dialect: Dialect, data: st.DataObject) -> None:
    """Among protected fragments in any order, the parameters between them are found, and no others."""
    protected = st.sampled_from(COMMON + OWN[dialect.name]) | literals(dialect)
    parameter = PARAMETER.map(lambda name: f":{name}")
    pieces = data.draw(st.lists(protected | parameter, max_size=12))
    text = " ".join(pieces)
    found = scan(text, dialect)
    assert [text[m.start : m.end] for m in found.parameters] == [p for p in pieces if p.startswith(":")]
    assert not found.questions


@by_name
@given(data=st.data())
@settings(max_examples=100)
def test_exactly_the_question_marks_are_found(dialect: Dialect, data: st.DataObject) -> None:
    """The same for the question marks of a text that is called with a sequence."""
    protected = st.sampled_from(COMMON + OWN[dialect.name]) | literals(dialect)
    pieces = data.draw(st.lists(protected | st.sampled_from(["?", "??"]), max_size=12))
    text = " ".join(pieces)
    found = scan(text, dialect)
    assert [text[a:b] for a, b in found.questions] == [p for p in pieces if p in ("?", "??")]


@by_name
@given(text=st.text() | st.text("ab1':?\\\"`$#-/*[]()E;@%\n ", max_size=40))
@settings(max_examples=300)
def test_any_text_is_scanned_and_kept(dialect: Dialect, text: str) -> None:
    """No text breaks the scanner, and one without parameters is compiled to itself."""
    found = scan(text, dialect)
    bounds = [place for span in found.statements for place in span]
    assert bounds == sorted(bounds)
    if len(found.statements) == 1 and not (found.parameters or found.questions or found.own):
        assert Query.from_text(text).statement(dialect, encoders_of).bind({}) == (text, ())
        assert Query.from_text(text, positional=True).statement(dialect, encoders_of).bind() == (text, ())


@by_name
def test_unclosed_literals_are_reported(dialect: Dialect) -> None:
    """A literal that is never closed runs to the end, and its beginning is told."""
    assert scan("SELECT ':x", dialect).unclosed == 7


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("SELECT /* /* */ :x", POSTGRESQL),
        ("SELECT $a$ $$ :x", POSTGRESQL),
        (r"SELECT E'\' :x", POSTGRESQL),
        (r"SELECT '\' :x", MYSQL),
        ("SELECT [a :x", SQLITE),
        ("SELECT '\\", MYSQL),
    ],
)
def test_each_engine_has_its_own_unclosed_forms(text: str, dialect: Dialect) -> None:
    """Nested comments, dollar quotes, backslashes and brackets can be left open too."""
    found = scan(text, dialect)
    assert found.unclosed == 7
    assert not found.parameters


def test_dashes_begin_no_comment_for_mysql_without_a_space() -> None:
    """`a--:x` subtracts a negative value on MySQL, and is a comment elsewhere."""
    assert names("SELECT a--:x", MYSQL) == ["x"]
    assert names("SELECT a--:x", SQLITE) == []


@pytest.mark.parametrize("text", ["?1", "@x", "$x", ":1"])
def test_sqlite_parameters_of_its_own_are_found(text: str) -> None:
    """SQLite has four more ways to write a parameter, which the scanner tells apart."""
    found = scan(f"SELECT {text}", SQLITE)
    assert found.own == [(7, 7 + len(text))]
    assert not found.questions


@pytest.mark.parametrize("text", ["IN :ids", "in  /* all */ :ids", "NOT IN\n:ids", "In -- them\n :ids"])
def test_a_parameter_directly_after_in_is_a_list(text: str) -> None:
    """White space and comments may stand between, nothing else."""
    (marker,) = scan(f"SELECT 1 WHERE a {text}", SQLITE).parameters
    assert marker.list_start == 17
    assert marker.negated == text.startswith("NOT")


@pytest.mark.parametrize("text", ["IN (:ids)", "= :ids", "IN a, :ids", '"IN" :ids', "INTO :ids"])
def test_any_other_parameter_is_no_list(text: str) -> None:
    """With parentheses it is a single value in a list of one."""
    (marker,) = scan(f"SELECT 1 WHERE a {text}", SQLITE).parameters
    assert marker.list_start is None


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("select 1", "SELECT"),
        ("-- about\n/* it */ (WITH a AS (SELECT 1) SELECT 2)", "WITH"),
        (";; create TABLE t (a)", "CREATE"),
        ("'text'", ""),
        ("", ""),
    ],
)
def test_the_verb_is_the_first_keyword(text: str, verb: str) -> None:
    """Comments, brackets and empty statements before it do not count."""
    assert scan(text, SQLITE).verb == verb


def test_statements_are_split_at_their_semicolons_only() -> None:
    """A semicolon in a literal, comment or bracket ends nothing; an empty piece is dropped."""
    text = "SELECT ';' ; -- one; two\n SELECT (1;2);;\n/* ; */ ;  SELECT 3"
    assert split_statements(text, SQLITE) == ["SELECT ';'", "-- one; two\n SELECT (1;2)", "SELECT 3"]


TRIGGER = """CREATE TRIGGER t AFTER INSERT ON a WHEN CASE new.b WHEN 1 THEN 1 END BEGIN
    UPDATE a SET b = CASE WHEN b THEN 1 ELSE 2 END;
    DELETE FROM c;
END"""


def test_a_trigger_is_one_statement() -> None:
    """The statements between its BEGIN and END belong to it."""
    assert split_statements(f"{TRIGGER};\nSELECT 1;", SQLITE) == [TRIGGER, "SELECT 1"]


PROCEDURE = """CREATE PROCEDURE p(IN a INT) BEGIN
    IF a > 1 THEN SELECT 1; END IF;
    CASE a WHEN 1 THEN SELECT 2; END CASE;
    l: LOOP LEAVE l; END LOOP;
END"""


def test_a_procedure_is_one_statement() -> None:
    """END IF, END CASE and END LOOP do not end it."""
    assert split_statements(f"{PROCEDURE}; SELECT 1", MYSQL) == [PROCEDURE, "SELECT 1"]


def test_a_transaction_block_is_no_trigger() -> None:
    """BEGIN and END that stand alone are statements of their own."""
    text = "BEGIN; CREATE TABLE t (a); INSERT INTO t VALUES (1); END;"
    assert split_statements(text, SQLITE) == [part.strip() for part in text.split(";") if part]


def test_scanning_takes_time_in_proportion_to_the_text() -> None:
    """Thousands of unclosed openers do not make it quadratic."""
    for opener in ("'", "$$ ", "/* ", "E'", "[", "$a", "--", "(", ":"):
        for dialect in ALL:
            found = scan(opener * 50_000, dialect)
            assert len(found.statements) <= 1
