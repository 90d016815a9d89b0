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

ENGINES: dict[str, str] = {
    "sqlite": "dal.engines.sqlite.url:engine_for",
    "postgresql": "dal.engines.postgresql.url:engine_for",
    "postgres": "dal.engines.postgresql.url:engine_for",
    "mysql": "dal.engines.mysql.url:engine_for",
    "mariadb": "dal.engines.mysql.url:engine_for",
}
"""Scheme -> the function that makes its engine, imported when it is first asked for."""


class Database(databases.Database):
    """A `databases.Database` on back ends whose connections keep the settings of `dal`."""

    SUPPORTED_BACKENDS = {  # noqa: RUF012  # as the base class has it
        "sqlite": "dal.engines.sqlite.backend:SqliteBackend",
        "postgresql": "dal.engines.postgresql.backend:PostgresBackend",
        "postgres": "dal.engines.postgresql.backend:PostgresBackend",
        "mysql": "dal.engines.mysql.backend:MysqlBackend",
        "mariadb": "dal.engines.mysql.backend:MysqlBackend",
    }


def engine_for(url: str, settings: DatabaseSettings) -> tuple[Engine, DatabaseURL]:
    """Return the engine that *url* names, not yet connected, and the parsed URL.

    Raises:
        ConfigurationError: No engine has the URL's scheme, or it has an option that none knows.
    """
    parsed = DatabaseURL(url)
    try:
        scheme = parsed.dialect
    except ValueError:
        raise ConfigurationError("the URL cannot be read: [ and ] stand around an IPv6 address") from None
    if "://" not in url or scheme not in ENGINES:
        near = get_close_matches(scheme, ENGINES, n=1)
        hint = f"; did you mean {near[0]}://?" if near else ""
        known = ", ".join(f"{name}://" for name in ENGINES)
        raise ConfigurationError(f"no engine for the URL scheme {scheme!r}; there are {known}{hint}")
    module, _, function = ENGINES[scheme].partition(":")
    try:
        opener: OpenEngine = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        extra = module.split(".")[2]
        raise ConfigurationError(
            f"{scheme}:// needs the package {error.name}: pip install 'dal[{extra}]'"
        ) from error
    return opener(parsed, settings), parsed
