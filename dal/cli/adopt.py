"""``dal adopt``: an older SQLite file becomes today's."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dal.cli.output import table
from dal.errors import AdoptionRefused
from dal.operations.adopt import Adopted, adopt

File = Annotated[Path, typer.Argument(help="A SQLite file that was made by hand or by an ORM.")]
System = Annotated[str, typer.Argument(help="Whose tables it has, for example market.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the differences, convert a copy, and leave the file as it is.")
]
Rounding = Annotated[
    bool, typer.Option("--round", help="Round decimals with more digits than today's columns, half to even.")
]
Whole = Annotated[
    bool, typer.Option("--whole", help="Decimals in INTEGER columns are whole numbers, not parts of them.")
]


def command(
    file: File, system: System, dry_run: DryRun = False, rounding: Rounding = False, whole: Whole = False
) -> None:
    """Turn an older SQLite file into today's: nothing is lost, and a copy of the old one is kept."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bars:
        shown: dict[str, TaskID] = {}

        def advance(name: str, done: int, total: int) -> None:
            if name not in shown:
                shown[name] = bars.add_task(name, total=total)
            bars.update(shown[name], completed=done)

        work = adopt(file, system, dry_run=dry_run, rounding=rounding, whole=whole, progress=advance)
        adopted = asyncio.run(_adopted_or_refused(work))
    if isinstance(adopted, AdoptionRefused):
        table(("what stands in the way",), [(line,) for line in adopted.differences])
        raise adopted
    _tell(file, adopted)


async def _adopted_or_refused(work: Awaitable[Adopted]) -> Adopted | AdoptionRefused:
    try:
        return await work
    except AdoptionRefused as error:
        return error


def _tell(file: Path, adopted: Adopted) -> None:
    if adopted.state == "current":
        typer.echo(f"{file} is as the migrations make it; nothing was done")
        return
    table(("table", "differs from today's"), [(found.table, found.text) for found in adopted.differences])
    verb = "would be" if adopted.state == "adoptable" else "were"
    table(
        ("table", f"rows that {verb} adopted"), [(name, str(count)) for name, count in adopted.rows.items()]
    )
    for column, count in adopted.filled.items():
        typer.echo(f"{column}: {count} rows had no value, and {verb} given the time of their row or of now")
    if adopted.kept:
        typer.echo(f"kept as they are: {', '.join(adopted.kept)}")
    if adopted.backup is None:
        typer.echo(f"{file} can be adopted; this was a dry run, and it is as it was")
    else:
        typer.echo(f"{file} is adopted; the old file is {adopted.backup}")
