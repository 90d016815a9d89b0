"""Shows that the conformance suite can fail: breaks `dal` in one place, and runs the claim that must notice.

    scripts/mutations                    all of them
    scripts/mutations pool "by a float"  those whose name, file or claim has one of these words
    scripts/mutations --engine sqlite    on one engine only; may be given several times

tests/mutations/table.toml has the mutations. The claims run on an unchanged copy of the package first, and
must pass. Then each mutation is made in a copy of its own, in a temporary folder, and its claim is run
against that copy by pytest, in a process of its own. The servers are started once.

It ends 0 only if the claim of every mutation failed on every engine on which it must.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.engine_cases import CASES, Place
from tests.mutations.table import CLAIMS, ENGINES, ROOT, TABLE, Mutation, NotApplicable, mutations

TEST_SECONDS = 60  # for one test, which a mutation may make wait for ever
RUN_SECONDS = 600  # for all tests of one mutation, clean-up included

Places = Mapping[str, Place]
Wanted = Mapping[str, frozenset[str]]
"""Claims, and the engines on which each is to be run."""

_processes = multiprocessing.get_context("fork")


@dataclass
class Outcome:
    """What a run of some claims brought.

    Attributes:
        passed, failed: Claims, each with its engine; a claim failed if one of its tests did.
        unfit: Those that were skipped or whose fixtures failed, so that they say nothing.
        modules: The files of `dal` that were imported.
        output: What pytest wrote.
    """

    passed: set[tuple[str, str]] = field(default_factory=set)
    failed: set[tuple[str, str]] = field(default_factory=set)
    unfit: set[tuple[str, str]] = field(default_factory=set)
    modules: set[Path] = field(default_factory=set)
    output: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutations that are asked for and return the exit code."""
    options = parser().parse_args(arguments)
    chosen = [mutation for mutation in mutations(options.table) if is_asked_for(mutation, options.words)]
    engines = frozenset(options.engine or ENGINES)
    plan = [(mutation, on) for mutation in chosen if (on := engines.intersection(mutation.engines))]
    if not plan:
        print("mutations: none has such a word, or such an engine", file=sys.stderr)
        return 1
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dal-mutations-") as name, ExitStack() as running:
        folder = Path(name)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")
        try:
            places = opened(frozenset().union(*(on for _, on in plan)), running)
        except (pytest.skip.Exception, pytest.fail.Exception) as missing:
            print(f"mutations: {missing}", file=sys.stderr)
            return 1
        if not unchanged_passes(plan, places, folder / "unchanged"):
            return 1
        rows = []
        for number, (mutation, on) in enumerate(plan, 1):
            since = time.monotonic()
            verdict = judged(mutation, on, places, folder / str(number))
            rows.append((mutation.name, mutation.claim, shown(on), verdict))
            say(f"{number:3}/{len(plan)}  {verdict}: {mutation.name} ({time.monotonic() - since:.1f} s)")
    print_table(("mutation", "claim", "engines", "result"), rows)
    killed = sum(verdict == "killed" for *_, verdict in rows)
    print(f"\n{killed} of {len(rows)} mutations were killed, in {time.monotonic() - begun:.0f} seconds.")
    return 0 if killed == len(rows) else 1


def opened(engines: Iterable[str], running: ExitStack) -> Places:
    """Start the servers of *engines*, to run as long as *running*."""
    return {case.name: running.enter_context(case.open()) for case in CASES if case.name in engines}


def unchanged_passes(plan: list[tuple[Mutation, frozenset[str]]], places: Places, folder: Path) -> bool:
    """Say whether every claim passes on a copy of the package as it is."""
    wanted: dict[str, frozenset[str]] = defaultdict(frozenset)
    for mutation, on in plan:
        wanted[mutation.claim] |= on
    say(f"The package unchanged: {len(wanted)} claims ...")
    since = time.monotonic()
    shutil.copytree(ROOT / "dal", folder / "dal")
    outcome = run(wanted, places, folder, patience=RUN_SECONDS + 10 * len(wanted))
    asked = {(claim, engine) for claim, on in wanted.items() for engine in on}
    if outcome.passed - outcome.failed - outcome.unfit != asked or not are_in(folder, outcome.modules):
        print(outcome.output, file=sys.stderr)
        for claim, engine in sorted(asked - (outcome.passed - outcome.failed - outcome.unfit)):
            print(f"mutations: {claim} does not pass on {engine} as it is", file=sys.stderr)
        return False
    say(f"The package unchanged: every claim passes ({time.monotonic() - since:.1f} s)")
    return True


