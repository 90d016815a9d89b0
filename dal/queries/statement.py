"""A query compiled for one engine, and the binding of values to it.

Compiling happens once; `Statement.bind` runs at every call, so all that can be known beforehand is
laid out in tables, and errors are looked into only after the short way has failed. What the text
of a statement becomes:

- ``:name`` and, in a text called with a sequence, ``?`` become the engine's placeholder; ``??`` then
  becomes the operator ``?``. In a text called with a mapping ``?`` and ``??`` stay as they are.
- ``IN :ids`` becomes ``IN (?, ?)``. The list is filled up to the next power of two with its last value,
  so that the number of different texts stays small. Engines with arrays get ``= ANY($1)`` instead.
- For drivers that take ``%s``, every ``%`` of the text is doubled if there is a placeholder. Without
  one the text is left as it is: the driver must then be called without arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from operator import is_, itemgetter
from typing import Any

from dal.errors import DataError, ParameterError
from dal.queries.dialects import Dialect
from dal.queries.scanner import Marker, Scan
from dal.values import KINDS, Encoders, ParameterType, encode_column, kinds_kept

Params = Mapping[str, Any] | Sequence[Any]
EncodersOf = Callable[[ParameterType | None], Encoders]

LIST_TYPES = (list, tuple, set, frozenset)
MAX_PADDED = 16_384  # SQLite takes 32,766 values; the next power of two would be beyond them
MAX_TEXTS = 256


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a query.

    Attributes:
        name: Its name, without the colon.
        type: The type that the header gives it, None if it gives none.
        many: True if it takes a list.
    """

    name: str
    type: ParameterType | None = None
    many: bool = False


