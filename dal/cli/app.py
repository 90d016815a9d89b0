"""The commands, put together, and those that look at a database or make and drop one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import typer

from dal.cli.adopt import command as adopt
from dal.cli.backup import backup
from dal.cli.migrate import migrations
from dal.cli.output import Root, Systems, Url, existing, resolved, table, with_base
from dal.database import DatabaseManager
from dal.operations.cleanup import BATCH_SIZE, PAUSE, remove_expired
from dal.operations.diagnosis import DatabaseInfo, Health, database_info, health_check
from dal.operations.lifecycle import drop_db, init_db, reset_db

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="What deploys and operators of a database call.",
)
app.add_typer(migrations, name="migrate")
app.command("adopt")(adopt)
app.add_typer(backup, name="backup")


@app.command()
def info(url: Url = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show the engine, its version, the tables, the newest migrations and the connections."""

    async def ask() -> DatabaseInfo:
        async with DatabaseManager(existing(url)) as db:
            return await database_info(db)

    found = asyncio.run(ask())
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    table(
        ("", ""),
        [
            ("database", found.url),
            ("engine", f"{found.engine} {found.server_version}"),
            ("environment", found.environment or "production"),
            ("schema", "\n".join(found.schema_version.values()) or "no migration was applied"),
            ("tables", ", ".join(found.tables) or "none"),
        ],
    )


@app.command()
def health(url: Url = None, timeout: Annotated[float, typer.Option(help="Seconds.")] = 5) -> None:
    """Ask the database for a sign of life; exit code 1 if there is none."""

    async def ask() -> Health:
        async with DatabaseManager(existing(url)) as db:
            return await health_check(db, timeout=timeout)

    found = asyncio.run(ask())
    if not found.ok:
        typer.echo(found.problem, err=True)
        raise typer.Exit(1)
    typer.echo(f"ok, {found.seconds * 1000:.1f} ms")


@app.command()
def init(
    url: Url = None,
    environment: Annotated[
        Literal["development", "test"] | None,
        typer.Option(help="Mark the database as one that `dal drop` and `dal reset` may drop."),
    ] = None,
    system: Systems = None,
    root: Root = None,
) -> None:
    """Make the tables that are missing; call it as often as you like."""
    made = init_db(resolved(url), environment=environment, systems=with_base(system), root=root)
    applied = asyncio.run(made)
    _tell("applied", applied)


@app.command()
def drop(url: Url = None, root: Root = None) -> None:
    """Drop every table of a database that is marked as one for development or tests."""
    _tell("taken back", asyncio.run(drop_db(existing(url), root=root)))


@app.command()
def reset(url: Url = None, root: Root = None) -> None:
    """Drop every table of a database for development or tests, and make them anew."""
    _tell("applied", asyncio.run(reset_db(existing(url), root=root)))


@app.command()
def cleanup(
    url: Url = None,
    batch_size: Annotated[int, typer.Option(help="Rows of one transaction.")] = BATCH_SIZE,
    pause: Annotated[float, typer.Option(help="Seconds between two.")] = PAUSE,
) -> None:
    """Remove the stored answers to searches that have expired."""

    async def remove() -> int:
        async with DatabaseManager(existing(url)) as db:
            return await remove_expired(db, batch_size=batch_size, pause=pause)

    typer.echo(f"removed: {asyncio.run(remove())} rows")


def _tell(what: str, migrations: list[str]) -> None:
    for migration in migrations:
        typer.echo(f"{what}: {migration}")
    if not migrations:
        typer.echo(f"nothing was {what}")
