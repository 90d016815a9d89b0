"""A database as yoyo names it.

yoyo's schemes, drivers and options are others than those of `dal`: psycopg 3 and PyMySQL in place of the
asynchronous drivers, and their own words for sockets and TLS. The rule is the library's: beyond this
machine the connection is encrypted and the server's certificate checked, unless the URL says ``tls=off``.
A URL made here holds the password; it goes into a private file, never into an argument or a message.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, urlencode

from databases import DatabaseURL

from dal.engines.sqlite.file import DatabaseFile
from dal.engines.sqlite.url import file_for
from dal.errors import ConfigurationError

LOCK_WAIT = 5
"""Seconds that a migration waits for a table that is in use."""


@dataclass(frozen=True)
class YoyoDatabase:
    """One database.

    Attributes:
        engine: Which migrations it takes: ``sqlite``, ``postgresql`` or ``mysql``.
        url: For yoyo; with the password.
        file: The file of an embedded one.
    """

    engine: str
    url: str = field(repr=False)
    file: DatabaseFile | None = None


def yoyo_database(url: str) -> YoyoDatabase:
    """Return what yoyo is told of the database that *url* names.

    Raises:
        ConfigurationError: It names none that migrations can be applied to, or a driver is missing.
    """
    parsed = DatabaseURL(url)
    known = {
        "sqlite": _sqlite,
        "postgresql": _postgresql,
        "postgres": _postgresql,
        "mysql": _mysql,
        "mariadb": _mysql,
    }
    if "://" not in url or parsed.dialect not in known:
        raise ConfigurationError(
            f"migrate takes a URL that begins with {', '.join(f'{scheme}://' for scheme in known)}"
        )
    return known[parsed.dialect](parsed)


def _sqlite(url: DatabaseURL) -> YoyoDatabase:
    if url.database == ":memory:":
        raise ConfigurationError("a :memory: database is private to its process; migrate a file")
    file = file_for(url)
    # yoyo hands the path on to SQLite as part of a file: URI, which undoes the quoting.
    return YoyoDatabase("sqlite", f"sqlite:///{quote(str(file.path.absolute()))}", file)


def _postgresql(url: DatabaseURL) -> YoyoDatabase:
    address = _address(url, "postgresql", "psycopg")
    options = {
        "dbname": address.database,
        "host": ",".join(address.hosts),
        "port": str(address.port),
        "application_name": address.application_name,
        "connect_timeout": "10",
    }
    if address.tls is None:
        options["sslmode"] = "disable"
    else:
        options |= {"sslmode": "verify-full", "sslrootcert": url.options.get("cafile", "system")}
    login = _login(address.user, address.password)
    return YoyoDatabase("postgresql", f"postgresql+psycopg://{login}/?{urlencode(options)}")


def _mysql(url: DatabaseURL) -> YoyoDatabase:
    address = _address(url, "mysql", "pymysql")
    if quote(address.database) != address.database:
        raise ConfigurationError(
            "yoyo reaches no database whose name has other characters than A-Z a-z 0-9 . _ - ~"
        )
    options = {"charset": "utf8mb4", "init_command": f"SET SESSION lock_wait_timeout = {LOCK_WAIT}"}
    if address.socket:
        options["unix_socket"] = address.socket
    if address.tls is None:
        options["ssl_disabled"] = "true"
    else:
        options |= {
            "ssl_ca": url.options.get("cafile") or _system_certificates(),
            "ssl_verify_cert": "true",
            "ssl_verify_identity": "true",
        }
    host = f"[{address.host}]" if ":" in address.host else address.host
    # PyMySQL sends a password in Latin-1, the server compares it in UTF-8.
    password = address.password.encode().decode("latin-1")
    server = f"{_login(address.user, password)}{host}:{address.port}"
    return YoyoDatabase("mysql", f"mysql://{server}/{address.database}?{urlencode(options, quote_via=quote)}")


def _address(url: DatabaseURL, engine: str, driver: str) -> Any:
    """What the engine of `dal` reads in *url*, with the same errors."""
    try:
        address = import_module(f"dal.engines.{engine}.url").address_for(url)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is not installed: pip install dal[{engine}]") from error
    if find_spec(driver) is None:
        raise ConfigurationError(f"yoyo needs {driver}, which is not installed: pip install dal[{engine}]")
    return address


def _login(user: str | None, password: str | None) -> str:
    if user is None and not password:
        return ""
    secret = f":{quote(password, safe='')}" if password else ""
    return f"{quote(user or '', safe='')}{secret}@"


def _system_certificates() -> str:
    found = ssl.get_default_verify_paths().cafile
    if found is None:
        raise ConfigurationError("no file with this system's certificates was found; name one with cafile=")
    return found
