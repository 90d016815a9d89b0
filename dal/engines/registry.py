"""Which engine serves which URL.

The URL type is that of the `databases` package. It is imported when the first URL is looked at, as is the
module of an engine, so that ``import dal`` loads neither a driver nor SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from dal.engines.base import Engine
from dal.errors import ConfigurationError
from dal.settings import DatabaseSettings

if TYPE_CHECKING:
    from databases import DatabaseURL

    OpenEngine = Callable[[DatabaseURL, DatabaseSettings], Engine]

ENGINES: dict[str, str] = {
    "sqlite": "dal.engines.sqlite.url:engine_for",
    "postgresql": "dal.engines.postgresql.url:engine_for",
    "postgres": "dal.engines.postgresql.url:engine_for",
    "mysql": "dal.engines.mysql.url:engine_for",
    "mariadb": "dal.engines.mysql.url:engine_for",
}
"""Scheme -> the function that makes its engine, imported when it is first asked for."""


def engine_for(url: str, settings: DatabaseSettings) -> tuple[Engine, DatabaseURL]:
    """Return the engine that *url* names, not yet connected, and the parsed URL.

    Raises:
        ConfigurationError: No engine has the URL's scheme, or it has an option that none knows.
    """
    from databases import DatabaseURL

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
    query = parsed.components.query
    if query and not all("=" in option for option in query.split("&")):
        raise ConfigurationError(f"the {scheme}:// URL has an option without a value: ?name=value&name=value")
    module, _, function = ENGINES[scheme].partition(":")
    try:
        opener: OpenEngine = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        extra = module.split(".")[2]
        raise ConfigurationError(
            f"{scheme}:// needs the package {error.name}: pip install 'dal[{extra}]'"
        ) from error
    return opener(parsed, settings), parsed
