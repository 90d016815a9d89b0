"""The `dal` command: what deploys and operators call. See ``dal --help``."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command; an error of `dal` is one line on stderr, and exit code 1.

    SIGTERM, as a deploy tool sends it, ends it as Ctrl-C does: what was begun is ended, and the private file
    with the password that yoyo reads is removed.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        from dal.cli.app import app
    except ModuleNotFoundError as error:
        sys.exit(f"dal: {error.name} is not installed: pip install 'dal[cli]'")
    from dal.errors import DalError

    try:
        app()
    except DalError as error:
        sys.exit(f"dal: {error}")
