"""Reads the form of a query file: where each query begins, what its header says.

    Text before the first name is the file's own header; it is free.

    -- name: by_hash(content_hash: text) :one
    -- returns: ContentMetadata
    -- Other comment lines are the query's documentation.
    SELECT ...

The kind may also be one of aiosql's suffixes, before or after the list of parameters. The list may
go on over several comment lines until its bracket is closed; without a list, the parameters are those
found in the text.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from difflib import get_close_matches

from dal.errors import QueryFileError
from dal.queries.query import KINDS
from dal.queries.statement import Parameter
from dal.values import ParameterType

HEADERS = ("returns", "reads", "writes", "cache", "session")
SUFFIXES = {"^": "one", "$": "value", "!": "affected", "<!": "one", "*!": "batch", "#": "script"}

_ALIASES = {"record_class": "returns"}
_NAME_LINE = re.compile(r"\s*--\s*name\s*:(?P<rest>.*)")
_COMMENT_LINE = re.compile(r"\s*--[ \t]?(?P<text>.*)")
_HEADER = re.compile(r"(?P<key>[A-Za-z][A-Za-z_-]*)\s*:(?P<value>.*)")
_KIND = r":\s*\w+|<!|\*!|[\^$!#]"
_DECLARATION = re.compile(
    rf"\s*(?P<name>[^\s()^$!<*#:]+)"
    rf"\s*(?P<before>{_KIND})?"
    rf"\s*(?:\((?P<parameters>(?:[^()]|\([^()]*\))*)\))?"
    rf"\s*(?P<after>{_KIND})?\s*"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One query as a file has it.

    Attributes:
        path: The file.
        line: 1-based line of the name.
        name: Its name; dashes have become underscores.
        kind: One of `KINDS`.
        parameters: The declared ones, None if there is no list.
        headers: The value of each header and its line.
        doc: The other comment lines.
        body: The SQL, from its first line that is no comment to its last.
        body_line: The line of the body's first character.
    """

    path: str
    line: int
    name: str
    kind: str
    parameters: tuple[Parameter, ...] | None
    headers: dict[str, tuple[str, int]]
    doc: str
    body: str
    body_line: int

    def error(self, message: str, *, line: int | None = None) -> QueryFileError:
        """Return the error for this query, at its own line unless another is given."""
        return QueryFileError(message, path=self.path, line=line or self.line, query=self.name)

    def line_at(self, offset: int) -> int:
        """Return the line of the file at this offset of the body."""
        return self.body_line + self.body.count("\n", 0, offset)


def read_entries(text: str, path: str) -> list[Entry]:
    """Return the queries of the file *path*, whose content is *text*.

    Raises:
        QueryFileError: A header cannot be read, or there is no query.
    """
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if _NAME_LINE.match(line)]
    if not starts:
        raise QueryFileError("no query in it; each begins with a line `-- name: ...`", path=path, line=1)
    ends = [*starts[1:], len(lines)]
    return [_Block(path, lines, start, end).entry() for start, end in zip(starts, ends, strict=True)]


