"""Reads SQL just far enough to tell code from literals, names and comments.

The rules of each engine come from its `Dialect`. The scanner finds ``:name`` parameters, question
marks, the first keyword and the ends of statements; all else is left alone, character for
character. It never fails: a literal or comment that is not closed runs to the end of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

from dal.queries.dialects import Dialect


@dataclass(frozen=True, slots=True)
class Marker:
    """One ``:name`` in a text.

    Attributes:
        name: The name, without its colon.
        start: Offset of the colon.
        end: Offset after the name.
        list_start: Where ``IN`` or ``NOT IN`` begins if the parameter follows it directly, and so
            stands for a list; None for a single value.
        negated: The keyword is ``NOT IN``.
    """

    name: str
    start: int
    end: int
    list_start: int | None = None
    negated: bool = False


@dataclass(slots=True)
class Scan:
    """What the scanner found in a text; all places are offsets into it.

    Attributes:
        parameters: Every ``:name``, in order.
        questions: Start and end of every ``?`` and every ``??``.
        own: Start and end of every parameter written in the engine's own way.
        statements: Start and end of each statement, comments included, its semicolon not.
        verb: The first keyword, in upper case; empty if the text has none.
        unclosed: Where a literal, a quoted name or a comment begins that is never closed.
    """

    parameters: list[Marker] = field(default_factory=list)
    questions: list[tuple[int, int]] = field(default_factory=list)
    own: list[tuple[int, int]] = field(default_factory=list)
    statements: list[tuple[int, int]] = field(default_factory=list)
    verb: str = ""
    unclosed: int | None = None


def scan(text: str, dialect: Dialect) -> Scan:
    """Return what *text* holds for *dialect*."""
    found = Scan()
    tokens = _tokens(dialect)
    statement = _Statement(0)
    last, last_but_one = ("", 0), ("", 0)  # the two tokens before: a keyword, or "", and its offset
    subscripts = 0
    position = 0
    while position < len(text):
        start = position
        match = tokens.match(text, start)
        assert match is not None, "the last alternative takes any character"
        kind, position = match.lastgroup, match.end()
        if kind == "nested":
            closed, position = _nested_comment(text, position)
            kind = "comment" if closed else "unclosed"
        if kind == "unclosed":
            found.unclosed = start
        if kind in ("space", "comment", "unclosed"):
            continue
        if kind == "semicolon" and statement.ends_here():
            statement.finish(found.statements, text, start)
            statement = _Statement(position)
            continue
        statement.filled = True
        word = ""
        if kind == "word":
            word = match.group().upper()
            found.verb = found.verb or word
            statement.see(word, last[0])
        elif kind == "parameter":
            if subscripts and _SLICED.match(text[start - 1]):
                position = start + 1  # the colon of a slice: a[lower:upper]
            elif last[0] == "IN":
                negated = last_but_one[0] == "NOT"
                list_start = last_but_one[1] if negated else last[1]
                found.parameters.append(Marker(match.group()[1:], start, position, list_start, negated))
            else:
                found.parameters.append(Marker(match.group()[1:], start, position))
        elif kind == "own":
            found.own.append((start, position))
        elif kind == "question":
            found.questions.append((start, position))
        elif kind == "bracket":
            character = match.group()
            statement.parentheses += (character == "(") - (character == ")")
            subscripts = max(0, subscripts + (character == "[") - (character == "]"))
        last, last_but_one = (word, start), last
    statement.finish(found.statements, text, len(text))
    return found


def split_statements(text: str, dialect: Dialect) -> list[str]:
    """Return the statements of *text*, cut at the semicolons between them.

    The body of a trigger or routine stays whole. A piece without code is left out.
    """
    return [text[start:end] for start, end in scan(text, dialect).statements]


_SLICED = re.compile(r"[\w)\]'\"]")
_ROUTINES = frozenset(("TRIGGER", "FUNCTION", "PROCEDURE", "EVENT"))
_ENDED_BY_NAME = frozenset(("IF", "LOOP", "WHILE", "REPEAT", "FOR"))  # END IF closes no BEGIN


class _Statement:
    """Where one statement ends: not within parentheses, nor between BEGIN and END of a routine."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.filled = False
        self.parentheses = 0
        self._first = ""
        self._routine = False
        self._blocks = 0

    def see(self, word: str, before: str) -> None:
        """Take note of *word*, which follows the word *before*, or of what else if that is empty."""
        if not self._first:
            self._first = word
        elif self._first == "CREATE" and word in _ROUTINES:
            self._routine = True
        if not self._routine:
            return
        if word == "END":
            self._blocks -= 1
        elif word == "BEGIN" or (word in _ENDED_BY_NAME if before == "END" else word == "CASE"):
            self._blocks += 1

    def ends_here(self) -> bool:
        """Tell whether a semicolon at this place ends the statement."""
        return self._blocks <= 0 and self.parentheses <= 0

    def finish(self, statements: list[tuple[int, int]], text: str, end: int) -> None:
        """Add the statement to *statements*, without the white space around it, if it has code."""
        if self.filled:
            piece = text[self.start : end]
            start = self.start + len(piece) - len(piece.lstrip())
            statements.append((start, start + len(piece.strip())))


