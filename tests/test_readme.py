"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_application_code_runs_on_the_query_file(tmp_path: Path) -> None:
    """The first block of Python, on the first block of SQL; twice, on the same file."""
    (tmp_path / "queries.sql").write_text(block("sql"))
    (tmp_path / "app.py").write_text(block("python"))
    for visits in (1, 2):
        done = subprocess.run(
            [sys.executable, "-W", "error", "app.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"[User(user_id=1, email='ada@example.org', visits={visits})]\n"


def test_the_code_has_about_twenty_lines() -> None:
    """As its heading says."""
    assert len([line for line in block("python").splitlines() if line]) <= 20


def test_every_path_that_is_named_exists() -> None:
    """In the table of where things are, and the two commands."""
    text = README.read_text()
    named = re.findall(r"`((?:dal|sql|migrations|scripts)/[\w./]*)`", text)
    assert [
        path for path in [*named, "scripts/demo", "scripts/test"] if not (README.parent / path).exists()
    ] == []


def test_every_promise_of_the_cache_names_tests_that_exist() -> None:
    """Each link leads to a file that has the test."""
    links = re.findall(r"\[(test_\w+)\]\((tests/[\w/.]+)\)", README.read_text())
    assert len(links) > 20
    missing = [
        name
        for name, path in links
        if re.search(rf"def {name}\(", (README.parent / path).read_text()) is None
    ]
    assert missing == []
