"""Structured logs on the standard library, with a correlation id that follows the task.

Everything here is about a record's form. `dal` itself logs under ``dal.*``: the names and texts of
queries, never a value. Neither do the tracebacks written here: the text of a driver's error, which
may quote one, is left out.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from textwrap import indent
from typing import TextIO
from uuid import uuid4

from dal.errors import DalError
from dal.settings import LoggingSettings

_correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)

# They log the values of parameters at DEBUG.
_LOGGERS_THAT_SHOW_VALUES = ("databases", "aiosqlite")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "correlation_id"}
_OWN = frozenset({"time", "level", "logger", "message", "correlation_id", "exception"})


@contextmanager
def correlation_id(value: str | None = None) -> Iterator[str]:
    """Give the records made in this block, and in tasks started in it, one correlation id.

    Args:
        value: The id, for example a request's; None makes a new one.
    """
    identifier = value or uuid4().hex
    token = _correlation_id.set(identifier)
    try:
        yield identifier
    finally:
        _correlation_id.reset(token)


def current_correlation_id() -> str | None:
    """The correlation id of the running task, None outside of every block."""
    return _correlation_id.get()


class CorrelationFilter(logging.Filter):
    """Puts the correlation id on each record, as ``record.correlation_id``; keeps one already there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark *record*; never drop it."""
        if not hasattr(record, "correlation_id"):
            record.correlation_id = current_correlation_id()
        return True


def configure(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Send every record of the process to *stream* (by default standard error), one line each.

    Called again, it replaces what it set up before; handlers of others stay.
    """
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(_FORMATTERS[settings.format]())
    handler.addFilter(CorrelationFilter())
    root = logging.getLogger()
    for previous in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(settings.level)
    for name in _LOGGERS_THAT_SHOW_VALUES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class _Handler(logging.StreamHandler[TextIO]):
    """The handler of `configure`, a type of its own so that it finds it again."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, correlation_id, and the record's extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as JSON; an extra of a type that JSON lacks is written as its ``str``."""
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "correlation_id": getattr(record, "correlation_id", None),
            **_extras(record),
        }
        if record.exc_info and record.exc_info[1]:
            fields["exception"] = format_exception(record.exc_info[1])
        return json.dumps(fields, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """One line for people, extras as ``name=value`` at its end; a traceback follows it, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as text; what is not printable is escaped, so that no value can forge a record."""
        identifier = getattr(record, "correlation_id", None) or "-"
        parts = [
            _time(record),
            f"{record.levelname:8}",
            f"[{identifier}]",
            f"{record.name}:",
            record.getMessage(),
        ]
        parts += [f"{name}={value!r}" for name, value in _extras(record).items()]
        line = "".join(map(_visible, " ".join(parts)))
        if record.exc_info and record.exc_info[1]:
            line += "\n" + indent(format_exception(record.exc_info[1]), "    ")
        return line


def _visible(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


_FORMATTERS: dict[str, type[logging.Formatter]] = {"json": JsonFormatter, "text": TextFormatter}


def format_exception(error: BaseException) -> str:
    """Return the traceback of *error* and of what led to it, without the texts of drivers' errors."""
    return "\n".join(_traceback_lines(error, hidden=False, seen=set()))


def _traceback_lines(error: BaseException, *, hidden: bool, seen: set[int]) -> Iterator[str]:
    """The lines of one error, its cause first. *hidden*: it is the cause of one of `dal`'s errors."""
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in seen:
        yield from _traceback_lines(cause, hidden=hidden or isinstance(error, DalError), seen=seen)
        yield "while this was handled:" if error.__cause__ is None else "which led to:"
    yield "Traceback (most recent call last):"
    for frame in traceback.format_tb(error.__traceback__):
        yield from frame.rstrip("\n").split("\n")
    if hidden and not isinstance(error, DalError):
        yield f"{type(error).__module__}.{type(error).__qualname__}: (text left out, it may quote values)"
    else:
        yield from "".join(traceback.format_exception_only(error)).rstrip("\n").split("\n")
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from (f"  | {line}" for line in _traceback_lines(member, hidden=hidden, seen=seen))


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _extras(record: logging.LogRecord) -> dict[str, object]:
    """What ``extra=`` gave; a name that the formats use themselves gets a ``_`` behind it."""
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {f"{name}_" if name in _OWN else name: value for name, value in given.items()}
