"""The guard of the hot paths: it holds today, it notices more work, and it says what to do."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import instructions
from instructions import Comparison, Figure
from tests.servers import missing

GUARD = [sys.executable, "-B", str(instructions.ROOT / "scripts" / "instructions.py")]


def guard(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script; skip the test where nothing can be counted."""
    if platform.machine() != instructions.MACHINE:
        pytest.skip(instructions.why_not() or "")
    if reason := instructions.why_not():
        missing(reason)
    return subprocess.run([*GUARD, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_hot_path_became_slower() -> None:
    """Every path takes about as many instructions as is stored, beside the same work by hand."""
    run = guard()
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 of 6 paths became slower" in run.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_more_work_on_a_hot_path_is_noticed(tmp_path: Path) -> None:
    """With 30 percent of work on top a path is reported as that much slower, and the exit code is 1."""
    stored = tmp_path / "instructions.json"
    shutil.copy(instructions.FIGURES, stored)
    assert guard("bind", "--store", "--figures", str(stored)).returncode == 0
    run = guard("bind", "--slower", "30", "--figures", str(stored))
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(r"^bind .* SLOWER by (29|30|31)\.\d%$", run.stdout, re.MULTILINE), run.stdout


@pytest.mark.parametrize(
    ("ours", "is_slower", "words"),
    [
        (1090, False, "as stored (+9.0%)"),
        (1110, True, "SLOWER by 11.0%"),
        (890, False, "faster by 11.0%: store it"),
    ],
)
def test_verdict_is_on_the_ratio_to_the_work_by_hand(ours: int, is_slower: bool, words: str) -> None:
    """A build on which everything takes twice as many instructions gets the same verdict."""
    for build in (1, 2):
        found = Comparison("bind", Figure(ours * build, 500 * build), Figure(1000, 500), 0.10)
        assert found.is_slower is is_slower
        assert words in found.verdict


def test_python_without_figures_is_compared_with_the_nearest() -> None:
    """It is held to the figures of the nearest minor version, within the wider tolerance."""
    old, new = Figure(100, 100), Figure(300, 100)
    everything = {"3.11": {"bind": old}, "3.14": {"bind": new}}
    [at_home] = instructions.compare({"bind": old}, everything, "3.11")
    [between] = instructions.compare({"bind": old}, everything, "3.13")
    assert (at_home.stored, at_home.tolerance) == (old, instructions.TOLERANCE)
    assert (between.stored, between.tolerance) == (new, instructions.TOLERANCE_ELSEWHERE)


def test_figure_is_the_median_of_the_rounds_for_one_call() -> None:
    """Rounds are divided by their calls; what callgrind dumps at the end of the program is left out."""
    form = 'desc: Trigger: Client Request: ["bind", "{}", 10]\n\ntotals: {}\n'
    rounds = {"ours": (900, 500, 400), "reference": (200, 100, 300)}
    dumps = [form.format(side, total) for side, totals in rounds.items() for total in totals]
    dumps.append("desc: Trigger: Program termination\n\ntotals: 7\n")
    assert instructions.figures_of(dumps) == {"bind": Figure(50, 20)}


def test_stored_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Writing and reading keep every version, path and count."""
    file = tmp_path / "instructions.json"
    everything = {"3.9": {"bind": Figure(3, 2)}, "3.11": {"bind": Figure(5, 4), "insert": Figure(7, 6)}}
    assert instructions.read(file) == {}
    instructions.write(file, everything)
    assert instructions.read(file) == everything
