"""What the demo shows: headings, tables, progress bars, and the checks that decide how it ends.

Where standard output is no terminal there are no control codes and no bars, and lines are as wide as
COLUMNS says, 100 by default. Text from outside is shown as it is, never read as markup.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from io import TextIOWrapper

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 100


class Screen:
    """Standard output, and the checks made so far.

    Attributes:
        checks: Each claim, and whether it held.
        parts_not_run: What could not be shown, and why.
    """

    def __init__(self) -> None:
        self.checks: list[tuple[str, bool]] = []
        self.parts_not_run: dict[str, str] = {}
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # where Unicode can't be shown, the rest still is
        is_terminal = sys.stdout.isatty()
        # Said outright, since variables such as FORCE_COLOR would have rich send codes into a pipe.
        self._console = Console(
            force_terminal=is_terminal,
            width=None if is_terminal else _piped_width(),
            highlight=False,
            emoji=False,
            markup=False,
        )
        self._is_below_heading = False

    def heading(self, title: str) -> None:
        """Begin a part."""
        self._print(Text(title, style="bold cyan"))
        self._is_below_heading = True

    def say(self, text: str, *, style: str = "") -> None:
        """Print a paragraph."""
        self._print(Text(text, style=style))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table.

        Args:
            columns: Their headings. One after ``>`` is aligned to the right, one after ``~`` is cut where
                the line is too short for all.
            rows: A cell for each column.
        """
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        for column in columns:
            table.add_column(
                Text(column.lstrip(">~")),
                justify="right" if column.startswith(">") else "left",
                no_wrap=not column.startswith("~"),
            )
        for row in rows:
            table.add_row(*map(_cell, row))
        self._print(table)

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar while the block runs; gives what to call after each of *total* steps."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        is_off = not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=is_off) as bars:
            bar = bars.add_task(title, total=total)
            yield lambda: bars.advance(bar)

    def check(self, claim: str, held: bool) -> None:
        """Note whether a claim held."""
        self.checks.append((claim, held))

    def compare(self, claim: str, answers: Iterable[tuple[str, object, object]]) -> None:
        """Print what was asked, the database's answer and that of plain Python; check that all are equal."""
        rows = [(asked, stored, computed, stored == computed) for asked, stored, computed in answers]
        self.table(["asked", ">database", ">plain Python", "equal"], rows)
        self.check(claim, bool(rows) and all(is_equal for *_, is_equal in rows))

    def not_run(self, part: str, reason: str) -> None:
        """Say that a part of the demo cannot be shown. It counts as neither worked nor failed."""
        self.parts_not_run[part] = reason
        self.say(f"NOT RUN: {reason}", style="bold yellow")

    def verdict(self, *, seconds: float) -> bool:
        """Print every check, then whether all of it worked, and return True if no check failed."""
        self.heading("Checks")
        not_run = [(part, "not run") for part in self.parts_not_run]
        self.table(["check", "held"], [*self.checks, *not_run])
        failed = [claim for claim, held in self.checks if not held]
        if failed:
            self.error(f"{len(failed)} of {len(self.checks)} checks failed: {'; '.join(failed)}")
        elif self.parts_not_run:
            reasons = "; ".join(f"{part} ({reason})" for part, reason in self.parts_not_run.items())
            self.say(
                f"What ran has worked, in {seconds:.0f} seconds. Not run: {reasons}.", style="bold yellow"
            )
        else:
            self.say(f"All of it worked, in {seconds:.0f} seconds.", style="bold green")
        return not failed

    def error(self, message: str) -> None:
        """Print to standard error why the demo fails."""
        sys.stdout.flush()
        print(f"demo: {message}", file=sys.stderr)

    def _print(self, block: RenderableType) -> None:
        """Print *block*, with a blank line before it unless a heading is there."""
        if not self._is_below_heading:
            self._console.print()
        self._is_below_heading = False
        self._console.print(block)


def _piped_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) > 0 else PIPED_WIDTH


def _cell(value: object) -> Text:
    if isinstance(value, bool):
        return Text("yes", style="green") if value else Text("NO", style="bold red")
    return Text(_shown(value), no_wrap=True, overflow="ellipsis")


def _shown(value: object) -> str:
    """Return *value* as it is shown: a Decimal with all digits, less the zeros at its end."""
    match value:
        case int():
            return f"{value:,}"
        case Decimal():
            text = f"{value:,f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case tuple():
            return " ".join(map(_shown, value))
        case _:
            return str(value)