class _Block:
    """The lines of one query, read from the first to the last."""

    def __init__(self, path: str, lines: list[str], start: int, end: int) -> None:
        self.path = path
        self.lines = lines
        self.start = start
        self.next = start  # index of the next line to read
        self.end = end
        self.name: str | None = None

    def entry(self) -> Entry:
        name, kind, parameters = self.declaration()
        headers, doc = self.comments()
        end = self.end
        while end > self.next and self.is_comment_or_blank(end - 1):
            end -= 1  # what is left belongs to the next query, or to no one
        body = "\n".join(self.lines[self.next : end])
        return Entry(self.path, self.start + 1, name, kind, parameters, headers, doc, body, self.next + 1)

    def declaration(self) -> tuple[str, str, tuple[Parameter, ...] | None]:
        """Read the line of the name, and those on which its list of parameters goes on."""
        match = _NAME_LINE.match(self.lines[self.next])
        text = match["rest"] if match else ""
        self.next += 1
        while text.count("(") > text.count(")") and self.next < self.end:
            comment = _COMMENT_LINE.match(self.lines[self.next])
            if comment is None:
                break
            text += " " + comment["text"]
            self.next += 1
        parts = _DECLARATION.fullmatch(text)
        if parts is None:
            raise self.error(
                f"cannot read `{text.strip()}`; the form is `-- name: by_hash(content_hash: text) :one`"
            )
        self.name = self.checked_name(parts["name"])
        if parts["before"] and parts["after"]:
            raise self.error(f"two kinds, {parts['before']} and {parts['after']}; leave one")
        kind = self.checked_kind(parts["before"] or parts["after"])
        return self.name, kind, self.parameters(parts["parameters"])

    def checked_name(self, text: str) -> str:
        name = text.replace("-", "_")
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise self.error(
                f"{text!r} cannot be a query's name; use letters, digits and underscores, "
                "a letter first, and no keyword of Python"
            )
        return name

    def checked_kind(self, text: str | None) -> str:
        if text is None:
            return "many"
        if not text.startswith(":"):
            return SUFFIXES[text]
        kind = text[1:].strip()
        if kind not in KINDS:
            raise self.error(f"unknown kind :{kind}; known are {', '.join(f':{k}' for k in KINDS)}")
        return kind

    def parameters(self, text: str | None) -> tuple[Parameter, ...] | None:
        if text is None:
            return None
        found: dict[str, Parameter] = {}
        for item in text.split(",") if text.strip() else ():
            name, colon, declared = (part.strip() for part in item.partition(":"))
            if not name.isidentifier():
                raise self.error(f"cannot read the parameter {item.strip()!r}; write `name` or `name: type`")
            if name in found:
                raise self.error(f"the parameter {name} is declared twice")
            try:
                found[name] = Parameter(name, ParameterType.parse(declared) if colon else None)
            except ValueError as error:
                raise self.error(f"parameter {name}: {error}") from None
        return tuple(found.values())

    def comments(self) -> tuple[dict[str, tuple[str, int]], str]:
        """Read the headers and the documentation, up to the first line of SQL."""
        headers: dict[str, tuple[str, int]] = {}
        doc: list[str] = []
        while self.next < self.end and self.is_comment_or_blank(self.next):
            comment = _COMMENT_LINE.match(self.lines[self.next])
            text = comment["text"].rstrip() if comment else ""
            self.next += 1
            header = _HEADER.fullmatch(text.strip())
            key = self.header_key(header["key"]) if header else None
            if header is None or key is None:
                doc.append(text)
                continue
            value = header["value"].strip()
            if not value:
                raise self.error(f"the header `{header['key']}:` is empty", line=self.next)
            if key in headers:
                raise self.error(
                    f"a second header `{key}:`; the first is in line {headers[key][1]}", line=self.next
                )
            if key == "session" and value != "clean":
                raise self.error(
                    f"`session: {value}` means nothing; there is `session: clean`", line=self.next
                )
            headers[key] = (value, self.next)
        return headers, "\n".join(doc).strip()

    def header_key(self, text: str) -> str | None:
        """Return the header that *text* names, None if it is the beginning of a sentence."""
        if text in HEADERS:
            return text
        if text in _ALIASES:
            return _ALIASES[text]
        known = (*HEADERS, *_ALIASES, "name")
        close = get_close_matches(text.lower(), known, n=1, cutoff=0.8)
        if close:
            raise self.error(
                f"unknown header `{text}:`; did you mean `{close[0]}:`? "
                "(If it is a sentence, begin it with another word.)",
                line=self.next,
            )
        return None

    def is_comment_or_blank(self, index: int) -> bool:
        line = self.lines[index].strip()
        return not line or line.startswith("--")

    def error(self, message: str, *, line: int | None = None) -> QueryFileError:
        return QueryFileError(message, path=self.path, line=line or self.start + 1, query=self.name)
