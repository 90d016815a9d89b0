"""Reads a ``sqlite://`` URL."""

from __future__ import annotations

from databases import DatabaseURL

from dal.engines.sqlite.engine import SqliteEngine
from dal.engines.sqlite.file import DatabaseFile
from dal.errors import ConfigurationError
from dal.settings import DatabaseSettings

_OPTIONS = {"create": {"on": True, "off": False}}


def file_for(url: DatabaseURL) -> DatabaseFile:
    """Return the file that *url* names.

    Raises:
        ConfigurationError: It names no file, a host, or an option that does not exist.
    """
    if url.driver not in ("", "aiosqlite"):
        raise ConfigurationError("the URL begins with sqlite://; a driver is not chosen there")
    if url.hostname or url.components.fragment:
        raise ConfigurationError(
            "a SQLite URL has three slashes before a relative path, four before an absolute one, "
            "and writes ? and # in a name as %3F and %23: sqlite:///relative.db, sqlite:////absolute.db"
        )
    for name, value in url.options.items():
        if value not in _OPTIONS.get(name, {}):
            known = ", ".join(f"{key}={'|'.join(values)}" for key, values in _OPTIONS.items())
            raise ConfigurationError(
                f"the SQLite URL's option {name} is unknown, or has an unknown value; there are {known}"
            )
    return DatabaseFile(url.database, create=_OPTIONS["create"][url.options.get("create", "on")])


def engine_for(url: DatabaseURL, settings: DatabaseSettings) -> SqliteEngine:
    """Return the engine for *url*."""
    return SqliteEngine(file_for(url), readers=settings.readers, max_waiting=settings.max_waiting)