_COMMENT_EDGE = re.compile(r"/\*|\*/")


def _nested_comment(text: str, position: int) -> tuple[bool, int]:
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return True, edge.end()
    return False, len(text)


_WORD = r"[0-9A-Za-z_\x80-\U0010ffff][0-9A-Za-z_$\x80-\U0010ffff]*"
_TAG = r"(?:[A-Za-z_\x80-\U0010ffff][0-9A-Za-z_\x80-\U0010ffff]*)?"


@cache
def _tokens(dialect: Dialect) -> re.Pattern[str]:
    """The pattern of one token; of its alternatives the first that fits is taken."""
    names = dialect.identifier_quotes
    texts = "'\"" if dialect.double_quoted_text else "'"
    literals = [_quoted(quote, backslash=dialect.backslash_escapes) for quote in texts]
    literals += [_quoted(quote) for quote in names]
    openers = list(texts + names)
    if dialect.escape_strings:
        string = _quoted("'", backslash=True)
        # A literal goes on, by the same rules, in the next line.
        literals.append(rf"[eE]{string}(?:[^\S\n]*+\n\s*+{string})*+")
        openers.append("[eE]'")
    if dialect.dollar_quotes:
        literals.append(rf"\$(?P<tag>{_TAG})\$.*?\$(?P=tag)\$")
        openers.append(rf"\${_TAG}\$")
    if dialect.bracket_identifiers:
        literals.append(r"\[[^\]]*+\]")
        openers.append(r"\[")
    dashes = r"--(?=[\s\x00-\x20]|\Z)" if dialect.dash_comment_needs_space else "--"
    comments = [f"{start}[^{dialect.comment_ends}]*+" for start in (dashes, *"#" * dialect.hash_comments)]
    if not dialect.nested_comments:
        comments.append(r"/\*.*?\*/")
        openers.append(r"/\*")
    alternatives = {
        "space": r"\s+",
        "comment": "|".join(comments),
        "nested": r"/\*" if dialect.nested_comments else "",
        "literal": "|".join(literals),
        "unclosed": f"(?:{'|'.join(openers)}).*",
        "word": _WORD,
        "cast": "::",
        "parameter": r":[A-Za-z_]\w*",
        "own": dialect.own_parameters,
        "question": r"\?\??",
        "bracket": r"[()\[\]]",
        "semicolon": ";",
        "other": ".",
    }
    pattern = "|".join(f"(?P<{name}>{rule})" for name, rule in alternatives.items() if rule)
    return re.compile(pattern, re.DOTALL)


def _quoted(quote: str, *, backslash: bool = False) -> str:
    # Possessive, so that an unclosed literal is found out in one pass.
    if backslash:
        return rf"{quote}[^{quote}\\]*+(?:(?:\\.|{quote}{quote})[^{quote}\\]*+)*+{quote}"
    return f"{quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}"
