"""What is known of a statement from its text."""

from __future__ import annotations

import re

from dal.errors import StatementRefused, TooManyRows
from dal.queries.dialects import POSTGRESQL
from dal.queries.scanner import scan, split_statements
from dal.queries.statement import Statement

_CONTROL = frozenset(("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"))
_REFUSED = {
    **dict.fromkeys(_CONTROL, "ends or begins a transaction: use db.transaction()"),
    **dict.fromkeys(
        ("PREPARE", "EXECUTE", "DEALLOCATE", "DISCARD"), "would meddle with the statements that are prepared"
    ),
    "COPY": "needs a way for its data that no verb has: use execute_many to write, stream to read",
}
_WRITES = frozenset(("INSERT", "UPDATE", "DELETE", "MERGE"))
_WRITING_WORD = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_SET_FOR_A_BLOCK = re.compile(r"\bSET\s+(?:LOCAL|TRANSACTION|CONSTRAINTS)\b", re.IGNORECASE)
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\r\n]*|/\*.*?\*/|(?P<word>\w+)|(?P<mark>[(),])|.", re.DOTALL
)


def refuse(statement: Statement) -> None:
    """Raise if the statement is one that `dal` does not let through.

    Raises:
        StatementRefused: It controls transactions or prepared statements, or copies.
    """
    if statement.verb in _REFUSED:
        raise _refused(statement.verb)


def refuse_in_shared_session(sql: str) -> None:
    """Raise if *sql* is there to change its session, which others use after it.

    Raises:
        StatementRefused: It sets something for longer than the transaction, listens, or loads a library.
    """
    verb = scan(sql, POSTGRESQL).verb
    if verb in ("RESET", "LISTEN", "UNLISTEN", "LOAD") or (
        verb == "SET" and not _SET_FOR_A_BLOCK.search(sql)
    ):
        raise StatementRefused(
            f"not allowed with statement_cache=0: {verb} would act on a session that other clients use; "
            "in a block, write SET LOCAL",
            sent=False,
        )


def checked_script(text: str) -> str:
    """Return *text*, empty if there is no statement in it.

    Raises:
        StatementRefused: A statement in it is one that `dal` does not let through.
    """
    pieces = split_statements(text, POSTGRESQL)
    for piece in pieces:
        verb = scan(piece, POSTGRESQL).verb
        if verb in _REFUSED:
            raise _refused(verb)
    return text if pieces else ""


def writes(statement: Statement) -> bool:
    """Say whether the statement itself is a write; functions that it calls may write all the same."""
    return (
        statement.writes
        or statement.verb in _WRITES
        or (statement.verb == "WITH" and _WRITING_WORD.search(statement.sql) is not None)
    )


def inserts_one_row(statement: Statement) -> bool:
    """Say whether the statement is an INSERT of a single tuple of VALUES, which returns one row at most."""
    sql = statement.sql
    if statement.verb != "INSERT" or "\\" in sql or re.search(r"\$(?!\d)", sql) or sql.count("/*") > 1:
        return False
    depth = tuples = 0
    within_values = False
    for token in _TOKEN.finditer(sql):
        mark, word = token["mark"], (token["word"] or "").upper()
        if mark:
            depth += (mark == "(") - (mark == ")")
            tuples += within_values and mark == "(" and depth == 1
            if within_values and mark == "," and depth == 0:
                return False
        elif not depth and word == "VALUES":
            within_values = True
        elif not depth and word in ("SELECT", "TABLE", "WITH"):
            return False
        elif not depth and word and within_values and tuples:
            return True
    return tuples == 1


def too_many_rows() -> TooManyRows:
    """The error for a second row where one was asked for."""
    return TooManyRows("the query matched more than one row; add a LIMIT, or declare it :first or :many")


def _refused(verb: str) -> StatementRefused:
    return StatementRefused(f"not allowed: {verb} {_REFUSED[verb]}", sent=False)