class TextError(Exception):
    """A text that cannot be compiled; *offset* is the place in it, None for the text as a whole."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


def resolve_parameters(
    text: str, found: Scan, dialect: Dialect, declared: Sequence[Parameter] | None
) -> tuple[Parameter, ...]:
    """Return the parameters of a text with ``:names``, checked against those that are *declared*.

    Raises:
        TextError: They do not fit each other, or *dialect*.
    """
    _refuse_own(text, found, dialect)
    if found.questions and not dialect.question_operators:
        raise TextError(
            f"a bare ? is a parameter for {dialect.name}: write it as :name, "
            "or give the text as a string and call it with a sequence",
            found.questions[0][0],
        )
    names = tuple(dict.fromkeys(marker.name for marker in found.parameters))
    if declared is None:
        declared = tuple(Parameter(name) for name in names)
    known = {parameter.name: parameter for parameter in declared}
    for marker in found.parameters:
        if marker.name not in known:
            raise TextError(
                f":{marker.name} is not declared{_nearest(marker.name, known)}; add it to the header's list",
                marker.start,
            )
    for name in known:
        if name not in names:
            raise TextError(f"the declared parameter {name} is not in the text{_nearest(name, names)}")
    return tuple(
        _resolve(parameter, [m for m in found.parameters if m.name == parameter.name], dialect)
        for parameter in declared
    )


def _resolve(parameter: Parameter, markers: list[Marker], dialect: Dialect) -> Parameter:
    """Tell from its uses in the text whether *parameter* takes a list."""
    name, declared = parameter.name, parameter.type
    lists = [marker for marker in markers if marker.list_start is not None]
    singles = [marker for marker in markers if marker.list_start is None]
    if declared is not None and declared.many:
        if singles and not dialect.arrays:
            raise TextError(
                f"{name} is declared as {declared}, and {dialect.name} takes a list only directly after IN: "
                f"write IN :{name}, without parentheses",
                singles[0].start,
            )
        return replace(parameter, many=True)
    if lists and declared is not None:
        raise TextError(
            f"{name} is declared as {declared}, and IN :{name} takes a list: declare it as "
            f"{declared}[], or write IN (:{name}) for a single value",
            lists[0].start,
        )
    if lists and singles:
        raise TextError(
            f"{name} is a list in IN :{name} and a single value elsewhere: use two parameters",
            singles[0].start,
        )
    return replace(parameter, many=bool(lists))


def _refuse_own(text: str, found: Scan, dialect: Dialect) -> None:
    if found.own:
        start, end = found.own[0]
        raise TextError(
            f"{text[start:end]} is a parameter of {dialect.name}'s own kind: use :name, or ? with a sequence",
            start,
        )


def check_positional(text: str, found: Scan, dialect: Dialect) -> None:
    """Raise `TextError` unless *text* can be called with a sequence."""
    _refuse_own(text, found, dialect)
    if found.parameters:
        names = ", ".join(dict.fromkeys(marker.name for marker in found.parameters))
        raise TextError(
            f"the text takes its parameters by name: call it with a mapping of {names}, not with a sequence",
            found.parameters[0].start,
        )


class Statement:
    """The text of a query for one engine, ready to take values.

    Attributes:
        sql: The text as the driver takes it; a list in it has one placeholder.
        query: The query's name, None for a query given as a string.
        verb: The first keyword in upper case: ``SELECT``, ``WITH``, ``CREATE``; empty if there is none.
        writes: Set by the engine: the statement changes the database.
        alone: Set by the engine: the statement must not share a transaction.
        invalidates: The tables that the header ``writes`` names; cached answers of them end with a run.
        clean: The header says ``session: clean``: no run of it leaves a state behind in its session.
    """

    __slots__ = (
        "_count",
        "_dialect",
        "_elements",
        "_label",
        "_parameters",
        "_pieces",
        "_positional",
        "_shapes",
        "_slots",
        "_spread",
        "_texts",
        "_values_of",
        "alone",
        "clean",
        "invalidates",
        "query",
        "sql",
        "verb",
        "writes",
    )

    def __init__(
        self,
        text: str,
        found: Scan,
        dialect: Dialect,
        encoders: EncodersOf,
        *,
        query: str | None = None,
        parameters: Sequence[Parameter] | None = (),
    ) -> None:
        """Compile *text*, which the caller has checked.

        Args:
            text: The text of one statement.
            found: What the scanner found in it for *dialect*.
            dialect: The engine's rules.
            encoders: The engine's table of encoders for a declared type, and for None.
            query: The query's name.
            parameters: The query's parameters, None for a text called with a sequence.
        """
        self.query = query
        self.verb = found.verb
        self.writes = False
        self.alone = False
        self.clean = False
        self.invalidates: frozenset[str] = frozenset()
        self._dialect = dialect
        self._label = "the statement" if query is None else f"query {query}"
        self._positional = parameters is None
        self._parameters = {parameter.name: parameter for parameter in parameters or ()}
        self._texts: dict[tuple[int, ...], str] = {}
        if parameters is None:
            self._pieces, names = _cut_questions(text, found)
            table = dict(encoders(None))
            self._elements: dict[str, Encoders] = {name: table for name in names}  # noqa: C420  shared and never changed
            self._shapes: frozenset[type] = frozenset((tuple, list))
        else:
            self._pieces, names = _cut_names(text, found, dialect)
            self._elements = {p.name: _restricted(p.type, encoders) for p in parameters}
            self._shapes = frozenset((dict,))
        many = {parameter.name for parameter in parameters or () if parameter.many}
        tables = {**self._elements, **{name: _list_table(self._elements[name]) for name in many}}
        slots = tuple(dict.fromkeys(names)) if dialect.placeholder == "$" else tuple(names)
        self._slots = tuple((name, tables[name]) for name in slots)
        self._values_of: Callable[[Any], tuple[Any, ...]] = tuple if parameters is None else _values_of(slots)
        self._count = len(self._elements)
        spread = tuple(name in many and not dialect.arrays for name in slots)
        self._spread = spread if any(spread) else ()
        self.sql = self._render(names, [1 if name in many else None for name in names])

    def bind(self, params: Params = ()) -> tuple[str, tuple[Any, ...]]:
        """Return the text and the values as the driver takes them.

        Args:
            params: A mapping with a value for every ``:name`` and no others, or a sequence with one
                for every ``?``. A query without parameters takes an empty one of either kind.

        Raises:
            ParameterError: A name is missing or superfluous, the count is wrong, or a value's type
                does not fit.
            DataError: A value cannot be stored exactly as it is. Nothing was sent.
        """
        if type(params) not in self._shapes:
            params = self._fit(params)
        given: Any = params
        args: tuple[Any, ...] | None
        try:
            if self._positional:
                args = tuple([table[type(v)](v) for (_, table), v in zip(self._slots, given, strict=True)])
            else:
                args = tuple([table[type(v := given[name])](v) for name, table in self._slots])
        except (KeyError, ValueError, DataError):
            args = None
        if args is None or len(given) != self._count:
            args = self._bind_slowly(given)
        if self._spread:
            return self._spread_lists(args)
        return self.sql, args

    def bind_many(self, rows: Sequence[Params], first: int = 1) -> list[tuple[Any, ...]]:
        """Return the values that `bind` returns for each of *rows*; not for a text that spreads lists.

        Rows of the common shape are checked and encoded a column at a time. If there is anything else
        about one of them, each is bound by itself, which also finds the first that is wrong.

        Args:
            rows: What `bind` takes, for every row.
            first: The number of the first of *rows*, for errors.

        Raises:
            ParameterError: As `bind`, with the number of the row.
            DataError: As `bind`, with the number of the row.
        """
        try:
            if self._shapes.issuperset(map(type, rows)) and set(map(len, rows)) == {self._count}:
                return self._encoded(list(map(self._values_of, rows)))
        except (KeyError, ValueError, DataError):
            pass
        bound = []
        for number, params in enumerate(rows, first):
            try:
                bound.append(self.bind(params)[1])
            except (ParameterError, DataError) as error:
                error.args = (f"row {number}: {error.args[0]}",)
                raise
        return bound

    def _encoded(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        columns = list(zip(*rows, strict=True))
        encoded = [
            encode_column(table, column) for (_, table), column in zip(self._slots, columns, strict=True)
        ]
        return rows if all(map(is_, encoded, columns)) else list(zip(*encoded, strict=True))

    @property
    def names(self) -> tuple[str, ...]:
        """What each of the values that `bind` returns is called; a list spread over several counts once."""
        return tuple(name for name, _ in self._slots)

    @property
    def kinds(self) -> tuple[frozenset[type] | None, ...]:
        """The exact types that each of the values may have, None apart; None where it is not known."""
        return tuple(kinds_kept(table) for _, table in self._slots)

    @property
    def spreads_lists(self) -> bool:
        """True if a list becomes as many placeholders as it has values, so that the text depends on them."""
        return bool(self._spread)

    def __repr__(self) -> str:
        return f"<Statement {self.query or self.verb} for {self._dialect.name}>"

    def _spread_lists(self, args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        flat: list[Any] = []
        sizes: list[int | None] = []
        for value, is_list in zip(args, self._spread, strict=True):
            if is_list:
                size = _padded(len(value))
                flat += value
                flat += value[-1:] * (size - len(value))
                sizes.append(size)
            else:
                flat.append(value)
                sizes.append(None)
        key = tuple(size for size in sizes if size is not None)
        sql = self._texts.get(key)
        if sql is None:
            sql = self._render([name for name, _ in self._slots], sizes)
            if len(self._texts) < MAX_TEXTS:
                self._texts[key] = sql
        return sql, tuple(flat)

    def _render(self, names: Sequence[str], sizes: Sequence[int | None]) -> str:
        """Return the text with a placeholder for each of *names*, or with a list of its size."""
        dialect, pieces = self._dialect, self._pieces
        mark = dialect.placeholder
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names), 1)}
        if mark == "%s" and any(size != 0 for size in sizes):
            pieces = [piece.replace("%", "%%") for piece in pieces]
        parts = [pieces[0]]
        for name, size, piece in zip(names, sizes, pieces[1:], strict=True):
            if mark == "$":
                parts.append(f"${numbers[name]}")
            elif size is None:
                parts.append(mark)
            else:
                parts.append(f"({', '.join([mark] * size)})" if size else dialect.empty_list)
            parts.append(piece)
        return "".join(parts)

    # From here on: a call that did not go the short way, mostly because it is wrong.

    def _fit(self, params: object) -> Params:
        """Return *params* as a dict or tuple, whichever the statement takes."""
        empty = not self._count and isinstance(params, (Mapping, Sequence)) and not params
        if self._positional:
            if empty:
                return ()
            if isinstance(params, Sequence) and not isinstance(params, (str, bytes, bytearray)):
                return tuple(params)
            wanted = f"a sequence of {self._count} values, one for each ?"
        else:
            if empty:
                return {}
            if isinstance(params, Mapping):
                return dict(params)
            wanted = f"a mapping of {', '.join(self._elements) or 'nothing'}"
        raise ParameterError(f"{self._label} takes {wanted}; a {type(params).__name__} was given")

    def _bind_slowly(self, params: Params) -> tuple[Any, ...]:
        if isinstance(params, Mapping):
            self._check_names(params)
            return tuple(self._encode(name, params[name]) for name, _ in self._slots)
        if len(params) != self._count:
            hint = "; the operator ? is written ??" if self._dialect.question_operators else ""
            raise ParameterError(f"{self._label} takes {self._count} values, {len(params)} were given{hint}")
        return tuple(self._encode(name, value) for (name, _), value in zip(self._slots, params, strict=True))

    def _check_names(self, params: Mapping[str, Any]) -> None:
        missing = [name for name in self._elements if name not in params]
        extra = [str(name) for name in params if name not in self._elements]
        problems = []
        if missing:
            problems.append(f"no value for {', '.join(missing)}")
        if extra:
            problems.append(f"no such parameter as {', '.join(extra)}")
        if problems:
            takes = ", ".join(self._elements) or "no parameters"
            raise ParameterError(f"{self._label}: {'; '.join(problems)}. It takes {takes}")

    def _encode(self, name: str, value: object) -> Any:
        parameter = self._parameters.get(name)
        if parameter is None or not parameter.many:
            return self._encode_one(name, value)
        if not isinstance(value, LIST_TYPES):
            raise ParameterError(
                f"{self._label}: parameter {name} takes a list, tuple or set, not a {type(value).__name__}"
            )
        return [self._encode_one(name, element) for element in value]

    def _encode_one(self, name: str, value: object) -> Any:
        table = self._elements[name]
        encoder = table.get(type(value))
        if encoder is None:
            if isinstance(value, Enum):
                return self._encode_one(name, value.value)
            raise ParameterError(f"{self._label}: parameter {name} {self._misfit(name, type(value))}")
        try:
            return encoder(value)
        except DataError as error:
            message = f"parameter {name}: {error.args[0]}"
            raise type(error)(message, code=error.code, query=self.query, sent=False) from None

    def _misfit(self, name: str, given: type) -> str:
        parameter = self._parameters.get(name, Parameter(name))
        takes = ", ".join(sorted(t.__name__ for t in self._elements[name] if t is not type(None)))
        if parameter.type is not None:
            takes = f"{replace(parameter.type, many=False)} ({takes} or None)"
        if issubclass(given, LIST_TYPES) and not parameter.many:
            name = "name" if self._positional else name
            return (
                f"takes one value, not a {given.__name__}: for a list write IN :{name} in the text, without "
                "parentheses, and call it with a mapping; for JSON wrap the value in Json(...)"
            )
        if given is Decimal and parameter.type is None:
            return "was given a Decimal, which needs its scale: declare it as decimal(SCALE) in a header"
        hint = ", wrapped in Json(...) if it is to be stored as JSON" if issubclass(given, dict) else ""
        return f"takes {takes}; a {given.__name__} was given{hint}"


def _cut_names(text: str, found: Scan, dialect: Dialect) -> tuple[list[str], list[str]]:
    """Return the pieces of *text* around its parameters, and their names."""
    pieces: list[str] = []
    piece, position = "", 0
    for marker in found.parameters:
        if marker.list_start is None or not dialect.arrays:
            pieces.append(piece + text[position : marker.start])
            piece = ""
        else:
            operator = "<> ALL(" if marker.negated else "= ANY("
            pieces.append(piece + text[position : marker.list_start] + operator)
            piece = ")"
        position = marker.end
    pieces.append(piece + text[position:])
    return pieces, [marker.name for marker in found.parameters]


def _cut_questions(text: str, found: Scan) -> tuple[list[str], list[str]]:
    """Return the pieces of *text* around every ``?``, and their numbers; ``??`` becomes ``?``."""
    pieces: list[str] = []
    piece, position = "", 0
    for start, end in found.questions:
        piece += text[position:start]
        if end - start == 2:
            piece += "?"
        else:
            pieces.append(piece)
            piece = ""
        position = end
    pieces.append(piece + text[position:])
    return pieces, [str(number) for number in range(1, len(pieces))]


def _restricted(declared: ParameterType | None, encoders: EncodersOf) -> Encoders:
    """Return the encoders of the Python types that *declared* takes."""
    if declared is None:
        return dict(encoders(None))
    table = encoders(replace(declared, many=False))
    return {t: table[t] for t in (*KINDS[declared.kind], type(None)) if t in table}


def _values_of(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda given: tuple([given[name] for name in names])


def _list_table(table: Encoders) -> Encoders:
    def encode_all(values: Iterable[Any]) -> list[Any]:
        return [table[type(value)](value) for value in values]

    return dict.fromkeys(LIST_TYPES, encode_all)


def _padded(count: int) -> int:
    if count == 0 or count > MAX_PADDED:
        return count
    return 1 << (count - 1).bit_length()


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
