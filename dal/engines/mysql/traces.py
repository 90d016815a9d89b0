"""What a statement might leave behind in its session, as far as its words and MariaDB's catalog tell.

MariaDB does not say what a statement calls, but it names it: a stored function runs only where its name
stands before a bracket, a view only where its name stands. So the words of the statement are held against
the catalog, those of each view in turn, and of defaults and triggers where rows are written. A word that
means something else under the same name is taken for the dangerous one. What the catalog does not show to
this user counts as left behind.

MariaDB 10.6 or later, which lists its own functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from dal.engines.mysql.connection import Connection
from dal.engines.mysql.encoders import encoders
from dal.engines.mysql.statements import rendered
from dal.queries.dialects import MYSQL
from dal.queries.scanner import split_statements
from dal.queries.statement import Statement

_VERBS = frozenset(("SELECT", "VALUES", "WITH", "INSERT", "REPLACE", "UPDATE", "DELETE"))
_EVENTS = {
    "INSERT": {"INSERT"},
    "REPLACE": {"INSERT", "DELETE"},
    "UPDATE": {"UPDATE"},
    "DELETE": {"DELETE"},
}

_SYSTEM = frozenset(("information_schema", "performance_schema", "mysql", "sys"))
"""Schemas whose names must stand in a text that uses them."""

_DENIED = frozenset(("get_lock", "release_lock", "release_all_locks", "nextval", "setval"))
"""Built-in functions that change the session."""

_TOKEN = re.compile(
    r"'(?:[^'\\]|\\.|'')*+'|\"(?:[^\"\\]|\\.|\"\")*+\"|--(?=\s|\Z)[^\n]*|#[^\n]*|(?P<hint>/\*M?!)|/\*.*?\*/"
    r"|`(?P<quoted>(?:[^`]|``)*)`|(?P<word>[\w$\u0080-\U0010ffff]+)|(?P<variable>@@?)|(?P<mark>:=|[^\s])|\s+",
    re.DOTALL,
)


class Token(NamedTuple):
    """A word, a quoted name or a mark; literals and comments are left out."""

    text: str
    is_name: bool = False
    is_quoted: bool = False


@dataclass
class Catalog:
    """What the database has, every name in lower case.

    Attributes:
        native: The words that mean something to the server itself.
        functions: Stored functions.
        views: Views with the schema and the text of each; None for one that is not shown to this user.
        tables: Tables and views.
        generated: Columns and what they are computed by, also when they are read, by their table.
        defaults: Columns and their defaults, by their table.
        numbered: Columns that number their rows, by their table.
        triggers: Their names by table and event.
        shows_triggers: This user would see every trigger.
    """

    native: frozenset[str]
    functions: frozenset[str]
    views: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    generated: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    defaults: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    numbered: dict[str, str] = field(default_factory=dict)
    triggers: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    shows_triggers: bool = False


async def found(connection: Connection, statement: Statement) -> tuple[str, ...]:
    """Return what a run of *statement* might leave behind; the server only prepares it."""
    if statement.verb not in _VERBS:
        return (f"{statement.verb} is not SELECT, INSERT, REPLACE, UPDATE or DELETE, and may leave anything",)
    (text,) = split_statements(rendered(statement.sql, ("?",) * len(statement.names)), MYSQL)
    literal = encoders(None)[str](text)
    await connection.run(f"PREPARE dal_statement FROM {literal}")
    await connection.run("DEALLOCATE PREPARE dal_statement")
    walk = _Walk(await _catalog(connection))
    walk.statement(text, statement.verb)
    return tuple(walk.found)


class _Walk:
    """Holds words against the catalog, and takes note of what is refused."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._seen: set[tuple[str, str]] = set()
        self._reads_defaults = False  # the function DEFAULT is called
        self.found: dict[str, None] = {}

    def statement(self, text: str, verb: str) -> None:
        """Look through the statement itself, and what it runs where it writes."""
        tokens = _tokens(text)
        words = [token.text.lower() for token in tokens]
        used = self._text(tokens, ())
        events = set(_EVENTS.get(verb, ()))
        if verb == "INSERT" and ("duplicate", "key") in pairwise(words):
            events.add("UPDATE")
        if events:
            for table in sorted(used):
                self._written(table, events)
        for table in sorted(used):
            computed = list(self._catalog.generated.get(table, ()))
            if events or self._reads_defaults:
                computed += self._catalog.defaults.get(table, ())
            for column, expression in computed:
                self._text(_tokens(expression), (f"column {column} of table {table}",))

    def _written(self, table: str, events: set[str]) -> None:
        catalog = self._catalog
        if not catalog.shows_triggers:
            self._refuse(
                "rows are written, and without the privilege TRIGGER on the database no trigger shows", ()
            )
        for event in sorted(events):
            for trigger in catalog.triggers.get((table, event), ()):
                self._refuse(f"trigger {trigger} runs on table {table}, and may do anything", ())
        if "INSERT" in events and table in catalog.numbered:
            self._refuse(
                f"column {catalog.numbered[table]} of table {table} is AUTO_INCREMENT, whose value stays in "
                "LAST_INSERT_ID()",
                (),
            )

    def _text(self, tokens: Sequence[Token], way: tuple[str, ...]) -> set[str]:
        """Look through *tokens* and the views in them; return the tables and views that they may name."""
        catalog = self._catalog
        used: set[str] = set()
        words = {token.text.lower() for token in tokens}
        padded = (Token(""), *tokens, Token(""), Token(""))
        for before, token, after, second in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
            name = token.text.lower()
            if name == "/*!":
                self._refuse("there is a comment /*! that is run", way)
            elif name == "@":
                self._refuse(f"the user variable @{after.text} is used, which stays", way)
            elif name == "default" and after.text == "(":
                self._reads_defaults = True
            elif name == "value" and before.text.lower() == "next" and not token.is_quoted:
                self._refuse("NEXT VALUE FOR is called, whose value stays in LASTVAL()", way)
            if after.text == "(" and token.is_name:
                self._call(token, before, second, way)
            if name in catalog.tables:
                used.add(name)
            for schema, definition in catalog.views.get(name, ()):
                if (schema, name) in self._seen or (schema in _SYSTEM and schema not in words):
                    continue
                self._seen.add((schema, name))
                inner = (f"view {name}", *way)
                if definition is None:
                    self._refuse("the text of the view is not shown to this user", inner)
                else:
                    used |= self._text(_tokens(definition), inner)
        return used

    def _call(self, token: Token, before: Token, second: Token, way: tuple[str, ...]) -> None:
        """Judge a name that stands before a bracket."""
        catalog, name = self._catalog, token.text.lower()
        if name in catalog.functions:
            self._refuse(f"function {token.text}() is called, which the server does not see into", way)
        elif name == "last_insert_id":
            if second.text != ")":
                self._refuse("LAST_INSERT_ID() is called with a value, which stays", way)
        elif name in _DENIED:
            self._refuse(f"{name}() is called, which changes the session", way)
        elif token.is_quoted and way:  # in the server's own text of a view only its functions are not
            self._refuse(f"function {token.text}() is called, which the server does not see into", way)
        elif name in catalog.native and not token.is_quoted and before.text != ".":
            return
        elif name not in catalog.tables and before.text.lower() not in ("with", "recursive"):
            self._refuse(f"{token.text}( is no function of the server's own", way)

    def _refuse(self, reason: str, way: tuple[str, ...]) -> None:
        self.found[reason + "".join(f", by way of {step}" for step in way)] = None