def judged(mutation: Mutation, on: frozenset[str], places: Places, folder: Path) -> str:
    """Make the mutation in a copy of the package, run its claim, and return what became of it."""
    shutil.copytree(ROOT / "dal", folder / "dal", ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / mutation.file
    try:
        module.write_text(mutation.applied(module.read_text(encoding="utf-8")), encoding="utf-8")
    except (NotApplicable, OSError) as error:
        return f"could not be applied: {error}"
    outcome = run({mutation.claim: on}, places, folder, patience=RUN_SECONDS)
    if not are_in(folder, outcome.modules) or module not in outcome.modules:
        return "COULD NOT BE RUN: the claim did not import the mutated file"
    failed = {engine for _, engine in outcome.failed}
    survived = {engine for _, engine in outcome.passed} - failed
    if survived:
        return f"SURVIVED on {shown(survived)}"
    if failed != on:  # no test came so far as to tell
        return f"COULD NOT BE RUN on {shown(on - failed)}"
    return "killed"


def run(wanted: Wanted, places: Places, folder: Path, *, patience: float) -> Outcome:
    """Run claims against the package in *folder*, in a process of its own."""
    receiver, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=run_pytest, args=(wanted, places, folder, sender))
    process.start()
    sender.close()
    outcome = Outcome()
    end = time.monotonic() + patience
    try:
        while receiver.poll(max(end - time.monotonic(), 0)):
            kind, what = receiver.recv()
            getattr(outcome, kind).add(what)
    except EOFError:
        pass
    else:
        process.kill()
    process.join()
    outcome.output = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    return outcome


def run_pytest(wanted: Wanted, places: Places, folder: Path, sender: Connection) -> None:
    """Import the package in *folder* and run pytest; runs in the process of its own."""
    with open(folder / "output.txt", "wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("dal", "tests")]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.import_module("dal")  # before pytest puts the root on the path
    case = importlib.import_module("tests.engine_cases").EngineCase
    case.open = lambda self: nullcontext(places[self.name])
    files = sorted({str(CLAIMS / claim.partition("::")[0]) for claim in wanted})
    try:
        pytest.main(
            [
                *("-q", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={folder / 'files'}"),
                *(
                    f"--rootdir={ROOT}",
                    f"--config-file={ROOT / 'pyproject.toml'}",
                    f"--timeout={TEST_SECONDS}",
                ),
                *files,
            ],
            plugins=[Selection(wanted, sender)],
        )
    finally:  # a time limit may end pytest itself
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "dal" and module.__file__ is not None:
                sender.send(("modules", Path(module.__file__)))


class Selection:
    """A plugin of pytest: runs what is wanted, and sends what became of it.

    Once a claim has failed on an engine, its further tests there are left out.
    """

    def __init__(self, wanted: Wanted, sender: Connection) -> None:
        self._wanted = wanted
        self._sender = sender
        self._failed: set[tuple[str, str]] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the wanted claims on their engines."""
        items[:] = [item for item in items if (found := place(item)) and self._is_wanted(*found)]

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Return True for what need not be run."""
        return True if place(item) in self._failed else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the outcome."""
        report = yield
        found = place(item)
        assert found is not None
        if report.skipped or (report.failed and report.when == "setup"):
            self._sender.send(("unfit", found))
        elif report.failed:
            self._failed.add(found)
            self._sender.send(("failed", found))
        elif report.when == "call":
            self._sender.send(("passed", found))
        return report

    def _is_wanted(self, claim: str, engine: str) -> bool:
        return engine in self._wanted.get(claim, ())


def place(item: pytest.Item) -> tuple[str, str] | None:
    """The claim of which *item* is a test, and its engine; None for one without an engine."""
    parameters: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    if not isinstance(item, pytest.Function) or "case" not in parameters:
        return None
    return f"{item.path.name}::{item.originalname}", parameters["case"].name


def are_in(folder: Path, modules: set[Path]) -> bool:
    """Say whether some modules of `dal` were imported, and all from *folder*."""
    return bool(modules) and all(module.is_relative_to(folder / "dal") for module in modules)


def is_asked_for(mutation: Mutation, words: list[str]) -> bool:
    texts = (mutation.name, mutation.file, mutation.claim)
    return not words or any(word.lower() in text.lower() for word in words for text in texts)


def shown(engines: Iterable[str]) -> str:
    found = [engine for engine in ENGINES if engine in set(engines)]
    return "all" if len(found) == len(ENGINES) else " ".join(found)


def say(line: str) -> None:
    print(line, flush=True)


def print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    print()
    for row in (header, tuple("-" * width for width in widths), *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    found = argparse.ArgumentParser(
        prog="mutations",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("words", nargs="*", help="run those whose name, file or claim has one of them")
    found.add_argument("--engine", action="append", choices=ENGINES, help="run on this engine only")
    found.add_argument("--table", type=Path, default=TABLE, help="another table of mutations")
    return found


if __name__ == "__main__":
    sys.exit(main())
