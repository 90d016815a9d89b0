"""When a connection to a server must be encrypted, and with what.

Beyond this machine it is TLS with the certificate and the host's name checked, unless the URL says
``tls=off``. A server that offers none is refused: a plain connection would hand it the password.
"""

from __future__ import annotations

import ipaddress
import ssl
from typing import Literal

from dal.errors import ConfigurationError

TlsOption = Literal["on", "off"]


def is_local(host: str) -> bool:
    """Say whether *host* is this machine: a Unix socket, a loopback address or ``localhost``."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(host: str, option: TlsOption | None, cafile: str | None) -> ssl.SSLContext | None:
    """Return what verifies the server *host*; None for a plain connection.

    Args:
        host: A name, an address, or the folder of a Unix socket.
        option: What the URL says; None leaves it to the host.
        cafile: The certificates to trust, in place of the system's.

    Raises:
        ConfigurationError: The options contradict each other, or the file cannot be used.
    """
    if host.startswith("/"):
        if option == "on" or cafile:
            raise ConfigurationError("a Unix socket takes no TLS: leave out tls and cafile")
        return None
    if option == "off" and cafile:
        raise ConfigurationError("cafile has no effect beside tls=off; leave out one of them")
    if option == "off" or (option is None and cafile is None and is_local(host)):
        return None
    try:
        return ssl.create_default_context(cafile=cafile)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cafile cannot be used: {type(error).__name__}") from error
