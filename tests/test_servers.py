"""The servers that the tests start: private, and gone afterwards."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import guard
from tests.servers import DatabaseServer, MariaDbServer, PostgresServer

PROGRAM = """
import sys, time
from tests import servers
with getattr(servers, sys.argv[1])() as server:
    server.freeze()
    print(server.pid, server.folder, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("make", [MariaDbServer, PostgresServer])
def test_what_was_acknowledged_survives_a_kill(make: type[DatabaseServer]) -> None:
    """A killed server starts again on its own files, at the same address."""
    with make() as server, server.database() as name:
        column = f"{name}.t" if make is MariaDbServer else "t"
        server.administer(f"CREATE TABLE {column} (a INTEGER)", f"INSERT INTO {column} VALUES (7)")
        before = server.port
        server.restart()
        assert server.administer(f"SELECT a FROM {column}") == [(7,)]
        assert server.port == before
    assert not server.folder.exists()


@pytest.mark.parametrize("kind", ["MariaDbServer", "PostgresServer", "RedisServer"])
def test_a_server_ends_when_its_tests_are_killed(kind: str) -> None:
    """Even one that is stopped; its folder goes too."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    with program:
        assert program.stdout is not None
        line = program.stdout.readline()
        if not line:
            assert program.stderr is not None
            pytest.skip(program.stderr.read().strip().splitlines()[-1])
        pid, folder = line.split()
        family = guard.family(int(pid))
        program.kill()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (any(map(guard.runs, family)) or Path(folder).exists()):
        time.sleep(0.05)
    assert not [pid for pid in family if guard.runs(pid)]
    assert not Path(folder).exists()
