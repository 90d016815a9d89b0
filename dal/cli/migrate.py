"""``dal migrate``: yoyo's migrations, written, looked at, applied and taken back."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from dal.cli.output import Root, Systems, Url, resolved, table, with_base
from dal.database import DatabaseManager
from dal.operations.migrate import migrate
from dal.operations.migrate import rollback as take_back
from dal.operations.new_migration import new_migration
from dal.operations.status import MigrationState, migration_states

migrations = typer.Typer(no_args_is_help=True, help="Versioned migrations of a database.")


@migrations.command()
def new(
    system: Annotated[str, typer.Argument(help="The folder below the root, new or not.")],
    what: Annotated[str, typer.Argument(help="What it is about, as the last part of its id.")],
    description: Annotated[str, typer.Argument(help="One sentence that says what it does.")],
    root: Root = None,
) -> None:
    """Write the files of a new migration and of its rollback, for every engine under the same id."""
    identity, files = new_migration(system, what, description, root=root)
    typer.echo(f"{identity}: write the change in place of each line in <angle brackets>")
    for file in files:
        typer.echo(f"  {file}")


@migrations.command()
def status(
    url: Url = None,
    system: Systems = None,
    root: Root = None,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 unless all are applied.")] = False,
) -> None:
    """Show every migration: applied, pending, torn (its run was killed) or unknown (it has no file)."""
    states = _states(url, system, root)
    table(
        ("migration", "state", "applied at"),
        [(found.migration, found.state, _when(found)) for found in states],
    )
    if check and any(found.state != "applied" for found in states):
        raise typer.Exit(1)


@migrations.command()
def history(url: Url = None, system: Systems = None, root: Root = None) -> None:
    """Show what was applied, the oldest first, with the time."""
    past = [found for found in _states(url, system, root) if found.applied_at is not None]
    past.sort(key=_when)
    table(("applied at", "migration", "state"), [(_when(f), f.migration, f.state) for f in past])


@migrations.command()
def apply(
    url: Url = None,
    system: Systems = None,
    root: Root = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print what would be run, in its order, and run nothing.")
    ] = False,
) -> None:
    """Bring the database up to date."""
    if not sql:
        for migration in asyncio.run(migrate(resolved(url), with_base(system), root=root)):
            typer.echo(f"applied: {migration}")
        return
    pending = [found for found in _states(url, system, root) if found.state == "pending"]
    for found in pending:
        assert found.file is not None
        typer.echo(f"-- ==== {found.migration}\n\n{found.file.read_text(encoding='utf-8')}")
    if not pending:
        typer.echo("-- nothing is pending")


@migrations.command()
def rollback(
    migration: Annotated[
        str | None, typer.Argument(help="Take it back, after all that depend on it; else the newest alone.")
    ] = None,
    url: Url = None,
    system: Systems = None,
    root: Root = None,
) -> None:
    """Take migrations back, newest first. What their tables held is lost."""
    for taken in asyncio.run(take_back(resolved(url), migration, systems=with_base(system), root=root)):
        typer.echo(f"taken back: {taken}")


def _states(url: str | None, systems: list[str] | None, root: Root) -> list[MigrationState]:
    async def ask() -> list[MigrationState]:
        async with DatabaseManager(resolved(url)) as db:
            return await migration_states(db, with_base(systems), root=root)

    return asyncio.run(ask())


def _when(found: MigrationState) -> str:
    return "" if found.applied_at is None else f"{found.applied_at:%Y-%m-%d %H:%M:%S}Z"
