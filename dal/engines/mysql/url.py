"""Reads a ``mysql://`` or ``mariadb://`` URL: the only place that sees its password.

    mysql://user:password@host:3306/name?tls=off
    mysql://user@localhost/name?socket=/run/mysqld/mysqld.sock

The options are a closed list. No message quotes a piece of the URL that could be its password's.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from typing import Any

from databases import DatabaseURL

from dal.engines.mysql.connection import Address
from dal.engines.mysql.engine import MysqlEngine
from dal.engines.pool import PoolSettings
from dal.engines.tls import tls_context
from dal.errors import ConfigurationError
from dal.settings import DatabaseSettings

_OPTIONS: Mapping[str, re.Pattern[str]] = {
    "socket": re.compile(r"/.+"),
    "tls": re.compile(r"on|off"),
    "cafile": re.compile(r".+"),
}
_EXPLAINED = "socket=/path/of/the/socket, tls=on|off, cafile=/path/of/certificates.pem"
_ENCODE = "the characters : / ? # @ % are percent-encoded"


def address_for(url: DatabaseURL) -> Address:
    """Return what *url* says.

    Raises:
        ConfigurationError: It names no database, or has an option that does not exist.
    """
    if url.driver not in ("", "asyncmy"):
        raise ConfigurationError(f"the URL begins with {url.dialect}://; a driver is not chosen there")
    try:
        port = url.components.port
    except ValueError:
        raise ConfigurationError(f"the URL's port is no number; in a password {_ENCODE}") from None
    if url.components.fragment or "@" in url.components.path + url.components.query:
        raise ConfigurationError(f"in a user, password or name {_ENCODE}")
    options = _options(url)
    host, path = url.components.hostname, options.get("socket")
    if path is not None and host not in (None, "localhost"):
        raise ConfigurationError("the URL names a host and socket=/path/of/the/socket; leave out one of them")
    if not url.database or "/" in url.database:
        raise ConfigurationError(f"the URL names no database: {url.dialect}://user:password@host:3306/name")
    host = host or "localhost"
    return Address(
        host=host,
        port=port or 3306,
        user=url.username or getpass.getuser(),
        database=url.database,
        password=url.password or "",
        socket=path,
        tls=tls_context(path or host, options.get("tls"), options.get("cafile")),
    )


def engine_for(url: DatabaseURL, settings: DatabaseSettings) -> MysqlEngine:
    """Return the engine for *url*."""
    pool = PoolSettings(
        min_size=min(2, settings.pool_size),
        max_size=settings.pool_size + settings.max_overflow,
        kept=settings.pool_size,
        max_waiting=settings.max_waiting,
        max_lifetime=settings.pool_recycle,
    )
    return MysqlEngine(address_for(url), pool)


def _options(url: DatabaseURL) -> dict[str, Any]:
    for name, value in url.options.items():
        if name not in _OPTIONS:
            raise ConfigurationError(f"the MySQL URL has an unknown option; there are {_EXPLAINED}")
        if not _OPTIONS[name].fullmatch(value):
            raise ConfigurationError(
                f"the MySQL URL's option {name} does not take this value; there are {_EXPLAINED}"
            )
    return dict(url.options)
