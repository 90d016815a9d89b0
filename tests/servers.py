"""Real servers for tests: private, throwaway, on a port of 127.0.0.1 below 32768.

A server ends with its block, and at the latest with the process that started it, however that ends.
Where the program is missing, the tests that need it are skipped with a reason that says how to get it;
with DAL_REQUIRE_ENGINES=all they fail instead.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import pytest

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def missing(what: str) -> None:
    """Skip the test because *what* is not there; fail it where every engine is required."""
    if os.environ.get("DAL_REQUIRE_ENGINES") == "all":
        pytest.fail(f"DAL_REQUIRE_ENGINES=all, but {what}", pytrace=False)
    pytest.skip(what)


class Server:
    """One server process: started on entering the block, killed on leaving it.

    Attributes:
        programs: Names of the program, the first one on the PATH is run.
        hint: How to get it.
        port: Where it listens.
    """

    programs: ClassVar[tuple[str, ...]]
    hint: ClassVar[str]
    start_seconds: ClassVar[float] = 10.0

    def __init__(self) -> None:
        self.port = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def arguments(self, folder: Path) -> list[str]:
        """What the program is started with, to keep its files in *folder* and listen on `port`."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """True once it answers."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def freeze(self) -> None:
        """Make it accept and never answer."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        program = next(filter(None, map(shutil.which, self.programs)), None)
        if program is None:
            missing(f"{self.programs[0]} is not on the PATH: {self.hint}")
        assert program is not None
        for _ in range(5):  # a port may be taken between looking and listening
            if self._start(program):
                return self
            self._stop()
        pytest.fail(f"{program} did not start in {self.start_seconds} s, 5 times", pytrace=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self, program: str) -> bool:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="dal-test-")
        with open(Path(self._folder.name, "output.txt"), "wb") as output:
            self._process = subprocess.Popen(
                [program, *self.arguments(Path(self._folder.name))],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.is_ready():
                return True
            time.sleep(0.02)
        return False

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to clients."""
    for port in random.sample(range(20_000, 32_768), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("no free port between 20000 and 32767", pytrace=False)


class RedisServer(Server):
    """A Redis or Valkey server that keeps nothing on disk."""

    programs = ("redis-server", "valkey-server")
    hint = "apt-get install redis-server"

    def __init__(self, *, password: str | None = None, certificate: Path | None = None) -> None:
        """With *certificate* (one file with its key), TLS only."""
        super().__init__()
        self._password = password
        self._certificate = certificate

    @property
    def url(self) -> str:
        login = f":{self._password}@" if self._password else ""
        scheme = "rediss" if self._certificate else "redis"
        return f"{scheme}://{login}127.0.0.1:{self.port}"

    def arguments(self, folder: Path) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": "0" if self._certificate else str(self.port),
            "dir": str(folder),
            "save": "",
            "appendonly": "no",
        }
        if self._password:
            options["requirepass"] = self._password
        if self._certificate:
            path = str(self._certificate)
            options |= {"tls-port": str(self.port), "tls-cert-file": path, "tls-key-file": path}
            options |= {"tls-ca-cert-file": path, "tls-auth-clients": "no"}
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                if self._certificate:
                    return True
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
