"""The URL of a cache, read and checked: the only place that sees its password.

    memory://?max_entries=100000&max_bytes=67108864
    redis://[user:password@]host[:port][/database]?timeout=0.05&near_entries=10000&near_bytes=16777216
    rediss://...?cafile=/path/to/ca.pem

The options are a closed list. Beyond this machine a plain redis:// must say ``tls=off``. No message quotes
the URL or any piece that could be its password's.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dal.errors import ConfigurationError

_PORT = 6379
_DATABASE = re.compile(r"/?|/(?P<number>[0-9]{1,4})")


def _count(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,14}", text) is None:
        raise ValueError("a whole number, 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.001 <= seconds <= 60:
        raise ValueError("a number of seconds from 0.001 to 60")
    return seconds


def _off(text: str) -> bool:
    if text != "off":
        raise ValueError("off; for TLS the URL begins with rediss://")
    return False


def _file(text: str) -> str:
    if not Path(text).is_file():
        raise ValueError("the path of a file with the certificates to trust")
    return text


_OPTIONS: Mapping[str, Mapping[str, Callable[[str], Any]]] = {
    "memory": {"max_entries": _count, "max_bytes": _count},
    "redis": {"timeout": _seconds, "tls": _off, "near_entries": _count, "near_bytes": _count},
    "rediss": {"timeout": _seconds, "cafile": _file, "near_entries": _count, "near_bytes": _count},
}


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A cache's URL in its pieces.

    Attributes:
        scheme: ``memory``, ``redis`` or ``rediss``.
        options: The options that were given, as values.
    """

    scheme: str
    host: str = ""
    port: int = _PORT
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> StoreUrl:
        """Read *text*.

        Raises:
            ConfigurationError: It is no URL of a cache, or an option of it is wrong.
        """
        url = _split(text)
        options = _options(url)
        if url.scheme == "memory":
            if url.netloc or url.path:
                raise ConfigurationError("the cache URL memory:// has no host and no path")
            return cls(url.scheme, options=options)
        host, port = _address(url)
        if url.scheme == "redis" and "tls" not in options and not _is_loopback(host):
            raise ConfigurationError(
                "the cache URL leads to another machine without TLS: begin it with rediss://, or end it with"
                " ?tls=off if the network between is yours alone"
            )
        return cls(
            scheme=url.scheme,
            host=host,
            port=port,
            database=_database(url),
            username=_unquoted(url.username),
            password=_unquoted(url.password),
            options=options,
        )

    def __str__(self) -> str:
        """The URL without user, password and options."""
        if self.scheme == "memory":
            return "memory://"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/{self.database}"


# The errors of urllib quote what they stumbled over, hence `from None` throughout.


def _split(text: str) -> SplitResult:
    if not text.isprintable() or " " in text:
        raise ConfigurationError("the cache URL holds white space or control characters; percent-encode them")
    try:
        url = urlsplit(text)
    except ValueError:
        raise _malformed() from None
    if url.scheme not in _OPTIONS or not text.startswith(f"{url.scheme}://"):
        known = ", ".join(f"{scheme}://" for scheme in _OPTIONS)
        raise ConfigurationError(f"the cache URL begins with none of {known}")
    if url.fragment or "#" in text:
        raise _malformed()
    return url


def _malformed() -> ConfigurationError:
    return ConfigurationError(
        "the cache URL is not of the form redis://user:password@host:port/database?option=value;"
        " percent-encode the special characters of the user and the password"
    )


def _options(url: SplitResult) -> dict[str, Any]:
    known = _OPTIONS[url.scheme]
    try:
        pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query), errors="strict")
    except ValueError:
        raise _malformed() from None
    options: dict[str, Any] = {}
    for number, (name, value) in enumerate(pairs, start=1):
        if name not in known or name in options:
            raise ConfigurationError(
                f"option {number} of the cache URL is unknown or given twice;"
                f" {url.scheme}:// has {', '.join(known)}"
            )
        try:
            options[name] = known[name](value)
        except ValueError as error:
            raise ConfigurationError(f"the cache URL's option {name} must be {error}") from None
    return options


def _address(url: SplitResult) -> tuple[str, int]:
    try:
        port = url.port
    except ValueError:
        raise _malformed() from None
    if not url.hostname or port == 0:
        raise _malformed()
    return url.hostname, port or _PORT


def _database(url: SplitResult) -> int:
    match = _DATABASE.fullmatch(url.path)
    if match is None:
        raise _malformed()
    return int(match["number"] or 0)


def _unquoted(text: str | None) -> str | None:
    try:
        return unquote(text, errors="strict") or None if text is not None else None
    except UnicodeDecodeError:
        raise _malformed() from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
