"""Starts Python programs in processes of their own, and follows what they print.

A program prints a line for each thing that it knows to be done. A line is one write to a pipe, so it is
there whole, whatever happens to the program afterwards.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]

PATIENCE = 100.0
"""Seconds after which a program that should have ended is a failure."""


class Program:
    """A running Python program."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        # A file and not a second pipe, so that nobody must read it while the program runs.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by close()
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout

    def line(self) -> str:
        """Return the next line that it prints, without its end."""
        line = self._output.readline()
        if not line.endswith("\n"):
            code, _, errors = self.end()
            raise AssertionError(f"the program ended early with {code}: {errors}")
        return line.rstrip("\n")

    def go_on(self) -> None:
        """Let a program go on that waits for a line."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self, timeout: float = PATIENCE) -> tuple[int, list[str], str]:
        """Wait for its end; return its exit code, the lines not yet read, and what it wrote to stderr.

        The lines not yet read must fit into a pipe, or the program waits for their reader, and never ends.

        Raises:
            subprocess.TimeoutExpired: It goes on for more than *timeout* seconds.
        """
        self._process.wait(timeout)
        self._errors.seek(0)
        return self._process.returncode, self._output.read().splitlines(), self._errors.read()

    def succeed(self) -> list[str]:
        """Wait for its end and return the lines not yet read; it must end well, and in silence."""
        code, lines, errors = self.end()
        assert (code, errors) == (0, "")
        return lines

    def kill(self) -> list[str]:
        """Kill it as no program can prevent; return the lines that were printed and not yet read."""
        self._process.kill()
        code, lines, errors = self.end()
        assert code == -signal.SIGKILL, errors
        return lines

    def close(self) -> None:
        """End it, however it stands."""
        if self._process.poll() is None:
            self._process.kill()
        with self._process:
            self._errors.close()


@contextmanager
def started(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Program]:
    """Give a program, started with *arguments* of the interpreter, and see to it that it ends."""
    program = Program(*arguments, environment=environment)
    try:
        yield program
    finally:
        program.close()


@contextmanager
def program(name: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Iterator[Program]:
    """Give a running program of `tests.reliability.programs`."""
    texts = [str(argument) for argument in arguments]
    with started("-m", "tests.reliability.programs", name, *texts, environment=environment) as running:
        yield running
