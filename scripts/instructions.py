"""Counts the instructions that the hot paths of `dal` take, and compares them with those that are stored.

    scripts/instructions               all of them
    scripts/instructions bind insert   those whose name has one of these words
    scripts/instructions --store       store what was counted, in scripts/instructions.json

Callgrind counts, so that a busy machine changes nothing. Each path is counted beside a reference, the same
work by hand (scripts/hot_paths.py), and what is compared is the ratio of the two: counts differ by up to 20
percent between two builds of one Python, ratios by a few.

Each minor version of Python has figures of its own. One that has none is compared with the nearest that has,
more generously. It ends 0 only if no path has become slower by more than is tolerated.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "scripts" / "instructions.json"

TOLERANCE = 0.10
"""By how much a ratio may grow. Repeated runs differ by 3 percent, builds of one version by 7."""

TOLERANCE_ELSEWHERE = 0.20
"""The same where the stored figures are another Python version's."""

MACHINE = "x86_64"
"""Requests to callgrind are written in this machine's code."""


class CannotCount(Exception):
    """There is no counting on this machine, or it failed; the message says why, and what to do."""


@dataclass(frozen=True)
class Figure:
    """Instructions that one call takes.

    Attributes:
        ours: Those of `dal`.
        reference: Those of the same work by hand.
    """

    ours: int
    reference: int

    @property
    def ratio(self) -> float:
        """How many times the reference's work `dal` does."""
        return self.ours / self.reference


Figures = Mapping[str, Figure]
"""By the name of the path."""


@dataclass(frozen=True)
class Comparison:
    """A path, counted and stored.

    Attributes:
        path: Its name.
        counted: What it takes now.
        stored: What it took; None if that is not known.
        tolerance: The share by which the ratio may differ.
    """

    path: str
    counted: Figure
    stored: Figure | None
    tolerance: float

    @property
    def change(self) -> float:
        """The share by which the ratio has grown, below 0 if it has shrunk."""
        return self.counted.ratio / self.stored.ratio - 1 if self.stored else 0.0

    @property
    def is_slower(self) -> bool:
        """True if it has grown by more than is tolerated."""
        return self.change > self.tolerance

    @property
    def verdict(self) -> str:
        """What the table says."""
        if self.stored is None:
            return "NOT STORED: run scripts/instructions --store"
        if self.is_slower:
            return f"SLOWER by {self.change:.1%}"
        if self.change < -self.tolerance:
            return f"faster by {-self.change:.1%}: store it, so that it is kept"
        return f"as stored ({self.change:+.1%})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, compare or store, and return the exit code."""
    options = parser().parse_args(arguments)
    version = "{}.{}".format(*sys.version_info)
    try:
        counted = count(options.words, slower=options.slower)
        everything = read(options.figures)
        if options.store:
            everything[version] = {**everything.get(version, {}), **counted}
            write(options.figures, everything)
            print(f"\nStored for Python {version} in {options.figures}")
            return 0
        if not everything:
            raise CannotCount(f"nothing is stored in {options.figures}; run scripts/instructions --store")
    except CannotCount as error:
        print(f"instructions: {error}", file=sys.stderr)
        return 2
    comparisons = compare(counted, everything, version)
    print_table(comparisons)
    slower = [comparison.path for comparison in comparisons if comparison.is_slower]
    unknown = [comparison.path for comparison in comparisons if comparison.stored is None]
    tolerance = comparisons[0].tolerance
    print(f"\n{len(slower)} of {len(comparisons)} paths became slower by more than {tolerance:.0%}.")
    return 1 if slower or unknown else 0


def why_not() -> str | None:
    """Say why nothing can be counted here, None if it can."""
    if platform.machine() != MACHINE:
        return f"instructions are counted on {MACHINE} only, and this machine is {platform.machine()}"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed; on Debian: apt-get install valgrind"
    return None


