"""Kills a run of a backup at one line of `dal` after the other: ``python -m tests.operations.kills``.

Each run is a forked process in a folder of its own. It is killed, as no program can prevent, before the n-th
line of dal.operations.backups or of shutil that it would run, in whatever thread; the first one that gets to
its end is the last. Printed at the end: how many were killed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import FrameType
from typing import Any

from dal.operations import backups
from dal.operations.backups import create_backup, restore_backup

_WATCHED = (str(Path(backups.__file__).parent), shutil.__file__)


class _Fuse:
    """A trace function that kills its process before the *n*-th line."""

    def __init__(self, n: int) -> None:
        self._left = n

    def __call__(self, frame: FrameType, event: str, _: object) -> _Fuse | None:
        if not frame.f_code.co_filename.startswith(_WATCHED):
            return None
        if event == "line":
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def in_child(work: Coroutine[Any, Any, object], n: int | None = None) -> int:
    """Run *work* in a forked process, killed at its *n*-th line; return its exit code."""
    child = os.fork()
    if not child:
        if n is not None:
            fuse = _Fuse(n)
            threading.settrace(fuse)
            sys.settrace(fuse)
        asyncio.run(work)
        sys.settrace(None)
        os._exit(0)
    work.close()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def write_and_crash(path: Path, name: str) -> None:
    """Add an account in a process that ends without closing, so that it is in the -wal alone."""
    child = os.fork()
    if not child:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("INSERT INTO account (name, balance) VALUES (?, 0)", (name,))
        os._exit(0)
    os.waitpid(child, 0)


def create(place: Path, source: str) -> Coroutine[Any, Any, object]:
    """Back up *source*, a URL."""
    return create_backup(source, place / "backup")


def replace(place: Path, source: str) -> Coroutine[Any, Any, object]:
    """Put the backup *source* in the place of a database that crashed, with its latest row in its -wal."""
    target = place / "app.db"
    shutil.copy(source, target)
    with sqlite3.connect(target) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    write_and_crash(target, "latest")
    return restore_backup(Path(source), target, replace=True)


def restore(place: Path, source: str) -> Coroutine[Any, Any, object]:
    """Put the backup *source* where no database is."""
    return restore_backup(Path(source), place / "app.db")


def main(command: str, folder: str, source: str, step: str) -> None:
    """Run *command* again and again, killed *step* lines later each time."""
    n = 0
    while True:
        place = Path(folder, str(n))
        place.mkdir()
        code = in_child({"create": create, "replace": replace, "restore": restore}[command](place, source), n)
        if code == 0:
            break
        assert code == -signal.SIGKILL, f"{place} ended with {code}"
        n += int(step)
    sys.stdout.write(f"{n // int(step)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
