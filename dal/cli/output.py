"""What the commands share: the option that names the database, and tables on the terminal or in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dal.errors import CannotOpen, ConfigurationError
from dal.operations.migrate import BASE
from dal.operations.yoyo_url import yoyo_database
from dal.settings import load_settings

PIPED_WIDTH = 160
"""Columns of a line where standard output is no terminal."""

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="The database. By default the one of the settings (DATABASE_URL, DB_...): other users of this "
        "machine can read the arguments of a process, and so a password in them.",
    ),
]
Root = Annotated[
    Path | None,
    typer.Option("--root", help="Where the migrations lie; by default those that come with dal."),
]
Systems = Annotated[
    list[str] | None,
    typer.Option("--system", help="Only this system, and what it depends on; may be given several times."),
]


def resolved(url: str | None) -> str:
    """Return *url*, or the one of the settings."""
    return url or load_settings().database.resolved_url()


def existing(url: str | None) -> str:
    """Return *url*, or the one of the settings, for a command that makes no database.

    Raises:
        CannotOpen: There is no such file. SQLite would make an empty one, and all would seem well.
    """
    found = resolved(url)
    with suppress(ConfigurationError):  # whoever connects says it
        file = yoyo_database(found).file
        if file is not None and not file.path.exists():
            raise CannotOpen(f"there is no file {file.path}", sent=False)
    return found


def with_base(systems: list[str] | None) -> list[str] | None:
    """Return *systems* and what they stand on; None is all."""
    return systems and [BASE, *(system for system in systems if system != BASE)]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. Texts are shown as they are, and never cut in a pipe."""
    is_terminal = sys.stdout.isatty()
    console = Console(
        force_terminal=is_terminal,
        width=None if is_terminal else PIPED_WIDTH,
        highlight=False,
        emoji=False,
        markup=False,
    )
    shown = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        shown.add_row(*(Text("" if cell is None else str(cell), overflow="fold") for cell in row))
    console.print(shown)
