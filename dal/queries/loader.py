"""Reads `.sql` files into `Queries`, and checks all that can be checked without a database.

A file ``<stem>.sql`` holds texts for every engine, ``<stem>.<engine>.sql`` those of one engine. A name
may have a shared text and variants, or variants alone; its parameters, kind and result are the same
in all of them. A shared text must read alike under the rules of every engine that has to use it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from pydantic import JsonValue

from dal.errors import QueryError, QueryFileError, QueryNotFound
from dal.queries.dialects import DIALECTS, Dialect
from dal.queries.headers import Entry, read_entries
from dal.queries.query import CachePolicy, Query, position_of
from dal.queries.scanner import Scan, scan
from dal.queries.statement import Parameter, TextError, resolve_parameters
from dal.values import JsonColumn, ParameterType, Scale, UtcDatetime

Models = Mapping[str, type] | Iterable[type]

VALUE_TYPES: Mapping[str, Any] = {
    "text": str,
    "int": int,
    "float": float,
    "bool": bool,
    "bytes": bytes,
    "date": date,
    "timestamp": UtcDatetime,
    "uuid": UUID,
    "json": Annotated[JsonValue, JsonColumn],
}
"""What ``returns`` may name for the kind ``value``, apart from a model and ``decimal(SCALE)``."""

_CACHE = re.compile(r"(?P<family>[A-Za-z_][A-Za-z0-9_-]*)(?:\s+ttl=(?P<ttl>[1-9][0-9]{0,8}))?")
_TABLE = re.compile(r"[a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*)?")

NO_ROWS = frozenset(("affected", "batch", "script"))


class Queries:
    """Queries by name: ``queries.by_hash`` or ``queries["by_hash"]``, in the order of their files.

    It has no public attributes of its own, so that every name is free for a query.
    """

    def __init__(self, queries: Iterable[Query[Any]], files: Iterable[str] = ()) -> None:
        """Collect *queries*; *files* is where they come from, for the error about an unknown name."""
        self._queries = {query.name: query for query in queries}
        self._files = tuple(files)
        # Found there, a query costs no call; what is not there goes on to __getattr__.
        vars(self).update((name, query) for name, query in self._queries.items() if name)

    def __getattr__(self, name: str) -> Query[Any]:
        if name.startswith("_"):  # no query has such a name; `copy` and `pickle` ask for some
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self[name]

    def __getitem__(self, name: str) -> Query[Any]:
        query = self._queries.get(name)
        if query is None:
            close = get_close_matches(name, [known for known in self._queries if known])
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            files = ", ".join(self._files)
            raise QueryNotFound(f"no query {name!r}; {hint}{len(self)} were read from {files}")
        return query

    def __contains__(self, name: object) -> bool:
        return name in self._queries

    def __iter__(self) -> Iterator[Query[Any]]:
        return iter(self._queries.values())

    def __len__(self) -> int:
        return len(self._queries)

    def __repr__(self) -> str:
        return f"<Queries: {len(self)} from {', '.join(self._files)}>"


def load_queries(*paths: str | os.PathLike[str], models: Models = ()) -> Queries:
    """Read query files.

    Args:
        paths: Files, and directories whose ``*.sql`` files are read, except ``schema.*`` and ``adopt.*``.
        models: The classes that ``returns`` may name: by name, or an iterable of classes.

    Raises:
        QueryFileError: A file cannot be read, or is wrong; the error says where.
    """
    known = _models_by_name(models)
    files = [file for path in paths for file in _query_files(Path(path))]
    entries: dict[str, dict[str | None, Entry]] = {}
    for file in files:
        engine = _engine(file)
        for entry in read_entries(_read(file), str(file)):
            texts = entries.setdefault(entry.name, {})
            if engine in texts:
                first = texts[engine]
                raise entry.error(f"this name is taken already, at {first.path}:{first.line}")
            texts[engine] = entry
    return Queries([_query(texts, known) for texts in entries.values()], map(str, files))


def _models_by_name(models: Models) -> Mapping[str, type]:
    if isinstance(models, Mapping):
        return models
    known: dict[str, type] = {}
    for model in models:
        if known.setdefault(model.__name__, model) is not model:
            raise QueryError(f"two models are called {model.__name__}; pass models= as a mapping of names")
    return known


def _query_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob("*.sql") if not file.name.startswith(("schema.", "adopt.")))
    if not files:
        raise QueryFileError("no query file (*.sql) in this directory", path=str(path), line=1)
    return files


def _engine(path: Path) -> str | None:
    """Return the engine that the file's name ends in, None for a shared file."""
    _, dot, engine = path.name.removesuffix(".sql").rpartition(".")
    if not dot:
        return None
    if engine not in DIALECTS:
        raise QueryFileError(
            f"unknown engine {engine!r} in the file's name; known are {', '.join(DIALECTS)}",
            path=str(path),
            line=1,
        )
    return engine


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise QueryFileError(f"cannot read it: {error.strerror}", path=str(path), line=1) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise QueryFileError(
            "not UTF-8; save the file in that encoding", path=str(path), line=line
        ) from error
    return text.replace("\r\n", "\n")  # the same text from every checkout


