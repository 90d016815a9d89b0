"""A query: one name, and its text for every engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from dal.errors import ParameterError, QueryError, QueryNotFound, StatementRefused
from dal.queries.dialects import DIALECTS, Dialect
from dal.queries.scanner import Scan, scan
from dal.queries.statement import (
    EncodersOf,
    Parameter,
    Statement,
    TextError,
    check_positional,
    resolve_parameters,
)

RowT = TypeVar("RowT")

KINDS = ("one", "first", "many", "value", "affected", "batch", "script")


class CachePolicy(NamedTuple):
    """What ``cache: search_results ttl=300`` says.

    Attributes:
        family: The name of the key family under which answers are kept.
        ttl: Seconds for which they are, None for the family's own.
    """

    family: str
    ttl: int | None


class Query(Generic[RowT]):
    """A query from a file, or a text given as a string.

    Attributes:
        name: Its name, None for a text given as a string.
        kind: One of `KINDS`, None for a text given as a string.
        parameters: In the order of the header, or of the text if the header has no list. Empty for a
            text given as a string: which parameters it has is known per engine only.
        returns: The model of a row, or for the kind ``value`` the type of the value (which may be an
            annotated one, for Pydantic's `TypeAdapter`). None if the file names none.
        doc: The comment under the name.
        source: ``path:line`` of the name.
        headers: The other headers, as text: ``reads``, ``writes``, ``cache``, ``session``.
        cache: How a manager that has a cache keeps its answers, None if they are not kept.
        reads: The tables that ``reads`` names, in order; those of a cached query are all that it reads.
        writes: The tables that ``writes`` names: all that a run may change and a cached query reads.
        clean: The engines whose text says ``session: clean``; each text speaks for itself.
        engines: The engines that have a text of their own.
    """

    def __init__(
        self,
        *,
        name: str | None,
        kind: str | None = None,
        parameters: Sequence[Parameter] | None = None,
        returns: type[RowT] | None = None,
        doc: str = "",
        source: str = "<string>",
        headers: Mapping[str, str] | None = None,
        shared: str | None = None,
        variants: Mapping[str, str] | None = None,
        sources: Mapping[str, str] | None = None,
        clean: Iterable[str] | None = None,
        cache: CachePolicy | None = None,
        reads: Iterable[str] = (),
        writes: Iterable[str] = (),
        positional: bool = False,
    ) -> None:
        """Make a query of checked parts; `load_queries` and `from_text` do it for you.

        Args:
            shared: The text for every engine that has none of its own among *variants*.
            variants: Texts by the name of their engine.
            sources: ``path:line`` of the text for each engine; *source* if it is missing.
            clean: The engines whose text says ``session: clean``; if None, all if *headers* say so.
            positional: Every bare ``?`` takes the next value of a sequence.
        """
        self.name = name
        self.kind = kind
        self.parameters = tuple(parameters or ())
        self.returns = returns
        self.doc = doc
        self.source = source
        self.headers = dict(headers or {})
        self.engines = frozenset(variants or ())
        if clean is None:
            clean = DIALECTS if self.headers.get("session") == "clean" else ()
        self.clean = frozenset(clean)
        self.cache = cache
        self.reads = tuple(sorted(set(reads)))
        self.writes = frozenset(writes)
        self._declared = parameters
        self._shared = shared
        self._variants = dict(variants or {})
        self._sources = dict(sources or {})
        self._positional = positional
        self._statements: dict[str, Statement] = {}

    @classmethod
    def from_text(cls, text: str, positional: bool = False) -> Query[Any]:
        """Return a query made of *text*, the same for every engine.

        Args:
            text: One statement, or a script.
            positional: It is called with a sequence: every bare ``?`` takes a value, and ``??`` is the
                operator ``?``. Otherwise it is called with a mapping for its ``:names``.
        """
        return Query(name=None, shared=text, positional=positional)

    def has_text(self, dialect: Dialect) -> bool:
        """Say whether it can be run on this engine."""
        return self._shared is not None or dialect.name in self._variants

    def text(self, dialect: Dialect) -> str:
        """Return the text as the file has it.

        Raises:
            QueryNotFound: There is none for this engine.
        """
        text = self._variants.get(dialect.name, self._shared)
        if text is None:
            raise QueryNotFound(
                f"query {self.name} ({self.source}) has no text for {dialect.name}, only for "
                f"{', '.join(sorted(self._variants))}; add it to a file that ends in .{dialect.name}.sql"
            )
        return text

    def place(self, dialect: Dialect) -> str:
        """Return ``path:line`` of the name above the text for this engine."""
        return self._sources.get(dialect.name, self.source)

    def statement(self, dialect: Dialect, encoders: EncodersOf) -> Statement:
        """Return the query compiled for an engine; compiled at the first call and kept.

        Args:
            dialect: The engine's rules.
            encoders: The engine's table of encoders for a parameter of this type, and for None.

        Raises:
            QueryError: It is declared as a script.
            QueryNotFound: There is no text for this engine.
            ParameterError: The text writes its parameters in a way that cannot be bound.
            StatementRefused: The text has no statement, or more than one.
        """
        statement = self._statements.get(dialect.name)
        if statement is None:
            statement = self._statements.setdefault(dialect.name, self._compile(dialect, encoders))
        return statement

    def _compile(self, dialect: Dialect, encoders: EncodersOf) -> Statement:
        if self.kind == "script":
            raise QueryError(f"query {self.name} is a script: run it with execute_script")
        text = self.text(dialect)
        found = scan(text, dialect)
        self._check_single(text, found)
        parameters: Sequence[Parameter] | None = None
        try:
            if self._positional:
                check_positional(text, found, dialect)
            else:
                parameters = resolve_parameters(text, found, dialect, self._declared)
        except TextError as error:
            place = "" if error.offset is None else f" ({position_of(text, error.offset)} of the text)"
            raise ParameterError(f"{self._label}: {error}{place}") from None
        statement = Statement(text, found, dialect, encoders, query=self.name, parameters=parameters)
        statement.clean = dialect.name in self.clean
        statement.invalidates = self.writes
        return statement

    def _check_single(self, text: str, found: Scan) -> None:
        if not found.statements:
            raise StatementRefused("the text has no statement in it", query=self.name, sent=False)
        if len(found.statements) > 1:
            place = position_of(text, found.statements[1][0])
            raise StatementRefused(
                f"a second statement begins at {place} of the text: run one at a time, or use execute_script",
                query=self.name,
                sent=False,
            )

    @property
    def _label(self) -> str:
        return "the statement" if self.name is None else f"query {self.name}"

    def __repr__(self) -> str:
        if self.name is None:
            return "<Query from a string>"
        return f"<Query {self.name} :{self.kind} from {self.source}>"

    def __getstate__(self) -> dict[str, Any]:
        # Statements hold an engine's functions; a copy compiles its own.
        return {**self.__dict__, "_statements": {}}


def position_of(text: str, offset: int, first_line: int = 1) -> str:
    """Return the place of *offset* for a message: ``line 2, column 7``."""
    line = first_line + text.count("\n", 0, offset)
    column = offset - text.rfind("\n", 0, offset)
    return f"line {line}, column {column}"
