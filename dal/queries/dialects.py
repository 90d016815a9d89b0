"""What differs between the SQL dialects in how a text is read and written, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """The lexical rules of one engine's SQL.

    Attributes:
        name: Also the suffix of the engine's ``.sql`` variants.
        placeholder: ``?`` or ``%s`` for every value in turn, ``$`` for ``$1``, ``$2``, ...
        identifier_quotes: The characters that quote a name, closing ones doubled inside.
        double_quoted_text: ``"..."`` is a text literal, not a name.
        backslash_escapes: A backslash escapes the next character in every text literal.
        escape_strings: ``E'...'`` is a text literal with backslash escapes.
        dollar_quotes: ``$tag$ ... $tag$`` is a text literal.
        bracket_identifiers: ``[...]`` quotes a name; elsewhere it is a subscript.
        hash_comments: ``#`` begins a comment.
        dash_comment_needs_space: ``--`` is a comment only before white space or the end.
        nested_comments: ``/* /* */ */`` is one comment.
        comment_ends: The characters that end a comment of one line.
        own_parameters: A pattern for the engine's own ways to write a parameter; they are refused.
        question_operators: ``?`` is an operator; elsewhere it can only be a parameter.
        arrays: A list is bound as one array, and ``IN :ids`` is sent as ``= ANY($1)``; elsewhere a
            list becomes ``(?, ?, ...)``.
        empty_list: What an ``IN`` list of no values becomes; it must match nothing.
    """

    name: str
    placeholder: str
    identifier_quotes: str = '"'
    double_quoted_text: bool = False
    backslash_escapes: bool = False
    escape_strings: bool = False
    dollar_quotes: bool = False
    bracket_identifiers: bool = False
    hash_comments: bool = False
    dash_comment_needs_space: bool = False
    nested_comments: bool = False
    comment_ends: str = "\n"
    own_parameters: str = ""
    question_operators: bool = False
    arrays: bool = False
    empty_list: str = "(SELECT NULL WHERE 1 = 0)"


SQLITE = Dialect(
    name="sqlite",
    placeholder="?",
    identifier_quotes='"`',
    bracket_identifiers=True,
    own_parameters=r"\?\d+|:\d\w*|[@$]\w+",
)
POSTGRESQL = Dialect(
    name="postgresql",
    placeholder="$",
    escape_strings=True,
    dollar_quotes=True,
    nested_comments=True,
    comment_ends="\r\n",
    own_parameters=r"\$\d+",
    question_operators=True,
    arrays=True,
)
MYSQL = Dialect(
    name="mysql",
    placeholder="%s",
    identifier_quotes="`",
    double_quoted_text=True,
    backslash_escapes=True,
    hash_comments=True,
    dash_comment_needs_space=True,
    empty_list="(SELECT NULL FROM DUAL WHERE 1 = 0)",
)

DIALECTS = {dialect.name: dialect for dialect in (SQLITE, POSTGRESQL, MYSQL)}
