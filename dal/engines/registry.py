"""Which engine serves which URL.

The URL type and the table from scheme to back end are those of the `databases` package, so code that
was written against it can go on beside `dal`: see `DatabaseManager.database`.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module

import databases
from databases import DatabaseURL

from dal.engines.base import Engine
from dal.errors import ConfigurationError
from dal.settings import DatabaseSettings

OpenEngine = Callable[[DatabaseURL, DatabaseSettings], Engine]

ENGINES: dict[str, str] = {"sqlite": "dal.engines.sqlite.url:engine_for"}
"""Scheme -> the function that makes its engine, imported when it is first asked for."""


class Database(databases.Database):
    """A `databases.Database` on back ends whose connections keep the settings of `dal`."""

    SUPPORTED_BACKENDS = {"sqlite": "dal.engines.sqlite.backend:SqliteBackend"}  # noqa: RUF012  # as the base class has it


def engine_for(url: str, settings: DatabaseSettings) -> tuple[Engine, DatabaseURL]:
    """Return the engine that *url* names, not yet connected, and the parsed URL.

    Raises:
        ConfigurationError: No engine has the URL's scheme, or it has an option that none knows.
    """
    parsed = DatabaseURL(url)
    scheme = parsed.dialect
    if "://" not in url or scheme not in ENGINES:
        near = get_close_matches(scheme, ENGINES, n=1)
        hint = f"; did you mean {near[0]}://?" if near else ""
        known = ", ".join(f"{name}://" for name in ENGINES)
        raise ConfigurationError(f"no engine for the URL scheme {scheme!r}; there are {known}{hint}")
    module, _, function = ENGINES[scheme].partition(":")
    opener: OpenEngine = getattr(import_module(module), function)
    return opener(parsed, settings), parsed