def _query(texts: Mapping[str | None, Entry], models: Mapping[str, type]) -> Query[Any]:
    """Make one query of its shared text and its variants."""
    first, *others = texts.values()
    for other in others:
        _check_agreement(first, other)
    parameters = _parameters(texts)
    returns = first.headers.get("returns")
    headers = {key: value for e in (*others[::-1], first) for key, (value, _) in e.headers.items()}
    headers.pop("returns", None)
    cache, reads, writes = _caching(texts.values())
    shared = texts.get(None)
    used = {engine: texts.get(engine, shared) for engine in DIALECTS}
    return Query(
        name=first.name,
        kind=first.kind,
        parameters=parameters,
        returns=_returned(first, *returns, models) if returns else None,
        doc=next((entry.doc for entry in texts.values() if entry.doc), ""),
        source=f"{first.path}:{first.line}",
        headers=headers,
        shared=shared.body if shared else None,
        variants={engine: entry.body for engine, entry in texts.items() if engine},
        sources={engine: f"{entry.path}:{entry.line}" for engine, entry in used.items() if entry},
        clean=[engine for engine, entry in used.items() if entry and "session" in entry.headers],
        cache=cache,
        reads=reads,
        writes=writes,
    )


def _caching(texts: Iterable[Entry]) -> tuple[CachePolicy | None, set[str], set[str]]:
    """Return what the headers say of the cache and of tables: what one text says holds for all of them."""
    policy: CachePolicy | None = None
    tables: dict[str, set[str]] = {"reads": set(), "writes": set()}
    cached: Entry | None = None
    for entry in texts:
        for header, names in tables.items():
            names |= _tables(entry, header)
        if "cache" in entry.headers:
            found = _policy(entry)
            if policy not in (None, found):
                raise entry.error("another text of this query has another header `cache:`")
            policy, cached = found, entry
    if cached is not None:
        line = cached.headers["cache"][1]
        if cached.kind in NO_ROWS or "returns" not in cached.headers:
            raise cached.error("a cached query returns rows: it has a header `returns:`", line=line)
        if not tables["reads"] or tables["writes"]:
            raise cached.error(
                "a cached query says with `reads:` which tables it reads, and has no `writes:`", line=line
            )
    return policy, tables["reads"], tables["writes"]


def _policy(entry: Entry) -> CachePolicy:
    value, line = entry.headers["cache"]
    match = _CACHE.fullmatch(value)
    if match is None:
        raise entry.error(
            f"cannot read `cache: {value}`; the form is `cache: family` or `cache: family ttl=300`", line=line
        )
    return CachePolicy(match["family"], int(match["ttl"]) if match["ttl"] else None)


def _tables(entry: Entry, header: str) -> set[str]:
    value, line = entry.headers.get(header, ("", 0))
    names = {name.strip() for name in value.split(",")} if value else set()
    for name in names:
        if _TABLE.fullmatch(name) is None:
            raise entry.error(
                f"`{header}:` takes names of tables in lower case, with commas between; not {name!r}",
                line=line,
            )
    return names


def _parameters(texts: Mapping[str | None, Entry]) -> tuple[Parameter, ...]:
    """Check every text under the rules of its engines; return the parameters, the same for all."""
    first: tuple[Entry, tuple[Parameter, ...]] | None = None
    for engine, entry in texts.items():
        if engine is None:
            users = [dialect for dialect in DIALECTS.values() if dialect.name not in texts]
            found = _check_shared(entry, users or list(DIALECTS.values()))
        else:
            dialect = DIALECTS[engine]
            found = _check_text(entry, scan(entry.body, dialect), dialect)
        if first is None:
            first = entry, found
        elif set(found) != set(first[1]):
            place = f"{first[0].path}:{first[0].line}"
            raise entry.error(
                f"its parameters are {_listed(found)}, but at {place} they are {_listed(first[1])}"
            )
    assert first is not None, "a query has at least one text"
    return first[1]


