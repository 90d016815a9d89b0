"""The wheel: what it carries, and what it does not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# It is built and installed, and the demo run: some minutes on a slow machine.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files(folder: str, pattern: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob(pattern)}


@pytest.mark.parametrize("folder", ["sql", "migrations"])
def test_carries_every_sql_file(names: set[str], folder: str) -> None:
    """Each .sql file of the checkout lies beside the package's modules."""
    expected = {f"dal/{name}" for name in files(folder, "*.sql")}

    assert expected
    assert expected == {name for name in names if name.startswith(f"dal/{folder}/")}


def test_carries_every_module(names: set[str]) -> None:
    """Each module of the package is there, and the mark that it is typed."""
    assert files("dal", "*.py") | {"dal/py.typed"} <= names


def test_carries_nothing_else(names: set[str]) -> None:
    """Neither tests nor scripts nor anything else at the top."""
    assert {name.split("/")[0] for name in names} == {"dal", "dal-0.1.0.dist-info"}


def test_says_its_licence(names: set[str]) -> None:
    """The licence's text is in the wheel."""
    assert "dal-0.1.0.dist-info/licenses/LICENSE" in names


def test_extras(wheel: Path) -> None:
    """The extras are those that the README names."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read("dal-0.1.0.dist-info/METADATA").decode())

    assert set(metadata.get_all("Provides-Extra", [])) == {
        "postgresql",
        "mysql",
        "redis",
        "speed",
        "cli",
        "fastapi",
        "benchmark",
        "dev",
    }


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new virtual environment outside of the checkout, with the wheel in it.

    What dal needs comes from the environment of the tests, so that no network is needed. It is on the path
    behind the wheel, and its own .pth files, of which an editable install is one, are not read.
    """
    pytest.importorskip("pip", reason="the tests' environment has no pip to install the wheel with")
    folder = tmp_path_factory.mktemp("environment")
    run_outside([sys.executable, "-m", "venv", "--without-pip", folder], folder)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run_outside([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], folder)
    where = run_outside([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder)
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (Path(where.strip()) / "packages-of-the-tests.pth").write_text("\n".join(sorted(paths)))
    return python


def run_outside(command: Sequence[str | Path], folder: Path) -> str:
    """Run *command* in *folder*, with nothing on Python's path that the environment put there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_is_what_is_imported(python: Path, tmp_path: Path) -> None:
    """In the environment that the next test uses, dal is the wheel's and not the checkout's."""
    file = Path(run_outside([python, "-c", "import dal; print(dal.__file__)"], tmp_path).strip())

    assert file.is_relative_to(python.parent.parent)


def test_demo_runs_on_it(python: Path, tmp_path: Path) -> None:
    """A copy of the demo, outside of the checkout, ends well with nothing but the wheel."""
    for script in (ROOT / "scripts").glob("*.py"):
        shutil.copy(script, tmp_path)
    output = run_outside([python, "demo.py", "--database", "demo.db"], tmp_path)

    assert re.search(r"^(All of it|What ran has) worked, in ", output, re.MULTILINE)
