"""What a statement is, by its first words, and how it is run.

MariaDB and MySQL commit behind one's back: before and after most statements that are not SELECT, INSERT,
UPDATE or DELETE. Such a statement is told by its words before it is sent into a transaction.
https://mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dal.engines.base import Call, Rows, Want
from dal.engines.mysql.connection import Answer, Connection
from dal.errors import StatementRefused, TooManyRows
from dal.queries.dialects import MYSQL
from dal.queries.scanner import split_statements
from dal.queries.statement import Statement

_BULK_BYTES = 1 << 20  # of the statement that several rows of an execute_many become


@dataclass(frozen=True, slots=True)
class Nature:
    """What is to be known of a statement before it is sent.

    Attributes:
        refused: Why it is not sent at all; None if it is.
        commits: It would commit the transaction in which it runs.
        counts: The rows that it matched are counted.
        writes: It changes rows and may return them.
        one_row: It is an INSERT of a single row.
    """

    refused: str | None
    commits: bool
    counts: bool
    writes: bool
    one_row: bool


_GAP = r"(?:\s|\(|--(?=\s|\Z)[^\n]*|#[^\n]*|/\*(?!M?!).*?\*/|/\*M?!\d*|\*/)*+"
_WORDS = re.compile(
    rf"{_GAP}([A-Za-z_]\w*)(?:{_GAP}([A-Za-z_]\w*))?(?:{_GAP}([A-Za-z_]\w*))?(?:{_GAP}([A-Za-z_]\w*))?",
    re.DOTALL,
)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*+'|\"(?:[^\"\\]|\\.|\"\")*+\"|/\*.*?\*/", re.DOTALL)

_TOKEN = re.compile(
    rf"{_LITERAL.pattern}|`[^`]*`|--(?=\s)[^\n]*|#[^\n]*|(?P<word>\w+)|(?P<mark>[(),])|.", re.DOTALL
)

_CONTROL = frozenset(("COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA", "END"))
_SETS_CONTROL = re.compile(
    r"\bTRANSACTION\b|\b(?:autocommit|completion_type|in_transaction)\b\s*:?=", re.IGNORECASE
)
_SETS_CHARSET = re.compile(
    r"^SET\s+(?:NAMES|CHARSET|CHARACTER\s+SET)\b|,\s*(?:NAMES|CHARSET|CHARACTER\s+SET)\b"
    r"|\b(?:character_set_(?:client|connection|results)|collation_connection)\b\s*:?=",
    re.IGNORECASE,
)
_COMMITS = {
    *("ALTER", "CREATE", "DROP", "TRUNCATE", "RENAME", "GRANT", "REVOKE", "LOCK", "UNLOCK", "ANALYZE"),
    *("OPTIMIZE", "REPAIR", "CHECK", "FLUSH", "RESET", "CACHE", "INSTALL", "UNINSTALL", "CHANGE", "BACKUP"),
    *("START", "STOP", "SHUTDOWN", "PURGE"),
}
_COUNTS = frozenset(
    ("INSERT", "REPLACE", "UPDATE", "DELETE", "WITH", "LOAD", "CALL", "EXECUTE", "SET", "BEGIN")
)
_RETURNS = frozenset(("INSERT", "REPLACE", "DELETE", "UPDATE"))


@lru_cache(maxsize=4096)
def nature_of(sql: str) -> Nature:
    """Return what the statement *sql* is."""
    found = _WORDS.match(sql)
    words = [word.upper() if word else "" for word in found.groups()] if found else [""] * 4
    verb = words[0]
    return Nature(
        refused=_refusal(sql, words),
        commits=_commits(words),
        counts=verb in _COUNTS,
        writes=verb in _RETURNS,
        one_row=verb in ("INSERT", "REPLACE") and _inserts_one_row(sql),
    )


def _refusal(sql: str, words: Sequence[str]) -> str | None:
    verb = words[0]
    control = (
        verb in _CONTROL or (verb == "BEGIN" and words[1] != "NOT") or words[:2] == ["START", "TRANSACTION"]
    )
    if verb == "SET":
        bare = _LITERAL.sub("''", sql)
        control = _SETS_CONTROL.search(bare) is not None
        if _SETS_CHARSET.search(bare):
            return "SET NAMES and the like: connections keep the character set that dal gave them"
    if control:
        return f"{verb}: transaction control is not a statement here; use db.transaction()"
    return None


def _commits(words: Sequence[str]) -> bool:
    verb = words[0]
    if verb in ("CREATE", "DROP"):
        return "TEMPORARY" not in words[1:4]
    if verb == "ANALYZE":  # ANALYZE FORMAT=JSON SELECT runs and explains a query
        return bool({"TABLE", "TABLES"} & set(words[1:3]))
    if verb == "LOAD":
        return words[1] == "INDEX"
    if verb == "SET":
        return words[1] in ("PASSWORD", "DEFAULT")
    return verb in _COMMITS


def _inserts_one_row(sql: str) -> bool:
    """Say whether *sql*, an INSERT, has a single tuple of VALUES."""
    depth = tuples = 0
    within_values = False
    for token in _TOKEN.finditer(sql):
        mark, word = token["mark"], (token["word"] or "").upper()
        if mark:
            depth += (mark == "(") - (mark == ")")
            tuples += within_values and mark == "(" and depth == 1
            if within_values and mark == "," and depth == 0:
                return False
        elif not depth and word in ("VALUES", "VALUE"):
            within_values = True
        elif not depth and word in ("SELECT", "TABLE", "WITH"):
            return False
        elif not depth and word and within_values and tuples:
            return True
    return tuples == 1


def check(sql: str, *, inside: bool) -> Nature:
    """Return what *sql* is, if it may be sent.

    Args:
        inside: It is meant for a transaction.

    Raises:
        StatementRefused: Nothing was sent.
    """
    nature = nature_of(sql)
    if nature.refused is not None:
        raise StatementRefused(f"not allowed: {nature.refused}", sent=False)
    if inside and nature.commits:
        raise StatementRefused(
            "not allowed in a transaction: the statement would commit it; run it outside", sent=False
        )
    return nature


def rendered(sql: str, args: Sequence[Any]) -> str:
    """Return *sql* with its values; without values it is left as it is, percent signs and all."""
    return sql % tuple(args) if args else sql


async def change(connection: Connection, call: Call) -> int:
    """Run *call* and return the number of rows that it matched."""
    answer = await connection.run(rendered(call.sql, call.args))
    return answer.affected if nature_of(call.sql).counts else 0


async def read(connection: Connection, call: Call, want: Want) -> Rows:
    """Run *call* and return the rows that are wanted."""
    return wanted(await connection.run(rendered(call.sql, call.args)), want)


def wanted(answer: Answer, want: Want) -> Rows:
    """Return the rows of *answer* that are wanted.

    Raises:
        TooManyRows: There is a second one, and one was asked for.
    """
    if want == "all":
        return Rows(answer.columns, answer.rows)
    if want == "one" and len(answer.rows) > 1:
        raise TooManyRows("the query matched more than one row; add a LIMIT, or declare it :first or :many")
    return Rows(answer.columns, answer.rows[:1])


def bulk(statement: Statement, rows: Sequence[Sequence[str]], max_packet: int) -> Iterator[str]:
    """Yield the statements that do what *statement* does with each of *rows*.

    An INSERT of plain values, an upsert too, becomes one with several rows: they are stored in turn all
    the same, so that triggers, generated keys and constraints see no difference.
    """
    found = _PLAIN_INSERT.fullmatch(statement.sql)
    if found is None:
        for row in rows:
            yield rendered(statement.sql, row)
        return
    limit = min(_BULK_BYTES, max_packet // 4)  # characters; one takes up to four bytes
    upsert = found["upsert"] or ""
    pieces: list[str] = []
    size = 0
    for row in rows:
        piece = found["values"] % tuple(row)
        if pieces and size + len(piece) > limit:
            yield found["start"] + ", ".join(pieces) + upsert
            pieces, size = [], 0
        pieces.append(piece)
        size += len(piece) + 2
    if pieces:
        yield found["start"] + ", ".join(pieces) + upsert


_NAME = r"(?:\w+|`[^`%]+`)"
_PLAIN_INSERT = re.compile(
    rf"(?P<start>\s*INSERT\s+(?:INTO\s+)?{_NAME}(?:\.{_NAME})?\s*\(\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\)\s*VALUES\s*)"
    r"(?P<values>\(\s*%s(?:\s*,\s*%s)*\s*\))"
    r"(?P<upsert>\s*ON\s+DUPLICATE\s+KEY\s+UPDATE\s(?:(?!SELECT)[^%;'\"#])*)?"
    r"\s*;?\s*",  # a text from a file ends with its semicolon
    re.IGNORECASE,
)


async def change_many(connection: Connection, statement: Statement, rows: Sequence[Sequence[str]]) -> None:
    """Run *statement* once for each of *rows*."""
    for text in bulk(statement, rows, connection.max_packet):
        await connection.run(text)


async def run_all(connection: Connection, texts: Sequence[str]) -> None:
    """Run *texts* in turn."""
    for text in texts:
        await connection.run(text)


def script(text: str) -> list[str]:
    """Return the statements of *text*."""
    return split_statements(text, MYSQL)


class Cursor:
    """The rows of one statement, a batch at a time, in memory one batch."""

    def __init__(self, connection: Connection, text: str, batch_size: int) -> None:
        self._connection = connection
        self._text = text
        self._batch_size = batch_size
        self._cursor: Any = None
        self.ended = False

    async def next_rows(self) -> Rows:
        """Return the next batch, an empty one at the end."""
        if self.ended:
            return Rows((), [])
        if self._cursor is None:
            self._cursor = await self._connection.start(self._text)
        rows = await self._connection.more(self._cursor, self._batch_size)
        self.ended = len(rows) < self._batch_size
        return Rows(tuple([column[0] for column in self._cursor.description or ()]), rows)

    async def skip(self) -> None:
        """Read what is left and forget it: the protocol has no other way to end a result."""
        while self._cursor is not None and not self.ended:
            self.ended = len(await self._connection.more(self._cursor, 1000)) < 1000
