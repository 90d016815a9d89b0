"""`scripts/mutations` tells a mistake that is noticed from one that is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutations.table import ROOT

TABLE = """
[[mutation]]
name = "caught"
breaks = "The first of several rows passes for the one."
file = "dal/executor.py"
text = 'return "first" if query.kind == "first" else "one"'
instead = 'return "first"'
claim = "test_verbs.py::test_a_second_row_is_an_error"

[[mutation]]
name = "not noticed"
breaks = "Nothing."
file = "dal/executor.py"
text = 'return "first" if query.kind == "first" else "one"'
instead = 'return "one" if query.kind != "first" else "first"'
claim = "test_verbs.py::test_a_second_row_is_an_error"

[[mutation]]
name = "nothing runs"
breaks = "Nothing can be imported."
file = "dal/executor.py"
text = "class Executor("
instead = "class Executor(NoSuchName, "
claim = "test_verbs.py::test_a_second_row_is_an_error"

[[mutation]]
name = "nowhere"
breaks = "Nothing."
file = "dal/executor.py"
text = "no such text"
instead = ""
claim = "test_verbs.py::test_a_second_row_is_an_error"
"""


@pytest.mark.timeout(2100)
def test_the_report_says_what_became_of_each(tmp_path: Path) -> None:
    """And the exit code is 0 only if all were killed."""
    table = tmp_path / "table.toml"
    table.write_text(TABLE)
    everything = run("--table", table)
    assert everything.returncode == 1
    results = {line.partition("  ")[0]: line.rpartition("  ")[2].strip() for line in report(everything)}
    assert results == {
        "caught": "killed",
        "not noticed": "SURVIVED on sqlite",
        "nothing runs": "COULD NOT BE RUN: the claim did not import the mutated file",
        "nowhere": "could not be applied: its text stands 0 times in dal/executor.py",
    }
    assert run("--table", table, "caught").returncode == 0


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", ROOT / "scripts" / "mutations.py", "--engine", "sqlite", *arguments],
        capture_output=True,
        text=True,
        timeout=1000,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def report(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of the table at the end."""
    lines = done.stdout.splitlines()
    (ruler,) = [at for at, line in enumerate(lines) if line.startswith("---")]
    return lines[ruler + 1 : lines.index("", ruler)]
