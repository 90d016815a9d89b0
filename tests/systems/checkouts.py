"""What a deploy has: the migrations, yoyo.ini and a database, and the command `yoyo`.

A process that has loaded yoyo forks for each command, so that a command starts in a few milliseconds and is
a process of its own. On SQLite it does not wait for the disk: no test here cuts the power.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.systems.engines import Plain
from tests.systems.registry import ROOT

_FORKS = """
import json, os, sqlite3, sys
import psycopg, pymysql, yoyo.scripts.main

def connect(*arguments, **options):
    connection = sqlite3.Connection(*arguments, **options)
    connection.execute("PRAGMA synchronous = OFF")
    return connection

sqlite3.connect = connect
for line in sys.stdin:
    folder, output, arguments = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        for descriptor in (1, 2):
            os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
        sys.exit(yoyo.scripts.main.main(arguments))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Yoyo:
    """The command."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-c", _FORKS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, folder: Path, *arguments: str) -> str:
        """Run `yoyo` in *folder* and return what it said; fail if it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        output = folder / "said.txt"
        output.unlink(missing_ok=True)
        self._process.stdin.write(json.dumps([str(folder), str(output), arguments]) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        said = output.read_text()
        assert code == 0, said
        return said


def checked_out(folder: Path) -> Path:
    """Make a copy of what `yoyo apply` needs, in a folder with a blank in its name, and return that."""
    copy = folder / "check out"
    copy.mkdir()
    shutil.copy(ROOT / "yoyo.ini", copy)
    shutil.copytree(ROOT / "migrations", copy / "migrations")
    return copy


class Checkout:
    """A copy of what `yoyo apply` needs, and a database."""

    def __init__(self, folder: Path, database: Plain, yoyo: Yoyo) -> None:
        self.folder = checked_out(folder)
        self.database = database
        self._yoyo = yoyo

    def yoyo(self, *arguments: str) -> str:
        """Run `yoyo` on the database, with the migrations of base and of its system."""
        url = self.database.url.replace("postgresql://", "postgresql+psycopg://")
        return self._yoyo.run(self.folder, *arguments, "--database", url, *self.database.folders)