def count(words: Iterable[str] = (), *, slower: int = 0) -> dict[str, Figure]:
    """Count the hot paths that have one of *words* in their names.

    Args:
        words: All paths if there are none.
        slower: Percentage of work that `dal` does on top, to see that it is noticed.

    Raises:
        CannotCount: There is no valgrind, it failed, or no path has such a name.
    """
    if reason := why_not():
        raise CannotCount(reason)
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="dal-instructions-") as folder:
        dumps = Path(folder, "callgrind")
        command = [
            *("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={dumps}"),
            *(sys.executable, "-B", str(ROOT / "scripts" / "hot_paths.py"), folder, str(slower), *words),
        ]
        # Nothing of the environment may change what is counted, least of all the hashes of strings.
        environment = {**kept, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
        print("Starting Python under valgrind ...", flush=True)
        code = subprocess.run(command, env=environment, cwd=folder, check=False).returncode
        if code:
            raise CannotCount(f"the hot paths ended with {code}; what they wrote is above")
        figures = figures_of(file.read_text(errors="replace") for file in dumps.parent.glob("callgrind.*"))
    if not figures:
        raise CannotCount("no hot path has such a word in its name")
    return figures


def figures_of(dumps: Iterable[str]) -> dict[str, Figure]:
    """Return what callgrind's *dumps* say of each path: the median of its rounds, for one call."""
    counts: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for dump in dumps:
        request = re.search(r"^desc: Trigger: Client Request: (\[.*\])$", dump, re.MULTILINE)
        total = re.search(r"^totals: (\d+)$", dump, re.MULTILINE)
        if request is not None and total is not None:
            path, side, calls = json.loads(request[1])
            counts[path][side].append(int(total[1]) / calls)
    return {
        path: Figure(**{side: round(statistics.median(rounds)) for side, rounds in sides.items()})
        for path, sides in counts.items()
    }


def compare(counted: Figures, everything: Mapping[str, Figures], version: str) -> list[Comparison]:
    """Compare with the figures of the Python *version*, or of the nearest one in *everything*."""
    nearest = min(everything, key=lambda known: abs(_minor(known) - _minor(version)))
    tolerance = TOLERANCE if nearest == version else TOLERANCE_ELSEWHERE
    if nearest != version:
        print(f"\nNothing is stored for Python {version}; compared with {nearest}.")
    stored = everything[nearest]
    return [Comparison(path, figure, stored.get(path), tolerance) for path, figure in counted.items()]


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def read(file: Path) -> dict[str, dict[str, Figure]]:
    """Return the figures stored in *file*, by the version of Python; none if it is missing."""
    if not file.exists():
        return {}
    stored = json.loads(file.read_text(encoding="utf-8"))
    return {
        version: {path: Figure(**figure) for path, figure in figures.items()}
        for version, figures in stored.items()
    }


def write(file: Path, everything: Mapping[str, Figures]) -> None:
    """Store *everything* in *file*."""
    plain = {
        version: {path: vars(figure) for path, figure in sorted(everything[version].items())}
        for version in sorted(everything, key=_minor)
    }
    file.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def print_table(comparisons: Iterable[Comparison]) -> None:
    """Print a line for each path."""
    rows = [("path", "instructions", "by hand", "ratio", "stored", "")]
    for comparison in comparisons:
        counted, stored = comparison.counted, comparison.stored
        before = f"{stored.ratio:.3f}" if stored else "-"
        ours, by_hand = f"{counted.ours:,}", f"{counted.reference:,}"
        rows.append((comparison.path, ours, by_hand, f"{counted.ratio:.3f}", before, comparison.verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for first, *figures, verdict in rows:
        cells = [cell.rjust(width) for cell, width in zip(figures, widths[1:-1], strict=True)]
        print("  ".join((first.ljust(widths[0]), *cells, verdict)).rstrip())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    found = argparse.ArgumentParser(
        prog="instructions",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("words", nargs="*", help="count the paths whose name has one of them")
    found.add_argument("--store", action="store_true", help="store the figures instead of comparing them")
    found.add_argument("--figures", type=Path, default=FIGURES, help="another file of stored figures")
    found.add_argument(
        "--slower", type=int, default=0, metavar="PERCENT", help="do more work on purpose: must be noticed"
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
