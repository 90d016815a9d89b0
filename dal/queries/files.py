"""Where the files that come with the package are."""

from __future__ import annotations

from pathlib import Path

from dal.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """Return the folder *name* (``sql``, ``migrations``) that comes with `dal`.

    An installed package carries it among its modules; in a checkout it lies beside the package.

    Raises:
        ConfigurationError: There is no such folder.
    """
    for root in (_PACKAGE, _PACKAGE.parent):
        folder = root / name
        if folder.is_dir():
            return folder
    raise ConfigurationError(f"the folder {name!r} is neither in {_PACKAGE} nor beside it; install dal again")
