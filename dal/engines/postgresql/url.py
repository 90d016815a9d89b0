"""Reads a ``postgresql://`` URL: the only place that sees its password.

    postgresql://user:password@host:5432/name?tls=off
    postgresql:///name?host=/run/postgresql

The options are a closed list. No message quotes a piece of the URL that could be its password's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from databases import DatabaseURL

from dal.engines.pool import PoolSettings
from dal.engines.postgresql.driver import Address
from dal.engines.postgresql.engine import PostgresEngine
from dal.engines.tls import tls_context
from dal.errors import ConfigurationError
from dal.settings import DatabaseSettings

_SOCKET_FOLDERS = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # where servers put theirs

_OPTIONS: Mapping[str, re.Pattern[str]] = {
    "host": re.compile(r"/.+"),
    "port": re.compile(r"[1-9][0-9]{0,4}"),
    "tls": re.compile(r"on|off"),
    "cafile": re.compile(r".+"),
    "statement_cache": re.compile(r"[0-9]{1,5}"),
    "application_name": re.compile(r"[ -~]{1,63}"),
}
_EXPLAINED = (
    "host=/folder/of/the/socket, port=NUMBER, tls=on|off, cafile=/path/of/certificates.pem, "
    "statement_cache=COUNT, application_name=NAME"
)


def address_for(url: DatabaseURL) -> Address:
    """Return what *url* says.

    Raises:
        ConfigurationError: It names no database, or has an option that does not exist.
    """
    if url.driver not in ("", "asyncpg"):
        raise ConfigurationError("the URL begins with postgresql://; a driver is not chosen there")
    try:
        port = url.components.port
    except ValueError:
        raise ConfigurationError(
            "the URL's port is no number; in a password the characters : / ? # @ % are percent-encoded"
        ) from None
    if url.components.fragment or "@" in url.components.path + url.components.query:
        raise ConfigurationError("in a user, password or name the characters : / ? # @ % are percent-encoded")
    options = _options(url)
    if url.components.hostname and ("host" in options or "port" in options):
        raise ConfigurationError("the URL has a host already: leave out host= and port=, or the host")
    if not url.database:
        raise ConfigurationError("the URL names no database: postgresql://user:password@host:5432/name")
    if "host" in options:
        hosts: tuple[str, ...] = (options["host"],)
    else:
        hosts = (url.components.hostname,) if url.components.hostname else _SOCKET_FOLDERS
    return Address(
        hosts=hosts,
        port=port or int(options.get("port", 5432)),
        database=url.database,
        user=url.username or None,
        password=url.password or None,
        tls=tls_context(hosts[0], options.get("tls"), options.get("cafile")),
        statement_cache=int(options.get("statement_cache", 256)),
        application_name=options.get("application_name", "dal"),
    )


def engine_for(url: DatabaseURL, settings: DatabaseSettings) -> PostgresEngine:
    """Return the engine for *url*."""
    pool = PoolSettings(
        min_size=min(2, settings.pool_size),
        max_size=settings.pool_size + settings.max_overflow,
        kept=settings.pool_size,
        max_waiting=settings.max_waiting,
        max_lifetime=settings.pool_recycle,
    )
    return PostgresEngine(address_for(url), pool)


def _options(url: DatabaseURL) -> dict[str, Any]:
    for name, value in url.options.items():
        if name in ("ssl", "sslmode", "sslrootcert"):
            raise ConfigurationError(f"the PostgreSQL URL has no option {name}; there are {_EXPLAINED}")
        if name not in _OPTIONS or not _OPTIONS[name].fullmatch(value):
            what = f"option {name} has no such value" if name in _OPTIONS else "unknown option"
            raise ConfigurationError(f"the PostgreSQL URL: {what}; there are {_EXPLAINED}")
    return dict(url.options)