def _check_text(entry: Entry, found: Scan, dialect: Dialect) -> tuple[Parameter, ...]:
    """Check what the scanner found in a text; return its parameters."""
    if found.unclosed is not None:
        raise entry.error(
            f"a literal, quoted name or comment begins here and is never closed (as {dialect.name} reads it)",
            line=entry.line_at(found.unclosed),
        )
    if not found.statements:
        raise entry.error("no SQL follows")
    if len(found.statements) > 1 and entry.kind != "script":
        raise entry.error(
            "a second statement begins here; make it a query of its own, or declare the kind :script",
            line=entry.line_at(found.statements[1][0]),
        )
    if entry.kind == "script" and found.parameters:
        marker = found.parameters[0]
        raise entry.error(
            f"a script takes no parameters, but has :{marker.name}", line=entry.line_at(marker.start)
        )
    try:
        return resolve_parameters(entry.body, found, dialect, entry.parameters)
    except TextError as error:
        line = entry.line if error.offset is None else entry.line_at(error.offset)
        raise entry.error(str(error), line=line) from None


def _check_shared(entry: Entry, dialects: list[Dialect]) -> tuple[Parameter, ...]:
    """Check that a text for several engines is the same to all of them."""
    scans = {dialect: scan(entry.body, dialect) for dialect in dialects}
    reference = dialects[0]
    for dialect in dialects[1:]:
        offset = _first_difference(scans[reference], scans[dialect])
        if offset is not None:
            place = position_of(entry.body, offset, entry.body_line)
            raise entry.error(
                f"{dialect.name} reads this text differently from {reference.name}, beginning at {place} "
                f"({_snippet(entry.body, offset)}): quotes, backslashes or comments mean something else. "
                f"Write it otherwise, or as a variant for each engine, in files that end in "
                f".{reference.name}.sql and .{dialect.name}.sql",
                line=entry.line_at(offset),
            )
    results = [_check_text(entry, found, dialect) for dialect, found in scans.items()]
    return results[0]


def _first_difference(one: Scan, other: Scan) -> int | None:
    """Return the first place that only one of two scans has, None if they agree."""
    places = _places(one) ^ _places(other)
    return min(start for start, _ in places) if places else None


def _places(found: Scan) -> set[tuple[int, str]]:
    places = {(marker.start, f":{marker.name}") for marker in found.parameters}
    places |= {(end, ";") for _, end in found.statements}
    if found.unclosed is not None:
        places.add((found.unclosed, "unclosed"))
    return places


def _snippet(text: str, offset: int) -> str:
    return text[offset : offset + 20].partition("\n")[0] or "the end of a line"


def _check_agreement(first: Entry, other: Entry) -> None:
    place = f"{first.path}:{first.line}"
    if other.kind != first.kind:
        raise other.error(f"its kind is :{other.kind}, but at {place} it is :{first.kind}")
    (one, _), (two, line) = (e.headers.get("returns", ("not given", e.line)) for e in (first, other))
    if one != two:
        raise other.error(f"`returns:` is {two}, but at {place} it is {one}", line=line)


def _listed(parameters: Iterable[Parameter]) -> str:
    texts = []
    for parameter in parameters:
        form = str(parameter.type) if parameter.type else "a list" if parameter.many else ""
        texts.append(f"{parameter.name}: {form}" if form else parameter.name)
    return f"({', '.join(texts)})"


def _returned(entry: Entry, name: str, line: int, models: Mapping[str, type]) -> Any:
    """Return the model or type that the header names."""
    if entry.kind in NO_ROWS:
        raise entry.error(
            f"a query of kind :{entry.kind} returns no rows; remove `returns: {name}`", line=line
        )
    if name in models:
        return models[name]
    if entry.kind == "value":
        found = _value_type(name)
        if found is not None:
            return found
    known = ", ".join(models) or "none (pass them as models=)"
    if entry.kind == "value":
        known += f"; known types are {', '.join(VALUE_TYPES)}, decimal(SCALE)"
    close = get_close_matches(name, list(models), n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise entry.error(f"unknown model {name!r}{hint}; known models are {known}", line=line)


def _value_type(name: str) -> Any:
    try:
        declared = ParameterType.parse(name)
    except ValueError:
        return None
    if declared.many:
        return None
    if declared.scale is not None:
        return Annotated[Decimal, Scale(declared.scale)]
    return VALUE_TYPES[declared.kind]