def _tokens(text: str) -> list[Token]:
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "quoted":
            tokens.append(Token(match["quoted"].replace("``", "`"), is_name=True, is_quoted=True))
        elif kind == "hint":
            tokens.append(Token("/*!"))
        elif kind is not None:
            tokens.append(Token(match.group(), is_name=kind == "word"))
    return tokens


async def _catalog(connection: Connection) -> Catalog:
    async def rows(sql: str) -> Sequence[tuple[str, ...]]:
        return (await connection.run(sql)).rows

    catalog = Catalog(
        native=frozenset(
            name.lower()
            for (name,) in await rows(
                "SELECT function FROM information_schema.sql_functions"
                " UNION SELECT word FROM information_schema.keywords"
            )
        ),
        functions=frozenset(
            name.lower()
            for (name,) in await rows(
                "SELECT routine_name FROM information_schema.routines WHERE routine_type LIKE 'FUNCTION%'"
            )
        ),
        tables=frozenset(
            name.lower()
            for name, schema in await rows("SELECT table_name, table_schema FROM information_schema.tables")
            if schema not in _SYSTEM
        ),
        shows_triggers=bool((await rows(_TRIGGER_PRIVILEGE))[0][0]),
    )
    for schema, name, text in await rows(
        "SELECT table_schema, table_name, view_definition FROM information_schema.views"
    ):
        catalog.views.setdefault(name.lower(), []).append((schema.lower(), text or None))
    for schema, table, column, default, expression, extra in await rows(
        "SELECT table_schema, table_name, column_name, column_default, generation_expression, extra"
        " FROM information_schema.columns"
    ):
        if schema in _SYSTEM:
            continue
        if expression:
            catalog.generated.setdefault(table.lower(), []).append((column, expression))
        if default:
            catalog.defaults.setdefault(table.lower(), []).append((column, default))
        if "auto_increment" in extra.lower():
            catalog.numbered[table.lower()] = column
    for table, event, trigger in await rows(
        "SELECT event_object_table, event_manipulation, trigger_name FROM information_schema.triggers"
    ):
        catalog.triggers.setdefault((table.lower(), event), []).append(trigger)
    return catalog


_ME = "concat('''', replace(current_user(), '@', '''@'''), '''')"
_TRIGGER_PRIVILEGE = f"""
SELECT
    EXISTS (
        SELECT 1 FROM information_schema.user_privileges
        WHERE privilege_type = 'TRIGGER' AND grantee = {_ME}
    ) OR EXISTS (
        SELECT 1 FROM information_schema.schema_privileges
        WHERE privilege_type = 'TRIGGER' AND grantee = {_ME} AND database() LIKE table_schema
    )
"""
